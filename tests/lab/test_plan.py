"""What is posted where and when."""

from __future__ import annotations

from random import Random

import pytest

from fondaco.lab.plan import MOST_AT_ONCE, TICK, by_node, make_plan


@pytest.mark.parametrize("rate", [None, 3.0, 100.0, 5_000.0])
@pytest.mark.parametrize("orders", [1, 7, 1_234])
def test_each_order_is_posted_once_in_its_sequence(orders: int, rate: float | None) -> None:
    plan = make_plan(orders, 3, rate, Random(1))
    posted = [order for posting in plan for order in posting.orders]
    assert sorted(posted) == list(range(orders))
    assert all(1 <= len(posting.orders) <= MOST_AT_ONCE for posting in plan)
    assert {posting.node for posting in plan} <= {0, 1, 2}
    times = [posting.at for posting in plan]
    assert times == sorted(times)


def test_all_at_once_is_at_the_start() -> None:
    assert {posting.at for posting in make_plan(500, 2, None, Random(1))} == {0.0}


def test_a_rate_is_kept_to_a_tick() -> None:
    plan = make_plan(1_000, 4, 200.0, Random(1))
    for posting in plan:
        for order in posting.orders:
            assert 0.0 <= posting.at - order / 200.0 + 1e-9 <= TICK + 2e-9
    assert plan[-1].at == pytest.approx(5.0)


def test_every_node_gets_its_share() -> None:
    calls = by_node(make_plan(1_000, 4, None, Random(1)))
    counts = {node: sum(len(one.orders) for one in some) for node, some in calls.items()}
    assert set(counts) == {0, 1, 2, 3}
    assert all(200 < count < 300 for count in counts.values())


def test_the_same_seed_makes_the_same_plan() -> None:
    assert make_plan(99, 5, 10.0, Random(2)) == make_plan(99, 5, 10.0, Random(2))
    assert make_plan(99, 5, 10.0, Random(2)) != make_plan(99, 5, 10.0, Random(3))
