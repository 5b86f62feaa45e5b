"""Whose turn it is."""

from __future__ import annotations

import itertools

import pytest

from fondaco.identity.names import Guid
from fondaco.market import dht_limits
from fondaco.market.dht_errands import Errand, Purpose
from fondaco.market.dht_workload import DhtBusy, Plan, Workload
from fondaco.market.lookup import Lookup

NUMBERS = itertools.count()
HERE = Guid(bytes(20))


def plan(purpose: Purpose = Purpose.FIND) -> Plan:
    return Plan(number=next(NUMBERS), purpose=purpose, target=bytes(20))


def begin(work: Workload, now: float = 0.0) -> list[Errand]:
    """Begin whatever may."""
    begun = []
    while (one := work.take(now)) is not None:
        begun.append(Errand(one.number, one.purpose, Lookup(HERE, one.target, [])))
        work.begin(begun[-1])
    return begun


def test_each_lane_has_a_number_at_once_of_its_own() -> None:
    work = Workload(0.0)
    for _ in range(100):
        for purpose in (Purpose.REPUBLISH, Purpose.PUT, Purpose.GET):
            work.add(plan(purpose))
    first = begin(work)
    kinds = [one.purpose for one in first]
    assert kinds.count(Purpose.GET) == dht_limits.MAX_LOOKUPS
    assert kinds.count(Purpose.PUT) == dht_limits.MAX_PUTS
    assert kinds.count(Purpose.REPUBLISH) == dht_limits.MAX_MAINTENANCE_LOOKUPS
    assert work.active == first
    assert work.waiting == 300 - len(first)
    for purpose in (Purpose.REPUBLISH, Purpose.PUT, Purpose.GET):
        done = next(one for one in first if one.purpose is purpose)
        assert work.finish(done)
        assert not work.finish(done)
        (turn,) = begin(work)
        assert turn.purpose is purpose


def test_a_store_being_published_holds_up_no_search() -> None:
    work = Workload(0.0)
    for _ in range(1_000):
        work.add(plan(Purpose.PUT))
    begin(work)
    work.add(plan(Purpose.GET))
    (turn,) = begin(work)
    assert turn.purpose is Purpose.GET


def test_who_brings_much_does_it_at_a_pace() -> None:
    work = Workload(0.0)
    for _ in range(2_000):
        work.add(plan(Purpose.PUT))
    now, begun, times = 0.0, 0, 0
    while work.waiting:
        for one in begin(work, now):
            work.finish(one)
            begun += 1
        assert begun <= dht_limits.BRINGS_BURST + dht_limits.BRINGS_PER_SECOND * now + 1
        turn = work.next_turn(now)
        if turn is not None:
            assert turn > now
            now = turn
            times += 1
    assert begun == 2_000
    expected = (2_000 - dht_limits.BRINGS_BURST) / dht_limits.BRINGS_PER_SECOND
    assert expected - 1 < now < 1.1 * expected
    assert times <= 2_000
    assert work.next_turn(now) is None


@pytest.mark.parametrize(
    ("purpose", "most"),
    [
        (Purpose.JOIN, dht_limits.MAX_QUEUED_LOOKUPS),
        (Purpose.FIND, dht_limits.MAX_QUEUED_LOOKUPS),
        (Purpose.GET, dht_limits.MAX_QUEUED_LOOKUPS),
        (Purpose.PUT, dht_limits.MAX_QUEUED_PUTS),
        (Purpose.REPUBLISH, dht_limits.MAX_QUEUED_MAINTENANCE),
        (Purpose.REFRESH, dht_limits.MAX_QUEUED_MAINTENANCE),
    ],
)
def test_who_waits_for_too_many_is_told(purpose: Purpose, most: int) -> None:
    work = Workload(0.0)
    for _ in range(most):
        assert not work.is_full(purpose)
        work.add(plan(purpose))
    assert work.is_full(purpose)
    with pytest.raises(DhtBusy):
        work.add(plan(purpose))
