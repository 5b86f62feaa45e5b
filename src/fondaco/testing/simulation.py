"""Thousands of routers in one process, on a clock of their own; nobody waits.

    node --frame--> link: latency, jitter, loss, bandwidth, cut or not --frame--> node
                          all on one heap of (time, ticket, action)

Everything follows from the seed: two runs with the same seed are the same. What is lost are
messages and ids, as in full queues; a stream does not lose subscriptions, GRAFT and PRUNE,
and delivers what it delivers in order.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterable, Sequence

import msgspec

from fondaco.errors import Verdict
from fondaco.identity.keys import IdentityKey
from fondaco.p2p.pubsub.events import Deliver, Disconnect, Event, Misbehaved, Ready
from fondaco.p2p.pubsub.framing import FrameDecoder
from fondaco.p2p.pubsub.neighbour import Protocol
from fondaco.p2p.pubsub.parameters import Parameters
from fondaco.p2p.pubsub.router import Router
from fondaco.p2p.pubsub.rpc import IHave, MessageId, PeerId, Rpc, decode_rpc
from fondaco.p2p.pubsub.signing import Author, verify
from fondaco.p2p.scores import Offence
from fondaco.testing.virtual_time import CheckedOnce, VirtualTime

START_NS = 1_600_000_000_000_000_000
"""Unix nanoseconds when a simulation begins."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What lies between two nodes, the same in both directions."""

    latency: float = 0.05
    """Seconds, one way."""
    jitter: float = 0.02
    """Seconds at most on top, evenly spread."""
    loss: float = 0.0
    """Share of the messages and message ids that do not arrive."""
    bandwidth: float = 10e6
    """Bytes a second."""


class Node:
    """One simulated node: a router and what its reader would remember."""

    def __init__(self, number: int, key: IdentityKey, address: str) -> None:
        self.number = number
        self.key = key
        self.address = address
        self.router: Router
        self.peer: PeerId = Author(key).peer
        self.judge: Callable[[Deliver], Verdict] = lambda _deliver: Verdict.ACCEPT
        """What its reader says to a message."""
        self.judge_seconds = 0.0
        """How long its reader takes."""
        self.delivered: dict[MessageId, float] = {}
        """Message -> when it came first. Survives a restart of the router."""
        self.deliveries = 0
        """How often something was delivered."""
        self.offences: list[tuple[PeerId, Offence]] = []
        """Whom it blamed."""
        self.banned: list[PeerId] = []
        """Whom it disconnected, in order."""


