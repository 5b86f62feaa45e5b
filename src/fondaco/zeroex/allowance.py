"""How often other nodes' orders may make us ask the chain about one of them alone.

    tokens flow in at a steady rate up to a maximum; a question takes one; none: no question

Reading plain orders costs one request for two thousand of them. A contract's signature or
an exotic asset costs a request each, and anybody can write such orders.
"""

from __future__ import annotations

HOUR = 3_600.0


class Allowance:
    """A bucket of questions. Pure: the host says what time it is.

    Args:
        per_hour: questions that come in.
        at_once: questions it holds at most, and at first.
        now: monotonic seconds.
    """

    def __init__(self, per_hour: float, at_once: int, now: float) -> None:
        self._per_second = per_hour / HOUR
        self._at_once = at_once
        self._left = float(at_once)
        self._since = now

    def take(self, now: float) -> bool:
        """Take one question; return whether there was one. *now* never goes back."""
        earned = (now - self._since) * self._per_second
        self._left = min(float(self._at_once), self._left + earned)
        self._since = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
