"""A stranger on the network: the stock library, unhardened, doing what nobody should.

Runs under trio in a thread of its own (``await meet(attack, address)``), while the node it
talks to runs in a process of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, TypeVar

import trio
from libp2p.crypto.keys import KeyPair
from libp2p.crypto.secp256k1 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_pair
from libp2p.custom_types import TProtocol
from libp2p.network.stream.net_stream import NetStream
from libp2p.peer.id import ID
from libp2p.protocol_muxer.multiselect import Multiselect
from libp2p.protocol_muxer.multiselect_client import MultiselectClient
from libp2p.protocol_muxer.multiselect_communicator import MultiselectCommunicator
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.security.noise.transport import Transport as NoiseTransport
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX
from libp2p.stream_muxer.yamux.yamux import Yamux
from libp2p.transport.tcp.tcp import TCP
from libp2p.transport.upgrader import TransportUpgrader
from multiaddr import Multiaddr  # type: ignore[import-untyped]

PATIENCE = 20.0
"""Seconds that nothing in here should take."""

T = TypeVar("T")


async def meet(attack: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Run *attack* under trio while the node's event loop goes on."""

    async def bounded() -> T:
        with trio.fail_after(2 * PATIENCE):
            return await attack(*args)

    return await asyncio.to_thread(trio.run, bounded)


async def meet_all(*attacks: Callable[[], Awaitable[None]]) -> None:
    """Run *attacks* beside each other, each as ``meet`` does."""

    async def together() -> None:
        async with trio.open_nursery() as nursery:
            for attack in attacks:
                nursery.start_soon(attack)

    await meet(together)


async def until(event: asyncio.Event) -> None:
    """Return when the test has set *event*, in its own thread."""
    with trio.fail_after(PATIENCE):
        while not event.is_set():  # noqa: ASYNC110
            await trio.sleep(0.02)


class Stranger:
    """A connection to a node, with everything below it at hand."""

    def __init__(self, muxed: Any, keys: KeyPair) -> None:
        self.muxed = muxed
        self.keys = keys
        self.peer = ID.from_pubkey(keys.public_key)

    async def open(self, protocol: str) -> NetStream:
        """Open a stream of a protocol the node speaks."""
        stream = NetStream(await self.muxed.open_stream(), None, None)
        await MultiselectClient().select_one_of(
            [TProtocol(protocol)], MultiselectCommunicator(stream), int(PATIENCE)
        )
        return stream

    async def write_raw(self, data: bytes) -> None:
        """Send bytes below the multiplexer, inside of the encryption."""
        await self.muxed.secured_conn.write(data)

    async def ended(self) -> None:
        """Return when the node has closed the connection."""
        with trio.fail_after(1.5 * PATIENCE):
            await self.muxed.event_shutting_down.wait()


Serve = Callable[[NetStream], Awaitable[None]]
"""Answers one stream that the node has opened."""


async def silence(stream: NetStream) -> None:
    """Read everything, and say nothing."""
    while await stream.read(65_536):
        pass


GOSSIP_ONLY: Mapping[str, Serve] = {"/meshsub/1.1.0": silence}


@contextlib.asynccontextmanager
async def connected(
    address: str, keys: KeyPair | None = None, serves: Mapping[str, Serve] = GOSSIP_ONLY
) -> AsyncIterator[Stranger]:
    """Connect to the node at *address*, which ends in its peer ID.

    Args:
        serves: what it agrees to on streams that the node opens, by protocol.

    Raises:
        Exception: whatever the library says of a node that refuses.
    """
    keys = keys or create_new_key_pair(secrets.token_bytes(32))
    place, _, name = address.partition("/p2p/")
    upgrader = TransportUpgrader(
        {NOISE: NoiseTransport(keys, create_noise_pair().private_key)},
        {TProtocol(YAMUX): Yamux},
        negotiate_timeout=int(PATIENCE),
    )
    with trio.fail_after(PATIENCE):
        raw = await TCP().dial(Multiaddr(place))
    try:
        with trio.fail_after(PATIENCE):
            peer = ID.from_base58(name)
            muxed = await upgrader.upgrade_connection(
                await upgrader.upgrade_security(raw, True, peer), peer
            )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(muxed.start)
            await muxed.event_started.wait()
            nursery.start_soon(_answer_streams, muxed, nursery, serves)
            yield Stranger(muxed, keys)
            nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            await raw.close()


async def _answer_streams(muxed: Any, nursery: trio.Nursery, serves: Mapping[str, Serve]) -> None:
    with contextlib.suppress(Exception):
        while True:
            nursery.start_soon(_answer, await muxed.accept_stream(), serves)


async def _answer(muxed_stream: Any, serves: Mapping[str, Serve]) -> None:
    stream = NetStream(muxed_stream, None, None)
    with contextlib.suppress(Exception):
        protocol, _ = await Multiselect(
            {TProtocol(protocol): None for protocol in serves}
        ).negotiate(MultiselectCommunicator(stream), int(PATIENCE))
        await serves[str(protocol)](stream)


async def tcp(address: str, source: str | None = None) -> trio.SocketStream:
    """Open a socket to the node and do nothing more."""
    parts = address.split("/")
    return await trio.open_tcp_stream(parts[2], int(parts[4]), local_address=source)


async def read_to_end(
    stream: trio.SocketStream, data: bytes = b"", *, is_all: bool = False
) -> bytes:
    """Send *data*, and no more where it *is_all*; read until the node closes the socket."""
    answer = b""
    async with stream:
        # It may have hung up at any time.
        with trio.fail_after(PATIENCE), contextlib.suppress(trio.BrokenResourceError, OSError):
            await stream.send_all(data)
            if is_all:
                await stream.send_eof()
            while more := await stream.receive_some(65_536):
                answer += more
    return answer
