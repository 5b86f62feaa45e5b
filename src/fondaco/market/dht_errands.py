"""One thing a node is about in the DHT: a lookup, and what is brought to where it led.

purpose    looks for  then brings
JOIN       itself     nothing; afterwards the far buckets are refreshed
FIND       a node     nothing
REFRESH    any place  nothing
GET        a value    what the closest node lacks of it
PUT        a place    one new record to the k closest
REPUBLISH  a place    all that is held under a key to the k closest
"""

from __future__ import annotations

import enum
from collections import deque

from fondaco.identity.names import Guid
from fondaco.market import dht_limits
from fondaco.market.contacts import Contact
from fondaco.market.dht_events import Event, Found, Located, Placed, Shown
from fondaco.market.dht_keys import DhtKey
from fondaco.market.dht_messages import (
    Answer,
    FindNode,
    FindValue,
    Nodes,
    Request,
    Store,
    Stored,
    Values,
)
from fondaco.market.lookup import Lookup
from fondaco.market.records import Record


class Purpose(enum.Enum):
    """What an errand is for."""

    JOIN = "join"
    FIND = "find"
    REFRESH = "refresh"
    GET = "get"
    PUT = "put"
    REPUBLISH = "republish"


class Errand:
    """A lookup and what follows. Times are in seconds.

    Args:
        records: what to bring; of a GET, nothing.
    """

    def __init__(
        self, number: int, purpose: Purpose, lookup: Lookup, records: tuple[Record, ...] = ()
    ) -> None:
        self.number = number
        self.purpose = purpose
        self.lookup = lookup
        self.records = records
        self.is_followed_up = False
        """What the node itself does after the lookup has been done."""
        self._shown: dict[bytes, Record] = {}
        """Owner -> what the client was shown."""
        self._is_told = False
        """The client knows the result."""
        self._parts: deque[tuple[Contact, Store]] | None = None
        """What is still to be brought. None: not begun."""
        self._final: Record | None = None
        """The last record that is brought to a node."""
        self._took: set[Guid] = set()
        self._refused: set[Guid] = set()
        self._under_way = 0

    @property
    def holders(self) -> int:
        """Nodes that say they hold all they were brought."""
        return len(self._took - self._refused)

    @property
    def is_done(self) -> bool:
        return (
            self.lookup.is_done and self._parts is not None and not (self._parts or self._under_way)
        )

    def next(self, now: float) -> list[tuple[Contact, Request]]:
        """Return whom to ask what now."""
        target = self.lookup.target
        requests: list[tuple[Contact, Request]] = [
            (
                query.contact,
                FindValue(DhtKey(target), query.after)
                if self.lookup.wants_values
                else FindNode(target),
            )
            for query in self.lookup.next(now)
        ]
        if not self.lookup.is_done:
            return requests
        if self._parts is None:
            self._parts = deque(self._to_bring())
        while self._parts and self._under_way < dht_limits.PARALLEL_STORES:
            contact, store = self._parts.popleft()
            self._under_way += 1
            requests.append((contact, store))
        return requests

    def answered(self, contact: Contact, request: Request, answer: Answer) -> None:
        """A node has answered, as it should."""
        match request, answer:
            case Store(records=records), Stored(kept=kept):
                self._under_way -= 1
                if kept < len(records):
                    self._give_up(contact)
                elif records[-1] is self._final:
                    self._took.add(contact.guid)
            case _, Nodes(contacts=contacts):
                self.lookup.answered(contact.guid, contacts)
            case _, Values() as values:
                self.lookup.answered(
                    contact.guid, values.contacts, values.records, has_more=values.has_more
                )

    def failed(self, contact: Contact, request: Request) -> None:
        """A node has not answered, or not as it should."""
        if isinstance(request, Store):
            self._under_way -= 1
            self._give_up(contact)
        else:
            self.lookup.failed(contact.guid)

    def news(self) -> list[Event]:
        """Return what the client does not know yet."""
        events: list[Event] = []
        lookup = self.lookup
        if self.purpose is Purpose.GET:
            fresh = [one for one in lookup.records if self._shown.get(one.owner) != one]
            self._shown.update((record.owner, record) for record in fresh)
            if live := tuple(record for record in fresh if not record.is_withdrawal):
                events.append(Shown(self.number, live))
        if self._is_told:
            return events
        if self.purpose is Purpose.PUT:
            self._is_told = self.is_done
            if self.is_done:
                events.append(
                    Placed(errand=self.number, record=self.records[0], holders=self.holders)
                )
        elif lookup.is_done:
            self._is_told = True
            if self.purpose is Purpose.GET:
                events.append(self._found())
            elif self.purpose is Purpose.FIND:
                events.append(self._located())
        return events

    def _found(self) -> Found:
        return Found(
            errand=self.number,
            key=DhtKey(self.lookup.target),
            records=tuple(one for one in self.lookup.records if not one.is_withdrawal),
            hops=self.lookup.hops,
            queries=self.lookup.queries,
        )

    def _located(self) -> Located:
        return Located(
            errand=self.number,
            target=self.lookup.target,
            contacts=tuple(self.lookup.closest),
            hops=self.lookup.hops,
            queries=self.lookup.queries,
        )

    def _give_up(self, contact: Contact) -> None:
        """Bring nothing more to a node that does not take it."""
        self._refused.add(contact.guid)
        self._parts = deque(part for part in self._parts or () if part[0].guid != contact.guid)

    def _to_bring(self) -> list[tuple[Contact, Store]]:
        nodes, records = self.lookup.closest, self.records
        if self.purpose is Purpose.GET:
            lacking = self.lookup.lacking()
            if lacking is None:
                return []
            nodes, records = [lacking[0]], lacking[1]
        if not records:
            return []
        self._final = records[-1]
        # Part by part, so that no node has to take all of them at once.
        return [(contact, store) for store in _parts_of(records) for contact in nodes]


def _parts_of(records: tuple[Record, ...]) -> list[Store]:
    """Cut records into requests that a node accepts."""
    parts: list[list[Record]] = []
    size = 0
    for record in records:
        is_full = not parts or len(parts[-1]) == dht_limits.MAX_ANSWER_RECORDS
        if is_full or size + record.size > dht_limits.MAX_ANSWER_SIZE:
            parts.append([])
            size = 0
        parts[-1].append(record)
        size += record.size
    return [Store(tuple(part)) for part in parts]
