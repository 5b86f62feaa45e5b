"""Which errands are under way and which wait: those that somebody waits for, and the rest."""

from __future__ import annotations

from collections import deque

from fondaco.errors import Unavailable
from fondaco.market import dht_limits
from fondaco.market.dht_errands import Errand


class DhtBusy(Unavailable):
    """Too many searches wait already."""

    code = "DhtBusy"


class Workload:
    """Errands in the order in which they came, each kind with a number at once of its own."""

    def __init__(self) -> None:
        self._active: dict[int, Errand] = {}
        self._in_background = 0
        self._wanted: deque[Errand] = deque()
        self._background: deque[Errand] = deque()

    @property
    def active(self) -> list[Errand]:
        """Those under way."""
        return list(self._active.values())

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._wanted) + len(self._background)

    @property
    def is_background_full(self) -> bool:
        """Nothing more of what nobody waits for is taken."""
        return len(self._background) >= dht_limits.MAX_QUEUED_LOOKUPS

    def add(self, errand: Errand) -> None:
        """Let *errand* wait for its turn; in the background, it may be left out.

        Raises:
            DhtBusy: too many wait.
        """
        if errand.is_background:
            if not self.is_background_full:
                self._background.append(errand)
        elif len(self._wanted) >= dht_limits.MAX_QUEUED_LOOKUPS:
            raise DhtBusy(f"{len(self._wanted)} searches wait")
        else:
            self._wanted.append(errand)

    def start(self) -> Errand | None:
        """Return the next errand whose turn it is, None where none may start now."""
        errand: Errand
        in_foreground = len(self._active) - self._in_background
        if self._wanted and in_foreground < dht_limits.MAX_LOOKUPS:
            errand = self._wanted.popleft()
        elif self._background and self._in_background < dht_limits.MAX_MAINTENANCE_LOOKUPS:
            errand = self._background.popleft()
            self._in_background += 1
        else:
            return None
        self._active[errand.number] = errand
        return errand

    def finish(self, errand: Errand) -> bool:
        """An errand is done; say whether it was under way until now."""
        if self._active.pop(errand.number, None) is None:
            return False
        self._in_background -= errand.is_background
        return True
