"""The time of simulations, and what they check once."""

from __future__ import annotations

import pytest

from fondaco.errors import PeerError
from fondaco.testing.virtual_time import CheckedOnce, VirtualTime


def test_things_happen_at_their_time_and_in_their_sequence() -> None:
    world, seen = VirtualTime(10.0), list[tuple[str, float]]()
    for name, when in (("late", 13.0), ("first", 11.0), ("second", 11.0), ("later", 14.5)):
        world.at(when, lambda name=name: seen.append((name, world.now)))  # type: ignore[misc]
    world.run(3.0)
    assert seen == [("first", 11.0), ("second", 11.0), ("late", 13.0)]
    assert world.now == 13.0
    world.run(2.0)
    assert seen[3:] == [("later", 14.5)]


def test_what_happens_may_have_consequences_in_the_same_run() -> None:
    world, seen = VirtualTime(0.0), list[float]()

    def again() -> None:
        seen.append(world.now)
        world.at(world.now + 1.0, again)

    world.at(1.0, again)
    world.run(3.5)
    assert seen == [1.0, 2.0, 3.0]


def test_a_check_is_made_once_whatever_it_finds() -> None:
    asked: list[int] = []

    def check(value: int) -> None:
        asked.append(value)
        if value < 0:
            raise PeerError("negative")

    checked = CheckedOnce(check)
    for _ in range(2):
        checked(1)
        with pytest.raises(PeerError, match="negative"):
            checked(-1)
    assert asked == [1, -1]
