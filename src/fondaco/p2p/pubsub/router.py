"""GossipSub 1.1 and 1.0 as a state machine: calls in, events and frames out.

    peer_joined, peer_left ---.                       .--> Ready(peer) --> take(peer, now): frame
    received(peer, rpc) ------|      +----------+     |--> Deliver --> verdict(message_id)
    publish(topic, data) -----+----> |  Router  | ----+--> Misbehaved, Disconnect
    verdict(message_id) ------|      +----------+     '--> Exchange: peers to connect to
    heartbeat(), every second-'

A message is verified once, delivered once, and passed on when its verdict is ACCEPT:

    unknown --signature holds--> validating --ACCEPT--> cached, queued for the mesh
       |                             |------IGNORE--> seen
       '--bad: blame the peer        '------REJECT--> seen, all who brought it are blamed

Where this router differs from stock ones, and why (``docs/decisions``): own messages go to
every subscribed peer; every peer outside of the mesh, waiting or not, is told of every
message once; requests that stay unanswered are repeated; queues to peers are fair and tell
what they dropped. On the wire it is GossipSub all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from fondaco.errors import PeerError, Verdict
from fondaco.p2p import limits
from fondaco.p2p.pubsub.circulation import Circulation
from fondaco.p2p.pubsub.counters import Counters
from fondaco.p2p.pubsub.events import Deliver, Disconnect, Event, Exchange, Misbehaved
from fondaco.p2p.pubsub.mesh import Graft, Mesh
from fondaco.p2p.pubsub.neighbour import Neighbour, Protocol
from fondaco.p2p.pubsub.neighbourhood import Neighbourhood
from fondaco.p2p.pubsub.parameters import Chance, Parameters
from fondaco.p2p.pubsub.rpc import (
    Message,
    MessageId,
    PeerId,
    Prune,
    Rpc,
    Subscription,
    decode_rpc,
    encode_publish,
)
from fondaco.p2p.pubsub.seen import SeenMessages
from fondaco.p2p.pubsub.signing import Author, verify
from fondaco.p2p.pubsub.validations import Validations
from fondaco.p2p.scores import Bans, Offence, Scores, Standing


class Router:
    """One node's gossip. *now* is seconds on a clock that never goes back.

    Every call returns the events it led to. Peers are raw libp2p IDs.

    Args:
        author: signs what this node publishes.
        chance: for choices among equals; a seeded one makes everything repeatable.
        check: raises PeerError for a message that its sender did not write.
    """

    def __init__(
        self,
        author: Author,
        chance: Chance,
        now: float,
        *,
        parameters: Parameters | None = None,
        scores: Scores | None = None,
        bans: Bans | None = None,
        check: Callable[[Message], Message] = verify,
    ) -> None:
        self.peer = author.peer
        self.parameters = parameters or Parameters()
        self.scores = scores or Scores()
        self.bans = bans or Bans()
        self.counters = Counters()
        self._author = author
        self._chance = chance
        self._check = check
        self._hood = Neighbourhood(self.parameters, chance, self.scores, self.counters)
        self._neighbours = self._hood.all
        self._meshes: dict[str, Mesh] = {}
        self._left: dict[str, Mesh] = {}
        self._fanout: dict[str, float] = {}
        self._seen = SeenMessages(now)
        self._flow = Circulation(self.parameters, chance, self._hood, self._seen, self.counters)
        self._validations = Validations()
        self.last_published: MessageId = b""
        """Of this node's youngest message; empty before the first."""

    # --- what can be asked ---------------------------------------------------------------

    @property
    def topics(self) -> list[str]:
        """Topics we are subscribed to."""
        return list(self._meshes)

    @property
    def peers(self) -> list[PeerId]:
        return list(self._neighbours)

    def subscribers(self, topic: str) -> list[PeerId]:
        """Return the connected peers that are subscribed to *topic*."""
        return [neighbour.peer for neighbour in self._hood.subscribers(topic)]

    def topics_of(self, peer: PeerId) -> list[str]:
        """Return what a connected peer is subscribed to."""
        neighbour = self._neighbours.get(peer)
        return [] if neighbour is None else list(neighbour.topics)

    def mesh(self, topic: str) -> list[PeerId]:
        """Return the members of our mesh of *topic*."""
        return list(self._members(topic))

    def queued(self, peer: PeerId) -> tuple[int, int]:
        """Return how many messages wait for *peer*, and their bytes."""
        neighbour = self._neighbours.get(peer)
        return (0, 0) if neighbour is None else (neighbour.outbox.messages, neighbour.outbox.size)

    @property
    def validating(self) -> int:
        """Messages that wait for a verdict."""
        return len(self._validations)

    # --- peers and topics ----------------------------------------------------------------

    def peer_joined(
        self,
        peer: PeerId,
        now: float,
        *,
        protocol: Protocol = Protocol.GOSSIPSUB_11,
        is_outbound: bool = False,
        address: str | None = None,
    ) -> list[Event]:
        """A pubsub stream to *peer* is open; *address* is its IP, None where it has none."""
        if peer in self._neighbours:
            self._remove_peer(peer)
        neighbour = Neighbour(
            peer,
            now,
            protocol=protocol,
            is_outbound=is_outbound,
            address=address,
            parameters=self.parameters,
        )
        self._hood.add(neighbour)
        for topic in self._meshes:
            neighbour.outbox.subscription(topic, is_wanted=True)
        self._hood.wake(neighbour)
        return self._flush()

    def peer_reopened(self, peer: PeerId, now: float) -> list[Event]:
        """The pubsub stream to *peer* was lost and is open again.

        What was under way is lost with it, and there may be another process at its end: it is
        told once more what we want and what we have.
        """
        neighbour = self._neighbours.get(peer)
        if neighbour is None:
            return []
        self._flow.forget_peer(peer)
        for topic in self._meshes:
            neighbour.outbox.subscription(topic, is_wanted=True)
            if peer in self._members(topic):
                neighbour.outbox.graft(topic)
            if topic in neighbour.topics:
                self._flow.tell_everything(neighbour, topic, now)
        self._hood.wake(neighbour)
        return self._flush()

    def peer_left(self, peer: PeerId) -> list[Event]:
        """The last stream of *peer* has ended."""
        self._remove_peer(peer)
        return self._flush()

    def peer_record(self, peer: PeerId, record: bytes) -> None:
        """Keep the signed record of a connected peer, to name it to others with."""
        neighbour = self._neighbours.get(peer)
        if neighbour is not None:
            neighbour.record = record

    def subscribe(self, topic: str, now: float) -> list[Event]:
        """Receive the messages of *topic* from now on."""
        if topic in self._meshes:
            return []
        self._fanout.pop(topic, None)
        # The waiting times of an earlier stay are still owed.
        mesh = self._left.pop(topic, None) or Mesh(self.parameters, self._chance)
        self._meshes[topic] = mesh
        self._hood.announce(topic, is_wanted=True)
        self._hood.send_graft(topic, mesh.join(self._hood.candidates(topic, now), now))
        return self._flush()

    def unsubscribe(self, topic: str, now: float) -> list[Event]:
        """Receive nothing more of *topic*; verdicts still come for what was delivered."""
        mesh = self._meshes.pop(topic, None)
        if mesh is None:
            return []
        self._left[topic] = mesh
        backoff = self.parameters.unsubscribe_backoff
        self._hood.send_prune(topic, mesh.leave(now), now, backoff)
        self._hood.announce(topic, is_wanted=False)
        return self._flush()

    def _remove_peer(self, peer: PeerId) -> None:
        if self._hood.remove(peer) is None:
            return
        for mesh in self._meshes.values():
            mesh.dropped(peer)
        self._flow.forget_peer(peer)

    # --- messages ------------------------------------------------------------------------

    def publish(self, topic: str, data: bytes, now: float, now_ns: int) -> list[Event]:
        """Sign *data* and send it to every peer that wants it.

        Args:
            now_ns: Unix time in nanoseconds, for the sequence number.

        Raises:
            ValueError: *data* is empty or over MAX_DATA_SIZE; our own bug.
        """
        if not 0 < len(data) <= limits.MAX_DATA_SIZE:
            raise ValueError(f"message of {len(data)} bytes cannot be published")
        message = self._author.write(topic, data, now_ns)
        message_id = message.message_id
        self.last_published = message_id
        self._seen.add(message_id, now)
        if topic not in self._meshes:
            self._fanout[topic] = now
        self._flow.publish(message_id, topic, encode_publish(message), now)
        self.counters.published += 1
        return self._flush()

    def verdict(self, message_id: MessageId, verdict: Verdict, now: float) -> list[Event]:
        """Whoever read a delivered message has judged it. A late verdict changes nothing."""
        self._settle(message_id, verdict, now)
        return self._flush()

    def _settle(self, message_id: MessageId, verdict: Verdict, now: float) -> None:
        waiting = self._validations.take(message_id)
        if waiting is None:
            return
        if verdict is Verdict.ACCEPT:
            self.counters.accepted += 1
            self.scores.reward(waiting.first.peer, now)
            self._flow.forward(message_id, waiting, self._members(waiting.topic))
        elif verdict is Verdict.IGNORE:
            self.counters.ignored += 1
        else:
            self.counters.rejected += 1
            self._seen.reject(message_id)
            for peer in waiting.bearers:
                self._blame(peer, Offence.INVALID_MESSAGE, now)

    # --- what comes in -------------------------------------------------------------------

    def received_frame(self, peer: PeerId, payload: bytes, now: float) -> list[Event]:
        """Take the content of a frame as it came; a malformed one is an offence."""
        try:
            rpc = decode_rpc(payload)
        except PeerError:
            return self.report(peer, Offence.MALFORMED_RPC, now)
        return self.received(peer, rpc, now)

    def received(self, peer: PeerId, rpc: Rpc, now: float) -> list[Event]:
        """Take an RPC of a connected peer; of others it is dropped."""
        neighbour = self._neighbours.get(peer)
        if neighbour is None:
            return []
        control = _work(rpc)
        if control and not neighbour.bucket.take(control, now):
            neighbour.flood += control
            return []
        for one in rpc.subscriptions:
            self._take_subscription(neighbour, one, now)
        for message in rpc.publish:
            self._take_message(neighbour, message, now)
            if neighbour.is_gone:  # banned for what it just sent
                return self._flush()
        for topic in rpc.graft:
            self._take_graft(neighbour, topic, now)
        for prune in rpc.prune:
            self._take_prune(neighbour, prune, now)
        if rpc.ihave:
            self._flow.received_ihave(neighbour, rpc.ihave, self._meshes, now)
        if rpc.iwant:
            self._flow.received_iwant(neighbour, rpc.iwant, now)
        return self._flush()

    def _take_subscription(self, neighbour: Neighbour, one: Subscription, now: float) -> None:
        topic = one.topic
        if not one.is_wanted:
            self._hood.unsubscribed(neighbour, topic)
            if topic in self._meshes:
                self._meshes[topic].dropped(neighbour.peer)
        elif self._hood.subscribed(neighbour, topic) and (
            topic in self._meshes or topic in self._fanout
        ):
            # It may have been away for a moment: tell it of everything that is still here.
            self._flow.tell_everything(neighbour, topic, now)

    def _take_message(self, neighbour: Neighbour, message: Message, now: float) -> None:
        counters = self.counters
        counters.received += 1
        if not neighbour.bucket.take(1.0, now):
            neighbour.flood += 1
            counters.flood += 1
            return
        message_id = message.message_id
        if message_id in self._seen:
            self._take_duplicate(neighbour, message_id, now)
            return
        if message.topic not in self._meshes or message.sender == self.peer:
            counters.unwanted += 1
            return
        if neighbour.validating >= limits.MAX_PEER_VALIDATIONS or self._validations.is_full:
            counters.crowded += 1
            return
        try:
            message = self._check(message)
        except PeerError as exc:
            # Not remembered as seen: the real message may still come from somebody else.
            if exc.verdict is Verdict.REJECT:
                self._blame(neighbour.peer, Offence.BAD_SIGNATURE, now)
            else:
                counters.unwanted += 1
            return
        self._seen.add(message_id, now)
        self._flow.arrived(message_id)
        self._validations.add(message, encode_publish(message), neighbour, now)
        counters.delivered += 1
        self._hood.events.append(
            Deliver(
                topic=message.topic,
                message_id=message_id,
                peer=neighbour.peer,
                author=message.sender,
                data=message.data,
            )
        )

    def _take_duplicate(self, neighbour: Neighbour, message_id: MessageId, now: float) -> None:
        self.counters.duplicates += 1
        peer = neighbour.peer
        waiting = self._validations.get(message_id)
        if waiting is not None:
            waiting.bearers[peer] = None
        elif not self._flow.has(message_id, peer) and self._seen.is_rejected(message_id):
            self._blame(peer, Offence.INVALID_MESSAGE, now)

    def _take_graft(self, neighbour: Neighbour, topic: str, now: float) -> None:
        mesh = self._meshes.get(topic)
        # Not answered: a PRUNE for every invented topic would be work for nothing.
        if mesh is None or topic not in neighbour.topics or not neighbour.has_mesh:
            return
        answer = mesh.received_graft(self._hood.candidate(neighbour, now), now)
        if answer is Graft.ACCEPTED:
            self._flow.tell_member(neighbour.peer, topic, now)
            return
        if answer is Graft.TOO_EARLY:
            self._blame(neighbour.peer, Offence.EARLY_GRAFT, now)
        self._hood.send_prune(
            topic,
            [neighbour.peer],
            now,
            self.parameters.prune_backoff,
            has_exchange=answer is Graft.REFUSED,  # once; to gather names is work
        )

    def _take_prune(self, neighbour: Neighbour, prune: Prune, now: float) -> None:
        mesh = self._meshes.get(prune.topic)
        if mesh is None:
            return
        peer = neighbour.peer
        mesh.received_prune(peer, prune.backoff, now)
        if prune.peers and self._hood.is_good(peer, now):
            self._hood.events.append(Exchange(peer, prune.topic, prune.peers))

    # --- offences ------------------------------------------------------------------------

    def report(
        self, peer: PeerId, offence: Offence, now: float, weight: float = 1.0
    ) -> list[Event]:
        """Somebody outside of gossip has seen *peer* misbehave; it need not be connected."""
        self._blame(peer, offence, now, weight)
        return self._flush()

    def _blame(self, peer: PeerId, offence: Offence, now: float, weight: float = 1.0) -> None:
        self._hood.events.append(Misbehaved(peer, offence))
        if self.bans.refuses(peer, None, now):
            return  # for what it did before its ban
        if self.scores.report(peer, offence, now, weight) is not Standing.BANNED:
            return
        neighbour = self._neighbours.get(peer)
        ban = self.bans.ban(peer, neighbour.address if neighbour else None, now)
        self.scores.pardon(peer)
        self._remove_peer(peer)
        self._hood.events.append(Disconnect(peer, offence, ban))

    # --- every second --------------------------------------------------------------------

    def heartbeat(self, now: float) -> list[Event]:
        """Keep meshes, promises and memories in shape; call it every ``heartbeat`` seconds."""
        for peer, count in self._flow.expire(now).items():
            self._blame(peer, Offence.BROKEN_PROMISE, now, count)
        for message_id in self._validations.overdue(now):
            self.counters.late += 1
            self._settle(message_id, Verdict.IGNORE, now)
        for neighbour in list(self._neighbours.values()):
            if neighbour.flood >= self.parameters.flood_size:
                self._blame(neighbour.peer, Offence.FLOODING, now)
            neighbour.flood = neighbour.ihave_rpcs = neighbour.ihave_ids = 0
        for topic, mesh in self._meshes.items():
            changes = mesh.heartbeat(self._hood.candidates(topic, now), now)
            self._hood.send_graft(topic, changes.graft)
            for peer in changes.graft:
                self._flow.tell_member(peer, topic, now)
            self._hood.send_prune(topic, changes.prune, now, self.parameters.prune_backoff)
        for topic, since in list(self._fanout.items()):
            if now - since > self.parameters.fanout_seconds:
                del self._fanout[topic]
        for topic in (*self._meshes, *self._fanout):
            self._flow.gossip(topic, self._members(topic), now)
        self._left = {topic: mesh for topic, mesh in self._left.items() if mesh.is_waiting(now)}
        self._hood.wake_waiting(now)
        self._flow.shift()
        self._seen.tidy(now)
        self.scores.tidy(now, self._neighbours)
        return self._flush()

    # --- what goes out -------------------------------------------------------------------

    def take(self, peer: PeerId, now: float) -> bytes | None:
        """Return the next frame for *peer*, everything that waits put together; None when
        nothing may be sent now, and the next Ready says when to ask again."""
        return self._hood.take(peer, now)

    def _members(self, topic: str) -> Collection[PeerId]:
        mesh = self._meshes.get(topic)
        return () if mesh is None else mesh.members.keys()

    def _flush(self) -> list[Event]:
        events, self._hood.events = self._hood.events, []
        return events


IDS_PER_TOKEN = 50
"""Message ids in IHAVE and IWANT that cost a peer as much of its budget as one message."""


def _work(rpc: Rpc) -> int:
    """Return what the control part of an RPC costs, in messages."""
    ids = len(rpc.iwant) + sum(len(one.message_ids) for one in rpc.ihave)
    changes = len(rpc.subscriptions) + len(rpc.graft) + len(rpc.prune) + len(rpc.ihave)
    return changes + -(-ids // IDS_PER_TOKEN)
