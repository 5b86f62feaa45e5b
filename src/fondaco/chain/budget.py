"""How many requests the Ethereum endpoint may get from us: per second and per UTC day.

Rules of 0x Mesh v7 to v9 (0x-mesh, section 6): a token bucket for the second, a
counter for the day. A request over the day's limit fails at once; one that would wait
for the bucket longer than its time-out fails at once too and is counted.
"""

from __future__ import annotations

import msgspec

from fondaco.chain.errors import BudgetExhausted, DailyBudgetExhausted
from fondaco.clock import utc_midnight_ns
from fondaco.errors import ConfigurationError

DAY_SECONDS = 86_400

RESERVED_FOR_ORDERS = 50_000
"""Requests a day that polling must leave for orders (0x-mesh, section 6, v7-v9)."""


class BudgetSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What of the budget survives a restart."""

    start_of_utc_day_ns: int
    """Midnight, UTC, of the day that was counted; Unix nanoseconds."""
    sent_today: int
    expired: int = 0
    """Requests that gave up waiting, since the process began; not restored."""


class RpcBudget:
    """Grants requests. Pure: the host says what time it is and does the waiting.

    Args:
        per_day: requests a UTC day.
        per_second: requests a second on average; bursts may have half of that.
        now_ns: Unix nanoseconds; decides which day is counted first.
        stored: a snapshot of an earlier run; of another day, it counts for nothing.
        is_enabled: False grants everything and still counts.
    """

    def __init__(
        self,
        *,
        per_day: int,
        per_second: float,
        now_ns: int,
        stored: BudgetSnapshot | None = None,
        is_enabled: bool = True,
    ) -> None:
        self._per_day = per_day
        self._per_second = per_second
        self._burst = max(1.0, float(int(per_second / 2)))
        self._is_enabled = is_enabled
        self._tokens = self._burst
        self._filled_at: float | None = None
        self._day_ns = utc_midnight_ns(now_ns)
        self._sent_today = 0
        self._sent = 0
        self._expired = 0
        if stored is not None and stored.start_of_utc_day_ns == self._day_ns:
            self._sent_today = stored.sent_today

    def reserve(self, now_ns: int, monotonic: float, timeout: float) -> float:
        """Count one request; return the seconds to wait before it may be sent.

        Requests are granted in the order of the calls: a later one never overtakes.

        Args:
            now_ns: Unix nanoseconds.
            monotonic: seconds, never going backwards.
            timeout: seconds the request can wait at most.

        Raises:
            DailyBudgetExhausted: nothing more today.
            BudgetExhausted: its turn comes after *timeout*; counted in ``expired``.
        """
        self._turn_day(now_ns)
        if not self._is_enabled:
            self._sent_today += 1
            self._sent += 1
            return 0.0
        if self._sent_today >= self._per_day:
            raise DailyBudgetExhausted
        if self._filled_at is not None:
            earned = (monotonic - self._filled_at) * self._per_second
            self._tokens = min(self._burst, self._tokens + earned)
        self._filled_at = monotonic
        wait = max(0.0, (1 - self._tokens) / self._per_second)
        if wait > timeout:
            self._expired += 1
            raise BudgetExhausted("too many Ethereum RPC requests are waiting for their turn")
        self._tokens -= 1  # may go below zero: that is the queue
        self._sent_today += 1
        self._sent += 1
        return wait

    @property
    def sent(self) -> int:
        """Requests granted since the process began, whatever the day."""
        return self._sent

    def snapshot(self, now_ns: int) -> BudgetSnapshot:
        """Return what to store; the host does so once a minute and at the end."""
        self._turn_day(now_ns)
        return BudgetSnapshot(
            start_of_utc_day_ns=self._day_ns, sent_today=self._sent_today, expired=self._expired
        )

    def _turn_day(self, now_ns: int) -> None:
        day_ns = utc_midnight_ns(now_ns)
        if day_ns > self._day_ns:
            self._sent_today = 0
        # A clock that was set back keeps the count: twice the same day is one day.
        self._day_ns = day_ns


def check_polling_fits(per_day: int, polling_interval: float) -> None:
    """Refuse a daily limit that polling for blocks alone would use up.

    Args:
        per_day: requests a UTC day.
        polling_interval: seconds between two polls.

    Raises:
        ConfigurationError: fewer than RESERVED_FOR_ORDERS would be left.
    """
    needed = int(DAY_SECONDS / polling_interval) + RESERVED_FOR_ORDERS
    if per_day < needed:
        raise ConfigurationError(
            "ETHEREUM_RPC_MAX_REQUESTS_PER_24_HR_UTC",
            f"{per_day} requests a day are too few to poll every {polling_interval:g} s",
            f"allow {needed} or more, or raise BLOCK_POLLING_INTERVAL",
        )
