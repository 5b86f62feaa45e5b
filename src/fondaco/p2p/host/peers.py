"""Who is connected: the library's host with our swarm, and a table of peers.

connection --first of its peer--> Peer --identify--> agent, protocols, addresses
           --every 15 s a ping, 10 s for the answer--> closed where nothing at all comes
"""

from __future__ import annotations

import contextlib
import logging
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any, Protocol

import trio
from libp2p.abc import INetConn, INetStream
from libp2p.custom_types import TProtocol
from libp2p.exceptions import BaseLibp2pError
from libp2p.host.basic_host import BasicHost
from libp2p.host.ping import ID as PING
from libp2p.identity.identify.identify import ID as IDENTIFY
from libp2p.identity.identify.identify import _mk_identify_protobuf, identify_handler_for
from libp2p.identity.identify_push.identify_push import ID_PUSH as PUSH
from libp2p.network.connection.swarm_connection import SwarmConn
from libp2p.peer.id import ID
from libp2p.protocol_muxer.exceptions import ProtocolNotSupportedError
from libp2p.protocol_muxer.multiselect_client import MultiselectClient
from libp2p.protocol_muxer.multiselect_communicator import MultiselectCommunicator
from libp2p.rcmgr import Direction
from multiaddr import Multiaddr  # type: ignore[import-untyped]

from fondaco.errors import NodeError, Unavailable
from fondaco.p2p import limits
from fondaco.p2p.budget import TokenBucket
from fondaco.p2p.framing import LengthFraming, MalformedFrame
from fondaco.p2p.host.addresses import CIRCUIT, expand
from fondaco.p2p.host.channel import Channel, Meter, StreamEnded
from fondaco.p2p.host.circuit import relay_of
from fondaco.p2p.host.identify import Portrait, read_portrait
from fondaco.p2p.host.swarm import Swarm
from fondaco.p2p.link import Tuning

log = logging.getLogger(__name__)

PING_SIZE = 32
"""Bytes. Source: libp2p ping specification."""

Handler = Callable[[Channel], Awaitable[None]]


class NotConnected(Unavailable):
    """There is no connection to the peer, or it did not open a stream in time."""

    code = "NotConnected"


class NotSpoken(Unavailable):
    """The peer does not speak the protocol."""

    code = "NotSpoken"


class Peer:
    """A connected peer."""

    def __init__(self, peer_id: ID, address: str, *, is_outbound: bool) -> None:
        self.id = peer_id
        self.raw = peer_id.to_bytes()
        self.name = str(peer_id)
        self.address = address
        """The IP address at its end; empty where there is none."""
        self.is_outbound = is_outbound
        self.portrait = Portrait()
        self.left = trio.Event()


class Observer(Protocol):
    """Who is told of peers. The calls do not wait."""

    def peer_joined(self, peer: Peer) -> None: ...

    def peer_identified(self, peer: Peer) -> None:
        """It has said who it is; again whenever it says something new."""

    def peer_left(self, peer: Peer) -> None: ...


