"""The router's hands: one reader and one writer per peer, and messages to judge.

    stream --frames--> Router.received_frame --Deliver--> main process --verdict--.
                              |                                                    |
    stream <--take() as one RPC-- writer <--Ready-- Router <-----------------------'

A peer whose messages wait for verdicts is read no further until some have come: its own
queue and TCP hold it up, nothing in here grows. A peer that does not read what we send
loses its connection.

Our own messages leave at once. Others' wait up to FRAME_INTERVAL for company: they come
from all sides one by one, and meanwhile the peer often shows that it has them already.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable

import trio
from libp2p.peer.id import ID

from fondaco.clock import Clock
from fondaco.errors import Verdict
from fondaco.p2p import limits
from fondaco.p2p.host.channel import Channel, StreamEnded
from fondaco.p2p.host.peers import NotConnected, NotSpoken, Peer, Peers
from fondaco.p2p.pubsub.events import Deliver, Disconnect, Event, Exchange, Misbehaved, Ready
from fondaco.p2p.pubsub.framing import FrameDecoder
from fondaco.p2p.pubsub.neighbour import Protocol
from fondaco.p2p.pubsub.router import Router
from fondaco.p2p.pubsub.rpc import MalformedRpc
from fondaco.p2p.scores import Ban, Offence

log = logging.getLogger(__name__)

PROTOCOLS = (Protocol.GOSSIPSUB_11.value, Protocol.GOSSIPSUB_10.value)
"""Protocol IDs, the preferred one first."""

GOSSIP_PATIENCE = 60.0
"""Seconds for one RPC to be read by its peer."""

REOPEN_PAUSE = 0.5
"""Seconds until a stream that was lost is opened again, where its peer is still there."""


class _Talk:
    """One peer's gossip: its writer, its reader, and what of it waits for verdicts."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.ready = trio.Event()
        self.urgent = trio.Event()
        """Something of ours is among what is ready."""
        self.joined = trio.Event()
        self.reader: trio.CancelScope | None = None
        self.unjudged = 0
        self.unjudged_bytes = 0
        self.room = trio.Event()


