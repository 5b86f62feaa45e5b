"""What has become of orders since the start, counted from what the ledger tells.

Refusals are no events; ``Admission.refused`` counts them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from fondaco.zeroex.admission import Origin, received_from
from fondaco.zeroex.ledger import ToldEvent
from fondaco.zeroex.lifecycle import EndState

_ORIGINS = {received_from(origin): origin for origin in Origin}


class Tally:
    """The counters."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        """By ``EndState`` value."""
        self.added: Counter[Origin] = Counter()
        """Orders that were new, by the door they came through."""

    def take(self, events: Iterable[ToldEvent]) -> None:
        """Count what was committed (a ``ledger.Tell``)."""
        for event in events:
            self.events[event.end_state] += 1
            if event.end_state == EndState.ADDED.value:
                origin = _ORIGINS.get(event.reason)
                if origin is not None:
                    self.added[origin] += 1
