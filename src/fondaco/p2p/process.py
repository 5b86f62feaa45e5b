"""The p2p process: ``python -m fondaco.p2p.process DESCRIPTOR``, started by ``network``.

The descriptor is one end of a socket pair. The first frame brings the identity key and the
settings; when the other end closes, the process ends. It knows topics, streams, peers,
scores and limits, and never what a message means.
"""

from __future__ import annotations

import base64
import ipaddress
import logging
import signal
import socket
import sys
from collections import Counter
from functools import lru_cache, partial
from random import Random

import msgspec
import trio
from libp2p.crypto.keys import KeyPair
from libp2p.crypto.secp256k1 import Secp256k1PrivateKey
from libp2p.peer.id import ID
from multiaddr import Multiaddr  # type: ignore[import-untyped]

from fondaco import logbook
from fondaco.clock import SystemClock
from fondaco.errors import NodeError, PeerError, Verdict
from fondaco.identity.keys import SECRET_SIZE, IdentityKey, import_from_libp2p
from fondaco.p2p import limits, link
from fondaco.p2p.budget import Traffic
from fondaco.p2p.host.addresses import UnusableAddress, parse_peer
from fondaco.p2p.host.channel import Meter
from fondaco.p2p.host.discovery import Discovery
from fondaco.p2p.host.gossip import Gossip
from fondaco.p2p.host.hardening import harden
from fondaco.p2p.host.linkend import LinkEnd
from fondaco.p2p.host.peers import Peer, Peers
from fondaco.p2p.host.reach import Reachability
from fondaco.p2p.host.requests import Requests
from fondaco.p2p.host.swarm import Swarm
from fondaco.p2p.pubsub.events import Deliver
from fondaco.p2p.pubsub.router import Router
from fondaco.p2p.pubsub.signing import Author
from fondaco.p2p.scores import Ban, Bans, Offence
from fondaco.redaction import Redactor

log = logging.getLogger(__name__)


