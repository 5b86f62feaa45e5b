"""What waits for its turn, in three lanes, so that nothing holds up what is more urgent.

    lane        what                       at once                 paced
    SEARCH      join, find, get            MAX_LOOKUPS             no
    BRING       put                        MAX_PUTS                yes
    BACKGROUND  refresh, republish         MAX_MAINTENANCE_LOOKUPS yes

In a small network the same nodes are the closest to every key. Who publishes a whole store
asks each of them twice for every record; the pace keeps that below what they put up with.
"""

from __future__ import annotations

import enum
from collections import Counter, deque

import msgspec

from fondaco.errors import Unavailable
from fondaco.market import dht_limits
from fondaco.market.contacts import Contact
from fondaco.market.dht_errands import Errand, Purpose
from fondaco.market.records import Record
from fondaco.p2p.budget import TokenBucket


class DhtBusy(Unavailable):
    """Too much waits already."""

    code = "DhtBusy"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """An errand that has not begun."""

    number: int
    purpose: Purpose
    target: bytes
    records: tuple[Record, ...] = ()
    """What to bring."""
    seeds: tuple[Contact, ...] = ()
    """Whom to ask first, before those that are known by then."""
    enough: int | None = None


class Lane(enum.Enum):
    """Where a plan waits."""

    SEARCH = "search"
    BRING = "bring"
    BACKGROUND = "background"


_LANE_OF = {
    Purpose.JOIN: Lane.SEARCH,
    Purpose.FIND: Lane.SEARCH,
    Purpose.GET: Lane.SEARCH,
    Purpose.PUT: Lane.BRING,
    Purpose.REFRESH: Lane.BACKGROUND,
    Purpose.REPUBLISH: Lane.BACKGROUND,
}

_AT_ONCE = {
    Lane.SEARCH: dht_limits.MAX_LOOKUPS,
    Lane.BRING: dht_limits.MAX_PUTS,
    Lane.BACKGROUND: dht_limits.MAX_MAINTENANCE_LOOKUPS,
}

_QUEUED = {
    Lane.SEARCH: dht_limits.MAX_QUEUED_LOOKUPS,
    Lane.BRING: dht_limits.MAX_QUEUED_PUTS,
    Lane.BACKGROUND: dht_limits.MAX_QUEUED_MAINTENANCE,
}


class Workload:
    """Plans in the order in which they came, and errands under way. Times are in seconds."""

    def __init__(self, now: float) -> None:
        self._queues: dict[Lane, deque[Plan]] = {lane: deque() for lane in Lane}
        self._active: dict[int, Errand] = {}
        self._lanes: Counter[Lane] = Counter()
        self._pace = TokenBucket(dht_limits.BRINGS_PER_SECOND, dht_limits.BRINGS_BURST, now)

    @property
    def active(self) -> list[Errand]:
        """Those under way."""
        return list(self._active.values())

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(map(len, self._queues.values()))

    def is_full(self, purpose: Purpose) -> bool:
        """Say whether nothing more of a kind is taken."""
        lane = _LANE_OF[purpose]
        return len(self._queues[lane]) >= _QUEUED[lane]

    def add(self, plan: Plan) -> None:
        """Let *plan* wait for its turn.

        Raises:
            DhtBusy: too many wait.
        """
        if self.is_full(plan.purpose):
            raise DhtBusy(f"too much of {plan.purpose.value} waits")
        self._queues[_LANE_OF[plan.purpose]].append(plan)

    def take(self, now: float) -> Plan | None:
        """Return the plan whose turn it is, None where none may begin now. Then ``begin`` it."""
        for lane in Lane:
            if not self._may_begin(lane):
                continue
            if lane is Lane.SEARCH or self._pace.take(1, now):
                return self._queues[lane].popleft()
        return None

    def next_turn(self, now: float) -> float | None:
        """Return when the pace lets the next begin; None where something else holds it up."""
        if not any(self._may_begin(lane) for lane in (Lane.BRING, Lane.BACKGROUND)):
            return None
        missing = 1 - self._pace.level_at(now)
        # A little later, so that the token is there whatever was lost in rounding.
        return now + max(0.0, missing) / self._pace.rate + 0.001

    def begin(self, errand: Errand) -> None:
        """A plan has become an errand."""
        self._active[errand.number] = errand
        self._lanes[_LANE_OF[errand.purpose]] += 1

    def finish(self, errand: Errand) -> bool:
        """An errand is done; say whether it was under way until now."""
        if self._active.pop(errand.number, None) is None:
            return False
        self._lanes[_LANE_OF[errand.purpose]] -= 1
        return True

    def _may_begin(self, lane: Lane) -> bool:
        return bool(self._queues[lane]) and self._lanes[lane] < _AT_ONCE[lane]
