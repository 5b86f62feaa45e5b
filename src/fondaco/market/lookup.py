"""One search through the DHT for the nodes closest to a place, or for what they hold there.

    next(now) --> whom to ask ----.
    answered(...), failed(...) <--'   until is_done

    new --asked--> asked --answered--> answered
                     |---LATE_SECONDS--> late: no longer waited for, welcome when it comes
                     '---no answer--> failed

Done when the k closest of those that can be had have answered, or enough have shown what they
hold. At most alpha are waited for at a time.

Liars. A value is the union of what the k closest show, so one who withholds it, or shows an
old one, changes nothing. Contacts are taken from all answers, so one who names the wrong ones
is outvoted. One who names contacts that do not exist costs time: whoever is found to have
introduced mostly such comes last with all he named. One who names contacts at addresses that
are not theirs has them asked once more where the next one says that they are.
"""

from __future__ import annotations

import enum
from collections import deque

import msgspec

from fondaco.identity.names import Guid
from fondaco.market import dht_limits
from fondaco.market.contacts import Contact
from fondaco.market.dht_keys import distance
from fondaco.market.records import Record, merge, supersedes

MAX_INTRODUCERS = 8
"""Of one candidate that are remembered: who is named by so many is vouched for."""

MAX_KNOWN_ADDRESSES = 2 * dht_limits.MAX_ADDRESSES
"""Of one candidate, named by different nodes."""

MAX_TRIES = 3
"""Times one candidate is asked, each at addresses that were not known before."""

DOUBTFUL_FAILURES = 4
"""Contacts one node named that did not answer, from which on it may be doubted. After half
of a network has died at once, half of what honest nodes name is dead."""


class Query(msgspec.Struct, frozen=True, gc=False):
    """Somebody to ask."""

    contact: Contact
    after: bytes = b""
    """Of a lookup for a value: the last owner of the page before."""


class _Step(enum.Enum):
    NEW = "new"
    ASKED = "asked"
    LATE = "late"
    ANSWERED = "answered"
    FAILED = "failed"


class _Candidate:
    """A node on the way, and how it fares."""

    __slots__ = (
        "asked_at",
        "contact",
        "distance",
        "hop",
        "introducers",
        "pages",
        "shown",
        "step",
        "tries",
    )

    def __init__(self, contact: Contact, distance: int, hop: int) -> None:
        self.contact = contact
        self.distance = distance
        self.hop = hop
        """Requests after which it was known, one after the other; 1 for our own contacts."""
        self.introducers: list[Guid] = []
        """Who named it; nobody where it was our own contact."""
        self.step = _Step.NEW
        self.asked_at = 0.0
        self.pages = 0
        self.tries = 0
        self.shown: dict[bytes, Record] = {}
        """Owner -> what it holds."""

    def is_named_only_by(self, some: set[Guid]) -> bool:
        return bool(self.introducers) and some.issuperset(self.introducers)


def _distance(candidate: _Candidate) -> int:
    return candidate.distance


