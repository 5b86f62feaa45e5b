"""Appointments against a table that is searched from end to end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fondaco.market.timetable import Timetable

STEPS = st.lists(
    st.tuples(st.sampled_from(["set", "drop", "due"]), st.sampled_from("abcd"), st.integers(0, 20)),
    max_size=60,
)


@given(STEPS)
def test_it_agrees_with_a_list(steps: list[tuple[str, str, int]]) -> None:
    table: Timetable[str] = Timetable()
    slow: dict[str, float] = {}
    now = 0.0
    for action, subject, number in steps:
        if action == "set":
            table.set(subject, now + number)
            slow[subject] = now + number
        elif action == "drop":
            table.drop(subject)
            slow.pop(subject, None)
        else:
            now += number
            wanted = {one for one, when in slow.items() if when <= now}
            found = table.due(now)
            assert len(found) == len(wanted)
            assert set(found) == wanted
            slow = {one: when for one, when in slow.items() if one not in wanted}
        assert len(table) == len(slow)
        assert all(one in table for one in slow)
        first = table.next()
        if slow:
            assert first is not None
            assert first <= min(slow.values())


def test_what_is_due_comes_in_the_sequence_of_its_time() -> None:
    table: Timetable[str] = Timetable()
    for subject, when in (("late", 3.0), ("early", 1.0), ("never", 9.0), ("between", 2.0)):
        table.set(subject, when)
    assert table.due(3.0) == ["early", "between", "late"]
    assert table.due(3.0) == []
    assert table.next() == 9.0


def test_putting_off_costs_no_memory() -> None:
    table: Timetable[str] = Timetable()
    for number in range(10_000):
        table.set("again and again", 100.0 + number)
    assert table.next() == 100.0
    assert table.due(100.0) == []
    assert table.next() == 100.0 + 9_999
