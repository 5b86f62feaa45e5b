from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest

from fondaco.chain.budget import BudgetSnapshot, RpcBudget, check_polling_fits
from fondaco.chain.errors import BudgetExhausted, DailyBudgetExhausted
from fondaco.clock import NANOSECONDS, utc_midnight_ns
from fondaco.errors import ConfigurationError

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/mesh_vectors.json").read_bytes())
BURST, LIMIT, STORED = VECTORS["rate_limiter_v9"]["cases"]
NOON = 1_578_052_800 * NANOSECONDS
DAY = 86_400 * NANOSECONDS


def nanoseconds(text: str) -> int:
    moment = datetime.datetime.fromisoformat(text)
    return int(moment.timestamp()) * NANOSECONDS


@pytest.mark.parametrize("case", VECTORS["utc_midnight"]["cases"], ids=lambda c: str(c["in"]))
def test_midnight_of_mesh(case: dict[str, Any]) -> None:
    assert utc_midnight_ns(nanoseconds(case["in"])) == nanoseconds(case["out"])


def test_half_a_second_at_once_then_one_each_tenth() -> None:
    assert BURST["first"].startswith("5 requests granted at once")
    budget = RpcBudget(per_day=BURST["perDay"], per_second=BURST["perSecond"], now_ns=NOON)
    waits = [budget.reserve(NOON, 0.0, 30.0) for _ in range(8)]
    assert waits[:5] == [0.0] * 5
    assert waits[5:] == pytest.approx([0.1, 0.2, 0.3])
    # A tenth later the queue is one shorter; long after it the burst is full, not fuller.
    assert budget.reserve(NOON, 0.1, 30.0) == pytest.approx(0.3)
    assert [budget.reserve(NOON, 900.0, 30.0) for _ in range(6)][-2:] == pytest.approx([0.0, 0.1])


def test_the_day_s_last_requests_and_the_text_of_the_refusal() -> None:
    budget = RpcBudget(
        per_day=LIMIT["perDay"],
        per_second=20,  # the vector says "at once": a burst of ten
        now_ns=NOON,
        stored=BudgetSnapshot(
            start_of_utc_day_ns=utc_midnight_ns(NOON), sent_today=LIMIT["alreadySentToday"]
        ),
    )
    assert [budget.reserve(NOON, 0.0, 30.0) for _ in range(10)] == [0.0] * 10
    for _ in range(3):
        with pytest.raises(DailyBudgetExhausted) as caught:
            budget.reserve(NOON, 100.0, 30.0)
        assert str(caught.value) == LIMIT["error"]
    assert budget.snapshot(NOON).sent_today == LIMIT["perDay"]
    assert budget.reserve(NOON + DAY, 100.0, 30.0) == 0.0
    assert budget.snapshot(NOON + DAY).sent_today == 1
    # The process counts on over midnight, and not what an earlier one has sent.
    assert budget.sent == 11


def test_a_count_of_yesterday_is_worth_nothing() -> None:
    assert STORED["result"].startswith("on start: counter 0")
    budget = RpcBudget(
        per_day=100_000,
        per_second=10,
        now_ns=NOON,
        stored=BudgetSnapshot(
            start_of_utc_day_ns=utc_midnight_ns(NOON - DAY), sent_today=STORED["stored"]["sent"]
        ),
    )
    today = utc_midnight_ns(NOON)
    assert budget.snapshot(NOON) == BudgetSnapshot(start_of_utc_day_ns=today, sent_today=0)
    budget.reserve(NOON, 0.0, 30.0)
    assert budget.snapshot(NOON) == BudgetSnapshot(start_of_utc_day_ns=today, sent_today=1)


def test_who_would_wait_too_long_is_counted_and_takes_nobody_s_turn() -> None:
    budget = RpcBudget(per_day=100, per_second=1, now_ns=NOON)
    assert budget.reserve(NOON, 0.0, 30.0) == 0.0
    for _ in range(3):
        with pytest.raises(BudgetExhausted, match="turn"):
            budget.reserve(NOON, 0.0, 0.5)
    assert budget.reserve(NOON, 0.0, 30.0) == pytest.approx(1.0)
    assert budget.snapshot(NOON).expired == 3
    assert budget.snapshot(NOON).sent_today == 2


def test_a_clock_set_back_over_midnight_gives_no_second_day() -> None:
    budget = RpcBudget(per_day=2, per_second=100, now_ns=NOON)
    budget.reserve(NOON, 0.0, 30.0)
    budget.reserve(NOON - DAY, 1.0, 30.0)
    with pytest.raises(DailyBudgetExhausted):
        budget.reserve(NOON - DAY, 2.0, 30.0)


def test_switched_off_it_grants_everything_and_counts() -> None:
    budget = RpcBudget(per_day=0, per_second=1, now_ns=NOON, is_enabled=False)
    assert [budget.reserve(NOON, 0.0, 0.0) for _ in range(50)] == [0.0] * 50
    assert budget.snapshot(NOON).sent_today == 50


def test_polling_must_leave_room_for_orders() -> None:
    check_polling_fits(200_000, 5.0)
    check_polling_fits(86_400 // 5 + 50_000, 5.0)
    with pytest.raises(ConfigurationError, match="67280 or more") as caught:
        check_polling_fits(86_400 // 5 + 49_999, 5.0)
    assert caught.value.setting == "ETHEREUM_RPC_MAX_REQUESTS_PER_24_HR_UTC"