class Lookup:
    """A search. Times are in seconds.

    Args:
        own: who searches, and is never asked.
        seeds: whom to ask first.
        wants_values: look for records; else for nodes.
        held: what we hold under the target ourselves.
        enough: nodes that show something before the search for a value ends; None for all k.
            With fewer, a few liars on the place can hide all but what they show.
    """

    def __init__(
        self,
        own: Guid,
        target: bytes,
        seeds: list[Contact],
        *,
        wants_values: bool = False,
        held: tuple[Record, ...] = (),
        enough: int | None = None,
    ) -> None:
        self.target = target
        self.wants_values = wants_values
        self.queries = 0
        """Requests so far."""
        self.is_done = False
        self._own = own
        self._enough = enough
        self._all: dict[Guid, _Candidate] = {}
        self._asked: dict[Guid, _Candidate] = {}
        """Those who are waited for."""
        self._more: deque[_Candidate] = deque()
        self._dead: dict[Guid, int] = {}
        self._alive: dict[Guid, int] = {}
        self._records = merge(held)
        self._showers = 1 if held else 0
        self._value_hop: int | None = 0 if held else None
        for contact in seeds:
            self._add(contact, 1, None)

    # --- what can be asked ---------------------------------------------------------------

    @property
    def records(self) -> tuple[Record, ...]:
        """What was shown so far: of each owner the newest, withdrawals too."""
        return self._records

    @property
    def closest(self) -> list[Contact]:
        """The k closest that have answered, the closest first."""
        return [candidate.contact for candidate in self._answered()]

    @property
    def hops(self) -> int:
        """Requests one after the other that led to the first who showed something, or else to
        the closest node."""
        if self._value_hop is not None:
            return self._value_hop
        answered = self._answered()
        return answered[0].hop if answered else 0

    def lacking(self) -> tuple[Contact, tuple[Record, ...]] | None:
        """Return the closest node that lacks something others have shown, and what."""
        for candidate in self._answered():
            missing = tuple(
                record
                for record in self._records
                if record.owner not in candidate.shown
                or supersedes(record, candidate.shown[record.owner])
            )
            if missing:
                return candidate.contact, missing
        return None

    # --- what happens --------------------------------------------------------------------

    def next(self, now: float) -> list[Query]:
        """Return whom to ask now. Call it after every answer, and when somebody is late."""
        if self.is_done:
            return []
        self._notice_late(now)
        if self._is_enough():
            self.is_done = True
            return []
        queries = []
        room = dht_limits.PARALLEL_REQUESTS - len(self._asked)
        while self._more and room > 0 and self.queries < dht_limits.MAX_QUERIES:
            queries.append(self._ask(self._more.popleft(), now))
            room -= 1
        frontier = self._frontier()
        for candidate in frontier:
            if room <= 0 or self.queries >= dht_limits.MAX_QUERIES:
                break
            if candidate.step is _Step.NEW:
                queries.append(self._ask(candidate, now))
                room -= 1
        if not self._asked and not self._waits_for_late():
            self.is_done = True
        return queries

    def answered(
        self,
        guid: Guid,
        contacts: tuple[Contact, ...],
        records: tuple[Record, ...] = (),
        *,
        has_more: bool = False,
    ) -> None:
        """A node that was asked has answered.

        Args:
            contacts: whom it named, checked.
            records: what it showed, each checked and signed by its owner.
            has_more: it holds more than it could show.
        """
        candidate = self._all.get(guid)
        if candidate is None or candidate.step not in (_Step.ASKED, _Step.LATE):
            return
        was_late = self._asked.pop(guid, None) is None
        candidate.step = _Step.ANSWERED
        if candidate.pages == 1 or was_late:
            self._judge(candidate, alive=1, dead=-1 if was_late else 0)
        for contact in contacts[: dht_limits.BUCKET_SIZE]:
            self._add(contact, candidate.hop + 1, candidate)
        self._forget_farthest()
        if not records:
            return
        if self._value_hop is None:
            self._value_hop = candidate.hop
        if not candidate.shown:
            self._showers += 1
        candidate.shown.update((record.owner, record) for record in records)
        self._records = merge(self._records, records)
        if has_more and candidate.pages < dht_limits.MAX_PAGES:
            self._more.append(candidate)

    def failed(self, guid: Guid) -> None:
        """A node that was asked has not answered, or not sensibly."""
        candidate = self._all.get(guid)
        if candidate is None or candidate.step not in (_Step.ASKED, _Step.LATE):
            return
        if self._asked.pop(guid, None) is not None:
            self._judge(candidate, dead=1)
        candidate.step = _Step.FAILED

    # --- whom to ask ---------------------------------------------------------------------

    def _is_enough(self) -> bool:
        if self._enough is None or self._more or self._showers < self._enough:
            return False
        return not any(one.shown for one in self._asked.values())

    def _waits_for_late(self) -> bool:
        """Say whether those who are late are better than nothing."""
        if self._showers or len(self._answered()) >= dht_limits.BUCKET_SIZE // 2:
            return False
        return any(one.step is _Step.LATE for one in self._all.values())

    def _frontier(self) -> list[_Candidate]:
        """The k closest that can be had: those who have to answer."""
        possible = self._ranked((_Step.NEW, _Step.ASKED, _Step.ANSWERED))
        return possible[: dht_limits.BUCKET_SIZE]

    def _ranked(self, steps: tuple[_Step, ...]) -> list[_Candidate]:
        """Return candidates by their distance, after all others the new ones that only doubted
        nodes have named."""
        found = [candidate for candidate in self._all.values() if candidate.step in steps]
        found.sort(key=_distance)
        doubted = {guid for guid, dead in self._dead.items() if self._is_doubted(guid, dead)}
        if doubted:
            found.sort(key=lambda one: one.step is _Step.NEW and one.is_named_only_by(doubted))
        return found

    def _is_doubted(self, introducer: Guid, dead: int) -> bool:
        return dead >= DOUBTFUL_FAILURES and dead > 3 * self._alive.get(introducer, 0)

    def _answered(self) -> list[_Candidate]:
        answered = [
            candidate
            for candidate in self._all.values()
            if candidate.step is _Step.ANSWERED or candidate.shown
        ]
        answered.sort(key=_distance)
        return answered[: dht_limits.BUCKET_SIZE]

    def _judge(self, candidate: _Candidate, *, alive: int = 0, dead: int = 0) -> None:
        """Put down to those who named *candidate* that it is alive or dead."""
        for guid in candidate.introducers:
            self._alive[guid] = self._alive.get(guid, 0) + alive
            self._dead[guid] = self._dead.get(guid, 0) + dead

    def _ask(self, candidate: _Candidate, now: float) -> Query:
        candidate.step = _Step.ASKED
        self._asked[candidate.contact.guid] = candidate
        candidate.asked_at = now
        candidate.pages += 1
        candidate.tries += 1
        self.queries += 1
        return Query(candidate.contact, max(candidate.shown, default=b""))

    def _notice_late(self, now: float) -> None:
        for guid, candidate in list(self._asked.items()):
            if candidate.asked_at + dht_limits.LATE_SECONDS <= now:
                del self._asked[guid]
                candidate.step = _Step.LATE
                self._judge(candidate, dead=1)

    # --- candidates ----------------------------------------------------------------------

    def _add(self, contact: Contact, hop: int, introducer: _Candidate | None) -> None:
        if contact.guid == self._own or not contact.addresses:
            return
        known = self._all.get(contact.guid)
        if known is None:
            apart = distance(contact.guid, self.target)
            known = self._all[contact.guid] = _Candidate(contact, apart, hop)
        else:
            self._add_addresses(known, contact.addresses)
            if not known.introducers:
                return  # one of our own, whoever else names it
        if introducer is not None and len(known.introducers) < MAX_INTRODUCERS:
            known.introducers.append(introducer.contact.guid)

    def _add_addresses(self, known: _Candidate, addresses: tuple[str, ...]) -> None:
        before = known.contact.addresses
        new = tuple(address for address in addresses if address not in before)
        if not new or len(before) >= MAX_KNOWN_ADDRESSES:
            return
        both = (before + new)[:MAX_KNOWN_ADDRESSES]
        if known.step is _Step.NEW:
            known.contact = msgspec.structs.replace(known.contact, addresses=both)
        elif known.step is _Step.FAILED and known.tries < MAX_TRIES:
            known.contact = msgspec.structs.replace(known.contact, addresses=both)
            known.step = _Step.NEW

    def _forget_farthest(self) -> None:
        too_many = len(self._all) - dht_limits.MAX_CANDIDATES
        if too_many > 0:
            for candidate in self._ranked((_Step.NEW,))[-too_many:]:
                del self._all[candidate.contact.guid]
