"""The library's swarm with a door: who comes in, how many, and what ends with a connection.

socket --deny list, bans, attempts--> handshake (few at once, 10 s) --> peer known
       --bans, connections of peer, address, all--> connection --> streams, each counted
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import trio
from libp2p.abc import IMuxedConn, INetConn
from libp2p.crypto.keys import KeyPair
from libp2p.crypto.x25519 import create_new_key_pair
from libp2p.custom_types import TProtocol
from libp2p.network.auto_connector import AutoConnector
from libp2p.network.config import ConnectionConfig, RetryConfig
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.network.connection.swarm_connection import SwarmConn
from libp2p.network.exceptions import SwarmException
from libp2p.network.swarm import Swarm as LibrarySwarm
from libp2p.peer.id import ID
from libp2p.peer.peerstore import PeerStore, PeerStoreError
from libp2p.rcmgr import Direction
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.security.noise.transport import Transport as NoiseTransport
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX
from libp2p.transport.tcp.tcp import TCP
from libp2p.transport.upgrader import TransportUpgrader
from multiaddr import Multiaddr  # type: ignore[import-untyped]

from fondaco.errors import PeerError
from fondaco.p2p import limits
from fondaco.p2p.budget import BudgetExceeded, Connections, Streams
from fondaco.p2p.host import yamux
from fondaco.p2p.host.addresses import relay_in
from fondaco.p2p.host.circuit import Circuit, relay_of
from fondaco.p2p.link import Tuning

log = logging.getLogger(__name__)

OpenCircuit = Callable[[ID, Multiaddr, ID], Awaitable[Circuit]]
"""Takes a relay, where it is, and the peer to reach through it."""

Refuses = Callable[[bytes | None, str | None], bool]
"""Whether a peer (raw ID), an IP address, or both are banned."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Refused(PeerError):
    """A connection that is not wanted."""

    code = "Refused"


class _NoAutoConnector(AutoConnector):
    """The library's would dial every peer it knows; discovery decides whom to dial."""

    async def start(self) -> None:
        pass

    async def run_background_task(self, nursery: trio.Nursery) -> None:
        pass

    async def maybe_connect(self) -> None:
        pass


