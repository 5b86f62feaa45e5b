"""The door: refused before or after it is known who knocks."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
import trio
from libp2p.crypto.secp256k1 import create_new_key_pair
from libp2p.network.exceptions import SwarmException
from libp2p.peer.id import ID
from libp2p.tools.anyio_service import background_trio_service
from multiaddr import Multiaddr  # type: ignore[import-untyped]

from fondaco.p2p.host.swarm import Refused, Swarm
from support.peers import QUICK


class Door:
    """A swarm that listens, and what it told of."""

    def __init__(self, number: int, **settings: Any) -> None:
        self.events: list[str] = []
        self.banned: set[bytes] = set()
        options: dict[str, Any] = {"tuning": QUICK, "deny": []}
        self.swarm = Swarm(
            create_new_key_pair(bytes([number]) * 32),
            refuses=lambda peer, _: peer in self.banned,
            on_joined=self._joined,
            on_left=lambda raw: self.events.append(f"left {ID(raw)}"),
            **options | settings,
        )
        self.peer = self.swarm.self_id

    async def _joined(self, connection: Any) -> None:
        self.events.append(f"joined {connection.muxed_conn.peer_id}")

    @property
    def address(self) -> Multiaddr:
        [listener] = self.swarm.listeners.values()
        return listener.get_addrs()[0]


@contextlib.asynccontextmanager
async def doors(*some: Door) -> AsyncIterator[None]:
    async with contextlib.AsyncExitStack() as stack:
        for door in some:
            await stack.enter_async_context(background_trio_service(door.swarm))
            assert await door.swarm.listen(Multiaddr("/ip4/127.0.0.1/tcp/0"))
        yield


def run(scene: Callable[[], Any]) -> None:
    async def bounded() -> None:
        with trio.fail_after(20):
            await scene()

    trio.run(bounded)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110
        await trio.sleep(0.01)


def test_one_comes_and_goes() -> None:
    async def scene() -> None:
        one, other = Door(1), Door(2)
        async with doors(one, other):
            await one.swarm.connect(other.peer, other.address)
            await until(lambda: other.events != [])
            for connection in one.swarm.get_connections(other.peer):
                await connection.close()
            await until(lambda: len(other.events) == 2)
            assert one.events == [f"joined {other.peer}", f"left {other.peer}"]
            assert other.events == [f"joined {one.peer}", f"left {one.peer}"]
            assert one.swarm.connected == other.swarm.connected == 0

    run(scene)


def test_whom_we_refuse_we_do_not_dial_either() -> None:
    async def scene() -> None:
        one, other = Door(1, deny=[ipaddress.ip_network("127.0.0.0/8")]), Door(2)
        third = Door(3)
        async with doors(one, other, third):
            with pytest.raises(Refused):
                await one.swarm.connect(other.peer, other.address)
            third.banned.add(other.peer.to_bytes())
            with pytest.raises(Refused):
                await third.swarm.connect(other.peer, other.address)
            # Banned by the other side: the handshake is as far as it gets.
            with contextlib.suppress(SwarmException):
                await other.swarm.connect(third.peer, third.address)
            await until(lambda: other.swarm.connected == 0)
            assert third.events == []

    run(scene)


def test_an_address_with_somebody_else_at_it_is_no_connection() -> None:
    async def scene() -> None:
        one, other, third = Door(1), Door(2), Door(3)
        async with doors(one, other, third):
            with pytest.raises(SwarmException, match="security"):
                await one.swarm.connect(third.peer, other.address)
            with pytest.raises(SwarmException):
                await one.swarm.connect(one.peer, one.address)
            assert one.events == []

    run(scene)


def test_a_dial_that_is_not_answered_ends_in_time() -> None:
    async def scene() -> None:
        quick = msgspec.structs.replace(QUICK, handshake_timeout=0.3)
        one = Door(1, tuning=quick)
        silent = trio.socket.socket()
        await silent.bind(("127.0.0.1", 0))
        silent.listen(1)
        address = Multiaddr(f"/ip4/127.0.0.1/tcp/{silent.getsockname()[1]}")
        async with doors(one):
            with pytest.raises((trio.TooSlowError, SwarmException)):
                await one.swarm.connect(Door(2).peer, address)
        silent.close()

    run(scene)
