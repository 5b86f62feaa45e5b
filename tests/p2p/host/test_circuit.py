"""Connections over somebody else's stream: the same peer at the other end, or none."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import trio
import trio.testing
from libp2p.crypto.secp256k1 import create_new_key_pair
from libp2p.network.exceptions import SwarmException
from libp2p.peer.id import ID
from libp2p.tools.anyio_service import background_trio_service
from multiaddr import Multiaddr  # type: ignore[import-untyped]

from fondaco.p2p import limits
from fondaco.p2p.host.channel import StreamEnded
from fondaco.p2p.host.circuit import Circuit, relay_of
from fondaco.p2p.host.swarm import Refused, Swarm
from support.peers import QUICK

RELAY = ID.from_pubkey(create_new_key_pair(b"\x09" * 32).public_key)
ADDRESS = Multiaddr(f"/ip4/127.0.0.1/tcp/1/p2p/{RELAY}/p2p-circuit")


class Pipe:
    """A stream to a relay, as ``Channel`` shows it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.peer = RELAY.to_bytes()
        self.is_metered = True

    async def read_some(self) -> bytes:
        try:
            return bytes(await self._stream.receive_some(65_536))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            raise StreamEnded("pipe") from exc

    async def write(self, data: bytes) -> None:
        try:
            await self._stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            raise StreamEnded("pipe") from exc

    async def reset(self) -> None:
        await self._stream.aclose()


def circuit(stream: Any, rest: bytes = b"") -> Circuit:
    return Circuit(Pipe(stream), rest)  # type: ignore[arg-type]


class Node:
    """A swarm that knows its peers."""

    def __init__(self, number: int) -> None:
        self.left: list[bytes] = []
        self.swarm = Swarm(
            create_new_key_pair(bytes([number]) * 32),
            tuning=QUICK,
            deny=[],
            refuses=lambda peer, address: False,
            on_joined=self._joined,
            on_left=self.left.append,
        )
        self.peer = self.swarm.self_id

    async def _joined(self, connection: Any) -> None:
        pass


def run(scene: Callable[[], Any]) -> None:
    async def bounded() -> None:
        with trio.fail_after(20):
            await scene()

    trio.run(bounded)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110
        await trio.sleep(0.01)


@contextlib.asynccontextmanager
async def nodes(*some: Node) -> AsyncIterator[trio.Nursery]:
    async with contextlib.AsyncExitStack() as stack:
        for one in some:
            await stack.enter_async_context(background_trio_service(one.swarm))
        async with trio.open_nursery() as nursery:
            yield nursery
            nursery.cancel_scope.cancel()


def relayed(one: Node, other: Node, nursery: trio.Nursery) -> None:
    """Let *one* reach everybody through a relay that brings it to *other*."""

    async def open_circuit(relay: ID, place: Multiaddr, peer: ID) -> Circuit:
        near, far = trio.testing.memory_stream_pair()
        nursery.start_soon(other.swarm.accept, circuit(far))
        return circuit(near)

    one.swarm.open_circuit = open_circuit


def test_a_connection_over_a_stream() -> None:
    async def scene() -> None:
        one, other = Node(1), Node(2)
        async with nodes(one, other) as nursery:
            relayed(one, other, nursery)
            await one.swarm.connect(other.peer, ADDRESS)
            [near] = one.swarm.get_connections(other.peer)
            assert relay_of(near) == str(RELAY)
            assert one.swarm.address_of(near) == ""
            await until(lambda: other.swarm.connected == 1)
            [far] = other.swarm.get_connections(one.peer)
            assert relay_of(far) == str(RELAY)
            await near.close()
            await until(lambda: other.left != [])
            assert (one.swarm.connected, other.swarm.connected) == (0, 0)

    run(scene)


def test_a_relay_that_brings_us_to_somebody_else_is_found_out() -> None:
    async def scene() -> None:
        one, other, third = Node(1), Node(2), Node(3)
        async with nodes(one, other, third) as nursery:
            relayed(one, other, nursery)
            with pytest.raises(SwarmException, match="security"):
                await one.swarm.connect(third.peer, ADDRESS)
            assert one.swarm.connected == 0

    run(scene)


def test_who_knows_no_relays_refuses_such_addresses() -> None:
    async def scene() -> None:
        one, other = Node(1), Node(2)
        async with nodes(one, other) as nursery:
            with pytest.raises(Refused):
                await one.swarm.connect(other.peer, ADDRESS)
            relayed(one, other, nursery)
            with pytest.raises(Refused):  # ourselves, through whomever
                await one.swarm.connect(one.peer, ADDRESS)

    run(scene)


def test_one_relay_does_not_take_all_places() -> None:
    async def scene() -> None:
        one = Node(1)
        others = [Node(10 + n) for n in range(limits.MAX_CONNECTIONS_PER_RELAY + 1)]
        async with nodes(one, *others) as nursery:
            for other in others:
                relayed(other, one, nursery)
                with contextlib.suppress(SwarmException):
                    await other.swarm.connect(one.peer, ADDRESS)
            await until(lambda: one.swarm.counts["connections-refused"] == 1)
            assert one.swarm.connected == limits.MAX_CONNECTIONS_PER_RELAY

    run(scene)


def test_what_came_with_the_answer_is_read_first() -> None:
    async def scene() -> None:
        near, far = trio.testing.memory_stream_pair()
        one = circuit(near, b"abcdef")
        assert (await one.read(2), await one.read(3), await one.read()) == (b"ab", b"cde", b"f")
        await far.send_all(b"later")
        assert await one.read(100) == b"later"
        await far.aclose()
        assert await one.read(1) == b""

    run(scene)
