"""Let checked orders into the store, make room for them, remember who was refused.

    full?  --> drop the unpinned orders that expire last, lower the maximum expiration
               (STOPPED_WATCHING for each)
    insert --> ADDED for each new one
    one transaction, then the watch index, then everybody is told

Source: 0x Mesh ``orderwatch.ValidateAndStoreValidOrders``, ``meshdb.TrimOrdersByExpirationTime``;
reference/0x-mesh.md section 4.5. One difference: an unpinned order that its own
insertion would push out again is refused (``OrderMaxExpirationExceeded``), where Mesh
accepted it and stopped watching it in the same breath.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from fondaco.clock import NANOSECONDS, Clock
from fondaco.store import metadata
from fondaco.zeroex import capacity, codec, intake, refusals, repository
from fondaco.zeroex.capacity import SlowCounter, Trim, TrimCandidate
from fondaco.zeroex.errors import OrderRejected, RejectionCode
from fondaco.zeroex.intake import Candidate, Refusal
from fondaco.zeroex.journal import OrderFact
from fondaco.zeroex.ledger import Batch, Ledger, LoggedOrder
from fondaco.zeroex.lifecycle import EndState
from fondaco.zeroex.order import OrderHash
from fondaco.zeroex.watch_index import WatchIndex

MAX_EXPIRATION_KEY = "zeroex.max_expiration"
"""Name of the moving maximum in the node's metadata."""


class Origin(enum.Enum):
    """The door an order came through."""

    LOCAL = "local"
    """A client of this node."""
    GOSSIP = "gossip"
    SYNC = "sync"


def received_from(origin: Origin) -> str:
    """Return the reason told with a new order that came through *origin*."""
    return f"received: {origin.value}"


