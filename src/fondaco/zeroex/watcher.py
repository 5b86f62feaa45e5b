"""Keep stored orders current: blocks in, events out.

    blocks ---> decode logs ---> index: which orders? --.
    time   ---> index: which expired, which revived? ---+--> look: ONE read at the head
    cleanup job, orders touched while being stored -----'      |
                                                          lifecycle: what became of each
                                                               |
                                                     ledger: rows, log, blocks seen -- tell

The blocks are stored with what they changed, in one transaction: after a kill at any
moment the node goes on from the last block whose effects are in the book. What could
not be looked at, since the endpoint is away, stays on the list and is looked at again;
blocks are stored as seen only when nothing is left of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import msgspec
import sqlalchemy as sa

from fondaco.chain.blocks import BlockBatch
from fondaco.chain.headers import BlockEventKind, Header, RetainedBlock
from fondaco.clock import NANOSECONDS
from fondaco.errors import StorageError, Unavailable
from fondaco.store import blocks as stored_blocks
from fondaco.store.database import Database
from fondaco.zeroex import blockrows, codec, contract_events, lifecycle, repository
from fondaco.zeroex.assessor import ORDERS_PER_READ
from fondaco.zeroex.contract_events import ContractEvent
from fondaco.zeroex.journal import OrderFact
from fondaco.zeroex.ledger import Batch, Ledger, LoggedOrder
from fondaco.zeroex.lifecycle import Outcome, Transition
from fondaco.zeroex.order import OrderHash
from fondaco.zeroex.repository import OrderChange, StoredOrder
from fondaco.zeroex.service import OrderAssessor
from fondaco.zeroex.watch_index import WatchIndex

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
"""Pause before orders are looked at again after the endpoint failed."""


class Blocks(Protocol):
    """What this module asks of the chain's progress. ``chain.blocks.BlockWatcher`` fits."""

    @property
    def head(self) -> Header | None: ...

    @property
    def retained(self) -> tuple[RetainedBlock, ...]: ...

    async def start(self, retained: Sequence[RetainedBlock]) -> BlockBatch: ...

    async def next_batch(self) -> BlockBatch: ...


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
    ) -> None:
        self._blocks = blocks
        self._index = index
        self._assessor = assessor
        self._database = database
        self._ledger = ledger
        self._due: dict[OrderHash, list[ContractEvent]] = {}
        self._by_time: set[OrderHash] = set()
        self._head: Header | None = None
        self._retained: tuple[RetainedBlock, ...] = ()
        self._wake = asyncio.Event()
        self._last_timestamp = 0
        self._is_unsaved = False
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
    def due_count(self) -> int:
        """Orders that wait to be looked at, or for time to act on them."""
        return len(self._due.keys() | self._by_time)

    def look_again(self, touched: Mapping[OrderHash, Sequence[ContractEvent]]) -> None:
        """Look at orders at the next opportunity, listing these events as the cause."""
        for order_hash, events in touched.items():
            self._due.setdefault(order_hash, []).extend(events)
        self._wake.set()

    async def run(self, retained: Sequence[RetainedBlock]) -> None:
        """Follow the chain until cancelled. *retained* is what an earlier run stored."""
        if retained:
            # Where that run had got to: time may have gone back while nobody looked.
            self._head = retained[-1].header
            self._last_timestamp = self._head.timestamp
            self._by_time.update(self._index.expired(self._last_timestamp))
        await self._take(await self._blocks.start(retained))
        next_batch = asyncio.ensure_future(self._blocks.next_batch())
        try:
            while True:
                wake = asyncio.ensure_future(self._wake.wait())
                is_waiting = bool(self._due or self._by_time or self._is_unsaved)
                await asyncio.wait(
                    (next_batch, wake),
                    timeout=RETRY_SECONDS if is_waiting else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                wake.cancel()
                self._wake.clear()
                if next_batch.done():
                    batch = next_batch.result()
                    next_batch = asyncio.ensure_future(self._blocks.next_batch())
                    await self._take(batch)
                else:
                    await self._look()
        finally:
            next_batch.cancel()

    async def _take(self, batch: BlockBatch) -> None:
        head = self._blocks.head
        if head is None:
            return
        self._note(batch, head)
        await self._look()

    def _note(self, batch: BlockBatch, head: Header) -> None:
        """Put on the list whatever *batch* may have moved. Does not wait: see ``service``."""
        # Kept from this moment: later blocks must not be stored as seen with these.
        self._head, self._retained = head, self._blocks.retained
        events = [
            decoded
            for block in batch.events
            for entry in block.logs
            if (decoded := contract_events.decode_event(entry, self._index)) is not None
        ]
        for order_hash, touching in self._index.affected(events).items():
            self._due.setdefault(order_hash, []).extend(touching)
        if batch.gap_too_large:
            log.info("every order is looked at", extra={"orders": self._index.count})
            self._index.mark_pending_dirty()
            for order_hash in self._index.hashes():
                self._due.setdefault(order_hash, [])
        self._by_time.update(self._index.expired(head.timestamp))
        if head.timestamp < self._last_timestamp:
            # Some of them were looked at after they had expired: only a look tells.
            for order_hash in self._index.revived(head.timestamp):
                self._due.setdefault(order_hash, [])
        self._last_timestamp = head.timestamp
        self._is_unsaved = self._is_unsaved or bool(batch.events) or batch.gap_too_large
        if any(event.kind is BlockEventKind.REMOVED for event in batch.events):
            log.info("blocks left the chain", extra={"head": head.number})

    async def _look(self) -> None:
        """Look at everything on the list; what the chain or the disk refuses stays on it."""
        try:
            while self._due:
                await self._look_at(list(self._due)[:ORDERS_PER_READ])
            await self._finish()
        except (Unavailable, StorageError) as problem:
            log.warning("orders wait: %s", problem, extra={"due": self.due_count})

    async def _look_at(self, hashes: Sequence[OrderHash]) -> None:
        head = self._head
        if head is None:
            raise Unavailable("no block has been seen yet")
        causes = {order_hash: list(self._due[order_hash]) for order_hash in hashes}
        orders = await self._database.read(
            lambda connection: _load(repository.find(connection, hashes))
        )
        outcomes = await self._assessor.assess(
            [(order_hash, kept.logged.order) for order_hash, kept in orders.items()], head
        )
        found = {
            order_hash: _Found(logged=kept.logged, outcome=outcome)
            for (order_hash, kept), outcome in zip(orders.items(), outcomes, strict=True)
        }
        await self._ledger.commit(
            lambda connection, batch: _apply(connection, batch, found, causes, head),
            after=self._remember,
        )
        for order_hash in hashes:
            self._done_with(order_hash, len(causes[order_hash]))

    def _done_with(self, order_hash: OrderHash, looked_at: int) -> None:
        """Take an order off the list, unless blocks touched it again meanwhile."""
        later = self._due[order_hash][looked_at:]
        if later:
            self._due[order_hash] = later
        else:
            del self._due[order_hash]
        self._by_time.discard(order_hash)

    def _remember(self, changes: Iterable[OrderChange]) -> None:
        for change in changes:
            self._index.set_removed(change.order_hash, change.is_removed)

    async def _finish(self) -> None:
        """Let time act on the rest, and store the blocks as seen."""
        if self._head is not None and (self._is_unsaved or self._by_time):
            await self._store_progress(self._head)
        self.caught_up.set()

    async def _store_progress(self, head: Header) -> None:
        by_time = list(self._by_time)
        rows = blockrows.to_rows(self._retained)

        def work(connection: sa.Connection, batch: Batch) -> list[OrderChange]:
            changes = _let_time_pass(connection, batch, by_time, head)
            stored_blocks.save_retained(connection, rows)
            return changes

        await self._ledger.commit(work, after=self._remember)
        self._by_time.difference_update(by_time)
        self._is_unsaved = False


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