class Child:
    """Everything the process consists of, and what each frame does to it."""

    def __init__(self, start: link.Start, key: IdentityKey, end: LinkEnd) -> None:
        self._start = start
        self._end = end
        clock, chance = SystemClock(), Random(start.seed)
        now = trio.current_time()
        self._router = Router(Author(key), chance, now, bans=Bans(first=start.tuning.first_ban))
        self._kept_bans: dict[bytes, float] = {}
        self._meter = Meter(Traffic(now))
        self._peers = Peers(
            partial(
                Swarm,
                _libp2p_keys(start.private_key),
                tuning=start.tuning,
                deny=[ipaddress.ip_network(one) for one in start.deny],
                refuses=self._refuses,
            ),
            start.tuning,
            self._meter,
            chance,
        )
        self._gossip = Gossip(
            self._router,
            self._peers,
            clock,
            frame_interval=start.tuning.frame_interval,
            deliver=self._deliver,
            on_ban=self._banned,
            on_exchange=lambda event: self._discovery.exchanged(event.peers),
        )
        self._requests = Requests(
            self._peers,
            start.tuning,
            ask=self._ask,
            forget=lambda number: end.put(link.Forgotten(number)),
            report=self._gossip.report,
        )
        self._discovery = Discovery(self._peers, start.tuning, clock, chance)
        self._reach = Reachability(
            self._peers,
            self._discovery,
            start.reach,
            start.tuning,
            clock,
            chance,
            report=self._gossip.report,
        )
        self._peers.on_addresses = lambda: end.put(self._listening())
        self._peers.observe(self)
        self._publishes, self._to_publish = trio.open_memory_channel[link.Publish](
            2 * limits.MAX_PUBLISHES_UNDERWAY
        )
        self._underway: dict[int, trio.CancelScope] = {}
        self._shown: dict[bytes, link.PeerState] = {}

    async def run(self) -> None:
        """Serve peers and the main process until it closes the link."""
        address = _listen_address(self._start.host, self._start.port)
        async with self._peers.run([address]):
            if not self._peers.get_transport_addrs():
                await self._end.send(link.CannotListen(f"cannot listen at {address}"))
                return
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                self._peers.start(nursery)
                nursery.start_soon(self._gossip.beat)
                nursery.start_soon(self._discovery.run, nursery)
                nursery.start_soon(self._reach.run)
                nursery.start_soon(self._publish)
                nursery.start_soon(self._show)
                await self._end.send(self._listening())
                while (frame := await self._end.receive()) is not None:
                    self._take(frame)
                nursery.cancel_scope.cancel()

    # --- frames of the main process -----------------------------------------------------

    def _take(self, frame: link.ToChild) -> None:
        match frame:
            case link.Judge():
                self._gossip.judge(frame.message_id, Verdict(frame.verdict))
            case link.Publish():
                self._publishes.send_nowait(frame)
            case link.Request():
                self._nursery.start_soon(self._request, frame)
            case link.Answer():
                self._requests.answer(frame.number, frame.payload, is_offence=frame.is_offence)
            case link.Cancel():
                if (scope := self._underway.get(frame.number)) is not None:
                    scope.cancel()
            case link.Subscribe():
                self._gossip.subscribe(frame.topic)
            case link.Unsubscribe():
                self._gossip.unsubscribe(frame.topic)
            case link.Serve():
                self._requests.serve(frame.protocol, is_lines=frame.is_lines)
                self._peers.protocols_changed()
            case link.AddPeer():
                self._nursery.start_soon(self._add_peer, frame)
            case link.Want():
                self._discovery.want(frame.addresses)
            case link.Remember():
                self._discovery.remember(frame.peers)
            case link.Meet():
                self._reach.meet(frame.names)
            case _:
                self._take_word_on_peer(frame)

    def _take_word_on_peer(self, frame: link.ToChild) -> None:
        match frame:
            case link.Report():
                self._gossip.report(_raw(frame.peer), Offence(frame.offence), frame.weight)
            case link.Reward():
                self._gossip.reward(_raw(frame.peer))
            case link.KeepBan():
                self._kept_bans[_raw(frame.peer)] = trio.current_time() + frame.seconds
            case link.Disconnect():
                self._peers.spawn(self._peers.disconnect_peer, _raw(frame.peer))

    async def _publish(self) -> None:
        async for frame in self._to_publish:
            peers = await self._gossip.publish(frame.topic, frame.data)
            await self._end.send(link.Published(peers))

    async def _request(self, frame: link.Request) -> None:
        with trio.CancelScope() as scope:
            self._underway[frame.number] = scope
            reply: link.Response | link.Failure
            try:
                payload = await self._requests.request(
                    _raw(frame.peer),
                    frame.protocol,
                    frame.payload,
                    is_lines=frame.is_lines,
                    timeout=frame.timeout,
                )
                reply = link.Response(frame.number, payload)
            except trio.TooSlowError:
                reply = link.Failure(frame.number, f"no answer within {frame.timeout:g} s")
            except NodeError as exc:
                reply = link.Failure(frame.number, f"{exc.code}: {exc}")
            finally:
                self._underway.pop(frame.number, None)
            await self._end.send(reply)

    async def _add_peer(self, frame: link.AddPeer) -> None:
        reply: link.Response | link.Failure = link.Response(frame.number, b"")
        with trio.CancelScope() as scope:
            self._underway[frame.number] = scope
            try:
                raw = parse_peer(frame.peer).to_bytes()
                self._gossip.pardon(raw)
                self._kept_bans.pop(raw, None)
                with trio.fail_after(frame.timeout):
                    await self._discovery.add(raw, frame.addresses)
            except trio.TooSlowError:
                reply = link.Failure(frame.number, self._discovery.problem_of(raw))
            except UnusableAddress as exc:
                reply = link.Failure(frame.number, str(exc))
            finally:
                self._underway.pop(frame.number, None)
            await self._end.send(reply)

    # --- news for the main process ------------------------------------------------------

    def _deliver(self, event: Deliver) -> None:
        # Bounded by the readers, which pause while verdicts are due.
        self._end.put(link.Delivered(event.topic, event.message_id, _name(event.peer), event.data))

    async def _ask(self, number: int, peer: bytes, protocol: str, payload: bytes) -> None:
        await self._end.send(link.Inbound(number, _name(peer), protocol, payload))

    def _banned(self, peer: bytes, ban: Ban) -> None:
        self._end.put(link.Banned(_name(peer), ban.until - trio.current_time()))

    def peer_joined(self, peer: Peer) -> None:
        self._show_peer(peer)

    def peer_identified(self, peer: Peer) -> None:
        self._show_peer(peer)
        # At once: a node that ends right now knows its peers at the next start all the same.
        self._tell_seen()

    def peer_left(self, peer: Peer) -> None:
        if self._shown.pop(peer.raw, None) is not None:
            self._end.put(link.PeerGone(peer.name))

    def _show_peer(self, peer: Peer) -> None:
        state = link.PeerState(
            peer.name,
            peer.portrait.addresses,
            "outbound" if peer.is_outbound else "inbound",
            round(self._router.scores.score(peer.raw, trio.current_time()), 1),
            tuple(self._router.topics_of(peer.raw)),
            peer.portrait.agent,
            peer.portrait.protocols,
            self._peers.relay_between(peer.raw),
        )
        if self._shown.get(peer.raw) != state:
            self._shown[peer.raw] = state
            self._end.put(state)

    def _tell_seen(self) -> None:
        if rows := self._discovery.take_seen():
            self._end.put(link.Seen(rows))

    async def _show(self) -> None:
        while True:
            for peer in list(self._peers.table.values()):
                self._show_peer(peer)
            self._tell_seen()
            await self._end.send(link.Counters(self._count()))
            await trio.sleep(self._start.tuning.stats_interval)

    def _count(self) -> dict[str, int]:
        counts: Counter[str] = Counter()
        for source in (
            self._peers.swarm.counts,
            self._gossip.counts,
            self._requests.counts,
            self._discovery.counts,
            self._reach.counts(),
        ):
            counts.update(source)
        for name, value in msgspec.structs.asdict(self._router.counters).items():
            counts[f"gossip-{name}"] = value
        queued = [self._router.queued(peer) for peer in self._router.peers]
        now = trio.current_time()
        return dict(counts) | {
            "bytes-in": self._meter.bytes_in,
            "bytes-out": self._meter.bytes_out,
            "connections": self._peers.swarm.connected,
            "peers": len(self._peers.table),
            "known-peers": self._discovery.known,
            "streams": self._peers.swarm.open_streams,
            "answering": self._requests.answering,
            "unjudged": self._gossip.unjudged,
            "queued-messages": sum(messages for messages, _ in queued),
            "queued-bytes": sum(size for _, size in queued),
            "link-queued-bytes": self._end.queued_bytes,
            "banned": self._router.bans.count(now)
            + sum(until > now for until in self._kept_bans.values()),
        }

    # --- who is refused -----------------------------------------------------------------

    def _refuses(self, peer: bytes | None, address: str | None) -> bool:
        now = trio.current_time()
        if peer is not None and self._kept_bans.get(peer, now) > now:
            return True
        return self._router.bans.refuses(peer, address, now) is not None

    def _listening(self) -> link.Listening:
        """Return where we are: at our own port first, wherever others may see us."""
        name = str(self._peers.get_id())
        own = [f"{address}/p2p/{name}" for address in self._peers.listening()]
        every = dict.fromkeys((*own, *map(str, self._peers.get_addrs()), *self._own_address()))
        return link.Listening(name, tuple(every))

    def _own_address(self) -> list[str]:
        """Return an address for this machine's use where we listen on all of them."""
        if not ipaddress.ip_address(self._start.host).is_unspecified:
            return []
        port = self._peers.get_transport_addrs()[0].value_for_protocol("tcp")
        return [f"/ip4/127.0.0.1/tcp/{port}/p2p/{self._peers.get_id()}"]


