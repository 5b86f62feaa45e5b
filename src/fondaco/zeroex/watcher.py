"""Keep stored orders current: blocks in, events out.

    blocks ---> decode logs ---> index: which orders? --.
    time   ---> index: which expired, which revived? ---+--> look: ONE read at the head
    cleanup job, orders touched while being stored -----'      |
                                                          lifecycle: what became of each
                                                               |
                                                     ledger: rows, log, blocks seen -- tell

The blocks are stored after what they changed: after a kill at any moment the node goes
on from the last block whose effects are all in the book. Orders that later blocks had
changed by then are looked at again: those blocks may have left the chain meanwhile, and
looking twice changes nothing. What could not be looked at or written, since the endpoint
is away or the disk is full, stays on the list; blocks are stored as seen only when
nothing is left of them. Time acts on the other orders meanwhile.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

import msgspec
import sqlalchemy as sa

from fondaco.chain.blocks import BlockBatch
from fondaco.chain.headers import BlockEventKind, Header, RetainedBlock
from fondaco.chain.limits import REFRESH_PATIENCE
from fondaco.chain.logs import Log
from fondaco.clock import NANOSECONDS, Clock
from fondaco.errors import StorageError, Unavailable
from fondaco.store.database import Database
from fondaco.zeroex import blockrows, codec, contract_events, lifecycle, repository
from fondaco.zeroex.assessor import ORDERS_PER_READ
from fondaco.zeroex.contract_events import ContractEvent
from fondaco.zeroex.errors import RejectionCode
from fondaco.zeroex.journal import OrderFact
from fondaco.zeroex.ledger import Batch, Ledger, LoggedOrder
from fondaco.zeroex.lifecycle import Outcome, Rejected, Transition
from fondaco.zeroex.order import OrderHash
from fondaco.zeroex.repository import OrderChange, StoredOrder
from fondaco.zeroex.service import OrderAssessor
from fondaco.zeroex.watch_index import WatchIndex

T = TypeVar("T")

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
"""Pause before orders are looked at again after the endpoint or the disk failed. It
doubles with each failure; a new block is always a reason to try at once."""

MAX_RETRY_SECONDS = 16.0
"""Longest such pause: a disk that has room again, or an endpoint on a chain without new
blocks, is not left waiting for longer."""

TRIES_ALONE = 8
"""Looks at an order whose own question (a contract's signature, an exotic asset) got no
answer although others did. Then it waits for the next event or the cleanup: a contract
written to make calls fail must not cost a call a second for ever."""

LOGS_AT_ONCE = 500
"""Logs decoded, or orders listed, before the event loop may do something else: 1 ms."""

EVENTS_AT_ONCE = 25
"""Events whose orders are looked up before it may: each can touch a hundred of them."""


class Blocks(Protocol):
    """What this module asks of the chain's progress. ``chain.blocks.BlockWatcher`` fits."""

    @property
    def head(self) -> Header | None: ...

    @property
    def retained(self) -> tuple[RetainedBlock, ...]: ...

    async def start(self, retained: Sequence[RetainedBlock]) -> BlockBatch: ...

    async def next_batch(self) -> BlockBatch: ...

    async def refresh(self) -> None: ...


class _Kept(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A stored order, read for a look at it."""

    row: StoredOrder
    logged: LoggedOrder


class _Found(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the chain says of an order."""

    logged: LoggedOrder
    outcome: Outcome


class OrderWatcher:
    """Moves stored orders when the chain, or time, moves."""

    def __init__(
        self,
        *,
        blocks: Blocks,
        index: WatchIndex,
        assessor: OrderAssessor,
        database: Database,
        ledger: Ledger,
        clock: Clock,
    ) -> None:
        self._blocks = blocks
        self._index = index
        self._assessor = assessor
        self._database = database
        self._ledger = ledger
        self._clock = clock
        self._due: dict[OrderHash, list[ContractEvent]] = {}
        self._tries: Counter[OrderHash] = Counter()
        self._by_time: set[OrderHash] = set()
        self._head: Header | None = None
        self._noted: Header | None = None
        self._has_noted = asyncio.Event()
        self._retained: tuple[RetainedBlock, ...] = ()
        self._wake = asyncio.Event()
        self._last_timestamp = 0
        self._is_unsaved = False
        self._pause = RETRY_SECONDS
        self._last_error: str | None = None
        self.caught_up = asyncio.Event()
        """Set once every stored order is known to be current at some block."""

    @property
    def head(self) -> Header | None:
        """The newest block whose events are on the list or dealt with.

        Not the newest one known: the next poll is under way while orders are looked at,
        and what is read at a block must not be newer than the events told with it.
        """
        return self._head

    @property
    def noted(self) -> Header | None:
        """The newest block all of whose events are on the list or dealt with."""
        return self._noted

    async def newer_head(self, than: Header) -> Header:
        """Look for a newer block than the head *than*; return the head when that is done.

        It is still *than* when there is none, or when finding out takes too long.
        """
        await self._blocks.refresh()
        try:
            async with asyncio.timeout(REFRESH_PATIENCE):
                # What was found becomes the head when the present look has ended.
                while self._head == than and self._blocks.head != than:
                    await self._has_noted.wait()
        except TimeoutError:
            log.info("a newer block waits for orders that are looked at")
        return self._head or than

    @property
    def due_count(self) -> int:
        """Orders that wait to be looked at, or for time to act on them."""
        return len(self._due.keys() | self._by_time)

    @property
    def last_error(self) -> str | None:
        """What kept the last look from its end; None when nothing did."""
        return self._last_error

    def look_again(self, touched: Mapping[OrderHash, Sequence[ContractEvent]]) -> None:
        """Look at orders at the next opportunity, listing these events as the cause."""
        for order_hash, events in touched.items():
            self._due.setdefault(order_hash, []).extend(events)
        self._wake.set()

    async def run(self, retained: Sequence[RetainedBlock]) -> None:
        """Follow the chain until cancelled. *retained* is what an earlier run stored."""
        if retained:
            # Where that run had got to: time may have gone back while nobody looked.
            self._head = self._noted = retained[-1].header
            self._last_timestamp = self._head.timestamp
            self._by_time.update(self._index.expired(self._last_timestamp))
        hashes = await self._database.read(blockrows.ahead_of_blocks)
        self.look_again(dict.fromkeys(hashes, ()))
        await self._take(await self._blocks.start(retained))
        next_batch = asyncio.ensure_future(self._blocks.next_batch())
        try:
            while True:
                await self._until_work(next_batch)
                self._wake.clear()
                if next_batch.done():
                    batch = next_batch.result()
                    next_batch = asyncio.ensure_future(self._blocks.next_batch())
                    await self._take(batch)
                else:
                    await self._look()
        finally:
            next_batch.cancel()

    async def _until_work(self, next_batch: asyncio.Future[BlockBatch]) -> None:
        """Return when there are blocks, orders to look at, or it is time to try again."""
        others: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._wake.wait())]
        if self._due or self._by_time or self._is_unsaved:
            others.append(asyncio.ensure_future(self._clock.sleep(self._pause)))
        try:
            await asyncio.wait((next_batch, *others), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in others:
                task.cancel()

    async def _take(self, batch: BlockBatch) -> None:
        head = self._blocks.head
        if head is None:
            return
        await self._note(batch, head)
        await self._look()

    async def _note(self, batch: BlockBatch, head: Header) -> None:
        """Put on the list whatever *batch* may have moved.

        The loop goes on in between. An order that comes in then is not missed: it was
        added to the index before *head* was set and is found there, or it is read at
        *head* and knows what happened.
        """
        # Kept from this moment: later blocks must not be stored as seen with these.
        self._head, self._retained = head, self._blocks.retained
        for block in batch.events:
            for logs in _slices(block.logs, LOGS_AT_ONCE):
                await self._note_logs(logs)
        if batch.gap_too_large:
            log.info("every order is looked at", extra={"orders": self._index.count})
            self._index.mark_pending_dirty()
            for hashes in _slices(self._index.hashes(), LOGS_AT_ONCE):
                for order_hash in hashes:
                    self._due.setdefault(order_hash, [])
                await asyncio.sleep(0)
        self._by_time.update(self._index.expired(head.timestamp))
        if head.timestamp < self._last_timestamp:
            # Some of them were looked at after they had expired: only a look tells.
            for order_hash in self._index.revived(head.timestamp):
                self._due.setdefault(order_hash, [])
        self._last_timestamp = head.timestamp
        self._is_unsaved = self._is_unsaved or bool(batch.events) or batch.gap_too_large
        self._noted = head
        self._has_noted.set()
        self._has_noted = asyncio.Event()
        if any(event.kind is BlockEventKind.REMOVED for event in batch.events):
            log.info("blocks left the chain", extra={"head": head.number})

    async def _note_logs(self, logs: Iterable[Log]) -> None:
        events = [
            decoded
            for entry in logs
            if (decoded := contract_events.decode_event(entry, self._index)) is not None
        ]
        await asyncio.sleep(0)
        for some in _slices(events, EVENTS_AT_ONCE):
            for order_hash, touching in self._index.affected(some).items():
                self._due.setdefault(order_hash, []).extend(touching)
            await asyncio.sleep(0)

    async def _look(self) -> None:
        """Look at everything on the list; what the chain or the disk refuses stays on it."""
        problem: str | None = None
        tried: set[OrderHash] = set()
        try:
            try:
                while hashes := self._next_due(tried):
                    tried.update(hashes)
                    problem = await self._look_at(hashes) or problem
            except Unavailable as failure:
                problem = str(failure)
            await self._finish()
        except StorageError as failure:
            problem = str(failure)
        self._last_error = problem
        if problem is None:
            self._pause = RETRY_SECONDS
        else:
            self._pause = min(2 * self._pause, MAX_RETRY_SECONDS)
            log.warning("orders wait: %s", problem, extra={"due": self.due_count})

    def _next_due(self, tried: set[OrderHash]) -> list[OrderHash]:
        fresh = (order_hash for order_hash in self._due if order_hash not in tried)
        return list(itertools.islice(fresh, ORDERS_PER_READ))

    async def _look_at(self, hashes: Sequence[OrderHash]) -> str | None:
        """Look at the orders *hashes*; return why some of them must be looked at again.

        Raises:
            Unavailable, StorageError: all of them must.
        """
        head = self._head
        if head is None:
            raise Unavailable("no block has been seen yet")
        causes = {order_hash: list(self._due[order_hash]) for order_hash in hashes}
        orders = await self._database.read(
            lambda connection: _load(repository.find(connection, hashes))
        )
        outcomes = await self._assessor.assess(
            [(order_hash, kept.logged.order) for order_hash, kept in orders.items()],
            head,
            are_stored=True,
        )
        found = {
            order_hash: _Found(logged=kept.logged, outcome=outcome)
            for (order_hash, kept), outcome in zip(orders.items(), outcomes, strict=True)
        }
        await self._ledger.commit(
            lambda connection, batch: _apply(connection, batch, found, causes, head),
            after=self._remember,
        )
        problem: str | None = None
        for order_hash in hashes:
            looked = found.get(order_hash)
            unsure = None if looked is None else _unanswered(looked.outcome)
            if unsure is not None and self._may_try_again(order_hash):
                problem = unsure
            else:
                self._done_with(order_hash, len(causes[order_hash]))
                if unsure is None:
                    self._by_time.discard(order_hash)
        return problem

    def _may_try_again(self, order_hash: OrderHash) -> bool:
        self._tries[order_hash] += 1
        if self._tries[order_hash] < TRIES_ALONE:
            return True
        log.warning("an order is left to the cleanup", extra={"order_hash": order_hash.hex()})
        return False

    def _done_with(self, order_hash: OrderHash, looked_at: int) -> None:
        """Take an order off the list, unless blocks touched it again meanwhile."""
        later = self._due[order_hash][looked_at:]
        if later:
            self._due[order_hash] = later
        else:
            del self._due[order_hash]
        self._tries.pop(order_hash, None)

    def _remember(self, changes: Iterable[OrderChange]) -> None:
        for change in changes:
            self._index.set_removed(change.order_hash, change.is_removed)

    async def _finish(self) -> None:
        """Let time act on the rest; store the blocks as seen when nothing is left of them.

        Raises:
            StorageError: what was not done is done next time.
        """
        head, retained = self._head, self._retained
        if head is None:
            return
        # A touched order that is just being stored comes to the list when it is: until
        # then a kill must find the blocks that touched it unseen.
        is_done = not self._due and not self._index.is_pending_touched
        by_time = [order_hash for order_hash in self._by_time if order_hash not in self._due]
        for start in range(0, len(by_time), ORDERS_PER_READ):
            part = by_time[start : start + ORDERS_PER_READ]
            await self._ledger.commit(
                partial(_let_time_pass, hashes=part, head=head), after=self._remember
            )
            self._by_time.difference_update(part)
        if is_done and self._is_unsaved:
            rows = await asyncio.to_thread(blockrows.to_rows, retained)
            await self._ledger.commit(
                lambda connection, batch: blockrows.store(connection, rows, now_ns=batch.now_ns)
            )
            self._is_unsaved = False
        if is_done:
            self.caught_up.set()


def _slices(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _unanswered(outcome: Outcome) -> str | None:
    """Return what kept the endpoint from telling; None when it told."""
    if isinstance(outcome, Rejected) and outcome.code is RejectionCode.ETH_RPC_REQUEST_FAILED:
        return outcome.detail or outcome.code.message
    return None


def _load(rows: dict[OrderHash, StoredOrder]) -> dict[OrderHash, _Kept]:
    return {
        order_hash: _Kept(
            row=row, logged=LoggedOrder(order=codec.decode_order(row.body), body=row.body)
        )
        for order_hash, row in rows.items()
    }


def _apply(
    connection: sa.Connection,
    batch: Batch,
    found: dict[OrderHash, _Found],
    causes: dict[OrderHash, list[ContractEvent]],
    head: Header,
) -> list[OrderChange]:
    """Write what the chain's answers mean for the orders as they are stored now."""
    work = _Work(batch, head)
    shown = _encoded(causes)
    # Rows are read again: some may have been trimmed away while the chain was asked. What
    # was signed cannot have changed, so it is not decoded again.
    for row in repository.find(connection, found).values():
        logged = found[row.order_hash].logged
        change = lifecycle.transition(
            row.fillable,
            row.is_removed,
            logged.order.expiration_time_seconds,
            found[row.order_hash].outcome,
            head.timestamp,
        )
        work.add(row, logged, change, shown[row.order_hash])
    return work.write(connection)


def _encoded(
    causes: dict[OrderHash, list[ContractEvent]],
) -> dict[OrderHash, list[msgspec.Raw]]:
    """Return the causes as JSON. One event may touch a thousand orders: it is encoded once."""
    distinct = {id(event): event for events in causes.values() for event in events}
    texts = {name: contract_events.encode_event(event) for name, event in distinct.items()}
    return {
        order_hash: [texts[id(event)] for event in events] for order_hash, events in causes.items()
    }


def _let_time_pass(
    connection: sa.Connection, batch: Batch, hashes: Iterable[OrderHash], head: Header
) -> list[OrderChange]:
    """Expire orders by the time of the newest block alone."""
    work = _Work(batch, head)
    for kept in _load(repository.find(connection, hashes)).values():
        change = lifecycle.expire(
            kept.row.fillable,
            kept.row.is_removed,
            kept.logged.order.expiration_time_seconds,
            head.timestamp,
        )
        work.add(kept.row, kept.logged, change, ())
    return work.write(connection)


class _Work:
    """What one transaction changes and tells."""

    def __init__(self, batch: Batch, head: Header) -> None:
        self._batch = batch
        self._head = head
        self._changes: list[OrderChange] = []
        self._facts: list[tuple[OrderFact, LoggedOrder]] = []

    def add(
        self,
        row: StoredOrder,
        logged: LoggedOrder,
        change: Transition,
        causes: Sequence[msgspec.Raw],
    ) -> None:
        if change.is_looked_at:
            self._changes.append(
                OrderChange(
                    order_hash=row.order_hash,
                    fillable=change.fillable,
                    is_removed=change.is_removed,
                    last_updated_ns=self._batch.now_ns,
                )
            )
        self._facts += [
            (
                OrderFact(
                    order_hash=row.order_hash,
                    end_state=emission.end_state.value,
                    fillable=emission.fillable,
                    contract_events=lifecycle.contract_events_of(emission, causes),
                    timestamp_ns=self._head.timestamp * NANOSECONDS,
                    block_number=self._head.number,
                    reason=change.reason.code if change.reason is not None else "",
                ),
                logged,
            )
            for emission in change.events
        ]

    def write(self, connection: sa.Connection) -> list[OrderChange]:
        self._batch.log(connection, self._facts)
        repository.apply(connection, self._changes)
        return self._changes
