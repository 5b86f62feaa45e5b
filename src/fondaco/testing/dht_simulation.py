"""A thousand nodes of the DHT in one process, on a clock of their own; nobody waits.

    node --request--> latency, loss, is it up? --> node --answer--> the same way back
                      all on one heap of (time, ticket, action)

Everything follows from the seed. Some nodes may lie. What is sent to a node that is down is
lost in silence, as when a machine is switched off.
"""

from __future__ import annotations

import bisect
import dataclasses
import enum
import heapq
import itertools
import random
from collections.abc import Callable, Iterable
from functools import partial

import msgspec

from fondaco.errors import PeerError
from fondaco.identity.keys import IdentityKey
from fondaco.identity.names import Guid
from fondaco.market import dht_limits
from fondaco.market.contacts import Contact, contact, network_of
from fondaco.market.dht import Dht
from fondaco.market.dht_events import (
    Dropped,
    Event,
    Found,
    Joined,
    Kept,
    Located,
    Misbehaved,
    Placed,
    Renew,
    Reply,
    Send,
)
from fondaco.market.dht_keys import KEY_BITS, DhtKey, distance
from fondaco.market.dht_messages import Answer, FindValue, Nodes, Request, Store, Stored, Values
from fondaco.market.records import Record, RecordKind, sign, verify
from fondaco.testing.virtual_time import CheckedOnce, VirtualTime

START = 1_600_000_000.0
"""Unix seconds when a simulation begins."""

NETWORK = "simulated"
"""What records are signed for."""

