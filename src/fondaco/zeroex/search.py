"""Lists of live orders: pages by hash, and searches in the language of ``query``.

What an index answers, so that the cost grows with the page only:

    all by hash           zeroex_orders_by_hash
    a maker's by hash     zeroex_orders_by_maker
    by expiration         zeroex_orders_by_expiration
    a pair's by price     zeroex_orders_by_price

Everything else walks the best of these and sorts what matches. The book's capacity
bounds that; it is done on hashes alone, and bodies are read for the page only.
"""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

from fondaco.zeroex.order import OrderHash
from fondaco.zeroex.query import (
    OrderFilter,
    Position,
    Query,
    Sort,
    asset_key,
    clamp,
    encode_cursor,
)
from fondaco.zeroex.repository import ORDERS, STORED, StoredOrder, find, stored


class Found(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One page of a search."""

    orders: list[StoredOrder]
    next_cursor: str | None
    """``after`` of the next page; None when this is the last one."""


def search(connection: sa.Connection, query: Query) -> Found:
    """Return the page of live orders that *query* asks for."""
    rows = connection.execute(statement(query)).all()
    page = rows[: query.limit]
    kept = find(connection, [OrderHash(row[-1]) for row in page])
    next_cursor = None
    if len(rows) > len(page):
        position = _position(query.sort, page[-1])
        next_cursor = encode_cursor(position, query.sort, query.is_descending)
    return Found(orders=[kept[OrderHash(row[-1])] for row in page], next_cursor=next_cursor)


def statement(query: Query) -> sa.Select[*tuple[Any, ...]]:
    """Return the SQL for the sort keys of *query*'s page, and of one order more."""
    columns = _SORT_COLUMNS[query.sort]
    conditions = [ORDERS.c.is_removed == 0, *_conditions(query.filter)]
    if query.after is not None:
        conditions.append(_beyond(query, query.after))
    return (
        sa.select(*columns)
        .where(*conditions)
        .order_by(*(column.desc() if query.is_descending else column for column in columns))
        .limit(query.limit + 1)
    )


# As text, since Core drops the hint of a subquery. SQLite keeps a subquery's order for every
# aggregate but count, min and max.
_LIVE_HASHES = sa.text("""
    SELECT group_concat(hex(order_hash), '') FROM (
        SELECT order_hash FROM zeroex_orders INDEXED BY zeroex_orders_by_expiration
        WHERE is_removed = 0 ORDER BY order_hash
    )
""")
_LIVE_BETWEEN = (
    sa.select(*STORED)
    .where(
        ORDERS.c.order_hash.between(sa.bindparam("first"), sa.bindparam("last")),
        ORDERS.c.is_removed == 0,
    )
    .order_by(ORDERS.c.order_hash)
)


def live_hashes(connection: sa.Connection) -> bytes:
    """Return the hashes of all live orders, ascending, joined: 32 bytes each.

    Joined because 100,000 of them are 3 MB so, and 9 MB as objects; joined by SQLite,
    since fetching so many rows takes twice as long and keeps other threads from running.
    """
    return bytes.fromhex(connection.execute(_LIVE_HASHES).scalar() or "")


def live_between(connection: sa.Connection, first: bytes, last: bytes) -> list[StoredOrder]:
    """Return the live orders with first <= hash <= last, ascending."""
    rows = connection.execute(_LIVE_BETWEEN, {"first": first, "last": last})
    return [stored(row) for row in rows]


_SORT_COLUMNS: dict[Sort, tuple[sa.Column[Any], ...]] = {
    Sort.HASH: (ORDERS.c.order_hash,),
    Sort.EXPIRATION: (ORDERS.c.expires_at, ORDERS.c.order_hash),
    Sort.PRICE: (ORDERS.c.price, ORDERS.c.order_hash),
}
"""The last one is always the hash: it breaks ties, and finds the order."""


def _position(sort: Sort, row: sa.Row[*tuple[Any, ...]]) -> Position:
    match sort:
        case Sort.HASH:
            return Position(b"", OrderHash(row[0]))
        case Sort.EXPIRATION:
            return Position(row[0].to_bytes(8), OrderHash(row[1]))
        case Sort.PRICE:
            return Position(row[0], OrderHash(row[1]))


def _beyond(query: Query, after: Position) -> sa.ColumnElement[bool]:
    columns = _SORT_COLUMNS[query.sort]
    values: tuple[object, ...]
    match query.sort:
        case Sort.HASH:
            values = (after.order_hash,)
        case Sort.EXPIRATION:
            values = (int.from_bytes(after.key), after.order_hash)
        case Sort.PRICE:
            values = (after.key, after.order_hash)
    here, there = sa.tuple_(*columns), sa.tuple_(*values)
    return here < there if query.is_descending else here > there


def _conditions(wanted: OrderFilter) -> list[sa.ColumnElement[bool]]:
    equal: dict[sa.Column[Any], object] = {
        ORDERS.c.maker_address: wanted.maker_address,
        ORDERS.c.taker_address: wanted.taker_address,
        ORDERS.c.sender_address: wanted.sender_address,
        ORDERS.c.fee_recipient_address: wanted.fee_recipient_address,
        ORDERS.c.exchange_address: wanted.exchange_address,
        ORDERS.c.maker_asset_key: _asset_key(wanted.maker_asset_data),
        ORDERS.c.taker_asset_key: _asset_key(wanted.taker_asset_data),
        ORDERS.c.version: wanted.protocol_version,
    }
    conditions = [column == value for column, value in equal.items() if value is not None]
    if wanted.order_hashes is not None:
        conditions.append(ORDERS.c.order_hash.in_(sorted(wanted.order_hashes)))
    if wanted.min_expiration is not None:
        conditions.append(ORDERS.c.expires_at >= clamp(wanted.min_expiration))
    if wanted.max_expiration is not None:
        conditions.append(ORDERS.c.expires_at <= clamp(wanted.max_expiration))
    return conditions


def _asset_key(asset_data: bytes | None) -> bytes | None:
    return None if asset_data is None else asset_key(asset_data)
