"""Where token orders are kept: the rows behind ``service`` and ``watcher``.

    insert ---> zeroex_orders:  live <--- apply ---> flagged removed
                                  |                        |
                                  '-------- forget --------'
                                               v
                zeroex_forgotten: hash and body, while the event log speaks of them

Functions of a connection: they run inside the caller's transaction (``Database.write``
or ``Database.read``), together with the events they cause. *Kept* orders are the live
ones and those flagged removed, which a reorganisation may bring back. Amounts are 32
bytes big endian, since a uint256 is wider than a database integer; an expiration is
cut at 2**63 - 1 (``query.expiration_key``). Pages and searches are in ``search``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from fondaco.store.batch import Batch
from fondaco.store.schema import INT64, blob, table
from fondaco.zeroex.order import OrderHash, SignedOrder
from fondaco.zeroex.query import asset_key, expiration_key, price_key

ORDERS = table(
    "zeroex_orders",
    sa.Column("id", INT64, primary_key=True),
    blob("order_hash", 32),
    sa.Column("version", INT64, nullable=False),
    blob("exchange_address", 20),
    blob("maker_address", 20),
    blob("taker_address", 20),
    blob("sender_address", 20),
    blob("fee_recipient_address", 20),
    blob("maker_asset_key", 16),
    blob("taker_asset_key", 16),
    sa.Column("expires_at", INT64, nullable=False),
    blob("price", 64),
    blob("fillable", 32),
    sa.Column("is_removed", INT64, nullable=False),
    sa.Column("is_pinned", INT64, nullable=False),
    sa.Column("last_updated_ns", INT64, nullable=False),
    # Last, so that no other column lies on an overflow page behind a long body.
    blob("body"),
    sa.Index("zeroex_orders_by_hash", "order_hash", unique=True),
    sa.Index("zeroex_orders_by_expiration", "expires_at", "order_hash", "is_removed", "is_pinned"),
    sa.Index("zeroex_orders_by_maker", "maker_address", "order_hash"),
    sa.Index("zeroex_orders_by_price", "maker_asset_key", "taker_asset_key", "price", "order_hash"),
    sa.Index("zeroex_orders_by_update", "last_updated_ns"),
    sa.Index("zeroex_orders_removed", "last_updated_ns", sqlite_where=sa.text("is_removed = 1")),
)
"""Kept orders. An *id* is given in the sequence of insertion."""

FORGOTTEN = table(
    "zeroex_forgotten",
    sa.Column("id", INT64, primary_key=True),
    blob("order_hash", 32),
    sa.Column("last_sequence", INT64, nullable=False),
    blob("body"),
    sa.Index("zeroex_forgotten_by_hash", "order_hash", unique=True),
    sa.Index("zeroex_forgotten_by_sequence", "last_sequence"),
)
"""Orders no longer kept, whose body the event log still needs."""

LOOK_UP_CHUNK = 500
"""Hashes in one statement; older SQLite takes at most 999 parameters."""

REBUILD_CHUNK = 1_000
"""Orders in memory at once while an index is rebuilt: about 2 MB."""


class NewOrder(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An order that was found valid and is to be kept."""

    order_hash: OrderHash
    order: SignedOrder
    body: bytes
    """``codec.encode_order`` of the order."""
    fillable: int
    """Taker base units, > 0."""
    is_pinned: bool
    last_updated_ns: int
    """Nanoseconds since the Unix epoch."""