class Assessed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A candidate that the chain says can be filled."""

    candidate: Candidate
    fillable: int
    """Taker base units, > 0."""


class Admitted(msgspec.Struct, frozen=True, kw_only=True):
    """What became of checked orders."""

    new: list[Assessed]
    refused: list[Refusal]
    dropped: list[OrderHash]
    """Stored orders that made room."""
    max_expiration: int | None
    """The maximum where it was lowered."""


class ExpirationCeiling:
    """The latest expiration the node takes: falls when it is full, rises slowly after.

    Args:
        stored: what was saved by an earlier run.
    """

    def __init__(self, stored: int | None, clock: Clock) -> None:
        self._clock = clock
        first = capacity.first_max_expiration(stored, clock.now_ns() // NANOSECONDS)
        self._counter = SlowCounter(first, clock.monotonic())
        self.current = first
        """Unix seconds."""

    def lower(self, to: int) -> None:
        """Take nothing that expires after *to*."""
        self.current = to
        self._counter.reset(to, self._clock.monotonic())

    def grow(self) -> bool:
        """Take the value the counter has reached; return whether it is higher."""
        reached = self._counter.value(self._clock.monotonic())
        has_grown = reached > self.current
        self.current = max(self.current, reached)
        return has_grown


class Admission:
    """The last step of taking orders in."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        index: WatchIndex,
        ceiling: ExpirationCeiling,
        max_orders: int,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._index = index
        self._ceiling = ceiling
        self._max_orders = max_orders
        self._clock = clock
        self.refused: Counter[tuple[Origin, str]] = Counter()
        """Refusals since the start by door and code; an order refused twice counts twice."""

    async def admit(self, orders: Sequence[Assessed], origin: Origin, *, pinned: bool) -> Admitted:
        """Store *orders* and announce them.

        Raises:
            StorageError: nothing was stored.
        """

        def work(connection: sa.Connection, batch: Batch) -> Admitted:
            return self._store(connection, batch, list(orders), origin, pinned=pinned)

        def remember(admitted: Admitted) -> None:
            for order_hash in admitted.dropped:
                self._index.discard(order_hash)
            for order in admitted.new:
                self._index.add(order.candidate.order_hash, order.candidate.order, is_pinned=pinned)
            if admitted.max_expiration is not None:
                self._ceiling.lower(admitted.max_expiration)

        return await self._ledger.commit(work, after=remember)

    async def record_refusals(self, refused: Sequence[Refusal], origin: Origin) -> None:
        """Keep why orders were refused, for ``mesh_explain``. Unreadable ones have no name
        and are only counted.

        Raises:
            StorageError: nothing was kept.
        """
        self.refused.update((origin, refusal.rejection.code) for refusal in refused)
        rows = [
            refusals.StoredRefusal(
                order_hash=refusal.order_hash,
                code=refusal.rejection.code,
                detail=refusal.rejection.detail,
                origin=origin.value,
                at_ns=self._clock.now_ns(),
            )
            for refusal in refused
            if refusal.order_hash != intake.NO_HASH
        ]
        if not rows:
            return

        await self._ledger.commit(lambda connection, _: refusals.record(connection, rows))

    async def grow_ceiling(self) -> None:
        """Let the maximum expiration rise while there is room."""
        if self._index.count < self._max_orders and self._ceiling.grow():
            value = str(self._ceiling.current)
            await self._ledger.commit(
                lambda connection, _: metadata.put(connection, MAX_EXPIRATION_KEY, value)
            )

    def _store(
        self,
        connection: sa.Connection,
        batch: Batch,
        orders: list[Assessed],
        origin: Origin,
        *,
        pinned: bool,
    ) -> Admitted:
        trim: Trim | None = None
        refused: list[Refusal] = []
        room = self._max_orders - self._index.count
        if len(orders) > room:
            trim = self._make_room(connection, batch, len(orders), pinned=pinned)
        if trim is not None:
            room += len(trim.dropped)
            if not pinned:
                latest = trim.max_expiration
                refused = [_too_late(o, latest) for o in orders if _expires_after(o, latest)]
                orders = [order for order in orders if not _expires_after(order, latest)]
        room = max(0, room)  # below zero when MAX_ORDERS_IN_STORAGE was lowered
        refused += [_no_room(order, self._max_orders) for order in orders[room:]]
        orders = orders[:room]
        new = repository.insert(
            connection,
            [
                repository.NewOrder(
                    order_hash=order.candidate.order_hash,
                    order=order.candidate.order,
                    body=order.candidate.body,
                    fillable=order.fillable,
                    is_pinned=pinned,
                    last_updated_ns=batch.now_ns,
                )
                for order in orders
            ],
        )
        orders = [order for order in orders if order.candidate.order_hash in new]
        batch.log(
            connection,
            [(_added(order, batch.now_ns, origin), _logged(order)) for order in orders],
        )
        return Admitted(
            new=orders,
            refused=refused,
            dropped=[] if trim is None else [row.order_hash for row in trim.dropped],
            max_expiration=None if trim is None else trim.max_expiration,
        )

    def _make_room(
        self, connection: sa.Connection, batch: Batch, wanted: int, *, pinned: bool
    ) -> Trim | None:
        """Drop what expires last for *wanted* new orders; None when nothing was dropped."""
        trim = self._choose(connection, wanted, pinned=pinned)
        if trim is None:
            return None
        hashes = [row.order_hash for row in trim.dropped]
        found = repository.find(connection, hashes)
        facts = [
            (
                OrderFact(
                    order_hash=order_hash,
                    end_state=EndState.STOPPED_WATCHING.value,
                    fillable=found[order_hash].fillable,
                    contract_events=None,
                    timestamp_ns=batch.now_ns,
                    block_number=None,
                    reason="the node is full; the orders that expire last make room",
                ),
                LoggedOrder(
                    order=codec.decode_order(found[order_hash].body), body=found[order_hash].body
                ),
            )
            for order_hash in hashes
        ]
        sequences = batch.log(connection, facts)
        repository.forget(connection, hashes, last_sequence=sequences[-1])
        metadata.put(connection, MAX_EXPIRATION_KEY, str(trim.max_expiration))
        return trim

    def _choose(self, connection: sa.Connection, wanted: int, *, pinned: bool) -> Trim | None:
        """Return what to drop.

        As many as leave the usual share; where so many are pinned, just enough; where even
        that cannot be, pinned new orders take what there is, and others wait outside.
        """
        stored = self._index.count
        just_enough = max(0, self._max_orders - wanted)
        usual = min(capacity.trim_target(self._max_orders), just_enough)
        rows = [
            TrimCandidate(order_hash=row.order_hash, expiration=row.expires_at)
            for row in repository.trim_candidates(connection, max(0, stored - usual))
        ]
        for target in (usual, just_enough, *((stored - len(rows),) if pinned else ())):
            try:
                return capacity.trim(rows, stored=stored, target=target)
            except OrderRejected:
                continue
        return None


def _added(order: Assessed, now_ns: int, origin: Origin) -> OrderFact:
    return OrderFact(
        order_hash=order.candidate.order_hash,
        end_state=EndState.ADDED.value,
        fillable=order.fillable,
        contract_events=None,
        timestamp_ns=now_ns,
        block_number=None,
        reason=received_from(origin),
    )


def _logged(order: Assessed) -> LoggedOrder:
    return LoggedOrder(order=order.candidate.order, body=order.candidate.body)


def _expires_after(order: Assessed, maximum: int) -> bool:
    return order.candidate.order.expiration_time_seconds > maximum


def _no_room(order: Assessed, capacity: int) -> Refusal:
    return intake.refuse(
        order.candidate,
        OrderRejected(
            RejectionCode.DATABASE_FULL_OF_ORDERS, f"the node keeps at most {capacity} orders"
        ),
    )


def _too_late(order: Assessed, maximum: int) -> Refusal:
    return intake.refuse(
        order.candidate,
        OrderRejected(
            RejectionCode.MAX_EXPIRATION_EXCEEDED,
            f"the node is full and takes nothing that expires after {maximum}",
        ),
    )
