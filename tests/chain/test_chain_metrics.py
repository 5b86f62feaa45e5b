"""What is said of the chain's endpoint, and when that is trouble."""

from __future__ import annotations

import msgspec
import pytest

from fondaco.chain.budget import BudgetSnapshot, RpcBudget
from fondaco.chain.errors import BudgetExhausted
from fondaco.chain.headers import Header
from fondaco.chain.limits import POLLS_MISSED, SILENCE_SECONDS
from fondaco.chain.metrics import METRICS, ChainMetrics
from fondaco.clock import utc_midnight_ns
from fondaco.testing.clock import FakeClock


class State(msgspec.Struct):
    """Whoever follows the chain, as the test sets it."""

    head: Header | None = None
    staleness: float = 0.0
    last_error: str | None = None


def measured(
    state: State, *, budget: RpcBudget | None = None, polling_interval: float = 5.0
) -> ChainMetrics:
    clock = FakeClock()
    if budget is None:
        budget = RpcBudget(per_day=100, per_second=2, now_ns=clock.now_ns())
    return ChainMetrics(state, budget, clock, polling_interval=polling_interval)


def shown(metrics: ChainMetrics) -> dict[str, float]:
    return {
        sample.metric.name.removeprefix("fondaco_ethereum_"): sample.value
        for sample in metrics.samples()
    }


def test_before_the_first_block_everything_is_there() -> None:
    metrics = measured(State(staleness=1.5))
    assert {sample.metric for sample in metrics.samples()} == set(METRICS)
    found = shown(metrics)
    assert found.pop("staleness_seconds") == 1.5
    assert set(found.values()) == {0}


def test_the_newest_block_and_what_the_budget_counts() -> None:
    clock = FakeClock()
    budget = RpcBudget(
        per_day=100,
        per_second=2,
        now_ns=clock.now_ns(),
        stored=BudgetSnapshot(start_of_utc_day_ns=utc_midnight_ns(clock.now_ns()), sent_today=40),
    )
    for _ in range(3):
        budget.reserve(clock.now_ns(), clock.monotonic(), 30.0)
    with pytest.raises(BudgetExhausted):
        budget.reserve(clock.now_ns(), clock.monotonic(), 0.1)
    head = Header(number=9, hash=b"\x0a" * 32, parent_hash=b"\x0b" * 32, timestamp=1_700_000_000)
    found = shown(measured(State(head=head), budget=budget))
    assert (found["block"], found["block_timestamp_seconds"]) == (9, 1_700_000_000)
    assert (found["requests_total"], found["requests_expired_total"]) == (3, 1)
    assert found["requests_today"] == 43


@pytest.mark.parametrize(
    ("staleness", "polling_interval", "is_trouble"),
    [
        (SILENCE_SECONDS - 1, 0.2, False),
        (SILENCE_SECONDS, 0.2, True),
        (SILENCE_SECONDS, 60.0, False),
        (POLLS_MISSED * 60.0, 60.0, True),
    ],
)
def test_silence_is_trouble_when_it_lasts(
    staleness: float, polling_interval: float, is_trouble: bool
) -> None:
    metrics = measured(State(staleness=staleness), polling_interval=polling_interval)
    assert bool(metrics.troubles()) is is_trouble


def test_the_trouble_says_how_long_and_why() -> None:
    state = State(staleness=73.4)
    assert measured(state).troubles() == ["the Ethereum endpoint has not answered in full for 73 s"]
    state.last_error = "connection refused"
    assert measured(state).troubles()[0].endswith("73 s: connection refused")
