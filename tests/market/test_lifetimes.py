"""Lifetimes: bounded, and nobody is blamed for a clock."""

from __future__ import annotations

import pytest

from fondaco.errors import Verdict
from fondaco.market.errors import ListingOutdated, MalformedListing
from fondaco.market.lifetimes import Lifetime, check_lifetime, read_lifetime
from fondaco.market.limits import CLOCK_TOLERANCE

DAY = 86_400
LIFE = Lifetime(published_at=1_000, expires_at=2_000)


@pytest.mark.parametrize(
    ("published", "expires", "field"),
    [
        (None, 1, "published_at"),
        (-1, 1, "published_at"),
        (1.5, 2, "published_at"),
        (1, None, "expires_at"),
        (1, 1, "expires_at"),
        (2, 1, "expires_at"),
        (1, 2 + DAY, "expires_at"),
        (1, 2**60, "expires_at"),
    ],
)
def test_what_is_no_lifetime(published: object, expires: object, field: str) -> None:
    fields = {"published_at": published, "expires_at": expires}
    with pytest.raises(MalformedListing) as caught:
        read_lifetime(fields, longest=DAY)
    assert caught.value.field == field


def test_the_longest_and_the_shortest() -> None:
    for seconds in (1, DAY):
        fields = {"published_at": 0, "expires_at": seconds}
        assert read_lifetime(fields, longest=DAY) == Lifetime(published_at=0, expires_at=seconds)


@pytest.mark.parametrize("now", [1_000 - CLOCK_TOLERANCE, 1_000, 1_999])
def test_good(now: int) -> None:
    check_lifetime(LIFE, now)
    assert not LIFE.is_over(now)


@pytest.mark.parametrize(
    ("now", "field"),
    [(999 - CLOCK_TOLERANCE, "published_at"), (2_000, "expires_at"), (9_000, "expires_at")],
)
def test_not_yet_and_no_more(now: int, field: str) -> None:
    with pytest.raises(ListingOutdated) as caught:
        check_lifetime(LIFE, now)
    assert caught.value.field == field
    assert caught.value.verdict is Verdict.IGNORE
