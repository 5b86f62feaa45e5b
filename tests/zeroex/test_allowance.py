"""Questions at a steady rate: at the limit, over it, whose it is, and how it comes back."""

from __future__ import annotations

import pytest

from fondaco.zeroex.admission import Origin
from fondaco.zeroex.allowance import HOUR, Allowance
from support.order_bench import OrderBench, names, orders

ONE_A_SECOND = HOUR
"""Questions an hour. The times below are binary fractions, so sums are exact."""


def taken(allowance: Allowance, now: float, tries: int = 100) -> int:
    """Return how many of *tries* questions there were at *now*."""
    return sum(allowance.take(now) for _ in range(tries))


@pytest.mark.parametrize("at_once", [0, 1, 7])
def test_it_begins_full_and_ends_at_its_limit(at_once: int) -> None:
    allowance = Allowance(ONE_A_SECOND, at_once, now=50.0)
    assert [allowance.take(50.0) for _ in range(at_once + 2)] == [True] * at_once + [False] * 2


def test_a_question_comes_in_after_its_whole_time() -> None:
    allowance = Allowance(ONE_A_SECOND, 3, now=0.0)
    assert taken(allowance, 0.0) == 3
    assert taken(allowance, 0.75) == 0
    assert taken(allowance, 1.0) == 1
    assert taken(allowance, 3.0) == 2


def test_a_refused_try_costs_nothing() -> None:
    """However often one asks too early, the next question comes when it would have."""
    allowance = Allowance(ONE_A_SECOND, 1, now=0.0)
    assert allowance.take(0.0)
    assert [allowance.take(step / 8) for step in range(1, 8)] == [False] * 7
    assert allowance.take(1.0)


def test_a_part_of_a_question_is_not_lost() -> None:
    allowance = Allowance(ONE_A_SECOND, 2, now=0.0)
    assert taken(allowance, 0.0) == 2
    assert taken(allowance, 1.5) == 1
    assert taken(allowance, 2.0) == 1


def test_a_long_rest_fills_it_no_further_than_its_limit() -> None:
    allowance = Allowance(ONE_A_SECOND, 4, now=0.0)
    assert taken(allowance, 1_000_000.0) == 4


def test_over_time_it_gives_its_rate_and_no_more() -> None:
    allowance = Allowance(ONE_A_SECOND / 4, 2, now=0.0)
    assert sum(allowance.take(float(second)) for second in range(101)) == 2 + 25


def test_what_comes_in_is_per_hour() -> None:
    allowance = Allowance(1, 1, now=0.0)
    assert allowance.take(0.0)
    assert not allowance.take(HOUR - 1)
    assert Allowance(1, 1, now=0.0).take(HOUR)


# ---------------------------------------------------------------- where it stands in the way


async def test_strangers_share_it_and_a_client_has_no_limit(bench: OrderBench) -> None:
    """The bench holds two questions at once, and one more a minute."""
    sent = orders(6)
    bench.assessor.alone = set(names(*sent))
    async with bench.watching():
        assert len((await bench.add(sent[0], origin=Origin.GOSSIP)).accepted) == 1
        result = await bench.add(*sent[1:3], origin=Origin.SYNC)
        assert len(result.accepted) == 1
        (refused,) = result.rejected
        assert refused.rejection.code == "EthRPCRequestFailed"
        for origin in (Origin.GOSSIP, Origin.SYNC):
            assert (await bench.add(sent[3], origin=origin)).accepted == []
        assert len((await bench.add(*sent[2:6], origin=Origin.LOCAL)).accepted) == 4


async def test_it_recovers_with_the_clock_of_the_node(bench: OrderBench) -> None:
    sent = orders(4)
    bench.assessor.alone = set(names(*sent))
    async with bench.watching():
        assert len((await bench.add(*sent, origin=Origin.GOSSIP)).accepted) == 2
        await bench.clock.advance(59)
        assert (await bench.add(*sent[2:], origin=Origin.GOSSIP)).accepted == []
        await bench.clock.advance(2)
        assert len((await bench.add(*sent[2:], origin=Origin.GOSSIP)).accepted) == 1


async def test_plain_orders_of_strangers_need_none(bench: OrderBench) -> None:
    sent = orders(20)
    async with bench.watching():
        assert len((await bench.add(*sent, origin=Origin.GOSSIP)).accepted) == 20
        assert taken(bench.allowance, bench.clock.monotonic()) == 2
