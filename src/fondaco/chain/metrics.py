"""What is measured of the chain and its endpoint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from fondaco.chain.budget import RpcBudget
from fondaco.chain.headers import Header
from fondaco.chain.limits import POLLS_MISSED, SILENCE_SECONDS
from fondaco.clock import Clock
from fondaco.metrics import Family, Metric, Sample

_FAMILY = Family("fondaco_ethereum_")

BLOCK = _FAMILY.gauge("block", "Number of the newest block dealt with; 0 before the first.")
BLOCK_TIME = _FAMILY.gauge(
    "block_timestamp_seconds", "Unix time of that block, by its miner; 0 before the first."
)
STALENESS = _FAMILY.gauge(
    "staleness_seconds", "Seconds since the endpoint last answered a poll in full, or the start."
)
REQUESTS = _FAMILY.counter("requests", "Requests sent to the endpoint.")
EXPIRED = _FAMILY.counter("requests_expired", "Requests that gave up waiting for their turn.")
TODAY = _FAMILY.gauge(
    "requests_today",
    "Requests of this UTC day, before a restart too: what the budget counts.",
)

METRICS: tuple[Metric, ...] = (BLOCK, BLOCK_TIME, STALENESS, REQUESTS, EXPIRED, TODAY)


class ChainState(Protocol):
    """What is asked of whoever follows the chain."""

    @property
    def head(self) -> Header | None: ...

    @property
    def staleness(self) -> float: ...

    @property
    def last_error(self) -> str | None: ...


class ChainMetrics:
    """The chain as a ``metrics.Source``.

    Args:
        polling_interval: seconds between two polls, which decides how long silence is normal.
    """

    metrics: Sequence[Metric] = METRICS

    def __init__(
        self, state: ChainState, budget: RpcBudget, clock: Clock, *, polling_interval: float
    ) -> None:
        self._state = state
        self._budget = budget
        self._clock = clock
        self._patience = max(SILENCE_SECONDS, POLLS_MISSED * polling_interval)

    def samples(self) -> Iterator[Sample]:
        """Yield the values of this moment."""
        head = self._state.head
        budget = self._budget.snapshot(self._clock.now_ns())
        yield Sample(BLOCK, 0 if head is None else head.number)
        yield Sample(BLOCK_TIME, 0 if head is None else head.timestamp)
        yield Sample(STALENESS, self._state.staleness)
        yield Sample(REQUESTS, self._budget.sent)
        yield Sample(EXPIRED, budget.expired)
        yield Sample(TODAY, budget.sent_today)

    def troubles(self) -> list[str]:
        """Return whether the endpoint has been silent for too long."""
        silent = self._state.staleness
        if silent < self._patience:
            return []
        why = self._state.last_error
        text = f"the Ethereum endpoint has not answered in full for {silent:.0f} s"
        return [text if why is None else f"{text}: {why}"]
