"""Accepted messages on their way: pushed, announced, asked for, sent when asked.

own message -------------------------> every subscriber
accepted message --------------------> members of the mesh, FloodSub peers
heartbeat --IHAVE--> everybody else, in turn, and members for whom a message was dropped
IHAVE received --> unknown? --IWANT--> kept, or asked of somebody else (promises.py)
IWANT received --> still here? ------> the message, a few times
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

from fondaco.p2p import limits
from fondaco.p2p.pubsub.cache import CachedMessage, MessageCache
from fondaco.p2p.pubsub.counters import Counters
from fondaco.p2p.pubsub.neighbour import Neighbour
from fondaco.p2p.pubsub.neighbourhood import Neighbourhood
from fondaco.p2p.pubsub.outbox import OWN, REQUESTED, Source
from fondaco.p2p.pubsub.parameters import Chance, Parameters
from fondaco.p2p.pubsub.promises import Promises
from fondaco.p2p.pubsub.rpc import IHave, MessageId, PeerId
from fondaco.p2p.pubsub.seen import SeenMessages
from fondaco.p2p.pubsub.signing import MESSAGE_ID_SIZE
from fondaco.p2p.pubsub.validations import Waiting


class Circulation:
    """The messages that can be had from us, and those we asked for."""

    def __init__(
        self,
        parameters: Parameters,
        chance: Chance,
        hood: Neighbourhood,
        seen: SeenMessages,
        counters: Counters,
    ) -> None:
        self._parameters = parameters
        self._chance = chance
        self._hood = hood
        self._seen = seen
        self._counters = counters
        self._cache = MessageCache(parameters.history)
        self._promises = Promises(parameters.promise_seconds)

    def forget_peer(self, peer: PeerId) -> None:
        """A peer has left: what was on its way to it is lost."""
        self._cache.forget_peer(peer)

    def arrived(self, message_id: MessageId) -> None:
        """A message has come that is about to be validated."""
        if self._promises.kept(message_id):
            self._counters.recovered += 1

    def has(self, message_id: MessageId, peer: PeerId) -> bool:
        """*peer* has shown that it has a message; return whether we have it to give."""
        entry = self._cache.get(message_id)
        if entry is not None:
            entry.holders[peer] = None
            self._hood.all[peer].outbox.withdraw(message_id)
        return entry is not None

    def shift(self) -> None:
        """A heartbeat is over."""
        self._cache.shift()

    # --- at once -------------------------------------------------------------------------

    def publish(self, message_id: MessageId, topic: str, encoded: bytes, now: float) -> None:
        """Send a message of our own to everybody who wants it."""
        entry = self._cache.add(message_id, topic, encoded)
        for neighbour in self._hood.subscribers(topic):
            if self._hood.is_good(neighbour.peer, now):
                self._push(neighbour, OWN, entry)

    def forward(self, message_id: MessageId, waiting: Waiting, members: Iterable[PeerId]) -> None:
        """Pass on a message that was accepted, to whoever has not shown that it has it."""
        entry = self._cache.add(message_id, waiting.topic, waiting.encoded)
        entry.holders = {**waiting.bearers, waiting.author: None}
        source = waiting.first.peer
        for peer in members:
            if peer not in entry.holders:
                self._push(self._hood.all[peer], source, entry)
                self._counters.forwarded += 1
        for neighbour in self._hood.flooders(waiting.topic):
            if neighbour.peer not in entry.holders:
                self._push(neighbour, source, entry)
                self._counters.forwarded += 1

    def _push(self, neighbour: Neighbour, source: Source, entry: CachedMessage) -> None:
        peer = neighbour.peer
        entry.sent[peer] = entry.sent.get(peer, 0) + 1
        for lost in neighbour.outbox.message(source, entry.message_id, entry.encoded):
            self._counters.dropped += 1
            dropped = self._cache.get(lost)
            if dropped is not None:
                neighbour.owed[dropped.topic] = None
                dropped.sent[peer] = max(0, dropped.sent.get(peer, 0) - 1)
        self._hood.wake(neighbour)

    # --- announced and asked for ---------------------------------------------------------

    def gossip(self, topic: str, members: Container[PeerId], now: float) -> None:
        """Tell peers outside of the mesh, those who wait to graft too, what there is.

        Whoever was told longest ago comes first, and enough are told that each hears of
        every message while it is announced.
        """
        entries = self._cache.recent(topic, self._parameters.gossip_windows)
        if not entries:
            return
        others = [
            one
            for one in self._hood.subscribers(topic)
            if one.has_mesh and (one.peer not in members or topic in one.owed)
        ]
        self._chance.shuffle(others)
        others.sort(key=lambda one: (topic not in one.owed, one.gossiped.get(topic, 0.0)))
        share = -(-len(others) // self._parameters.gossip_windows)
        for neighbour in others[: max(self._parameters.degree_lazy, share)]:
            neighbour.owed.pop(topic, None)
            self._tell(neighbour, topic, entries, now)

    def tell_everything(self, neighbour: Neighbour, topic: str, now: float) -> None:
        """A peer has come: tell it of all that it may have missed and we still have."""
        told = neighbour.gossiped.get(topic)
        # Whoever joins and leaves and joins is not told every time.
        if told is None or now - told >= self._parameters.heartbeat:
            self._tell(neighbour, topic, self._cache.recent(topic, self._parameters.history), now)

    def tell_member(self, peer: PeerId, topic: str, now: float) -> None:
        """A peer is in the mesh from now on: tell it of what went to the mesh just before."""
        self._tell(
            self._hood.all[peer],
            topic,
            self._cache.recent(topic, self._parameters.gossip_windows),
            now,
        )

    def _tell(
        self, neighbour: Neighbour, topic: str, entries: list[CachedMessage], now: float
    ) -> None:
        peer = neighbour.peer
        if not neighbour.has_mesh or not self._hood.is_good(peer, now):
            return
        neighbour.gossiped[topic] = now
        unknown = [entry.message_id for entry in entries if peer not in entry.holders]
        self._hood.send_ihave(neighbour, topic, unknown[-limits.MAX_IHAVE_IDS :])

    def received_ihave(
        self, neighbour: Neighbour, ihave: Sequence[IHave], topics: Container[str], now: float
    ) -> None:
        """Ask for what a peer has and we have not seen, within bounds."""
        peer = neighbour.peer
        if not self._hood.is_good(peer, now):
            return
        wanted: list[MessageId] = []
        for one in ihave:
            neighbour.ihave_rpcs += 1
            if neighbour.ihave_rpcs > limits.MAX_IHAVE_RPCS:
                break
            if one.topic not in topics:
                continue
            for message_id in one.message_ids:
                if message_id in self._seen:
                    self.has(message_id, peer)
                elif len(message_id) == MESSAGE_ID_SIZE:  # others we could not verify
                    wanted.append(message_id)
        room = limits.MAX_IHAVE_IDS - neighbour.ihave_ids
        chosen = self._promises.ask(peer, wanted[: max(0, room)], now)
        neighbour.ihave_ids += len(chosen)
        self._hood.send_iwant(neighbour, chosen)

    def received_iwant(
        self, neighbour: Neighbour, message_ids: Sequence[MessageId], now: float
    ) -> None:
        """Send what a peer asks for, as long as it is here, and not for ever."""
        peer = neighbour.peer
        if not self._hood.is_good(peer, now):
            return
        for message_id in message_ids:
            entry = self._cache.get(message_id)
            # The first copy may have been pushed and lost; it does not count.
            if entry is not None and entry.sent.get(peer, 0) <= limits.MAX_IWANT_REPEATS:
                self._counters.answered += 1
                self._push(neighbour, REQUESTED, entry)

    def expire(self, now: float) -> dict[PeerId, int]:
        """Ask again for what did not come; return who is to blame, and for how many."""
        broken = self._promises.expire(now, self._hood.all.__contains__)
        self._counters.broken += sum(broken.blamed.values())
        for peer, message_ids in broken.again.items():
            self._hood.send_iwant(self._hood.all[peer], message_ids)
        return broken.blamed
