"""What simulations of many nodes share: time that passes when told to, and checks made once."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from fondaco.errors import PeerError

T = TypeVar("T", bound=Hashable)
R = TypeVar("R")


class VirtualTime:
    """A world in which things happen at times, in their sequence and without waiting."""

    def __init__(self, now: float) -> None:
        self.now = now
        self._tickets = itertools.count()
        self._heap: list[tuple[float, int, Callable[[], None]]] = []

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Do something later."""
        heapq.heappush(self._heap, (when, next(self._tickets), action))

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while self._heap and self._heap[0][0] <= end:
            self.now, _, action = heapq.heappop(self._heap)
            action()
        self.now = end


class CheckedOnce(Generic[T, R]):
    """Makes a check once for all nodes; a thousand would find the same.

    Args:
        check: returns what it finds, or raises PeerError.
    """

    def __init__(self, check: Callable[[T], R]) -> None:
        self._check = check
        self._found: dict[T, R] = {}
        self._refused: dict[T, PeerError] = {}

    def __call__(self, value: T) -> R:
        """Return what the check finds of *value*.

        Raises:
            PeerError: what the check raised.
        """
        if value not in self._found and value not in self._refused:
            try:
                self._found[value] = self._check(value)
            except PeerError as exc:
                self._refused[value] = exc
        if value in self._refused:
            raise self._refused[value]
        return self._found[value]
