"""Orders as rows: kept, changed, forgotten."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from fondaco.zeroex import repository
from fondaco.zeroex.order import OrderHash
from fondaco.zeroex.repository import NewOrder, OrderChange, StoredOrder, TrimCandidate
from support.books import empty_store, random_order

NOBODY = OrderHash(b"\xee" * 32)


@pytest.fixture
def connection() -> Iterator[sa.Connection]:
    with empty_store() as opened:
        yield opened


def book(size: int) -> list[NewOrder]:
    chance = random.Random(size)
    return [random_order(chance) for _ in range(size)]


def as_stored(new: NewOrder) -> StoredOrder:
    return StoredOrder(
        order_hash=new.order_hash,
        body=new.body,
        fillable=new.fillable,
        is_removed=False,
        is_pinned=new.is_pinned,
        expires_at=min(new.order.expiration_time_seconds, 2**63 - 1),
        last_updated_ns=new.last_updated_ns,
    )


def change(stored: NewOrder | StoredOrder, **values: object) -> OrderChange:
    unchanged = OrderChange(
        order_hash=stored.order_hash,
        fillable=stored.fillable,
        is_removed=stored.is_removed if isinstance(stored, StoredOrder) else False,
        last_updated_ns=stored.last_updated_ns,
    )
    return replace(unchanged, **values)


def hashes_of(orders: list[NewOrder]) -> set[OrderHash]:
    return {order.order_hash for order in orders}


# ---------------------------------------------------------------- insert and find


def test_what_was_kept_is_found_again(connection: sa.Connection) -> None:
    orders = book(1_203)
    assert repository.insert(connection, orders) == hashes_of(orders)
    found = repository.find(connection, [NOBODY, *hashes_of(orders)])
    assert found == {order.order_hash: as_stored(order) for order in orders}


def test_a_uint256_comes_back_as_it_was(connection: sa.Connection) -> None:
    (order,) = book(1)
    order = replace(order, fillable=2**256 - 1)
    repository.insert(connection, [order])
    assert repository.find(connection, [order.order_hash])[order.order_hash].fillable == 2**256 - 1


def test_a_kept_order_stays_as_it_is(connection: sa.Connection) -> None:
    first, second, third = book(3)
    repository.insert(connection, [first, second])
    repository.apply(connection, [change(second, is_removed=True, fillable=0)])
    again = [replace(first, is_pinned=not first.is_pinned, fillable=1), second, third]
    assert repository.insert(connection, again) == {third.order_hash}
    found = repository.find(connection, hashes_of(again))
    assert found[first.order_hash] == as_stored(first)
    assert found[second.order_hash].is_removed


def test_of_two_with_one_hash_the_first_is_taken(connection: sa.Connection) -> None:
    one, other = book(2)
    twin = replace(other, order_hash=one.order_hash)
    assert repository.insert(connection, [one, twin]) == {one.order_hash}
    assert repository.find(connection, [one.order_hash]) == {one.order_hash: as_stored(one)}


def test_nothing_to_do_is_done(connection: sa.Connection) -> None:
    assert repository.insert(connection, []) == set()
    assert repository.apply(connection, []) == 0
    assert repository.forget(connection, [], last_sequence=1) == 0
    assert repository.find(connection, []) == {}
    assert repository.bodies(connection, []) == {}
    assert list(repository.iterate(connection)) == []


# ---------------------------------------------------------------- changes


def test_changes_reach_their_orders_only(connection: sa.Connection) -> None:
    orders = book(4)
    repository.insert(connection, orders)
    changes = [
        change(orders[0], fillable=0, is_removed=True, last_updated_ns=5_000),
        change(orders[1], fillable=7, last_updated_ns=5_001),
        OrderChange(order_hash=NOBODY, fillable=1, is_removed=False, last_updated_ns=1),
    ]
    assert repository.apply(connection, changes) == 2
    found = repository.find(connection, [*hashes_of(orders), NOBODY])
    assert found == {
        orders[0].order_hash: replace(
            as_stored(orders[0]), fillable=0, is_removed=True, last_updated_ns=5_000
        ),
        orders[1].order_hash: replace(as_stored(orders[1]), fillable=7, last_updated_ns=5_001),
        orders[2].order_hash: as_stored(orders[2]),
        orders[3].order_hash: as_stored(orders[3]),
    }


def test_a_removed_order_comes_back(connection: sa.Connection) -> None:
    (order,) = book(1)
    repository.insert(connection, [order])
    repository.apply(connection, [change(order, is_removed=True)])
    assert repository.counts(connection).removed == 1
    repository.apply(connection, [change(order, is_removed=False)])
    assert repository.find(connection, [order.order_hash]) == {order.order_hash: as_stored(order)}


def test_counts(connection: sa.Connection) -> None:
    assert repository.counts(connection).kept == 0
    orders = book(200)
    repository.insert(connection, orders)
    removed = orders[:30]
    repository.apply(connection, [change(order, is_removed=True) for order in removed])
    repository.forget(connection, [order.order_hash for order in orders[20:50]], last_sequence=1)
    counts = repository.counts(connection)
    kept = orders[:20] + orders[50:]
    assert (counts.live, counts.removed, counts.kept) == (150, 20, 170)
    assert counts.pinned == sum(order.is_pinned for order in kept)


# ---------------------------------------------------------------- forgetting


def test_a_forgotten_order_is_not_kept_but_its_body_is(connection: sa.Connection) -> None:
    kept, gone = book(2)
    repository.insert(connection, [kept, gone])
    assert repository.forget(connection, [gone.order_hash, NOBODY], last_sequence=9) == 1
    assert set(repository.find(connection, [kept.order_hash, gone.order_hash])) == {kept.order_hash}
    assert repository.bodies(connection, [gone.order_hash, kept.order_hash, NOBODY]) == {
        gone.order_hash: gone.body,
        kept.order_hash: kept.body,
    }


def test_a_forgotten_order_can_come_again_and_go_again(connection: sa.Connection) -> None:
    (order,) = book(1)
    for sequence in (5, 9):
        assert repository.insert(connection, [order]) == {order.order_hash}
        repository.forget(connection, [order.order_hash], last_sequence=sequence)
    # The later time counts.
    assert repository.drop_forgotten(connection, first_retained=9, limit=10) == 0
    assert repository.bodies(connection, [order.order_hash]) == {order.order_hash: order.body}


def test_a_body_goes_with_the_last_event_that_needs_it(connection: sa.Connection) -> None:
    orders = book(5)
    repository.insert(connection, orders)
    for sequence, order in enumerate(orders[:4], 10):
        repository.forget(connection, [order.order_hash], last_sequence=sequence)
    assert repository.drop_forgotten(connection, first_retained=10, limit=10) == 0
    assert repository.drop_forgotten(connection, first_retained=13, limit=2) == 2
    assert repository.drop_forgotten(connection, first_retained=13, limit=2) == 1
    assert set(repository.bodies(connection, hashes_of(orders))) == hashes_of(orders[3:])


# ---------------------------------------------------------------- walking and housekeeping


def test_a_rebuild_sees_every_kept_order_once_in_flat_memory(connection: sa.Connection) -> None:
    orders = book(repository.REBUILD_CHUNK * 2 + 5)
    repository.insert(connection, orders)
    repository.apply(connection, [change(orders[3], is_removed=True)])
    repository.forget(connection, [orders[4].order_hash], last_sequence=1)
    chunks = list(repository.iterate(connection))
    assert max(map(len, chunks)) <= repository.REBUILD_CHUNK
    seen = [order for chunk in chunks for order in chunk]
    assert [order.order_hash for order in seen] == [
        order.order_hash for order in orders if order is not orders[4]
    ]
    assert [order.order_hash for order in seen if order.is_removed] == [orders[3].order_hash]


def test_room_is_made_by_the_unpinned_that_expire_last(connection: sa.Connection) -> None:
    orders = book(300)
    repository.insert(connection, orders)
    removed = {order.order_hash for order in orders[:50]}
    repository.apply(connection, [change(order, is_removed=True) for order in orders[:50]])
    expected = sorted(
        (as_stored(order) for order in orders if not order.is_pinned),
        key=lambda order: (order.expires_at, order.order_hash),
        reverse=True,
    )[:40]
    assert repository.trim_candidates(connection, 40) == [
        TrimCandidate(
            order_hash=order.order_hash,
            expires_at=order.expires_at,
            is_removed=order.order_hash in removed,
        )
        for order in expected
    ]


def test_pinned_orders_never_make_room(connection: sa.Connection) -> None:
    repository.insert(connection, [replace(order, is_pinned=True) for order in book(20)])
    assert repository.trim_candidates(connection, 10) == []


def test_stale_and_deletable_orders(connection: sa.Connection) -> None:
    orders = [replace(order, last_updated_ns=number * 10) for number, order in enumerate(book(10))]
    repository.insert(connection, orders)
    repository.apply(connection, [change(order, is_removed=True) for order in orders[::2]])

    number_of = {order.order_hash: number for number, order in enumerate(orders)}

    def numbers(found: list[OrderHash]) -> list[int]:
        return [number_of[order_hash] for order_hash in found]

    assert numbers(repository.stale(connection, before_ns=51, limit=10)) == [1, 3, 5]
    assert numbers(repository.stale(connection, before_ns=50, limit=10)) == [1, 3]
    assert numbers(repository.stale(connection, before_ns=999, limit=2)) == [1, 3]
    assert numbers(repository.deletable(connection, before_ns=41, limit=10)) == [0, 2, 4]
    assert numbers(repository.deletable(connection, before_ns=40, limit=10)) == [0, 2]
    assert numbers(repository.deletable(connection, before_ns=999, limit=1)) == [0]


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (repository._STALE, "zeroex_orders_by_update (last_updated_ns<?)"),
        (repository._DELETABLE, "zeroex_orders_removed (last_updated_ns<?)"),
        (repository._HIGHEST_EXPIRATIONS, "zeroex_orders_by_expiration"),
        (repository._COUNTS, "COVERING INDEX zeroex_orders_by_expiration"),
        (repository._AFTER_ID, "INTEGER PRIMARY KEY (rowid>?)"),
        (repository._DROP, "zeroex_forgotten_by_sequence (last_sequence<?)"),
    ],
)
def test_housekeeping_walks_an_index_without_sorting(
    connection: sa.Connection, statement: sa.Executable, index: str
) -> None:
    compiled = statement.compile(connection)  # type: ignore[attr-defined]
    parameters = tuple(1 for _ in compiled.positiontup or ())
    plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", parameters).all()
    assert index in str(plan)
    assert "TEMP B-TREE" not in str(plan)
