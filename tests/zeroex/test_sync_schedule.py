"""When the next reconciliation is due, in virtual time."""

from __future__ import annotations

import random

import pytest

from fondaco.zeroex.sync_schedule import (
    FIRST_INBOUND,
    FIRST_OUTBOUND,
    INTERVAL,
    LONGEST_DIGESTION,
    LONGEST_RETRY,
    QUICK,
    QUICK_ROUNDS,
    RETRY,
    Schedule,
)


@pytest.fixture
def schedule() -> Schedule:
    return Schedule(random.Random(5))


def next_wait(schedule: Schedule, now: float) -> float:
    assert schedule.due is not None
    return schedule.due - now


def test_who_dialled_begins(schedule: Schedule) -> None:
    schedule.joined("inbound", 100.0, is_outbound=False)
    assert FIRST_INBOUND[0] <= next_wait(schedule, 100.0) <= FIRST_INBOUND[1]
    schedule.joined("outbound", 100.0, is_outbound=True)
    assert FIRST_OUTBOUND[0] <= next_wait(schedule, 100.0) <= FIRST_OUTBOUND[1]
    assert schedule.start(100.0 + FIRST_OUTBOUND[1], 5) == ["outbound"]
    assert schedule.start(200.0, 5) == ["inbound"]
    assert schedule.start(900.0, 5) == [], "both are running"
    assert schedule.due is None


def test_the_longest_overdue_go_first_and_no_more_than_there_is_room_for(
    schedule: Schedule,
) -> None:
    for number in range(5):
        schedule.joined(f"peer {number}", 100.0 * number, is_outbound=True)
    assert schedule.start(1_000.0, 2) == ["peer 0", "peer 1"]
    assert schedule.start(1_000.0, 0) == []


def test_quiet_peers_wait_half_a_minute_to_a_minute(schedule: Schedule) -> None:
    schedule.joined("ann", 0.0, is_outbound=True)
    waits = []
    now = 10.0
    for _ in range(50):
        schedule.start(now, 1)
        schedule.finished("ann", now, has_moved=False)
        waits.append(next_wait(schedule, now))
        now += 100.0
    assert INTERVAL[0] <= min(waits) < max(waits) <= INTERVAL[1]
    assert len(set(waits)) == 50


def test_what_moved_is_checked_soon_but_not_for_ever(schedule: Schedule) -> None:
    schedule.joined("ann", 0.0, is_outbound=True)
    waits, now = [], 10.0
    for _ in range(QUICK_ROUNDS + 2):
        schedule.start(now, 1)
        schedule.finished("ann", now, has_moved=True)
        waits.append(next_wait(schedule, now))
        now += 100.0
    assert all(wait <= QUICK[1] for wait in waits[:QUICK_ROUNDS])
    assert all(wait >= INTERVAL[0] for wait in waits[QUICK_ROUNDS:])
    schedule.nudge(now - 99.0)
    assert next_wait(schedule, now - 100.0) >= INTERVAL[0]
    schedule.start(now + 100, 1)
    schedule.finished("ann", now, has_moved=False)
    schedule.nudge(now)
    assert next_wait(schedule, now) <= QUICK[1]


def test_a_peer_is_given_time_to_fetch_what_it_was_offered(schedule: Schedule) -> None:
    schedule.joined("ann", 0.0, is_outbound=True)
    for offered, extra in ((0, 0.0), (20_000, 10.0), (10**9, LONGEST_DIGESTION)):
        schedule.start(1_000.0, 1)
        schedule.finished("ann", 1_000.0, has_moved=True, offered=offered)
        assert QUICK[0] + extra <= next_wait(schedule, 1_000.0) <= QUICK[1] + extra
        schedule.hurry(1_000.0)


def test_news_hurries_everybody_but_who_brought_them(schedule: Schedule) -> None:
    for peer in ("ann", "bob", "cyd"):
        schedule.joined(peer, 0.0, is_outbound=True)
    assert len(schedule.start(1.0, 3)) == 3
    schedule.finished("ann", 1.0, has_moved=False)
    schedule.finished("bob", 1.0, has_moved=False)
    schedule.nudge(2.0, besides="ann")
    assert schedule.start(2.0 + QUICK[1], 3) == ["bob"]
    # A session that was under way may have missed them.
    schedule.finished("cyd", 3.0, has_moved=False)
    assert schedule.start(3.0 + QUICK[1], 3) == ["cyd"]
    assert schedule.start(30.0, 3) == []


def test_failures_wait_longer_each_time(schedule: Schedule) -> None:
    schedule.joined("ann", 0.0, is_outbound=True)
    waits, now = [], 10.0
    for _ in range(10):
        schedule.start(now, 1)
        schedule.failed("ann", now)
        waits.append(next_wait(schedule, now))
        schedule.nudge(now)
        assert next_wait(schedule, now) == waits[-1], "no news for a peer that fails"
        now += 1_000.0
    assert RETRY[0] <= waits[0] <= RETRY[1]
    assert waits[-1] == LONGEST_RETRY
    schedule.start(now, 1)
    schedule.finished("ann", now, has_moved=False)
    schedule.start(now + 100.0, 1)
    schedule.failed("ann", now + 100.0)
    assert next_wait(schedule, now + 100.0) <= RETRY[1]


def test_a_peer_can_be_put_off_until_what_we_want_changes(schedule: Schedule) -> None:
    schedule.joined("ann", 0.0, is_outbound=True)
    schedule.start(1.0, 1)
    schedule.wait("ann", 600.0)
    schedule.finished("ann", 1.0, has_moved=False)
    schedule.nudge(2.0)
    assert schedule.due == 600.0
    schedule.hurry(3.0)
    assert schedule.start(3.0, 1) == ["ann"]


def test_who_has_gone_is_not_asked(schedule: Schedule) -> None:
    schedule.joined("ann", 0.0, is_outbound=True)
    schedule.start(1.0, 1)
    schedule.left("ann")
    schedule.finished("ann", 2.0, has_moved=True)
    schedule.failed("ann", 2.0)
    schedule.wait("ann", 9.0)
    assert "ann" not in schedule
    assert schedule.due is None