class Swarm(LibrarySwarm):
    """TCP, Noise and Yamux, and nothing else; never plain text."""

    def __init__(
        self,
        key_pair: KeyPair,
        *,
        tuning: Tuning,
        deny: Iterable[Network],
        refuses: Refuses,
        on_joined: Callable[[SwarmConn], Awaitable[None]],
        on_left: Callable[[bytes], None],
    ) -> None:
        peer_id = ID.from_pubkey(key_pair.public_key)
        store = PeerStore()
        store.add_key_pair(peer_id, key_pair)
        super().__init__(
            peer_id,
            store,
            TransportUpgrader(
                {NOISE: NoiseTransport(key_pair, create_new_key_pair().private_key)},
                {TProtocol(YAMUX): yamux.Connection},
                negotiate_timeout=int(max(1, tuning.handshake_timeout)),
            ),
            [TCP()],
            retry_config=RetryConfig(max_retries=0),
            # The library's own limits are set so that ours are reached first.
            connection_config=ConnectionConfig(
                min_connections=0,
                low_watermark=0,
                high_watermark=tuning.max_connections + limits.MAX_HANDSHAKES,
                max_connections=tuning.max_connections + limits.MAX_HANDSHAKES,
                max_connections_per_peer=limits.MAX_CONNECTIONS_PER_PEER + 1,
                inbound_upgrade_timeout=tuning.handshake_timeout,
                outbound_upgrade_timeout=tuning.handshake_timeout,
                inbound_stream_protocol_negotiation_timeout=limits.HANDSHAKE_TIMEOUT,
                outbound_stream_protocol_negotiation_timeout=limits.HANDSHAKE_TIMEOUT,
            ),
        )
        self.auto_connector = _NoAutoConnector(self)
        self._tuning = tuning
        self._deny = tuple(deny)
        self._refuses = refuses
        self._on_joined = on_joined
        self._on_left = on_left
        self._handshakes: dict[trio.CancelScope, None] = {}
        most = tuning.max_connections
        self._places = Connections(most=most, kept=int(most * limits.SHARE_KEPT_TO_DIAL))
        self._streams = Streams()
        self._admitted: dict[SwarmConn, str] = {}
        self._handlers: dict[SwarmConn, set[trio.CancelScope]] = {}
        self.open_circuit: OpenCircuit | None = None
        """How to reach peers behind relays, where somebody knows how."""
        self.counts: Counter[str] = Counter()
        """What happened, for the metrics."""

    # --- connections ------------------------------------------------------------------

    async def connect(self, peer: ID, address: Multiaddr) -> None:
        """Dial one address of a peer.

        Raises:
            Refused: it is denied or banned, or there is no room.
            SwarmException, OSError, trio.TooSlowError: it did not work.
        """
        self.counts["dials"] += 1
        host = self._host_of(address)
        if self._is_denied(host) or self._refuses(peer.to_bytes(), host):
            raise Refused(f"{peer} at {address} is denied or banned")
        if (through := relay_in(address)) is not None:
            await self._connect_through(*through, peer)
            return
        with trio.fail_after(2 * self._tuning.handshake_timeout):
            await self.dial_addr(address, peer)

    async def _connect_through(self, relay: ID, place: Multiaddr, peer: ID) -> None:
        if self.open_circuit is None or self.self_id in {relay, peer}:
            raise Refused(f"{peer} cannot be reached through {relay}")
        with trio.fail_after(5 * self._tuning.handshake_timeout):
            circuit = await self.open_circuit(relay, place, peer)
            try:
                await self.upgrade_outbound_raw_conn(circuit.as_raw(is_initiator=True), peer)
            except BaseException:
                await circuit.close()
                raise

    async def accept(self, circuit: Circuit) -> None:
        """Let in whoever is at the other end of *circuit*; returns when it has gone."""
        [address] = circuit.as_raw(is_initiator=False).get_transport_addresses()
        await self._handle_inbound_connection(circuit, address)

    async def _handle_inbound_connection(self, read_write_closer: Any, maddr: Multiaddr) -> None:
        remote = read_write_closer.get_remote_address()
        address = remote[0] if remote else ""
        try:
            if self._is_denied(address) or self._refuses(None, address):
                raise Refused(address)
            self._places.attempt(address, trio.current_time())
        except (Refused, BudgetExceeded) as exc:
            self.counts["connections-refused"] += 1
            log.debug("inbound connection refused", extra={"address": address, "why": str(exc)})
            await read_write_closer.close()
            return
        if isinstance(read_write_closer, Circuit):
            connection = read_write_closer.as_raw(is_initiator=False)
        else:
            connection = RawConnection(read_write_closer, False)
        try:
            muxed = await self._shake_hands(connection, maddr)
            if muxed is not None:
                # The library would wait for the swarm's end here, and keep the place till then.
                await muxed.event_closed.wait()
        except SwarmException as exc:
            self.counts["handshakes-failed"] += 1
            log.debug("inbound handshake failed", extra={"address": address, "why": str(exc)})
        # Of a stranger's bytes: any error of the library's parsers may come out.
        except Exception:
            self.counts["handshakes-failed"] += 1
            log.debug("inbound handshake failed", exc_info=True)
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 1):
                await connection.close()

    async def _shake_hands(self, connection: RawConnection, maddr: Multiaddr) -> Any:
        """Return the connection, or None where a newer handshake took its place: honest ones
        take a tenth of a second, half-open sockets stay, so that the oldest is none."""
        if len(self._handshakes) >= limits.MAX_HANDSHAKES:
            next(iter(self._handshakes)).cancel()
        with trio.CancelScope() as scope:
            self._handshakes[scope] = None
            try:
                return await self.upgrade_inbound_raw_conn(connection, maddr)
            finally:
                del self._handshakes[scope]
        self.counts["handshakes-failed"] += 1
        return None

    async def add_conn(self, muxed_conn: IMuxedConn, direction: str = "unknown") -> SwarmConn:
        peer = muxed_conn.peer_id
        remote = muxed_conn.get_remote_address()  # type: ignore[attr-defined]
        address = remote[0] if remote else ""
        try:
            if peer == self.self_id:
                raise Refused("a connection to ourselves")
            if self._is_denied(address) or self._refuses(peer.to_bytes(), address):
                raise Refused(f"{peer} at {address} is denied or banned")
            await self._make_room(peer)
            self._places.open(peer.to_bytes(), address, is_inbound=direction == "inbound")
        except (Refused, BudgetExceeded) as exc:
            self.counts["connections-refused"] += 1
            await muxed_conn.close()
            raise SwarmException(str(exc)) from exc
        try:
            connection = await super().add_conn(muxed_conn, direction)
        except BaseException:
            self._places.close(peer.to_bytes(), address)
            raise
        if connection.is_closed:
            self._places.close(peer.to_bytes(), address)
            raise SwarmException("connection ended at once")
        self._admitted[connection] = address
        self.counts["connections-opened"] += 1
        await self._on_joined(connection)
        return connection

    async def _make_room(self, peer: ID) -> None:
        """Close the oldest connections of a peer that has too many: it has restarted, and
        its old ones are dead, or both sides have dialled at once."""
        open_ones = [one for one in self.get_connections(peer) if one in self._admitted]
        while len(open_ones) >= limits.MAX_CONNECTIONS_PER_PEER:
            await open_ones.pop(0).close()

    def remove_conn(self, swarm_conn: SwarmConn) -> None:
        super().remove_conn(swarm_conn)
        for scope in self._handlers.pop(swarm_conn, ()):
            scope.cancel()
        address = self._admitted.pop(swarm_conn, None)
        if address is None:
            return
        peer = swarm_conn.muxed_conn.peer_id
        self._places.close(peer.to_bytes(), address)
        self.counts["connections-closed"] += 1
        if getattr(swarm_conn.muxed_conn, "violation", ""):
            self.counts["flow-violations"] += 1
        if not self.get_connections(peer):
            # Where to find it again is remembered by discovery.
            with contextlib.suppress(PeerStoreError):
                self.peerstore.clear_peerdata(peer)
            self._on_left(peer.to_bytes())

    def address_of(self, connection: INetConn) -> str:
        """Return the IP address at the other end; empty where there is none, as of a peer
        behind a relay."""
        if relay_of(connection):
            return ""
        remote = connection.muxed_conn.get_remote_address()  # type: ignore[attr-defined]
        return remote[0] if remote else ""

    @property
    def connected(self) -> int:
        """Connections open."""
        return len(self._admitted)

    @property
    def open_streams(self) -> int:
        """Inbound streams open."""
        return len(self._streams)

    # --- streams ----------------------------------------------------------------------

    async def take_stream(self, connection: SwarmConn, muxed_stream: Any) -> None:
        """Run the handler of a stream that a peer opened, to its end or the connection's."""
        peer = connection.muxed_conn.peer_id.to_bytes()
        try:
            self._streams.open(peer)
        except BudgetExceeded:
            self.counts["streams-refused"] += 1
            with contextlib.suppress(Exception):
                await muxed_stream.reset()
            return
        stream = None
        scope = trio.CancelScope()
        scopes = self._handlers.setdefault(connection, set())
        scopes.add(scope)
        if connection.is_closed:
            scope.cancel()
        try:
            with scope:
                stream = await connection._add_stream(muxed_stream)
                stream._direction = Direction.INBOUND
                await self.common_stream_handler(stream)
        # A stranger's bytes and a handler of anybody: neither may end the process.
        except Exception as exc:
            self.counts["handler-errors"] += 1
            log.debug("stream handler failed", exc_info=exc)
            with contextlib.suppress(Exception):
                await muxed_stream.reset()
        finally:
            self._streams.close(peer)
            scopes.discard(scope)
            if connection.is_closed:
                self._handlers.pop(connection, None)
            if stream is not None:
                connection.remove_stream(stream)

    # --- what the library does on its own and we do not want ----------------------------

    def _schedule_prune(self) -> None:
        """Nobody is thrown out for a newcomer."""

    # --- addresses --------------------------------------------------------------------

    def _is_denied(self, address: str) -> bool:
        if not self._deny:
            return False
        try:
            ip = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        return any(ip in network for network in self._deny)

    def _host_of(self, address: Multiaddr) -> str:
        for protocol in ("ip4", "ip6"):
            with contextlib.suppress(Exception):
                return str(address.value_for_protocol(protocol))
        return ""
