"""Latency and loss, as a stream shows them."""

from __future__ import annotations

import itertools
from random import Random

import pytest

from fondaco.lab.linkmodel import LEAST_TIMEOUT, MOST_TIMEOUTS, SEGMENT_SIZE, LinkModel


def test_without_loss_everything_takes_the_latency() -> None:
    model = LinkModel(0.05, 0.0, Random(1))
    assert [model.due(now, 100_000) for now in (1.0, 1.01, 5.0)] == pytest.approx(
        [1.05, 1.06, 5.05]
    )


def test_a_perfect_link_does_not_wait() -> None:
    model = LinkModel(0.0, 0.0, Random(1))
    assert model.due(3.0, 1) == 3.0


def test_bytes_keep_their_sequence() -> None:
    model = LinkModel(0.05, 0.05, Random(2))
    times = [model.due(now / 100, SEGMENT_SIZE) for now in range(2_000)]
    assert times == sorted(times)
    behind = sum(earlier == later for earlier, later in itertools.pairwise(times))
    assert behind > 500, "what follows a lost segment waits with it"


@pytest.mark.parametrize(("loss", "segments"), [(0.02, 1), (0.02, 45), (0.2, 3)])
def test_as_many_are_lost_as_was_said(loss: float, segments: int) -> None:
    chance = Random(3)
    runs = 20_000
    late = 0
    for _ in range(runs):
        model = LinkModel(0.0, loss, chance)  # a new one: nothing waits for anything before
        late += model.due(0.0, segments * SEGMENT_SIZE) > 0.0
    assert late / runs == pytest.approx(1 - (1 - loss) ** segments, abs=0.01)


def test_a_lost_segment_waits_for_a_timeout_and_twice_that() -> None:
    chance = Random(4)
    first = LEAST_TIMEOUT + 2 * 0.05
    waits = {round(LinkModel(0.05, 0.5, chance).due(0.0, 1), 6) for _ in range(5_000)}
    expected = {round(0.05 + first * (2**losses - 1), 6) for losses in range(MOST_TIMEOUTS + 1)}
    assert waits == expected


def test_the_same_seed_loses_the_same() -> None:
    one, other = (LinkModel(0.01, 0.1, Random(5)) for _ in range(2))
    assert [one.due(n, 2_000) for n in range(100)] == [other.due(n, 2_000) for n in range(100)]
