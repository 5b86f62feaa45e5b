"""Orders that are new travel at once: ours go out in batches, others' are judged.

    ledger: ADDED by a client --> batches (16 KB or 50 ms) --> publish

    network --> read, hash, filter of the topic --> known? refused before? --.
                     | unreadable, not allowed there                         | unknown
                     v                                                       v
                  REJECT                                   gathered (20 to 100 ms) --> service
                                                                             |
    verdict by blame, ``judged``  <------------------------------------------'

What is lost here, reconciliation finds. Messages that wait for a verdict are bounded;
more are not taken from the network, which slows those who send too many.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from fondaco.clock import Clock, until_set
from fondaco.errors import NodeError, Verdict
from fondaco.p2p.network import GossipMessage
from fondaco.zeroex import codec
from fondaco.zeroex.admission import Origin, received_from
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.errors import InvalidSchema
from fondaco.zeroex.gossip_wire import Batches, MalformedGossip, Outgoing, read_message
from fondaco.zeroex.intake import NO_HASH
from fondaco.zeroex.ledger import ToldEvent
from fondaco.zeroex.lifecycle import EndState
from fondaco.zeroex.limits import (
    GATHER_ENOUGH,
    GATHER_INTERVAL,
    GATHER_ORDERS,
    GATHER_SECONDS,
    MAX_UNJUDGED_MESSAGES,
)
from fondaco.zeroex.order import OrderHash
from fondaco.zeroex.peering import GossipNetwork
from fondaco.zeroex.service import AddResult
from fondaco.zeroex.trading import Channel, Trading

log = logging.getLogger(__name__)

_LOCAL = received_from(Origin.LOCAL)

ADDS_AT_ONCE = 2
"""Gathered orders that go through the service at once: ``service.CHUNKS_IN_FLIGHT``."""


class Fate(enum.Enum):
    """What became of one order of a message. The worst thing first."""

    INVALID = "invalid"
    """Its sender could have known: unreadable, not for this topic, a bad signature."""
    NEW = "new"
    """Stored just now."""
    REFUSED = "refused"
    """Not taken, for a reason of time, chain, load or our own policy."""
    KNOWN = "known"
    """Stored already, or refused not long ago."""


def judged(fates: Iterable[Fate]) -> Verdict:
    """Return what a message deserves whose orders met *fates*.

    One invalid order condemns it: nobody who passes messages on in good faith has one. One
    new order carries it on, whatever chain and time say of the others elsewhere. What
    brings nothing new is not passed on, or old orders could be sent around for ever.
    """
    met = set(fates)
    if Fate.INVALID in met or not met:
        return Verdict.REJECT
    return Verdict.ACCEPT if Fate.NEW in met else Verdict.IGNORE


class OrderDoor(Protocol):
    """Where orders are taken in. ``service.OrderService`` satisfies it."""

    async def add(
        self, texts: Sequence[bytes | msgspec.Raw], origin: Origin, *, pinned: bool
    ) -> AddResult: ...


class Memory(Protocol):
    """What is known of orders. ``order_memory.OrderMemory`` satisfies it."""

    def is_dull(self, name: OrderHash) -> bool:
        """Return whether an order is stored, or was refused not long ago."""

    def note(self, result: AddResult) -> None:
        """Remember who was refused."""


class GossipStats(msgspec.Struct, frozen=True, kw_only=True):
    """Counters since the start."""

    messagesPublished: int
    """One for each topic a batch went to."""
    bytesPublished: int
    """Of their data, once each; what it takes to reach every peer is not in it."""
    ordersPublished: int
    ordersDropped: int
    """Of our own, for want of room; reconciliation brings them."""
    messagesReceived: int
    bytesReceived: int
    messagesAccepted: int
    messagesIgnored: int
    messagesRejected: int
    ordersReceived: int
    ordersNew: int


class ReadMessage(msgspec.Struct, frozen=True):
    """A message whose unknown orders wait to be judged."""

    message_id: bytes
    fates: list[Fate]
    unknown: dict[OrderHash, bytes]


class OrderGossip:
    """The gossip of token orders."""

    def __init__(
        self,
        *,
        network: GossipNetwork,
        service: OrderDoor,
        memory: Memory,
        trading: Trading,
        clock: Clock,
        is_on: bool = True,
    ) -> None:
        """Without *is_on* nothing is published and no topic is listened to."""
        self._is_on = is_on
        self._network = network
        self._service = service
        self._memory = memory
        self._trading = trading
        self._clock = clock
        self._batches = Batches()
        self._has_more = asyncio.Event()
        self._has_full = asyncio.Event()
        self._channels: dict[str, Channel] = {}
        self._queue: asyncio.Queue[ReadMessage] = asyncio.Queue(MAX_UNJUDGED_MESSAGES)
        self._queued = 0
        """Unknown orders of the messages in the queue, and of the one taken out last."""
        self._has_enough = asyncio.Event()
        self._few_due = 0.0
        """When few orders may be looked at again."""
        self._adding = asyncio.Semaphore(ADDS_AT_ONCE)
        self._counts: Counter[str] = Counter()

    def take(self, events: Sequence[ToldEvent]) -> None:
        """Publish what clients have added (a ``ledger.Tell``)."""
        if not self._is_on:
            return
        now = self._clock.monotonic()
        for event in events:
            if event.end_state == EndState.ADDED.value and event.reason == _LOCAL:
                version = event.order.version
                topics = self._trading.topics_of(event.body, version)
                self._batches.add(event.body, topics, version, now)
                self._has_more.set()
        if self._batches.has_full:
            self._has_full.set()

    async def run(self) -> None:
        """Listen and publish until cancelled."""
        await self.follow_filters()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._publish(), name="gossip out")
            tasks.create_task(self._receive(), name="gossip in")
            tasks.create_task(self._judge(), name="gossip verdicts")

    async def follow_filters(self) -> None:
        """Listen to the topics of the filters joined now, and to no others; look for peers
        who have the same."""
        wanted = self._trading.channels() if self._is_on else {}
        for topic in self._channels.keys() - wanted.keys():
            await self._network.unsubscribe(topic)
        for topic in wanted.keys() - self._channels.keys():
            await self._network.subscribe(topic)
        self._channels = wanted
        await self._network.set_rendezvous(self._trading.rendezvous())

    def stats(self) -> GossipStats:
        """Return the counters."""
        counts = self._counts
        return GossipStats(
            messagesPublished=counts["batches"],
            bytesPublished=counts["bytes out"],
            ordersPublished=counts["published"],
            ordersDropped=self._batches.dropped,
            messagesReceived=counts["messages"],
            bytesReceived=counts["bytes in"],
            messagesAccepted=counts[Verdict.ACCEPT.value],
            messagesIgnored=counts[Verdict.IGNORE.value],
            messagesRejected=counts[Verdict.REJECT.value],
            ordersReceived=counts["orders"],
            ordersNew=counts["new"],
        )

    # ------------------------------------------------------------ out

    async def _publish(self) -> None:
        while True:
            await self._until_due()
            for message in self._batches.take(self._clock.monotonic()):
                await self._send(message)

    async def _until_due(self) -> None:
        self._has_more.clear()
        self._has_full.clear()
        if (due := self._batches.due) is None:
            await self._has_more.wait()
            due = self._batches.due
        await until_set(self._has_full, self._clock, (due or 0.0) - self._clock.monotonic())

    async def _send(self, message: Outgoing) -> None:
        for topic in message.topics:
            await self._network.publish(topic, message.data)
            self._counts["batches"] += 1
            self._counts["bytes out"] += len(message.data)
        self._counts["published"] += message.count

    # ------------------------------------------------------------ in

    async def _receive(self) -> None:
        async for message in self._network.messages():
            self._counts["messages"] += 1
            self._counts["bytes in"] += len(message.data)
            channel = self._channels.get(message.topic)
            if channel is None:
                self._answer(message.message_id, Verdict.IGNORE)  # just left
                continue
            try:
                read = self._read(message, channel)
            except MalformedGossip as fault:
                log.info("gossip rejected: %s", fault, extra={"peer": message.peer})
                self._answer(message.message_id, Verdict.REJECT)
                continue
            self._counts["orders"] += len(read.fates) + len(read.unknown)
            if Fate.INVALID in read.fates or not read.unknown:
                self._answer(message.message_id, judged(read.fates))
            else:
                await self._queue.put(read)
                self._queued += len(read.unknown)
                if self._queued >= GATHER_ENOUGH:
                    self._has_enough.set()

    def _read(self, message: GossipMessage, channel: Channel) -> ReadMessage:
        """Decode and hash the orders of a message: 30 us each.

        Raises:
            MalformedGossip: it is no message.
        """
        fates: list[Fate] = []
        unknown: dict[OrderHash, bytes] = {}
        for raw in read_message(message.data, channel.topic, channel.version):
            try:
                order = codec.decode_order(raw)
            except InvalidSchema:
                fates.append(Fate.INVALID)
                break
            body = codec.encode_order(order)
            if order.version is not channel.version or not _may_travel(body, channel):
                fates.append(Fate.INVALID)
                break
            name = order_hash(order)
            if self._memory.is_dull(name):
                fates.append(Fate.KNOWN)
            else:
                unknown[name] = body
        return ReadMessage(message.message_id, fates, unknown)

    async def _judge(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            while True:
                gathered = await self._gather()
                await self._adding.acquire()
                tasks.create_task(self._add(gathered))

    async def _gather(self) -> list[ReadMessage]:
        """Return messages that came close together; a few orders alone not too often."""
        gathered = [await self._queue.get()]
        if self._queue.empty():
            await self._clock.sleep(GATHER_SECONDS)
        if self._queued < GATHER_ENOUGH:
            self._has_enough.clear()
            wait = self._few_due - self._clock.monotonic()
            await until_set(self._has_enough, self._clock, wait)
        count = len(gathered[0].unknown)
        with contextlib.suppress(asyncio.QueueEmpty):
            while count < GATHER_ORDERS:
                gathered.append(self._queue.get_nowait())
                count += len(gathered[-1].unknown)
        self._queued -= count
        self._few_due = self._clock.monotonic() + GATHER_INTERVAL
        return gathered

    async def _add(self, gathered: Sequence[ReadMessage]) -> None:
        try:
            try:
                outcomes = [await self._take_in(bodies) for bodies in rounds_of(gathered)]
            except NodeError as problem:
                log.warning("gossip not judged: %s", problem)
                for read in gathered:
                    self._answer(read.message_id, Verdict.IGNORE)
                return
            for read in gathered:
                met = [_met(outcomes, name, body) for name, body in read.unknown.items()]
                self._counts["new"] += met.count(Fate.NEW)
                self._answer(read.message_id, judged([*read.fates, *met]))
        finally:
            self._adding.release()

    async def _take_in(self, bodies: dict[OrderHash, bytes]) -> _Outcome:
        result = await self._service.add(list(bodies.values()), Origin.GOSSIP, pinned=False)
        self._memory.note(result)
        return bodies, fates_of(result)

    def _answer(self, message_id: bytes, verdict: Verdict) -> None:
        self._counts[verdict.value] += 1
        self._network.verdict(message_id, verdict)


def rounds_of(gathered: Iterable[ReadMessage]) -> list[dict[OrderHash, bytes]]:
    """Return the orders to take in, one after the other where they have the same hash.

    Two copies of an order may differ in their signature. Each is judged for itself, or a
    forged copy would condemn the message with the true one.
    """
    rounds: list[dict[OrderHash, bytes]] = [{}]
    for read in gathered:
        for name, body in read.unknown.items():
            for bodies in rounds:
                if bodies.setdefault(name, body) == body:
                    break
            else:
                rounds.append({name: body})
    return rounds


_Outcome = tuple[dict[OrderHash, bytes], dict[OrderHash, Fate]]


def _met(outcomes: Iterable[_Outcome], name: OrderHash, body: bytes) -> Fate:
    """Return the fate of an order in a message. It is new in one message only."""
    for bodies, fates in outcomes:
        if bodies.get(name) == body:
            fate = fates.get(name, Fate.REFUSED)
            if fate is Fate.NEW:
                fates[name] = Fate.KNOWN
            return fate
    return Fate.REFUSED


def fates_of(result: AddResult) -> dict[OrderHash, Fate]:
    """Return what became of each order that could be read."""
    fates = {
        accepted.order_hash: Fate.NEW if accepted.is_new else Fate.KNOWN
        for accepted in result.accepted
    }
    for refusal in result.rejected:
        if refusal.order_hash != NO_HASH:
            is_to_blame = refusal.rejection.verdict is Verdict.REJECT
            fates[refusal.order_hash] = Fate.INVALID if is_to_blame else Fate.REFUSED
    return fates


def _may_travel(body: bytes, channel: Channel) -> bool:
    if channel.schema is None:
        return True
    return channel.schema.accepts(msgspec.json.decode(body))
