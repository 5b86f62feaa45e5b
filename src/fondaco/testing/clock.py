"""A clock that stands still until a test moves it."""

from __future__ import annotations

import asyncio
import heapq
import itertools

from fondaco.clock import NANOSECONDS

SETTLE_ROUNDS = 20
"""Turns of the event loop given to woken tasks before time moves on. A task that needs
more turns without sleeping in between talks to a socket; wait for its effect instead."""


class FakeClock:
    """A ``Clock`` moved by hand: nobody waits for real, sleepers wake in order.

    Args:
        now_ns: the first wall time; the default is a Friday in 2020 at noon UTC.
    """

    def __init__(self, now_ns: int = 1_578_052_800 * NANOSECONDS) -> None:
        self._now_ns = now_ns
        self._monotonic = 0.0
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._tickets = itertools.count()
        self._changed = asyncio.Event()

    def now_ns(self) -> int:
        return self._now_ns

    def monotonic(self) -> float:
        return self._monotonic

    @property
    def sleeping(self) -> int:
        """How many tasks wait for this clock."""
        return sum(not future.done() for _, _, future in self._sleepers)

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        wake_ns = self._now_ns + round(seconds * NANOSECONDS)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (wake_ns, next(self._tickets), future))
        self._changed.set()
        await future

    async def advance(self, seconds: float) -> None:
        """Move time forward, waking sleepers one instant after the other.

        A woken task that sleeps again inside the span is woken again inside it.
        """
        end_ns = self._now_ns + round(seconds * NANOSECONDS)
        await _settle()
        while self._sleepers and self._sleepers[0][0] <= end_ns:
            wake_ns, _, future = heapq.heappop(self._sleepers)
            if future.done():  # the sleeper was cancelled
                continue
            self._move_to(wake_ns)
            future.set_result(None)
            await _settle()
        self._move_to(end_ns)

    async def until_sleeping(self, count: int = 1) -> None:
        """Return once *count* tasks sleep: whatever woke them has been dealt with."""
        while self.sleeping < count:
            self._changed.clear()
            await self._changed.wait()

    def set_back(self, seconds: float) -> None:
        """Move the wall clock backwards, as an operator or NTP may; sleepers stay put."""
        self._now_ns -= round(seconds * NANOSECONDS)
        shifted = round(seconds * NANOSECONDS)
        self._sleepers = [(wake - shifted, ticket, f) for wake, ticket, f in self._sleepers]

    def _move_to(self, now_ns: int) -> None:
        self._monotonic += (now_ns - self._now_ns) / NANOSECONDS
        self._now_ns = now_ns


async def _settle() -> None:
    for _ in range(SETTLE_ROUNDS):
        await asyncio.sleep(0)
