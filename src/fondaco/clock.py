"""Time as an argument. ``SystemClock`` is the only reader of the system's clock.

Code that decides takes a number; code that waits takes a ``Clock``. Tests hand in
``fondaco.testing.FakeClock`` and move it instead of sleeping.
"""

from __future__ import annotations

import asyncio
import datetime
import functools
import time
from typing import Protocol

NANOSECONDS = 1_000_000_000
"""Per second."""


class Clock(Protocol):
    """What waits or stamps asks of time."""

    def now_ns(self) -> int:
        """Return nanoseconds since the Unix epoch, UTC."""

    def monotonic(self) -> float:
        """Return seconds that never go backwards; only differences mean anything."""

    async def sleep(self, seconds: float) -> None:
        """Return after *seconds*; at once where they are not positive."""


class SystemClock:
    """The clock of this machine."""

    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


async def until_set(event: asyncio.Event, clock: Clock, seconds: float) -> None:
    """Return as soon as *event* is set, or after *seconds* of *clock*."""
    if seconds <= 0 or event.is_set():
        return
    waits = [asyncio.ensure_future(event.wait()), asyncio.ensure_future(clock.sleep(seconds))]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


def seconds(now_ns: int) -> int:
    """Return whole Unix seconds, rounded down, as block timestamps count them."""
    return now_ns // NANOSECONDS


@functools.lru_cache(maxsize=16)  # a thousand events of one block have one time
def rfc3339(now_ns: int) -> str:
    """Return *now_ns* in UTC as RFC 3339 text, as Go's ``time.Time`` is printed in JSON.

    The fraction has up to nine digits without trailing zeros, and is left out when
    zero: ``2020-01-01T00:00:00Z``, ``2020-01-01T00:00:00.5Z``.
    """
    whole, fraction = divmod(now_ns, NANOSECONDS)
    text = datetime.datetime.fromtimestamp(whole, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S")
    if fraction:
        text += f".{fraction:09d}".rstrip("0")
    return text + "Z"


def utc_midnight_ns(now_ns: int) -> int:
    """Return the start of the UTC day that *now_ns* lies in."""
    day = 86_400 * NANOSECONDS
    return now_ns - now_ns % day