class Gossip:
    """An observer of peers that keeps a router going.

    Args:
        frame_interval: seconds between two frames to a peer, where neither is urgent.
        deliver: takes each new message; does not wait.
        on_ban: takes a peer that was banned.
        on_exchange: takes peers that others named to us.
    """

    def __init__(
        self,
        router: Router,
        peers: Peers,
        clock: Clock,
        *,
        frame_interval: float,
        deliver: Callable[[Deliver], None],
        on_ban: Callable[[bytes, Ban], None],
        on_exchange: Callable[[Exchange], None],
    ) -> None:
        self.router = router
        self._peers = peers
        self._clock = clock
        self._frame_interval = frame_interval
        self._deliver = deliver
        self._on_ban = on_ban
        self._on_exchange = on_exchange
        self._talks: dict[bytes, _Talk] = {}
        self._unjudged: dict[bytes, tuple[bytes, int, float]] = {}
        """Message id -> who passed it on, its size, when; the oldest first."""
        self._drained = trio.Event()
        self.counts: Counter[str] = Counter()
        for protocol in PROTOCOLS:
            peers.serve(protocol, self._read)
        peers.observe(self)

    # --- calls of the main process ------------------------------------------------------

    def subscribe(self, topic: str) -> None:
        self._act(self.router.subscribe(topic, trio.current_time()))

    def unsubscribe(self, topic: str) -> None:
        self._act(self.router.unsubscribe(topic, trio.current_time()))

    async def publish(self, topic: str, data: bytes) -> int:
        """Send a message of ours; wait, not for ever, while nobody has room for more.

        Returns:
            how many peers it was queued for.
        """
        subscribers = self.router.subscribers(topic)
        now = trio.current_time()
        self._act(self.router.publish(topic, data, now, self._clock.now_ns()))
        for peer in subscribers:
            if (talk := self._talks.get(peer)) is not None:
                talk.urgent.set()
        with trio.move_on_after(limits.PUBLISH_PATIENCE):
            while subscribers and all(map(self._is_behind, subscribers)):
                await self._drained.wait()
                subscribers = [peer for peer in subscribers if peer in self._talks]
        return len(subscribers)

    def judge(self, message_id: bytes, verdict: Verdict) -> None:
        """The main process has read a message."""
        self._release(message_id)
        self._act(self.router.verdict(message_id, verdict, trio.current_time()))

    def report(self, peer: bytes, offence: Offence, weight: float = 1.0) -> None:
        """A peer has misbehaved outside of gossip."""
        self._act(self.router.report(peer, offence, trio.current_time(), weight))

    def reward(self, peer: bytes) -> None:
        """A peer has done good outside of gossip."""
        self.router.scores.reward(peer, trio.current_time())

    def pardon(self, peer: bytes) -> None:
        """The operator wants this peer, whatever it did."""
        self.router.bans.lift(peer)
        self.router.scores.pardon(peer)

    @property
    def unjudged(self) -> int:
        """Messages at the main process."""
        return len(self._unjudged)

    async def beat(self) -> None:
        """Keep the router's heartbeat; for ever."""
        while True:
            await trio.sleep(self.router.parameters.heartbeat)
            now = trio.current_time()
            for message_id, (_, _, since) in list(self._unjudged.items()):
                if now - since < limits.VERDICT_PATIENCE:
                    break
                self._release(message_id)
            self._act(self.router.heartbeat(now))

    # --- peers --------------------------------------------------------------------------

    def peer_joined(self, peer: Peer) -> None:
        self._talks[peer.raw] = talk = _Talk(peer)
        self._peers.spawn(self._write, talk)

    def peer_identified(self, peer: Peer) -> None:
        if peer.portrait.signed_record:
            self.router.peer_record(peer.raw, peer.portrait.signed_record)

    def peer_left(self, peer: Peer) -> None:
        talk = self._talks.pop(peer.raw, None)
        if talk is None:
            return
        if talk.reader is not None:
            talk.reader.cancel()
        talk.ready.set()
        talk.urgent.set()
        talk.room.set()
        self._drained.set()
        self._drained = trio.Event()
        self._act(self.router.peer_left(peer.raw))

    # --- streams ------------------------------------------------------------------------

    async def _write(self, talk: _Talk) -> None:
        """Keep a stream to the peer for as long as it is connected: another where its
        connection ends and it has one more. It has come back, perhaps as another process,
        before the old one was found dead."""
        peer = talk.peer
        while self._talks.get(peer.raw) is talk:
            try:
                channel = await self._peers.open(peer.raw, PROTOCOLS)
            except NotSpoken:
                return
            except NotConnected as exc:
                await self._break_off(peer, exc)
                continue
            try:
                if self._talks.get(peer.raw) is talk:
                    self._greet(talk, channel)
                    await self._pump(talk, channel)
            except (StreamEnded, trio.TooSlowError) as exc:
                self.counts["gossip-streams-lost"] += 1
                await self._break_off(peer, exc)
            finally:
                await channel.reset()

    async def _break_off(self, peer: Peer, why: Exception) -> None:
        """Without this stream the peer would miss messages and not know it."""
        log.debug("gossip with a peer ended", extra={"peer": peer.name, "why": str(why)})
        await self._peers.disconnect_peer(peer.raw)
        # It stays where it has just come back on another connection.
        with trio.move_on_after(REOPEN_PAUSE):
            await peer.left.wait()

    def _greet(self, talk: _Talk, channel: Channel) -> None:
        peer, now = talk.peer, trio.current_time()
        if talk.joined.is_set():
            self._act(self.router.peer_reopened(peer.raw, now))
        else:
            self._act(
                self.router.peer_joined(
                    peer.raw,
                    now,
                    protocol=Protocol(channel.protocol),
                    is_outbound=peer.is_outbound,
                    address=peer.address or None,
                )
            )
            self.peer_identified(peer)
            talk.joined.set()
        # What was announced to an earlier stream is not announced again.
        talk.ready.set()
        self._peers.spawn(self._wake_at_end, talk, channel)

    async def _wake_at_end(self, talk: _Talk, channel: Channel) -> None:
        """Let the writer notice that its connection has ended, also where it says nothing."""
        await channel.ended()
        talk.ready.set()
        talk.urgent.set()

    async def _pump(self, talk: _Talk, channel: Channel) -> None:
        raw = talk.peer.raw
        next_frame = trio.current_time()
        while not (talk.peer.left.is_set() or channel.has_ended):
            await talk.ready.wait()
            with trio.move_on_at(next_frame):
                await talk.urgent.wait()
            talk.ready, talk.urgent = trio.Event(), trio.Event()
            next_frame = trio.current_time() + self._frame_interval
            while (frame := self.router.take(raw, trio.current_time())) is not None:
                with trio.fail_after(GOSSIP_PATIENCE):
                    await channel.write(frame)
                self._drained.set()
                self._drained = trio.Event()

    async def _read(self, channel: Channel) -> None:
        talk = self._talks.get(channel.peer)
        if talk is None:
            return
        # What it says before the router knows it would be lost, its subscriptions above all.
        with trio.fail_after(limits.HANDSHAKE_TIMEOUT):
            await talk.joined.wait()
        if talk.reader is not None:
            talk.reader.cancel()  # the peer has opened its stream again
        with trio.CancelScope() as talk.reader:
            await self._read_frames(talk, channel)

    async def _read_frames(self, talk: _Talk, channel: Channel) -> None:
        decoder = FrameDecoder()
        data = b""
        while True:
            try:
                frames = decoder.feed(data)
            except MalformedRpc:
                self.report(channel.peer, Offence.MALFORMED_RPC)
                return
            for frame in frames:
                now = trio.current_time()
                self._act(self.router.received_frame(channel.peer, frame, now))
                await self._wait_for_room(talk)
            # With frames there may be more in what is left, behind a bad header.
            data = b"" if frames else await channel.read_some()
            if not (data or frames):
                return

    async def _wait_for_room(self, talk: _Talk) -> None:
        if not self._is_full(talk):
            await trio.lowlevel.checkpoint()
            return
        self.counts["readers-paused"] += 1
        while self._is_full(talk):
            await talk.room.wait()

    def _is_full(self, talk: _Talk) -> bool:
        is_full = (
            talk.unjudged >= limits.MAX_PEER_UNJUDGED
            or talk.unjudged_bytes >= limits.MAX_PEER_UNJUDGED_BYTES
            or (talk.unjudged > 0 and len(self._unjudged) >= limits.MAX_UNJUDGED)
        )
        if is_full and talk.room.is_set():
            talk.room = trio.Event()
        return is_full

    def _is_behind(self, peer: bytes) -> bool:
        messages, size = self.router.queued(peer)
        return 2 * size > limits.MAX_QUEUED_BYTES or 2 * messages > limits.MAX_QUEUED_MESSAGES

    # --- what the router wants done -----------------------------------------------------

    def _act(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case Ready():
                    if (talk := self._talks.get(event.peer)) is not None:
                        talk.ready.set()
                case Deliver():
                    self._give(event)
                case Misbehaved():
                    self.counts[f"offence-{event.offence.value}"] += 1
                case Disconnect():
                    self.counts["bans"] += 1
                    self.counts[f"ban-{event.offence.value}"] += 1
                    log.info(
                        "peer banned",
                        extra={"peer": str(ID(event.peer)), "what": event.offence.value},
                    )
                    self._on_ban(event.peer, event.ban)
                    self._peers.spawn(self._peers.disconnect_peer, event.peer)
                case Exchange():
                    self._on_exchange(event)

    def _give(self, event: Deliver) -> None:
        talk = self._talks.get(event.peer)
        if talk is not None:
            talk.unjudged += 1
            talk.unjudged_bytes += len(event.data)
        self._unjudged[event.message_id] = (event.peer, len(event.data), trio.current_time())
        self._deliver(event)

    def _release(self, message_id: bytes) -> None:
        peer, size, _ = self._unjudged.pop(message_id, (b"", 0, 0.0))
        talk = self._talks.get(peer)
        if talk is not None:
            talk.unjudged = max(0, talk.unjudged - 1)
            talk.unjudged_bytes = max(0, talk.unjudged_bytes - size)
            talk.room.set()
