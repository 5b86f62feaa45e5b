"""Making room, and the moving maximum; expectations are those of the original's tests."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from fondaco.zeroex.capacity import (
    GROWTH_INTERVAL,
    GROWTH_OFFSET,
    GROWTH_RATE,
    UNLIMITED_EXPIRATION,
    SlowCounter,
    Trim,
    TrimCandidate,
    first_max_expiration,
    is_beyond,
    trim,
    trim_target,
)
from fondaco.zeroex.errors import OrderRejected, RejectionCode
from fondaco.zeroex.order import OrderHash

MESH = json.loads((Path(__file__).parent.parent / "vectors" / "mesh_vectors.json").read_text())


def rows(expirations: list[int]) -> list[TrimCandidate]:
    return [
        TrimCandidate(order_hash=OrderHash(number.to_bytes(32, "big")), expiration=expiration)
        for number, expiration in enumerate(expirations)
    ]


def test_trim_by_expiration_vector() -> None:
    vector = MESH["trim_by_expiration"]
    unpinned = rows([int(text) for text in vector["unpinnedExpirations"]])
    stored = len(unpinned) + len(vector["pinnedExpirations"])
    chosen = trim(unpinned, stored=stored, target=vector["targetMaxOrders"])
    assert chosen is not None
    assert chosen.max_expiration == int(vector["newMaxExpirationTime"])
    assert len(chosen.dropped) == vector["removedCount"]
    assert [row.expiration for row in chosen.dropped] == [
        int(text) for text in vector["removedExpirations(derived)"]
    ]
    left = [row for row in unpinned if row not in chosen.dropped]
    assert len(left) + len(vector["pinnedExpirations"]) == vector["remaining"]
    with pytest.raises(OrderRejected) as caught:
        trim(left, stored=vector["remaining"], target=1)
    assert caught.value.rejection is RejectionCode.DATABASE_FULL_OF_ORDERS
    assert "database is full of pinned orders" in caught.value.message
    assert vector["thenTarget1"].endswith("database is full of pinned orders")


def test_decrease_expiration_scenario() -> None:
    vector = MESH["decrease_expiration_scenario"]
    capacity = vector["maxOrders"]
    assert trim_target(capacity) == int(capacity * vector["trimRatio"])
    stored = rows([600 + 60 * minute for minute in range(capacity)])
    chosen = trim(stored, stored=capacity, target=trim_target(capacity))
    assert chosen is not None
    assert vector["events"] == ["STOPPED_WATCHING"] * len(chosen.dropped) + ["ADDED"]
    assert all(row.expiration > chosen.max_expiration for row in chosen.dropped)
    left = [row.expiration for row in stored if row not in chosen.dropped] + [601]
    assert len(left) == vector["remainingOrders"]
    assert max(left) <= chosen.max_expiration
    assert not is_beyond(601, chosen.max_expiration, is_pinned=False)


def test_nothing_goes_below_the_target() -> None:
    assert trim([], stored=3, target=3) is None


def test_only_pinned_orders_leave_no_room() -> None:
    with pytest.raises(OrderRejected) as caught:
        trim([], stored=4, target=3)
    assert caught.value.code == "DatabaseFullOfOrders"


def test_order_beyond_the_maximum_its_own_insertion_set_is_dropped_unless_pinned() -> None:
    assert is_beyond(11, 10, is_pinned=False)
    assert not is_beyond(10, 10, is_pinned=False)
    assert not is_beyond(11, 10, is_pinned=True)


def test_choice_agrees_with_sorting() -> None:
    rng = random.Random(45)
    for _ in range(300):
        unpinned = rows([rng.randint(0, 20) for _ in range(rng.randint(0, 30))])
        pinned = rng.randint(0, 5)
        stored = len(unpinned) + pinned
        target = rng.randint(pinned, stored)
        by_expiry = sorted(unpinned, key=lambda row: (row.expiration, row.order_hash))
        expected = tuple(reversed(by_expiry[target - pinned :]))
        chosen = trim(unpinned, stored=stored, target=target)
        if not expected:
            assert chosen is None
        else:
            assert chosen == Trim(
                dropped=expected, max_expiration=min(row.expiration for row in expected) - 1
            )


@pytest.mark.parametrize(
    ("stored", "now", "expected"),
    [
        pytest.param(None, 100, UNLIMITED_EXPIRATION, id="never full"),
        pytest.param(150, 100, 150, id="in the future"),
        pytest.param(50, 100, 100, id="in the past"),
    ],
)
def test_first_maximum(stored: int | None, now: int, expected: int) -> None:
    assert first_max_expiration(stored, now) == expected


def test_slow_counter_vectors() -> None:
    counts, after_reset, capped = MESH["slow_counter"]["cases"]
    counter = SlowCounter(
        int(counts["start"]),
        1000.0,
        offset=int(counts["offset"]),
        rate=counts["rate"],
        interval=10.0,
        maximum=int(counts["max"]),
    )
    assert [counter.value(1000.0 + 10 * step) for step in range(3)] == [
        int(text) for text in counts["countsAfterIntervals"]
    ]
    assert counter.value(1009.9) == int(counts["start"])

    counter = SlowCounter(
        int(after_reset["start"]),
        0.0,
        offset=int(after_reset["offset"]),
        rate=after_reset["rate"],
        interval=10.0,
    )
    counter.value(75.0)
    counter.reset(int(after_reset["resetTo"]), 75.0)
    assert counter.value(75.0) == int(after_reset["countRightAfterReset"])
    assert counter.value(85.0) == int(after_reset["countOneIntervalLater"])

    counter = SlowCounter(
        int(capped["start"]),
        0.0,
        offset=int(capped["offset"]),
        rate=capped["rate"],
        interval=10.0,
        maximum=int(capped["max"]),
    )
    values = [counter.value(float(second)) for second in range(0, 10_000, 7)]
    assert values == sorted(values)
    assert max(values) == int(capped["max"])
    assert counter.value(1e12) == int(capped["max"])


def test_slow_counter_of_production() -> None:
    vector = MESH["slow_counter"]["production"]
    assert (str(GROWTH_OFFSET), GROWTH_RATE) == (vector["offsetSeconds"], vector["rate"])
    assert (GROWTH_INTERVAL, vector["interval"]) == (300.0, "5m")
    assert str(UNLIMITED_EXPIRATION) == vector["max"]
    counter = SlowCounter(1_000, 0.0)
    assert counter.value(1e9) == UNLIMITED_EXPIRATION
    assert SlowCounter(UNLIMITED_EXPIRATION, 0.0).value(1e6) == UNLIMITED_EXPIRATION