class StoredOrder(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A kept order. Its body is canonical JSON in its version's spelling."""

    order_hash: OrderHash
    body: bytes
    fillable: int
    """Taker base units; what it was before when the order expired by time."""
    is_removed: bool
    """Not on offer; a reorganisation may bring it back."""
    is_pinned: bool
    expires_at: int
    """Unix seconds, at most 2**63 - 1."""
    last_updated_ns: int
    """Nanoseconds since the Unix epoch."""


class OrderChange(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a kept order has become; the same values again to say it was looked at."""

    order_hash: OrderHash
    fillable: int
    is_removed: bool
    last_updated_ns: int


class Counts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How many orders are kept."""

    live: int
    removed: int
    """Flagged removed, kept a while."""
    pinned: int
    """Of both together."""

    @property
    def kept(self) -> int:
        """Live and removed: what counts towards the capacity."""
        return self.live + self.removed


class TrimCandidate(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An order that may go to make room."""

    order_hash: OrderHash
    expires_at: int
    is_removed: bool


STORED = (
    ORDERS.c.order_hash,
    ORDERS.c.body,
    ORDERS.c.fillable,
    ORDERS.c.is_removed,
    ORDERS.c.is_pinned,
    ORDERS.c.expires_at,
    ORDERS.c.last_updated_ns,
)
"""The columns ``stored`` reads."""


def stored(row: Sequence[Any]) -> StoredOrder:
    """Return a row of the columns STORED as a value."""
    order_hash, body, fillable, is_removed, is_pinned, expires_at, last_updated_ns = row
    return StoredOrder(
        order_hash=order_hash,
        body=body,
        fillable=int.from_bytes(fillable),
        is_removed=is_removed == 1,
        is_pinned=is_pinned == 1,
        expires_at=expires_at,
        last_updated_ns=last_updated_ns,
    )


# ---------------------------------------------------------------- changes

_INSERT = Batch(sqlite.insert(ORDERS).on_conflict_do_nothing())
_HIGHEST_ID = sa.select(sa.func.coalesce(sa.func.max(ORDERS.c.id), 0))
_HASHES_ABOVE = sa.select(ORDERS.c.order_hash).where(ORDERS.c.id > sa.bindparam("above"))

_IS_IT = ORDERS.c.order_hash == sa.bindparam("hash")
_TOUCH = Batch(
    sa.update(ORDERS)
    .where(_IS_IT)
    .values(fillable=sa.bindparam("amount"), last_updated_ns=sa.bindparam("now"))
)
# Apart, because it moves the order in two more indexes and is seldom needed.
_FLAG = Batch(
    sa.update(ORDERS)
    .where(_IS_IT, ORDERS.c.is_removed != sa.bindparam("flag_again"))
    .values(is_removed=sa.bindparam("flag"))
)
_FORGET = Batch(
    sqlite.insert(FORGOTTEN)
    .prefix_with("OR REPLACE")
    .from_select(
        ["order_hash", "last_sequence", "body"],
        sa.select(
            ORDERS.c.order_hash, sa.bindparam("last", type_=sa.Integer()), ORDERS.c.body
        ).where(_IS_IT),
    )
)
_DELETE = Batch(sa.delete(ORDERS).where(_IS_IT))


def insert(connection: sa.Connection, orders: Sequence[NewOrder]) -> set[OrderHash]:
    """Keep *orders*; return the hashes of those that are new.

    One that is kept already stays as it is, pinned or not; of two with one hash the
    first is taken. An order that was forgotten is new again.
    """
    above: int = connection.execute(_HIGHEST_ID).scalar_one()
    rows = [as_row(number, order) for number, order in enumerate(orders, above + 1)]
    if _INSERT.run(connection, rows) == len(orders):
        return {order.order_hash for order in orders}
    return set(connection.execute(_HASHES_ABOVE, {"above": above}).scalars())


def apply(connection: sa.Connection, changes: Sequence[OrderChange]) -> int:
    """Write what kept orders have become; return how many of *changes* found theirs."""
    found = _TOUCH.run(
        connection,
        [
            (change.fillable.to_bytes(32), change.last_updated_ns, change.order_hash)
            for change in changes
        ],
    )
    _FLAG.run(
        connection,
        [(change.is_removed, change.order_hash, change.is_removed) for change in changes],
    )
    return found


def forget(connection: sa.Connection, hashes: Iterable[OrderHash], *, last_sequence: int) -> int:
    """Stop keeping orders; return how many were kept.

    Their bodies stay for the event log until it no longer speaks of them.

    Args:
        last_sequence: of the newest event about any of them; when that was appended
            in this transaction, ``append(…)[-1]``.
    """
    doomed = list(hashes)
    _FORGET.run(connection, [(last_sequence, order_hash) for order_hash in doomed])
    return _DELETE.run(connection, [(order_hash,) for order_hash in doomed])


_DROP = sa.delete(FORGOTTEN).where(
    FORGOTTEN.c.id.in_(
        sa.select(FORGOTTEN.c.id)
        .where(FORGOTTEN.c.last_sequence < sa.bindparam("first_retained"))
        .order_by(FORGOTTEN.c.last_sequence)
        .limit(sa.bindparam("limit"))
    )
)


def drop_forgotten(connection: sa.Connection, *, first_retained: int, limit: int) -> int:
    """Drop up to *limit* forgotten orders that no retained event speaks of; return how many.

    Args:
        first_retained: of the event log (``eventlog.bounds``).
    """
    parameters = {"first_retained": first_retained, "limit": limit}
    return connection.execute(_DROP, parameters).rowcount


def as_row(number: int, new: NewOrder) -> tuple[object, ...]:
    """Return *new* as a row of ORDERS with the given id."""
    order = new.order
    return (
        number,
        new.order_hash,
        int(order.version),
        order.exchange_address,
        order.maker_address,
        order.taker_address,
        order.sender_address,
        order.fee_recipient_address,
        asset_key(order.maker_asset_data),
        asset_key(order.taker_asset_data),
        expiration_key(order),
        price_key(order),
        new.fillable.to_bytes(32),
        0,
        new.is_pinned,
        new.last_updated_ns,
        new.body,
    )


# ---------------------------------------------------------------- look-ups

_FIND = sa.select(*STORED).where(ORDERS.c.order_hash.in_(sa.bindparam("hashes", expanding=True)))
_BODIES = [
    sa.select(place.c.order_hash, place.c.body).where(
        place.c.order_hash.in_(sa.bindparam("hashes", expanding=True))
    )
    for place in (ORDERS, FORGOTTEN)
]


def find(connection: sa.Connection, hashes: Iterable[OrderHash]) -> dict[OrderHash, StoredOrder]:
    """Return those of *hashes* that are kept, live or flagged removed."""
    return {
        OrderHash(row.order_hash): stored(row)
        for chunk in _chunks(list(hashes), LOOK_UP_CHUNK)
        for row in connection.execute(_FIND, {"hashes": chunk})
    }


def bodies(connection: sa.Connection, hashes: Iterable[OrderHash]) -> dict[OrderHash, bytes]:
    """Return the bodies of those of *hashes* that are kept or only forgotten.

    What the event log needs to print its events; every hash it names has one.
    """
    found: dict[OrderHash, bytes] = {}
    wanted = list(hashes)
    for statement in _BODIES:
        for chunk in _chunks(wanted, LOOK_UP_CHUNK):
            rows = connection.execute(statement, {"hashes": chunk})
            found.update((OrderHash(order_hash), body) for order_hash, body in rows)
        wanted = [order_hash for order_hash in wanted if order_hash not in found]
    return found


_COUNTS = sa.select(
    sa.func.count(),
    sa.func.coalesce(sa.func.sum(ORDERS.c.is_removed), 0),
    sa.func.coalesce(sa.func.sum(ORDERS.c.is_pinned), 0),
).with_hint(ORDERS, "INDEXED BY zeroex_orders_by_expiration", "sqlite")


def counts(connection: sa.Connection) -> Counts:
    """Count the kept orders. Walks one index: 10 ms at 100,000 orders, so keep the result."""
    kept, removed, pinned = connection.execute(_COUNTS).one()
    return Counts(live=kept - removed, removed=removed, pinned=pinned)


_AFTER_ID = (
    sa.select(ORDERS.c.id, *STORED)
    .where(ORDERS.c.id > sa.bindparam("position"))
    .order_by(ORDERS.c.id)
    .limit(sa.bindparam("limit"))
)


def iterate(connection: sa.Connection) -> Iterator[list[StoredOrder]]:
    """Yield all kept orders in the sequence of their insertion, REBUILD_CHUNK at a time.

    Memory stays flat. The connection may be used for other reads in between.
    """
    position = 0
    while rows := connection.execute(
        _AFTER_ID, {"position": position, "limit": REBUILD_CHUNK}
    ).all():
        position = rows[-1][0]
        yield [stored(row[1:]) for row in rows]


# ---------------------------------------------------------------- housekeeping

_HIGHEST_EXPIRATIONS = (
    sa.select(ORDERS.c.order_hash, ORDERS.c.expires_at, ORDERS.c.is_removed)
    .where(ORDERS.c.is_pinned == 0)
    .order_by(ORDERS.c.expires_at.desc(), ORDERS.c.order_hash.desc())
    .limit(sa.bindparam("limit"))
)
_NOT_UPDATED = (
    sa.select(ORDERS.c.order_hash)
    .where(ORDERS.c.last_updated_ns < sa.bindparam("before_ns"))
    .order_by(ORDERS.c.last_updated_ns)
    .limit(sa.bindparam("limit"))
)
_UPDATED_SINCE = sa.select(ORDERS.c.order_hash).where(
    ORDERS.c.last_updated_ns >= sa.bindparam("since_ns")
)
# Literals: which index fits is decided when the statement is prepared.
_STALE = _NOT_UPDATED.where(ORDERS.c.is_removed == sa.literal_column("0"))
_DELETABLE = _NOT_UPDATED.where(ORDERS.c.is_removed == sa.literal_column("1"))


def trim_candidates(connection: sa.Connection, limit: int) -> list[TrimCandidate]:
    """Return up to *limit* unpinned kept orders, those that expire last first."""
    rows = connection.execute(_HIGHEST_EXPIRATIONS, {"limit": limit})
    return [
        TrimCandidate(order_hash=OrderHash(h), expires_at=at, is_removed=removed == 1)
        for h, at, removed in rows
    ]


def stale(connection: sa.Connection, *, before_ns: int, limit: int) -> list[OrderHash]:
    """Return up to *limit* live orders last updated before *before_ns*, oldest first."""
    return _hashes_of(connection, _STALE, before_ns, limit)


def deletable(connection: sa.Connection, *, before_ns: int, limit: int) -> list[OrderHash]:
    """Return up to *limit* orders flagged removed and last updated before *before_ns*."""
    return _hashes_of(connection, _DELETABLE, before_ns, limit)


def updated_since(connection: sa.Connection, since_ns: int) -> list[OrderHash]:
    """Return the kept orders that were added or looked at since then, removed or not."""
    found = connection.execute(_UPDATED_SINCE, {"since_ns": since_ns})
    return [OrderHash(row) for row in found.scalars()]


def _hashes_of(
    connection: sa.Connection, statement: sa.Select[Any], before_ns: int, limit: int
) -> list[OrderHash]:
    parameters = {"before_ns": before_ns, "limit": limit}
    return [OrderHash(row) for row in connection.execute(statement, parameters).scalars()]


def _chunks(hashes: list[OrderHash], size: int) -> Iterator[list[OrderHash]]:
    for start in range(0, len(hashes), size):
        yield hashes[start : start + size]
