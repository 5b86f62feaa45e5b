"""The table of times."""

from __future__ import annotations

import pytest

from fondaco.lab.sightings import NEVER, Sightings


@pytest.fixture
def seen() -> Sightings:
    """Three orders, two nodes: a and b posted to node 0 at 10, c to node 1 at 11."""
    table = Sightings(["a", "b", "c"], 2)
    table.posted(0, [0, 1], 10.0)
    table.posted(1, [2], 11.0)
    return table


def test_nothing_has_happened() -> None:
    table = Sightings(["a"], 2)
    assert (table.orders, table.nodes, table.pairs, table.wanted) == (1, 2, 0, 1)
    assert not table.is_complete
    assert (table.first_posted, table.last_accepted, table.last_seen) == (NEVER, 0.0, 0.0)
    assert list(table.waits()) == list(table.acceptances()) == []


def test_waits_are_from_posting_to_the_other_nodes(seen: Sightings) -> None:
    seen.seen(0, ["a", "b"], 10.5)
    seen.seen(1, ["a"], 12.0)
    seen.seen(0, ["c"], 13.0)
    assert sorted(seen.waits()) == [2.0, 2.0]
    assert list(seen.waits(1)) == [2.0]
    assert list(seen.acceptances()) == [0.5, 0.5]
    assert (seen.pairs, seen.arrivals(), seen.is_complete) == (4, 2, False)
    assert (seen.count(0), seen.count(1)) == (3, 1)
    assert (seen.first_posted, seen.last_accepted, seen.last_seen) == (10.0, 10.5, 13.0)
    seen.seen(1, ["b", "c"], 14.0)
    assert seen.is_complete
    assert seen.last_accepted == 14.0


def test_what_is_told_twice_or_is_not_ours_does_not_count(seen: Sightings) -> None:
    seen.seen(1, ["a", "stranger"], 12.0)
    seen.seen(1, ["a"], 20.0)
    assert (seen.pairs, list(seen.waits())) == (1, [2.0])
    assert seen.last_news == 12.0


def test_an_order_sent_again_was_posted_the_first_time(seen: Sightings) -> None:
    seen.posted(0, [1], 15.0)
    seen.seen(1, ["b"], 16.0)
    assert list(seen.waits()) == [6.0]


def test_nobody_waits_for_what_was_refused(seen: Sightings) -> None:
    seen.refused(2, "OrderExpired")
    for node in (0, 1):
        seen.seen(node, ["a", "b"], 12.0)
    assert (seen.wanted, seen.is_complete) == (2, True)
    assert seen.refusals == {2: "OrderExpired"}


def test_orders_are_counted_where_they_were_posted(seen: Sightings) -> None:
    assert (seen.posted_to(0), seen.posted_to(1)) == (2, 1)
