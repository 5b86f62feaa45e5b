"""The connected peers: what each is subscribed to, what waits for it, what it is worth.

The part of the router that knows no message: who is a candidate for a mesh, who is named in
a PRUNE, and when a peer's writer has to be woken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fondaco.p2p import limits
from fondaco.p2p.pubsub.counters import Counters
from fondaco.p2p.pubsub.events import Event, Ready
from fondaco.p2p.pubsub.mesh import Candidate
from fondaco.p2p.pubsub.neighbour import Neighbour, Protocol
from fondaco.p2p.pubsub.parameters import Chance, Parameters
from fondaco.p2p.pubsub.rpc import MessageId, PeerId, PeerInfo, Prune
from fondaco.p2p.scores import Scores, Standing


class Neighbourhood:
    """Neighbours by peer and by topic, and the events that are due."""

    def __init__(
        self, parameters: Parameters, chance: Chance, scores: Scores, counters: Counters
    ) -> None:
        self._parameters = parameters
        self._chance = chance
        self._scores = scores
        self._counters = counters
        self.events: list[Event] = []
        self.all: dict[PeerId, Neighbour] = {}
        self._subscribers: dict[str, dict[PeerId, None]] = {}
        self._flooders = 0

    def subscribers(self, topic: str) -> list[Neighbour]:
        """Return who is subscribed to *topic*."""
        return [self.all[peer] for peer in self._subscribers.get(topic, ())]

    def flooders(self, topic: str) -> list[Neighbour]:
        """Return the subscribers that speak FloodSub: they are in no mesh and get everything."""
        if not self._flooders:
            return []
        return [one for one in self.subscribers(topic) if not one.has_mesh]

    def add(self, neighbour: Neighbour) -> None:
        self.all[neighbour.peer] = neighbour
        self._flooders += not neighbour.has_mesh

    def remove(self, peer: PeerId) -> Neighbour | None:
        """Forget a peer that left; return what was known of it."""
        neighbour = self.all.pop(peer, None)
        if neighbour is not None:
            neighbour.is_gone = True
            self._flooders -= not neighbour.has_mesh
            for topic in list(neighbour.topics):
                self.unsubscribed(neighbour, topic)
        return neighbour

    def subscribed(self, neighbour: Neighbour, topic: str) -> bool:
        """A peer joins *topic*; return whether that is news, and remembered."""
        if topic in neighbour.topics or len(neighbour.topics) >= limits.MAX_PEER_TOPICS:
            return False
        neighbour.topics[topic] = None
        self._subscribers.setdefault(topic, {})[neighbour.peer] = None
        return True

    def unsubscribed(self, neighbour: Neighbour, topic: str) -> None:
        """A peer leaves *topic*."""
        neighbour.topics.pop(topic, None)
        neighbour.owed.pop(topic, None)
        subscribers = self._subscribers.get(topic)
        if subscribers is not None:
            subscribers.pop(neighbour.peer, None)
            if not subscribers:
                del self._subscribers[topic]

    def is_good(self, peer: PeerId, now: float) -> bool:
        return self._scores.standing(peer, now) is Standing.GOOD

    def candidate(self, neighbour: Neighbour, now: float) -> Candidate:
        """Return what a mesh wants to know of a peer."""
        peer = neighbour.peer
        return Candidate(
            peer, self._scores.score(peer, now), self.is_good(peer, now), neighbour.is_outbound
        )

    def candidates(self, topic: str, now: float) -> Iterator[Candidate]:
        """Yield every subscriber that can be in a mesh, members too."""
        for neighbour in self.subscribers(topic):
            if neighbour.has_mesh:
                yield self.candidate(neighbour, now)

    # --- what waits for a peer -----------------------------------------------------------

    def wake(self, neighbour: Neighbour) -> None:
        """Say that something waits, where that has not been said."""
        if not neighbour.is_announced and not neighbour.is_gone and neighbour.outbox:
            neighbour.is_announced = True
            self.events.append(Ready(neighbour.peer))

    def take(self, peer: PeerId, now: float) -> bytes | None:
        """Return the next frame for *peer*; None when nothing waits, or has to wait on."""
        neighbour = self.all.get(peer)
        if neighbour is None:
            return None
        outbox, sending = neighbour.outbox, neighbour.sending
        before = outbox.messages
        frame = outbox.take(int(sending.level_at(now)))
        if frame is None:
            neighbour.is_announced = False
            return None
        sending.take(before - outbox.messages, now)
        self._counters.frames += 1
        return frame

    def wake_waiting(self, now: float) -> None:
        """A heartbeat: what was held back because we sent too much may go on."""
        for neighbour in self.all.values():
            if neighbour.outbox.messages and neighbour.sending.level_at(now) >= 1:
                self.wake(neighbour)

    def announce(self, topic: str, *, is_wanted: bool) -> None:
        """Tell everybody that we join or leave *topic*."""
        for neighbour in self.all.values():
            neighbour.outbox.subscription(topic, is_wanted=is_wanted)
            self.wake(neighbour)

    def send_graft(self, topic: str, peers: Sequence[PeerId]) -> None:
        for peer in peers:
            self.all[peer].outbox.graft(topic)
            self.wake(self.all[peer])

    def send_prune(
        self,
        topic: str,
        peers: Sequence[PeerId],
        now: float,
        backoff: float,
        *,
        has_exchange: bool = True,
    ) -> None:
        """Tell *peers* that they are out of our mesh, for *backoff* seconds at least."""
        for peer in peers:
            neighbour = self.all.get(peer)
            if neighbour is None:
                continue
            if neighbour.protocol is Protocol.GOSSIPSUB_11:
                others = self._others(topic, peer, now) if has_exchange else ()
                neighbour.outbox.prune(Prune(topic, others, int(backoff)))
            else:
                neighbour.outbox.prune(Prune(topic))
            self.wake(neighbour)

    def send_iwant(self, neighbour: Neighbour, message_ids: list[MessageId]) -> None:
        if message_ids:
            self._counters.asked += len(message_ids)
            neighbour.outbox.iwant(message_ids)
            self.wake(neighbour)

    def send_ihave(self, neighbour: Neighbour, topic: str, message_ids: list[MessageId]) -> None:
        if message_ids:
            self._counters.announced += len(message_ids)
            neighbour.outbox.ihave(topic, message_ids)
            self.wake(neighbour)

    def _others(self, topic: str, peer: PeerId, now: float) -> tuple[PeerInfo, ...]:
        """Name others of the topic to a pruned peer, unless it does not deserve it."""
        if not self.is_good(peer, now):
            return ()
        others = [
            one
            for one in self.subscribers(topic)
            if one.peer != peer and self.is_good(one.peer, now)
        ]
        self._chance.shuffle(others)
        return tuple(
            PeerInfo(one.peer, one.record) for one in others[: self._parameters.exchanged_peers]
        )
