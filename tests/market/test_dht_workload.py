"""Whose turn it is."""

from __future__ import annotations

import itertools

import pytest

from fondaco.identity.names import Guid
from fondaco.market import dht_limits
from fondaco.market.dht_errands import Errand, Purpose
from fondaco.market.dht_workload import DhtBusy, Workload
from fondaco.market.lookup import Lookup

NUMBERS = itertools.count()
HERE = Guid(bytes(20))


def errand(purpose: Purpose = Purpose.FIND) -> Errand:
    return Errand(next(NUMBERS), purpose, Lookup(HERE, bytes(20), []))


def started(work: Workload) -> list[Errand]:
    return list(iter(work.start, None))


def test_each_kind_has_a_number_at_once_of_its_own() -> None:
    work = Workload()
    for _ in range(100):
        work.add(errand(Purpose.REPUBLISH))
        work.add(errand(Purpose.GET))
    first = started(work)
    kinds = [one.purpose for one in first]
    assert kinds.count(Purpose.GET) == dht_limits.MAX_LOOKUPS
    assert kinds.count(Purpose.REPUBLISH) == dht_limits.MAX_MAINTENANCE_LOOKUPS
    assert work.active == first
    assert work.waiting == 200 - len(first)
    assert work.finish(first[0])
    assert not work.finish(first[0])
    (turn,) = started(work)
    assert turn.purpose is first[0].purpose
    background = next(one for one in first if one.is_background)
    work.finish(background)
    (turn,) = started(work)
    assert turn.is_background


def test_who_waits_for_too_many_is_told() -> None:
    work = Workload()
    for _ in range(dht_limits.MAX_QUEUED_LOOKUPS):
        work.add(errand())
    with pytest.raises(DhtBusy):
        work.add(errand())
    # In the background it is left out: its time comes again.
    for _ in range(dht_limits.MAX_QUEUED_LOOKUPS + 5):
        work.add(errand(Purpose.REFRESH))
    assert work.is_background_full
    assert work.waiting == 2 * dht_limits.MAX_QUEUED_LOOKUPS
