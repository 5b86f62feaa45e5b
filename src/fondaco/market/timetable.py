"""What is to be done when: one appointment per subject, the next one first.

An appointment may be put off as often as anybody likes and costs nothing: what is in the
heap moves only when its first time has come.
"""

from __future__ import annotations

import heapq
import itertools
from typing import Generic, TypeVar

_Subject = TypeVar("_Subject")


class Timetable(Generic[_Subject]):
    """Appointments. Times are in seconds."""

    def __init__(self) -> None:
        self._when: dict[_Subject, float] = {}
        self._queued: dict[_Subject, float] = {}
        """Subject -> the earliest time at which the heap will come to it."""
        self._heap: list[tuple[float, int, _Subject]] = []
        self._tickets = itertools.count()

    def __len__(self) -> int:
        return len(self._when)

    def __contains__(self, subject: _Subject) -> bool:
        return subject in self._when

    def set(self, subject: _Subject, when: float) -> None:
        """Make an appointment, in place of an earlier one."""
        self._when[subject] = when
        queued = self._queued.get(subject)
        if queued is None or when < queued:
            self._push(subject, when)

    def drop(self, subject: _Subject) -> None:
        """Cancel an appointment, if there is one."""
        self._when.pop(subject, None)

    def next(self) -> float | None:
        """Return when something may be due, None for never. It is never later than the first
        appointment, and may be earlier."""
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> list[_Subject]:
        """Return what was to be done by *now*, in the sequence of its times; it is done with."""
        found: list[_Subject] = []
        while self._heap and self._heap[0][0] <= now:
            queued, _, subject = heapq.heappop(self._heap)
            if self._queued.get(subject) != queued:
                continue  # an entry that was overtaken by an earlier one
            del self._queued[subject]
            when = self._when.get(subject)
            if when is None:
                continue
            if when <= now:
                del self._when[subject]
                found.append(subject)
            else:
                self._push(subject, when)
        return found

    def _push(self, subject: _Subject, when: float) -> None:
        self._queued[subject] = when
        heapq.heappush(self._heap, (when, next(self._tickets), subject))