async def run(descriptor: int) -> None:
    """Run the process at the other end of the link *descriptor*."""
    sock = socket.socket(fileno=descriptor)
    stream = trio.SocketStream(trio.socket.from_stdlib_socket(sock))
    end = LinkEnd(stream)
    first = await end.receive()
    if not isinstance(first, link.Start):
        return
    logbook.open_log(
        verbosity=first.verbosity, as_json=first.log_json, redact=Redactor(), stream=sys.stderr
    )
    _quieten_library(first.verbosity)
    harden(agent=first.agent)
    child = Child(first, import_from_libp2p(first.private_key), end)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_until_closed, end, nursery.cancel_scope)
        await child.run()
        # What was queued last, such as why we cannot listen, still has to go out.
        with trio.move_on_after(1):
            await end.flush()
        nursery.cancel_scope.cancel()


def _quieten_library(verbosity: int) -> None:
    """Hear the library at verbosity 6 only: it calls every stranger's mistake an error."""
    for name in ("libp2p", "multiaddr"):
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
        library.setLevel(logging.NOTSET if verbosity >= 6 else logging.CRITICAL)


async def _until_closed(end: LinkEnd, scope: trio.CancelScope) -> None:
    await end.write()
    scope.cancel()


def _libp2p_keys(private_key: str) -> KeyPair:
    key = Secp256k1PrivateKey.new(base64.b64decode(private_key)[-SECRET_SIZE:])
    return KeyPair(key, key.get_public_key())


def _listen_address(host: str, port: int) -> Multiaddr:
    return Multiaddr(f"/ip{6 if ':' in host else 4}/{host}/tcp/{port}")


@lru_cache(limits.MAX_CONNECTIONS)
def _name(peer: bytes) -> str:
    return str(ID(peer))


def _raw(name: str) -> bytes:
    try:
        return parse_peer(name).to_bytes()
    except UnusableAddress as exc:
        raise PeerError(str(exc)) from exc


def main() -> None:
    """Run as a child of the node."""
    # Ctrl-C reaches the whole group; the main process decides when we end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    trio.run(run, int(sys.argv[1]))


if __name__ == "__main__":
    main()
