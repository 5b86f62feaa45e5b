"""How a full store makes room, and how far in the future an order may expire.

    full?  drop the unpinned orders that expire last, down to 90 % of the capacity
             |
             v
    new maximum = smallest dropped expiration - 1      (what was dropped stays out)
             |
             v
    not full any more: the maximum grows again, slowly at first (SlowCounter)

Source: 0x Mesh ``meshdb``/``orderwatch``/``slowcounter``; reference/0x-mesh.md section 4.5.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import nlargest

import msgspec

from fondaco.zeroex.errors import OrderRejected, RejectionCode
from fondaco.zeroex.order import UINT256_MAX, OrderHash

TRIM_PERCENT = 90
"""Share of the capacity that is left after trimming. Trimming one order at a time would
rewrite the maximum at every insert."""

UNLIMITED_EXPIRATION = UINT256_MAX
"""Maximum expiration of a store that has never been full."""

GROWTH_OFFSET = 5
"""Seconds the maximum grows in the first interval."""

GROWTH_RATE = 2
"""Factor from one interval to the next: 5 s, 10 s, 20 s ... in total."""

GROWTH_INTERVAL = 300.0
"""Seconds of an interval."""

GROWTH_CHECK_INTERVAL = 30.0
"""Seconds between two looks at whether the maximum may grow."""


class TrimCandidate(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A stored, unpinned order."""

    order_hash: OrderHash
    expiration: int
    """Unix seconds."""


class Trim(msgspec.Struct, frozen=True, kw_only=True):
    """What to drop, and what to take from now on."""

    dropped: tuple[TrimCandidate, ...]
    """Latest expiration first."""
    max_expiration: int
    """New maximum, unix seconds."""


def trim_target(capacity: int) -> int:
    """Return how many orders may stay when a store of *capacity* is full."""
    return capacity * TRIM_PERCENT // 100


def trim(unpinned: Iterable[TrimCandidate], *, stored: int, target: int) -> Trim | None:
    """Choose what to drop so that *target* of *stored* orders stay; None when nothing must go.

    Args:
        unpinned: the unpinned stored orders; at least the ``stored - target`` of them
            that expire last. Of equal expirations the higher hash goes first.
        stored: all stored orders, pinned ones included.
        target: how many may stay.

    Raises:
        OrderRejected: DATABASE_FULL_OF_ORDERS; the pinned orders alone leave no room.
    """
    excess = stored - target
    if excess <= 0:
        return None
    dropped = nlargest(excess, unpinned, key=lambda row: (row.expiration, row.order_hash))
    if len(dropped) < excess:
        raise OrderRejected(
            RejectionCode.DATABASE_FULL_OF_ORDERS,
            f"{excess} orders would have to go, {len(dropped)} are not pinned",
        )
    return Trim(dropped=tuple(dropped), max_expiration=dropped[-1].expiration - 1)


def is_beyond(expiration: int, max_expiration: int, *, is_pinned: bool) -> bool:
    """Return whether a just inserted order must be dropped again.

    Its own insertion may have lowered the maximum below it: it is then told as ADDED
    and STOPPED_WATCHING. Pinned orders stay.
    """
    return not is_pinned and expiration > max_expiration


def first_max_expiration(stored: int | None, now: int) -> int:
    """Return the maximum at start: the *stored* one, raised to *now* if it has passed.

    Args:
        stored: what was saved, None when nothing was.
        now: unix seconds.
    """
    return UNLIMITED_EXPIRATION if stored is None else max(stored, now)


class SlowCounter:
    """A number that grows by itself: little at first, then ever faster.

    After k whole intervals ``offset * rate ** (k - 1)`` has been added in total.

    Args:
        start: first value.
        now: monotonic seconds at which it has that value.
        offset, rate, interval: the growth; ``GROWTH_…`` in production.
        maximum: never exceeded.
    """

    def __init__(
        self,
        start: int,
        now: float,
        *,
        offset: int = GROWTH_OFFSET,
        rate: int = GROWTH_RATE,
        interval: float = GROWTH_INTERVAL,
        maximum: int = UNLIMITED_EXPIRATION,
    ) -> None:
        self._offset = offset
        self._rate = rate
        self._interval = interval
        self._maximum = maximum
        self.reset(start, now)

    def reset(self, start: int, now: float) -> None:
        """Begin anew at *start*, as slowly as at first."""
        self._start = min(start, self._maximum)
        self._since = now

    def value(self, now: float) -> int:
        """Return the value at *now* (monotonic seconds, not before the last reset)."""
        intervals = int((now - self._since) / self._interval)
        room = self._maximum - self._start
        # A power of this many bits is over any maximum; do not compute it.
        if intervals <= 0 or room == 0:
            return self._start
        if intervals > self._maximum.bit_length() + 1 and self._rate > 1:
            return self._maximum
        grown: int = self._offset * self._rate ** (intervals - 1)
        return self._start + min(grown, room)
