"""When the bytes that enter a link come out of it: latency, and loss as TCP shows it. Pure.

A proxy between two TCP connections cannot lose a packet. What an application sees of a
loss is time: the segment is sent again after a retransmission timeout, and everything
behind it waits, because a stream keeps its sequence. That is what is modelled here:

    out = max(out of the one before, in + latency + timeouts of its lost segments)

Not modelled: bandwidth, congestion windows, fast retransmission (which mends most losses
of a long transfer in one round trip, so that these are slower here than they would be).
"""

from __future__ import annotations

from fondaco.lab.chance import Chance

SEGMENT_SIZE = 1_448
"""Bytes of a TCP segment on Ethernet, with time stamps; each may be lost."""

LEAST_TIMEOUT = 0.2
"""Seconds of Linux's shortest retransmission timeout (``TCP_RTO_MIN``), beside the round trip."""

MOST_TIMEOUTS = 6
"""In a row. After so many the wait is 60 times the first, and connections are given up."""


class LinkModel:
    """One direction of one connection."""

    def __init__(self, latency: float, loss: float, chance: Chance) -> None:
        """*latency* is in seconds, one way; *loss* the share of segments, 0 to 1."""
        self._latency = latency
        self._loss = loss
        self._chance = chance
        self._last = 0.0

    def due(self, now: float, size: int) -> float:
        """Return when *size* bytes that enter at *now* come out; never before earlier ones."""
        self._last = max(self._last, now + self._latency + self._stall(size))
        return self._last

    def _stall(self, size: int) -> float:
        """Return the seconds that lost segments among *size* bytes cost."""
        if not self._loss:
            return 0.0
        segments = -(-max(size, 1) // SEGMENT_SIZE)
        # They are sent together and wait together: the first timeout serves all of them.
        odds = 1.0 - (1.0 - self._loss) ** segments
        timeout = LEAST_TIMEOUT + 2 * self._latency
        stall = 0.0
        for _ in range(MOST_TIMEOUTS):
            if self._chance.random() >= odds:
                break
            stall += timeout
            timeout *= 2
            odds = self._loss
        return stall