class Peers(BasicHost):
    """The host of this node. Made before the nursery runs its tasks, and started by ``run``."""

    def __init__(
        self, make_swarm: Callable[..., Swarm], tuning: Tuning, meter: Meter, chance: Random
    ) -> None:
        self._tuning = tuning
        self._chance = chance
        self.meter = meter
        self.table: dict[bytes, Peer] = {}
        self._observers: list[Observer] = []
        self._announced: dict[str, tuple[Multiaddr, ...]] = {}
        self.on_addresses: Callable[[], None] = lambda: None
        """Called when we can be reached elsewhere than before."""
        self._nursery: trio.Nursery | None = None
        self._client = MultiselectClient()
        self.swarm = make_swarm(on_joined=self._joined, on_left=self._left)
        library_protocols: OrderedDict[TProtocol, Any] = OrderedDict()
        super().__init__(
            self.swarm,
            default_protocols=library_protocols,
            negotiate_timeout=int(limits.HANDSHAKE_TIMEOUT),
            disable_identify_address_discovery=True,
        )
        self.set_stream_handler(IDENTIFY, identify_handler_for(self))
        self.serve(PUSH, self._take_push)
        self.serve(PING, self._answer_pings)

    def observe(self, observer: Observer) -> None:
        """Tell *observer* of every peer from now on."""
        self._observers.append(observer)

    def start(self, nursery: trio.Nursery) -> None:
        """Run the tasks that belong to connections in *nursery*."""
        self._nursery = nursery

    # --- streams ----------------------------------------------------------------------

    def set_stream_handler(self, protocol_id: TProtocol, stream_handler: Any) -> None:
        """Serve a protocol of the library: each stream for a limited time."""

        async def limited(stream: INetStream) -> None:
            with trio.move_on_after(self._tuning.handler_seconds) as scope:
                await stream_handler(stream)
            if scope.cancelled_caught:
                self.swarm.counts["handlers-stopped"] += 1
                with trio.CancelScope(shield=True, deadline=trio.current_time() + 1):
                    await stream.reset()

        super().set_stream_handler(protocol_id, limited)

    def serve(self, protocol: str, handler: Handler) -> None:
        """Serve a protocol of ours, whose handler watches the time itself."""

        async def open_channel(stream: INetStream) -> None:
            channel = Channel(stream, protocol, self.meter)
            try:
                await handler(channel)
            finally:
                await channel.reset()

        super().set_stream_handler(TProtocol(protocol), open_channel)

    async def open(self, peer: bytes, protocols: Sequence[str]) -> Channel:
        """Open a stream to a connected peer, of the first protocol it speaks.

        Raises:
            NotSpoken: it speaks none of them.
            NotConnected: no connection, or no answer in time.
        """
        connections = [one for one in self.swarm.get_connections(ID(peer)) if not one.is_closed]
        if not connections:
            raise NotConnected("not connected")
        return await self.open_on(connections[-1], protocols)

    async def open_directly(self, peer: bytes, protocols: Sequence[str]) -> Channel:
        """Open a stream to a peer that is connected without a relay; as ``open``."""
        for connection in reversed(self.swarm.get_connections(ID(peer))):
            if not (connection.is_closed or relay_of(connection)):
                return await self.open_on(connection, protocols)
        raise NotConnected("not connected without a relay")

    async def open_on(
        self,
        connection: INetConn,
        protocols: Sequence[str],
        timeout: float = limits.HANDSHAKE_TIMEOUT,  # noqa: ASYNC109
    ) -> Channel:
        """Open a stream on one connection; as ``open``."""
        stream = None
        try:
            with trio.fail_after(timeout):
                stream = await connection.new_stream()
                stream._direction = Direction.OUTBOUND  # type: ignore[attr-defined]
                protocol = await self._negotiate(stream, protocols)
        except BaseException as exc:
            if stream is not None:
                with (
                    trio.CancelScope(shield=True, deadline=trio.current_time() + 1),
                    contextlib.suppress(BaseLibp2pError, OSError),
                ):
                    await stream.reset()
            if isinstance(exc, ProtocolNotSupportedError):
                raise NotSpoken(", ".join(protocols)) from exc
            if isinstance(exc, _STREAM_TROUBLE):
                raise NotConnected(str(exc) or type(exc).__name__) from exc
            raise
        return Channel(stream, protocol, self.meter)

    async def _negotiate(self, stream: INetStream, protocols: Sequence[str]) -> str:
        communicator = MultiselectCommunicator(stream)
        await self._client.handshake(communicator)
        for protocol in protocols[:-1]:
            with contextlib.suppress(ProtocolNotSupportedError):
                return str(await self._client.try_select(communicator, TProtocol(protocol)))
        return str(await self._client.try_select(communicator, TProtocol(protocols[-1])))

    # --- addresses --------------------------------------------------------------------

    def get_addrs(self) -> list[Multiaddr]:
        """Return where we can be reached, each with our peer ID: first what the outside
        sees, last what leads through relays, of which the library would drop the end."""
        announced = [str(one) for some in self._announced.values() for one in some]
        outside = [one for one in announced if CIRCUIT not in one]
        through = [one for one in announced if CIRCUIT in one]
        own = [str(one) for one in self.listening()]
        every = dict.fromkeys((*outside, *own, *through))
        return [Multiaddr(f"{one}/p2p/{self.get_id()}") for one in every]

    def listening(self) -> list[Multiaddr]:
        """Return the addresses of this machine at which we listen, without our peer ID."""
        return expand(self.get_transport_addrs())

    def announce(self, source: str, addresses: Sequence[Multiaddr]) -> None:
        """Tell peers that *source* makes us reachable at *addresses* and nowhere else."""
        if self._announced.get(source, ()) != tuple(addresses):
            self._announced[source] = tuple(addresses)
            self.protocols_changed()
            self.on_addresses()

    # --- connections ------------------------------------------------------------------

    def relay_between(self, peer: bytes) -> str:
        """Return the peer ID of the relay all of whose connections to *peer* run through;
        empty where one runs directly, or there is none."""
        relays = [relay_of(one) for one in self.swarm.get_connections(ID(peer))]
        return relays[0] if relays and all(relays) else ""

    async def disconnect_peer(self, peer: bytes) -> None:
        """Close all connections to *peer*."""
        for connection in self.swarm.get_connections(ID(peer)):
            with contextlib.suppress(BaseLibp2pError, OSError):
                await connection.close()

    async def _joined(self, connection: SwarmConn) -> None:
        peer_id = connection.muxed_conn.peer_id
        peer = self.table.get(peer_id.to_bytes())
        if peer is None:
            peer = Peer(
                peer_id,
                self.swarm.address_of(connection),
                is_outbound=connection.direction is Direction.OUTBOUND,
            )
            self.table[peer.raw] = peer
            for observer in self._observers:
                observer.peer_joined(peer)
            self.spawn(self._identify, peer)
        self.spawn(self._keep_alive, connection)

    def _left(self, raw: bytes) -> None:
        peer = self.table.pop(raw, None)
        if peer is None:
            return
        peer.left.set()
        self.meter.forget(raw)
        for observer in self._observers:
            observer.peer_left(peer)

    def spawn(self, work: Callable[..., Awaitable[None]], *args: Any) -> None:
        """Run *work*; what it raises is logged, and ends nothing else."""
        if self._nursery is not None:
            self._nursery.start_soon(_contained, work, *args)

    async def _identify(self, peer: Peer) -> None:
        try:
            with trio.fail_after(limits.HANDSHAKE_TIMEOUT):
                channel = await self.open(peer.raw, [IDENTIFY])
                try:
                    self._has_said(peer, await read_portrait(channel, peer.address))
                finally:
                    await channel.reset()
        except (NodeError, trio.TooSlowError) as exc:
            log.debug("peer did not identify itself", extra={"peer": peer.name, "why": str(exc)})

    def protocols_changed(self) -> None:
        """Tell every peer what we speak now, and where we are."""
        for peer in list(self.table.values()):
            self.spawn(self._push, peer)

    async def _push(self, peer: Peer) -> None:
        with contextlib.suppress(NodeError, trio.TooSlowError):
            channel = await self.open(peer.raw, [PUSH])
            try:
                with trio.fail_after(limits.HANDSHAKE_TIMEOUT):
                    portrait = _mk_identify_protobuf(self, None).SerializeToString()
                    await channel.write(LengthFraming().encode(portrait))
                    await channel.close()
            finally:
                await channel.reset()

    async def _take_push(self, channel: Channel) -> None:
        peer = self.table.get(channel.peer)
        if peer is None:
            return
        with trio.fail_after(limits.HANDSHAKE_TIMEOUT):
            self._has_said(peer, await read_portrait(channel, peer.address))

    def _has_said(self, peer: Peer, portrait: Portrait) -> None:
        if peer.left.is_set():
            return
        peer.portrait = portrait
        for observer in self._observers:
            observer.peer_identified(peer)

    async def _keep_alive(self, connection: SwarmConn) -> None:
        while True:
            with trio.move_on_after(self._tuning.ping_interval):
                await connection.event_closed.wait()
                return
            asked_at = trio.current_time()
            with trio.move_on_after(self._tuning.ping_timeout) as scope:
                try:
                    await self._ping(connection)
                    self.swarm.counts["pings-answered"] += 1
                except NotSpoken:
                    return  # nothing to find out by
                except (NotConnected, StreamEnded, MalformedFrame):
                    # It answered in some way, or the connection is ending by itself.
                    continue
            if scope.cancelled_caught and connection.muxed_conn.heard_at > asked_at:
                # Not frozen: on a slow line our question waits behind what we have sent.
                self.swarm.counts["pings-late"] += 1
                continue
            if scope.cancelled_caught:
                self.swarm.counts["frozen-peers"] += 1
                log.info("peer does not answer", extra={"peer": str(connection.muxed_conn.peer_id)})
                await connection.close()
                return

    async def _answer_pings(self, channel: Channel) -> None:
        """Send back what comes, at a pace that nobody honest has to wait for."""
        bucket = TokenBucket(limits.PINGS_PER_SECOND, limits.PINGS_BURST, trio.current_time())
        come = b""
        with contextlib.suppress(StreamEnded):
            while True:
                more = b""
                with trio.move_on_after(self._tuning.stream_idle):
                    more = await channel.read_some()
                if not more:
                    return
                come += more
                while len(come) >= PING_SIZE:
                    if (wait := bucket.spend(1, trio.current_time())) > 0:
                        self.swarm.counts["pings-held-up"] += 1
                        await trio.sleep(wait)
                    await channel.write(come[:PING_SIZE])
                    come = come[PING_SIZE:]

    async def _ping(self, connection: SwarmConn) -> None:
        channel = await self.open_on(connection, [PING], timeout=math.inf)
        try:
            question = self._chance.randbytes(PING_SIZE)
            await channel.write(question)
            answer = b""
            while len(answer) < PING_SIZE:
                if not (more := await channel.read_some()):
                    raise StreamEnded("ping")
                answer += more
            if answer != question:
                raise MalformedFrame("ping")
        finally:
            await channel.reset()

    # --- what the library does on its own and we do not want ----------------------------

    def _schedule_identify(self, peer_id: ID, *, reason: str) -> None:
        """``_identify`` is ours."""

    async def _push_identify_to_all_peers(self) -> None:
        """``announce`` does, when they have changed."""


_STREAM_TROUBLE = (
    BaseLibp2pError,
    OSError,
    trio.TooSlowError,
    trio.ClosedResourceError,
    trio.BrokenResourceError,
    UnicodeDecodeError,
)


async def _contained(work: Callable[..., Awaitable[None]], *args: Any) -> None:
    try:
        await work(*args)
    # One peer's task; the others go on.
    except Exception:
        log.warning("a task of a peer failed", exc_info=True)