INVENTED = 200
"""Contacts that do not exist, for liars to name."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """What lies between any two nodes."""

    latency: float = 0.05
    """Seconds, one way."""
    jitter: float = 0.05
    """Seconds at most on top, evenly spread."""
    loss: float = 0.0
    """Share of requests and answers that do not arrive."""


class Behaviour(enum.Enum):
    """How a node answers."""

    HONEST = "honest"
    WITHHOLDS = "withholds"
    """It keeps nothing, says it does, and shows nothing."""
    MISLEADS = "misleads"
    """It names the farthest nodes instead of the closest."""
    INVENTS = "invents"
    """It names nodes that do not exist, as close as it can think of any."""
    GARBAGE = "garbage"
    """It answers with what is no answer, or forged."""


class DhtNode:
    """One simulated node: its state machine and what its shell would remember."""

    def __init__(self, number: int, key: IdentityKey, address: str, behaviour: Behaviour) -> None:
        self.number = number
        self.key = key
        self.address = address
        self.behaviour = behaviour
        self.contact = contact(key.public_key, (f"/ip4/{address}/tcp/60558",))
        self.dht: Dht
        self.is_up = True
        self.tick_at = 0.0
        self.renews = True
        """It signs its records anew when asked."""
        self.found: dict[int, Found] = {}
        self.placed: dict[int, Placed] = {}
        self.located: dict[int, Located] = {}
        self.joined: list[int] = []
        self.blamed: list[tuple[Contact, PeerError]] = []
        self.kept = 0
        self.dropped: list[Record] = []

    @property
    def guid(self) -> Guid:
        return self.contact.guid


class DhtSimulation(VirtualTime):
    """Nodes, what lies between them, and the time."""

    def __init__(self, seed: int, *, path: Path | None = None) -> None:
        super().__init__(START)
        self.random = random.Random(seed)
        self.nodes: list[DhtNode] = []
        self.messages = 0
        """Requests and answers sent so far."""
        self._path = path or Path()
        self._check = CheckedOnce(partial(verify, network=NETWORK))
        self._by_guid: dict[Guid, DhtNode] = {}
        self._tokens = itertools.count()
        self._replies: dict[int, Callable[[Answer], None]] = {}
        self._inventions: list[Contact] = []

    # --- the world -----------------------------------------------------------------------

    def add_node(self, behaviour: Behaviour = Behaviour.HONEST) -> DhtNode:
        """Start a node that knows nobody. Each has a network of its own."""
        number = len(self.nodes)
        key = IdentityKey((number + 1).to_bytes(32))
        address = f"11.{number >> 8 & 255}.{number & 255}.1"
        node = DhtNode(number, key, address, behaviour)
        node.dht = Dht(
            node.contact, random.Random(self.random.getrandbits(64)), self.now, check=self._check
        )
        self.nodes.append(node)
        self._by_guid[node.guid] = node
        self._plan_tick(node)
        return node

    def add_nodes(self, count: int, behaviour: Behaviour = Behaviour.HONEST) -> list[DhtNode]:
        """Start *count* nodes."""
        return [self.add_node(behaviour) for _ in range(count)]

    def introduce_all(self) -> None:
        """Let every node know up to k others in each bucket, as if it had been here for long."""
        places = sorted((int.from_bytes(node.guid), node.number) for node in self.nodes)
        for node in self.nodes:
            own = int.from_bytes(node.guid)
            for index in range(KEY_BITS):
                width = KEY_BITS - index - 1
                low = ((own >> width) ^ 1) << width
                first = bisect.bisect_left(places, (low, -1))
                last = bisect.bisect_left(places, (low + (1 << width), -1))
                near = bisect.bisect_left(places, (own >> width << width, -1))
                end = bisect.bisect_left(places, ((own >> width) + 1 << width, -1))
                some = range(first, last)
                for at in self.random.sample(some, min(len(some), dht_limits.BUCKET_SIZE)):
                    other = self.nodes[places[at][1]]
                    network = network_of(other.address)
                    node.dht.routing.seen(other.contact, network, self.now)
                if end - near <= 1:
                    break  # nobody is closer

    def join(self, node: DhtNode, by: Iterable[DhtNode]) -> None:
        """Let *node* look for its way in."""
        self._act(node, node.dht.join([other.contact for other in by], self.now))

    def kill(self, nodes: Iterable[DhtNode]) -> None:
        """Switch nodes off, at once and without a word."""
        for node in nodes:
            node.is_up = False

    def living(self, behaviour: Behaviour | None = None) -> list[DhtNode]:
        """Return the nodes that are up."""
        return [
            node
            for node in self.nodes
            if node.is_up and (behaviour is None or node.behaviour is behaviour)
        ]

    def closest(self, place: bytes, count: int = dht_limits.BUCKET_SIZE) -> list[DhtNode]:
        """Return the living nodes closest to a place, as nobody inside can know."""
        return heapq.nsmallest(count, self.living(), key=lambda node: distance(node.guid, place))

    # --- what nodes do -------------------------------------------------------------------

    def sign(self, node: DhtNode, key: DhtKey, kind: RecordKind, payload: bytes) -> Record:
        """Let *node* sign what it says under *key* from now on."""
        previous = node.dht.records.find(key, node.key.public_key)
        return sign(node.key, key, kind, payload, self.now, network=NETWORK, previous=previous)

    def put(self, node: DhtNode, record: Record) -> int:
        """Let *node* publish; its ``placed`` says later how it went."""
        errand, events = node.dht.put(record, self.now)
        self._act(node, events)
        return errand

    def get(self, node: DhtNode, key: DhtKey, *, enough: int | None = None) -> int:
        """Let *node* search; its ``found`` says later what there is."""
        errand, events = node.dht.get(key, self.now, enough=enough)
        self._act(node, events)
        return errand

    def find(self, node: DhtNode, target: bytes) -> int:
        """Let *node* look for others; its ``located`` says later who they are."""
        errand, events = node.dht.find(target, self.now)
        self._act(node, events)
        return errand

    # --- the shell's part ----------------------------------------------------------------

    def _act(self, node: DhtNode, events: Iterable[Event]) -> None:
        for event in events:
            match event:
                case Send():
                    self._send(node, event)
                case Reply(token=token, answer=answer):
                    self._replies.pop(token)(answer)
                case Found(errand=errand):
                    node.found[errand] = event
                case Placed(errand=errand):
                    node.placed[errand] = event
                case Located(errand=errand):
                    node.located[errand] = event
                case Joined(contacts=contacts):
                    node.joined.append(contacts)
                case Misbehaved(contact=whom, error=error):
                    node.blamed.append((whom, error))
                case Renew(record=record) if node.renews:
                    self.put(node, self.sign(node, record.key, record.kind, record.payload))
                case Kept():
                    node.kept += 1
                case Dropped(record=record):
                    node.dropped.append(record)
                case _:
                    pass
        self._plan_tick(node)

    def _plan_tick(self, node: DhtNode) -> None:
        due = node.dht.next_due(self.now)
        if node.tick_at > self.now and node.tick_at <= due:
            return
        node.tick_at = due

        def tick() -> None:
            if node.is_up and node.tick_at == due:
                node.tick_at = 0.0
                self._act(node, node.dht.tick(self.now))

        self.at(max(due, self.now), tick)

    def _travels(self, action: Callable[[], None]) -> None:
        self.messages += 1
        path = self._path
        if path.loss and self.random.random() < path.loss:
            return
        self.at(self.now + path.latency + path.jitter * self.random.random(), action)

    def _send(self, node: DhtNode, event: Send) -> None:
        other = self._by_guid.get(event.contact.guid)

        def arrive() -> None:
            if other is None or not other.is_up:
                return
            token = next(self._tokens)
            self._replies[token] = lambda answer: self._travels(lambda: come_back(answer))
            lie = self._lie(other, event.request)
            if lie is not None:
                self._replies.pop(token)(lie)
                return
            events = other.dht.asked(node.contact, node.address, token, event.request, self.now)
            self._act(other, events)
            self._replies.pop(token, None)

        def come_back(answer: Answer) -> None:
            if node.is_up and other is not None:
                events = node.dht.answered(event.number, answer, other.address, self.now)
                self._act(node, events)

        self._travels(arrive)

    # --- liars ---------------------------------------------------------------------------

    def _lie(self, node: DhtNode, request: Request) -> Answer | None:
        """Return what a liar answers; None where it is the truth."""
        if node.behaviour is Behaviour.HONEST:
            return None
        if node.behaviour is Behaviour.GARBAGE:
            return self._garbage(node, request)
        if isinstance(request, Store):
            return Stored(len(request.records))
        target = request.key if isinstance(request, FindValue) else request.target
        if node.behaviour is Behaviour.WITHHOLDS:
            contacts = tuple(node.dht.routing.closest(target))
        elif node.behaviour is Behaviour.MISLEADS:
            away = bytes(byte ^ 255 for byte in target)
            contacts = tuple(node.dht.routing.closest(away))
        else:
            contacts = self._invent(target)
        if isinstance(request, FindValue):
            return Values(contacts=contacts)
        return Nodes(contacts)

    def _invent(self, target: bytes) -> tuple[Contact, ...]:
        if not self._inventions:
            keys = (IdentityKey((2**200 + n).to_bytes(32)) for n in range(INVENTED))
            self._inventions = [contact(key.public_key, ("/nowhere",)) for key in keys]
        near = heapq.nsmallest(
            dht_limits.BUCKET_SIZE,
            self._inventions,
            key=lambda one: distance(one.guid, target),
        )
        return tuple(near)

    def _garbage(self, node: DhtNode, request: Request) -> Answer:
        false = msgspec.structs.replace(node.contact, guid=Guid(self.random.randbytes(20)))
        if isinstance(request, FindValue):
            forged = sign(
                node.key, request.key, RecordKind.NOTARY_INDEX, b"?", self.now, network="forged"
            )
            answers: list[Answer] = [
                Values(records=(forged,)),
                Values(contacts=(false,)),
                Nodes(()),
            ]
            return self.random.choice(answers)
        if isinstance(request, Store):
            return Stored(len(request.records) + 1)
        others: list[Answer] = [Nodes((false,)), Stored(0)]
        return self.random.choice(others)
