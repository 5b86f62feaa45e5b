"""Why orders are not here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from fondaco.zeroex import refusals
from fondaco.zeroex.order import OrderHash
from fondaco.zeroex.refusals import StoredRefusal
from support.books import empty_store


@pytest.fixture
def connection() -> Iterator[sa.Connection]:
    with empty_store() as opened:
        yield opened


def refusal(order: int, at_ns: int = 0, detail: str = "") -> StoredRefusal:
    return StoredRefusal(
        order_hash=OrderHash(order.to_bytes(32)),
        code="OrderUnfunded",
        detail=detail,
        origin="LOCAL",
        at_ns=at_ns,
    )


def test_the_newest_refusals_of_an_order_oldest_first(connection: sa.Connection) -> None:
    story = [refusal(1, at_ns=number, detail=f"try {number}") for number in range(5)]
    refusals.record(connection, [story[0], refusal(2), *story[1:]])
    assert refusals.about(connection, OrderHash((1).to_bytes(32))) == story
    assert refusals.about(connection, OrderHash((1).to_bytes(32)), 2) == story[3:]
    assert refusals.about(connection, OrderHash((3).to_bytes(32))) == []


def test_the_oldest_make_room(connection: sa.Connection) -> None:
    for start in (0, 7, 14):
        refusals.record(connection, [refusal(n) for n in range(start, start + 7)], kept=10)
    left = connection.scalars(sa.select(refusals.REFUSALS.c.order_hash))
    assert [int.from_bytes(order_hash) for order_hash in left] == list(range(11, 21))


def test_a_long_detail_is_cut(connection: sa.Connection) -> None:
    refusals.record(connection, [refusal(1, detail="x" * 100_000)])
    (found,) = refusals.about(connection, OrderHash((1).to_bytes(32)))
    assert found.detail == "x" * refusals.DETAIL_KEPT


def test_no_refusals_are_no_work(connection: sa.Connection) -> None:
    refusals.record(connection, [])
    assert refusals.about(connection, OrderHash(bytes(32))) == []
