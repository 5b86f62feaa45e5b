"""Searches against a naive oracle of a few lines."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import pytest
import sqlalchemy as sa

from fondaco.zeroex import repository, search
from fondaco.zeroex.order import OrderHash, SignedOrder
from fondaco.zeroex.query import OrderFilter, Position, Query, Sort, matches, parse_query
from fondaco.zeroex.repository import NewOrder, OrderChange
from support.books import ADDRESSES, ASSETS, empty_store, random_order

Key = Callable[[NewOrder], tuple[Any, ...]]

LAST_SECOND = 2**63 - 1
CHANCE = random.Random(60557)
BOOK = [random_order(CHANCE) for _ in range(400)]
REMOVED = BOOK[::7]
LIVE = [order for order in BOOK if order not in REMOVED]


@pytest.fixture(scope="module")
def connection() -> Iterator[sa.Connection]:
    with empty_store() as opened:
        repository.insert(opened, BOOK)
        repository.apply(
            opened,
            [
                OrderChange(
                    order_hash=order.order_hash,
                    fillable=0,
                    is_removed=True,
                    last_updated_ns=1,
                )
                for order in REMOVED
            ],
        )
        yield opened


def hexed(value: bytes) -> str:
    return "0x" + value.hex()


def expiry(new: NewOrder) -> int:
    return min(new.order.expiration_time_seconds, LAST_SECOND)


def price(order: SignedOrder) -> int:
    return Fraction(order.taker_asset_amount * 2**256, order.maker_asset_amount).__floor__()


KEYS: dict[str, Key] = {
    "hash": lambda new: (new.order_hash,),
    "expiration": lambda new: (expiry(new), new.order_hash),
    "price": lambda new: (price(new.order), new.order_hash),
}

# One value of each filter, as a client writes it, and what it means.
FILTERS: dict[str, tuple[object, Callable[[NewOrder], bool]]] = {
    "makerAddress": (hexed(ADDRESSES[0]), lambda o: o.order.maker_address == ADDRESSES[0]),
    "takerAddress": (hexed(ADDRESSES[1]), lambda o: o.order.taker_address == ADDRESSES[1]),
    "senderAddress": (hexed(ADDRESSES[2]), lambda o: o.order.sender_address == ADDRESSES[2]),
    "feeRecipientAddress": (
        hexed(ADDRESSES[0]),
        lambda o: o.order.fee_recipient_address == ADDRESSES[0],
    ),
    "exchangeAddress": (hexed(ADDRESSES[1]), lambda o: o.order.exchange_address == ADDRESSES[1]),
    "makerAssetData": (hexed(ASSETS[0]), lambda o: o.order.maker_asset_data == ASSETS[0]),
    "takerAssetData": (hexed(ASSETS[3]), lambda o: o.order.taker_asset_data == b""),
    "protocolVersion": (2, lambda o: o.order.version == 2),
    "orderHashes": (
        [hexed(order.order_hash) for order in BOOK[:120]] + [hexed(bytes(32))],
        lambda o: o in BOOK[:120],
    ),
    "minExpirationTimeSeconds": ("1700000001", lambda o: expiry(o) >= 1_700_000_001),
    "maxExpirationTimeSeconds": (str(2**256 - 1), lambda o: True),
}
COMBINATIONS = [
    combination for size in (0, 1, 2, 3) for combination in itertools.combinations(FILTERS, size)
]


def every_page(connection: sa.Connection, options: dict[str, object]) -> list[OrderHash]:
    found: list[OrderHash] = []
    while True:
        page = search.search(connection, parse_query(options))
        found += [order.order_hash for order in page.orders]
        if page.next_cursor is None:
            return found
        assert len(page.orders) == options["limit"]
        options = {**options, "after": page.next_cursor}


@pytest.mark.parametrize("direction", ["", "-"])
@pytest.mark.parametrize("sort", KEYS)
def test_every_filter_and_sort_against_the_oracle(
    connection: sa.Connection, sort: str, direction: str
) -> None:
    for names in COMBINATIONS:
        options = {
            "filter": {name: FILTERS[name][0] for name in names},
            "sort": direction + sort,
            "limit": 37,
        }
        expected = sorted(
            (o for o in LIVE if all(FILTERS[name][1](o) for name in names)),
            key=KEYS[sort],
            reverse=direction == "-",
        )
        assert every_page(connection, options) == [o.order_hash for o in expected], options


def test_the_predicate_means_what_the_oracle_means() -> None:
    for names in COMBINATIONS:
        query = parse_query({"filter": {name: FILTERS[name][0] for name in names}})
        for new in BOOK:
            expected = all(FILTERS[name][1](new) for name in names)
            assert matches(query.filter, new.order_hash, new.order) is expected, names


def test_pages_of_one_order_each(connection: sa.Connection) -> None:
    options: dict[str, object] = {"sort": "price", "limit": 1}
    assert len(every_page(connection, options)) == len(LIVE)


def test_a_page_that_just_fits_is_the_last(connection: sa.Connection) -> None:
    found = search.search(connection, Query(limit=len(LIVE)))
    assert len(found.orders) == len(LIVE)
    assert found.next_cursor is None


def test_orders_that_come_and_go_move_no_page(connection: sa.Connection) -> None:
    with connection.begin_nested() as changes:
        first = search.search(connection, Query(limit=50))
        assert first.next_cursor is not None
        seen = [order.order_hash for order in first.orders]
        repository.forget(connection, seen[10:30], last_sequence=1)
        newcomer = random_order(random.Random(1))
        repository.insert(connection, [newcomer])
        rest = every_page(connection, {"limit": 50, "after": first.next_cursor})
        changes.rollback()
    assert set(rest).isdisjoint(seen)
    untouched = {o.order_hash for o in LIVE} - set(seen)
    assert set(rest) - {newcomer.order_hash} == untouched


# ---------------------------------------------------------------- pages of a snapshot


def test_live_hashes_are_ascending_and_joined(connection: sa.Connection) -> None:
    assert search.live_hashes(connection) == b"".join(sorted(o.order_hash for o in LIVE))


def test_live_orders_between_two_hashes(connection: sa.Connection) -> None:
    ordered = sorted(o.order_hash for o in LIVE)
    found = search.live_between(connection, ordered[10], ordered[19])
    assert [order.order_hash for order in found] == ordered[10:20]
    assert search.live_between(connection, ordered[5], ordered[4]) == []


# ---------------------------------------------------------------- indexes

PAIR = {"maker_asset_data": ASSETS[0], "taker_asset_data": ASSETS[1]}


@pytest.mark.parametrize(
    ("wanted", "sort", "index"),
    [
        ({}, Sort.HASH, "zeroex_orders_by_hash"),
        ({"maker_address": ADDRESSES[0]}, Sort.HASH, "zeroex_orders_by_maker (maker_address=?"),
        ({}, Sort.EXPIRATION, "zeroex_orders_by_expiration"),
        ({"min_expiration": 9}, Sort.EXPIRATION, "zeroex_orders_by_expiration (expires_at>?"),
        (PAIR, Sort.PRICE, "zeroex_orders_by_price (maker_asset_key=? AND taker_asset_key=?"),
    ],
)
@pytest.mark.parametrize("is_descending", [False, True])
@pytest.mark.parametrize("is_first", [True, False])
def test_what_an_index_answers_is_not_sorted(
    connection: sa.Connection,
    wanted: dict[str, Any],
    sort: Sort,
    index: str,
    is_descending: bool,
    is_first: bool,
) -> None:
    query = Query(
        filter=OrderFilter(**wanted),
        sort=sort,
        is_descending=is_descending,
        limit=1,
        after=None if is_first else any_position(sort),
    )
    compiled = search.statement(query).compile(
        connection, compile_kwargs={"render_postcompile": True}
    )
    parameters = tuple(compiled.params[name] for name in compiled.positiontup or ())
    plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", parameters).all()
    assert index in str(plan)
    assert "TEMP B-TREE" not in str(plan)


def any_position(sort: Sort) -> Position:
    size = {Sort.HASH: 0, Sort.EXPIRATION: 8, Sort.PRICE: 64}[sort]
    return Position(b"\x00" * size, OrderHash(b"\x80" * 32))
