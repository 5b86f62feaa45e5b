"""Percentiles against counting."""

from __future__ import annotations

from random import Random

import pytest

from fondaco.lab.percentiles import Spread, percentile, spread


def test_known_ranks() -> None:
    assert spread(range(1, 101)) == Spread(p50=50, p95=95, p99=99, most=100)
    assert spread([3.0]) == Spread(p50=3.0, p95=3.0, p99=3.0, most=3.0)
    assert spread([2.0, 1.0]) == Spread(p50=1.0, p95=2.0, p99=2.0, most=2.0)
    assert spread([]) == Spread(p50=None, p95=None, p99=None, most=None)


@pytest.mark.parametrize("seed", range(20))
def test_it_is_the_least_value_that_so_many_do_not_exceed(seed: int) -> None:
    chance = Random(seed)
    values = sorted(chance.choice([1.0, 2.0, chance.random()]) for _ in range(1 + 7 * seed))
    for per_cent in (1, 33, 50, 95, 99, 100):
        fit = [v for v in values if 100 * sum(w <= v for w in values) >= per_cent * len(values)]
        assert percentile(values, per_cent) == min(fit)


@pytest.mark.parametrize(("values", "per_cent"), [([], 50), ([1.0], 0), ([1.0], 101)])
def test_what_makes_no_sense_is_refused(values: list[float], per_cent: int) -> None:
    with pytest.raises(ValueError, match="percentile"):
        percentile(values, per_cent)