class Simulation(VirtualTime):
    """Nodes, links between them, and the time."""

    def __init__(
        self,
        seed: int,
        *,
        link: Link | None = None,
        parameters: Parameters | None = None,
        topics: Sequence[str] = ("topic",),
    ) -> None:
        super().__init__(0.0)
        self.random = random.Random(seed)
        self.nodes: list[Node] = []
        self.frames = 0
        self.bytes = 0
        self._link = link or Link()
        self._parameters = parameters or Parameters()
        self._topics = topics
        self._check = CheckedOnce(verify)
        self._by_peer: dict[PeerId, Node] = {}
        self._links: dict[tuple[int, int], Link] = {}
        self._streams: dict[tuple[int, int], int] = {}
        self._free_at: dict[tuple[int, int], float] = {}
        self._arrives_at: dict[tuple[int, int], float] = {}
        self._cut: dict[int, int] = {}
        self._severed: list[tuple[int, int]] = []

    # --- the world -----------------------------------------------------------------------

    def add_node(self, *, address: str | None = None) -> Node:
        """Start a node that is subscribed to the simulation's topics."""
        number = len(self.nodes)
        key = IdentityKey((number + 1).to_bytes(32, "big"))
        node = Node(number, key, address or f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
        self.nodes.append(node)
        self._by_peer[node.peer] = node
        self._start(node)
        return node

    def add_nodes(self, count: int) -> list[Node]:
        """Start *count* nodes."""
        return [self.add_node() for _ in range(count)]

    def connect(self, dialler: Node, other: Node, link: Link | None = None) -> None:
        """Open a connection, unless there is one or one side bans the other."""
        pair = _pair(dialler, other)
        if pair in self._links or self._is_cut(dialler, other):
            return
        for one, another in ((dialler, other), (other, dialler)):
            if one.router.bans.refuses(another.peer, another.address, self.now):
                return
        self._links[pair] = link or self._link
        for one, another in ((dialler, other), (other, dialler)):
            direction = (one.number, another.number)
            self._streams[direction] = next(self._tickets)
            events = one.router.peer_joined(
                another.peer,
                self.now,
                protocol=Protocol.GOSSIPSUB_11,
                is_outbound=one is dialler,
                address=another.address,
            )
            self._act(one, events)

    def connect_randomly(self, degree: int) -> None:
        """Let every node dial *degree* // 2 others, so that nobody is left alone."""
        for node in self.nodes:
            for _ in range(degree // 2):
                other = self.random.choice(self.nodes)
                if other is not node:
                    self.connect(node, other)

    def disconnect(self, one: Node, other: Node) -> None:
        """End the connection; what is on its way is lost."""
        if self._links.pop(_pair(one, other), None) is None:
            return
        for here, there in ((one, other), (other, one)):
            self._streams.pop((here.number, there.number), None)
            self._act(here, here.router.peer_left(there.peer))

    def partition(self, groups: Iterable[Iterable[Node]]) -> None:
        """Cut every connection between the groups, until ``heal``."""
        self._cut = {node.number: index for index, group in enumerate(groups) for node in group}
        self._severed = [pair for pair in self._links if self._is_cut(*self._ends(pair))]
        for pair in self._severed:
            self.disconnect(*self._ends(pair))

    def heal(self) -> None:
        """Open the connections that ``partition`` cut."""
        self._cut = {}
        for pair in self._severed:
            self.connect(*self._ends(pair))
        self._severed = []

    def restart(self, node: Node, *, down: float = 1.0) -> None:
        """Kill a node; after *down* seconds it comes back, remembering nothing but its key,
        and dials those it was connected to."""
        partners = [
            self.nodes[a if b == node.number else b]
            for a, b in self._links
            if node.number in (a, b)
        ]
        for other in partners:
            self.disconnect(node, other)

        def come_back() -> None:
            self._start(node)
            for other in partners:
                self.connect(node, other)

        self.at(self.now + down, come_back)

    # --- what nodes do -------------------------------------------------------------------

    def publish(self, node: Node, data: bytes, topic: str | None = None) -> MessageId:
        """Let *node* publish; return the id of the message."""
        now_ns = START_NS + round(self.now * 1e9)
        events = node.router.publish(topic or self._topics[0], data, self.now, now_ns)
        self._act(node, events)
        message_id = node.router.last_published
        node.delivered[message_id] = self.now
        return message_id

    def send(self, node: Node, other: Node, rpc: Rpc) -> None:
        """Let *node*, malicious, send whatever it wants, past its router."""
        self._transmit(node, other, rpc, size=1_000)

    def report(self, node: Node, other: Node, offence: Offence) -> None:
        """Let the main process of *node* complain about *other*."""
        self._act(node, node.router.report(other.peer, offence, self.now))

    def coverage(self, message_ids: Iterable[MessageId], nodes: Iterable[Node]) -> float:
        """Return the share of (message, node) pairs that have met."""
        wanted, those = list(message_ids), list(nodes)
        met = sum(one in node.delivered for node in those for one in wanted)
        return met / (len(wanted) * len(those))

    def latencies(self, sent: dict[MessageId, float], nodes: Iterable[Node]) -> list[float]:
        """Return, ascending, how long each message took to each node that got it."""
        return sorted(
            node.delivered[one] - since
            for node in nodes
            for one, since in sent.items()
            if one in node.delivered
        )

    # --- the shell's part ----------------------------------------------------------------

    def _start(self, node: Node) -> None:
        node.router = Router(
            Author(node.key),
            random.Random(self.random.getrandbits(64)),
            self.now,
            parameters=self._parameters,
            check=self._check,
        )
        for topic in self._topics:
            self._act(node, node.router.subscribe(topic, self.now))
        router = node.router

        def beat() -> None:
            if node.router is router:  # else it was restarted
                self._act(node, router.heartbeat(self.now))
                self.at(self.now + self._parameters.heartbeat, beat)

        self.at(self.now + self.random.random() * self._parameters.heartbeat, beat)

    def _act(self, node: Node, events: Iterable[Event]) -> None:
        for event in events:
            if isinstance(event, Ready):
                self._pump(node, self._by_peer[event.peer])
            elif isinstance(event, Deliver):
                node.deliveries += 1
                node.delivered.setdefault(event.message_id, self.now)
                self._judge(node, event)
            elif isinstance(event, Misbehaved):
                node.offences.append((event.peer, event.offence))
            elif isinstance(event, Disconnect):
                node.banned.append(event.peer)
                self.disconnect(node, self._by_peer[event.peer])

    def _judge(self, node: Node, event: Deliver) -> None:
        verdict, router = node.judge(event), node.router

        def say() -> None:
            if node.router is router:
                self._act(node, router.verdict(event.message_id, verdict, self.now))

        if node.judge_seconds:
            self.at(self.now + node.judge_seconds, say)
        else:
            say()

    def _pump(self, node: Node, other: Node) -> None:
        """The writer of one peer: take a frame, let the link carry it, take the next."""
        direction = (node.number, other.number)
        stream = self._streams.get(direction)

        def write() -> None:
            if self._streams.get(direction) != stream or stream is None:
                return
            frame = node.router.take(other.peer, self.now)
            if frame is None:
                return
            (payload,) = FrameDecoder().feed(frame)
            self._transmit(node, other, decode_rpc(payload), size=len(frame))
            self.at(self._free_at[direction], write)

        # A moment later, so that what one event leads to goes into one frame.
        self.at(max(self.now, self._free_at.get(direction, 0.0)), write)

    def _transmit(self, node: Node, other: Node, rpc: Rpc, size: int) -> None:
        link = self._links.get(_pair(node, other))
        if link is None:
            return
        direction = (node.number, other.number)
        stream = self._streams[direction]
        self.frames += 1
        self.bytes += size
        free = max(self.now, self._free_at.get(direction, 0.0)) + size / link.bandwidth
        self._free_at[direction] = free
        delay = link.latency + self.random.random() * link.jitter
        arrival = max(free + delay, self._arrives_at.get(direction, 0.0))
        self._arrives_at[direction] = arrival
        if link.loss:
            rpc = self._lose(rpc, link.loss)

        def arrive() -> None:
            if self._streams.get(direction) == stream:
                self._act(other, other.router.received(node.peer, rpc, self.now))

        self.at(arrival, arrive)

    def _lose(self, rpc: Rpc, share: float) -> Rpc:
        def arrives(_one: object) -> bool:
            return self.random.random() >= share

        return msgspec.structs.replace(
            rpc,
            publish=list(filter(arrives, rpc.publish)),
            ihave=[IHave(one.topic, tuple(filter(arrives, one.message_ids))) for one in rpc.ihave],
            iwant=list(filter(arrives, rpc.iwant)),
        )

    def _ends(self, pair: tuple[int, int]) -> tuple[Node, Node]:
        return self.nodes[pair[0]], self.nodes[pair[1]]

    def _is_cut(self, one: Node, other: Node) -> bool:
        return self._cut.get(one.number, -1) != self._cut.get(other.number, -1)


def _pair(one: Node, other: Node) -> tuple[int, int]:
    return min(one.number, other.number), max(one.number, other.number)
