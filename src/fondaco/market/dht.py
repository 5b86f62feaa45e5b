"""A node of the DHT as a state machine: calls in, events out.

    get, put, find, join ---.                        .--> Send(number, contact, request)
    answered, failed -------|      +---------+       |--> Shown, Found, Placed, Located, Joined
    asked(by, request) -----+----> |   Dht   | ------+--> Reply, Refuse, Misbehaved
    tick, at next_due ------'      +---------+       '--> Kept, Dropped, Renew

    asked ---> routing table: the closest        errands: a lookup each, at most so many at once
          '--> record table: keep, page          '--> lookups; what they lead to

What this node keeps, it keeps for others: each hour, unless somebody else has just done so, it
brings what is under a key to the k nodes that are closest to it by now. What it has put itself
it brings in any case, and asks for a new signature when half of the lifetime is over. So a
record lives as long as its owner comes back once a day, and no longer.

Who speaks is proved by the connection, not by the message: contacts come into the routing
table with the address of a connection that has shown their key. Records are believed for
their signatures, whoever brings them.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable

from fondaco.errors import PeerError, Verdict
from fondaco.identity.names import Guid
from fondaco.market import dht_limits
from fondaco.market.contacts import Contact, network_of
from fondaco.market.dht_errands import Errand, Purpose
from fondaco.market.dht_events import (
    Dropped,
    Event,
    Joined,
    Kept,
    Misbehaved,
    Refuse,
    Renew,
    Reply,
    Send,
)
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
    check_answer,
    check_request,
)
from fondaco.market.dht_quota import Quota
from fondaco.market.dht_workload import Plan, Workload
from fondaco.market.lookup import Lookup
from fondaco.market.record_payloads import check_place
from fondaco.market.record_table import OWN, Outcome, RecordTable
from fondaco.market.records import Record, check_shape, check_time
from fondaco.market.routing import Chance, RoutingTable
from fondaco.market.timetable import Timetable

SOMEWHERE = "somewhere"
"""The network of peers whose address says nothing: neighbours, and this machine."""

HOLDS = frozenset({Outcome.NEW, Outcome.NEWER, Outcome.SAME, Outcome.OLDER})
"""After these a record, or a newer one of its owner, is held."""


class _Pending:
    """A request that has not been answered."""

    __slots__ = ("contact", "errand", "number", "request", "sent_at")

    def __init__(
        self, number: int, contact: Contact, request: Request, errand: Errand | None, now: float
    ) -> None:
        self.number = number
        self.contact = contact
        self.request = request
        self.errand = errand
        """None: it is only asked whether it lives."""
        self.sent_at = now


class Dht:
    """One node. *now* is Unix seconds on a clock that never goes back.

    Every call returns the events it led to.

    Args:
        own: this node, with the addresses that others may dial.
        chance: for jitter and places to refresh; a seeded one makes everything repeatable.
        check: raises PeerError for a record its owner did not sign. It takes 0.2 ms, and is
            asked about 48 records at most in one call; a shell that has verified them in a
            thread may hand in one that remembers.
    """

    def __init__(
        self,
        own: Contact,
        chance: Chance,
        now: float,
        *,
        check: Callable[[Record], None],
        records: RecordTable | None = None,
    ) -> None:
        self.own = own
        self.routing = RoutingTable(own.guid)
        self.records = records or RecordTable(check)
        self._chance = chance
        self._check = check
        self._quota = Quota()
        self._pending: dict[int, _Pending] = {}
        self._late: deque[tuple[float, int]] = deque()
        self._work = Workload(now)
        self._is_beginning = False
        self._republish: Timetable[DhtKey] = Timetable()
        self._refresh_at = now + self._soon(dht_limits.REFRESH_SECONDS)
        self._numbers = itertools.count(1)
        self._events: list[Event] = []

    # --- what can be asked ---------------------------------------------------------------

    @property
    def active(self) -> int:
        """Errands under way."""
        return len(self._work.active)

    @property
    def waiting(self) -> int:
        """Errands that wait until others are done."""
        return self._work.waiting

    def next_due(self, now: float) -> float:
        """Return when to call ``tick``, at the latest."""
        while self._late and self._late[0][1] not in self._pending:
            self._late.popleft()
        times = [
            self._refresh_at,
            self._republish.next(),
            self.records.next_expiry(),
            self._work.next_turn(now),
        ]
        if self._late:
            times.append(self._late[0][0])
        if self._pending:
            oldest = next(iter(self._pending.values()))
            times.append(oldest.sent_at + dht_limits.REQUEST_SECONDS)
        return min(time for time in times if time is not None)

    # --- what the node wants -------------------------------------------------------------

    def join(self, contacts: Iterable[Contact], now: float) -> list[Event]:
        """Look for the way in, through *contacts* and those that are known. Ends in Joined."""
        self._plan(Purpose.JOIN, self.own.guid, now, seeds=tuple(contacts))
        return self._flush()

    def find(self, target: bytes, now: float) -> tuple[int, list[Event]]:
        """Look for the nodes closest to a GUID or key. Ends in Located.

        Raises:
            DhtBusy: too many searches wait.
        """
        number = self._plan(Purpose.FIND, target, now)
        return number, self._flush()

    def get(self, key: DhtKey, now: float, *, enough: int | None = None) -> tuple[int, list[Event]]:
        """Look for what is under *key*. Ends in Found; Shown may come before it.

        Args:
            enough: nodes that show something before the search ends; None for all the k
                closest. 1 will do where whatever is right is complete: a contract.

        Raises:
            DhtBusy: too many searches wait.
        """
        number = self._plan(Purpose.GET, key, now, enough=enough)
        return number, self._flush()

    def put(self, record: Record, now: float) -> tuple[int, list[Event]]:
        """Keep an own record, and bring it to the nodes closest to its key. Ends in Placed.

        Until it expires it is brought to them again every hour.

        Raises:
            ValueError: it is another's, or older than what is here; our own bug.
            PeerError: its signature, time or place is wrong; our own bug too.
            DhtBusy: too many wait; it is kept, and will be brought within the hour.
        """
        if record.owner != self.own.public_key:
            raise ValueError("only its owner puts a record")
        self._keep(record, OWN, now, is_direct=True)
        if self.records.find(record.key, record.owner) != record:
            raise ValueError("a newer record is here already")
        number = self._plan(Purpose.PUT, record.key, now, records=(record,))
        return number, self._flush()

    def restore(self, record: Record, network: str, now: float, *, is_direct: bool) -> None:
        """Take back a record that was held before the node was restarted.

        Raises:
            PeerError: it has expired, or has been tampered with.
        """
        self._keep(record, network, now, is_direct=is_direct)
        self._events.clear()

    # --- what others want ----------------------------------------------------------------

    def asked(
        self, sender: Contact, address: str, token: int, request: Request, now: float
    ) -> list[Event]:
        """Take a request of *sender*, who speaks from the IP *address* and has proved its key."""
        network = network_of(address)
        try:
            if not self._quota.may_ask(sender.guid, now):
                self._events.append(Refuse(token))
                return self._flush()
            check_request(request)
            answer = self._answer(sender, network or SOMEWHERE, request, now)
        except PeerError as exc:
            self.routing.remove(sender.guid)
            self._events += [Misbehaved(sender, exc), Refuse(token)]
            return self._flush()
        self._seen(sender, network, now)
        self._events.append(Reply(token, answer))
        return self._flush()

    def _answer(self, sender: Contact, network: str, request: Request, now: float) -> Answer:
        match request:
            case FindNode(target=target):
                near = self.routing.closest(target, leave_out=sender.guid)
                return Nodes(tuple(near))
            case FindValue(key=key, after=after):
                records, has_more = self.records.page(key, after, now)
                near = self.routing.closest(key, leave_out=sender.guid)
                return Values(records=records, contacts=tuple(near), has_more=has_more)
            case Store(records=records):
                kept = [self._take(sender, network, record, now) for record in records]
                return Stored(sum(kept))

    def _take(self, sender: Contact, network: str, record: Record, now: float) -> bool:
        """Keep a record that somebody has brought; say whether it is held now."""
        if self.records.find(record.key, record.owner) != record:
            most = dht_limits.RESPONSIBLE_NODES
            if self.routing.closer_than_own(record.key, most) >= most:
                return False
            if not self._quota.may_bring(sender.guid, now):
                return False
        try:
            is_direct = sender.public_key == record.owner
            outcome = self._keep(record, network, now, is_direct=is_direct)
        except PeerError as exc:
            if exc.verdict is Verdict.REJECT:
                raise
            return False
        if outcome in HOLDS and record.key in self._republish and not self._is_own(record.key):
            # Somebody else has just brought it to the k closest.
            self._republish.set(record.key, now + self._soon(dht_limits.REPUBLISH_SECONDS))
        return outcome in HOLDS

    # --- what comes back -----------------------------------------------------------------

    def answered(self, number: int, answer: Answer, address: str, now: float) -> list[Event]:
        """The node that request *number* was sent to has answered, from the IP *address*."""
        pending = self._pending.pop(number, None)
        if pending is None:
            return []  # it took too long
        contact, errand = pending.contact, pending.errand
        try:
            check_answer(pending.request, answer)
            if isinstance(answer, Values):
                answer = self._believable(answer, errand, now)
        except PeerError as exc:
            self.routing.remove(contact.guid)
            self._events.append(Misbehaved(contact, exc))
            if errand is not None:
                errand.failed(contact, pending.request)
                self._advance(errand, now)
            return self._flush()
        self._seen(contact, network_of(address), now)
        if errand is not None:
            errand.answered(contact, pending.request, answer)
            self._advance(errand, now)
        return self._flush()

    def failed(self, number: int, now: float) -> list[Event]:
        """Request *number* could not be brought, or was not answered."""
        pending = self._pending.pop(number, None)
        if pending is not None:
            self._fail(pending, now)
        return self._flush()

    def left(self, guid: Guid) -> None:
        """A node has said goodbye, or is banned."""
        self.routing.remove(guid)

    def _fail(self, pending: _Pending, now: float) -> None:
        self.routing.failed(pending.contact.guid)
        if pending.errand is not None:
            pending.errand.failed(pending.contact, pending.request)
            self._advance(pending.errand, now)

    def _believable(self, values: Values, errand: Errand | None, now: float) -> Values:
        """Return an answer without records whose time is over.

        Raises:
            PeerError: one is misplaced or forged.
        """
        known = () if errand is None else errand.lookup.records
        by_owner = {record.owner: record for record in known}
        good = []
        for record in values.records:
            try:
                check_time(record, now)
            except PeerError:
                continue
            held = self.records.find(record.key, record.owner)
            if record not in (by_owner.get(record.owner), held):
                check_shape(record)
                check_place(record)
                self._check(record)
            good.append(record)
        return Values(
            records=tuple(good), contacts=values.contacts, has_more=values.has_more and bool(good)
        )

    # --- time ----------------------------------------------------------------------------

    def tick(self, now: float) -> list[Event]:
        """Do what is due by *now*."""
        for pending in list(self._pending.values()):
            if pending.sent_at + dht_limits.REQUEST_SECONDS > now:
                break
            del self._pending[pending.number]
            self._fail(pending, now)
        for record in self.records.expire(now):
            self._events.append(Dropped(record))
        if self._refresh_at <= now:
            self._refresh_at = now + self._soon(dht_limits.REFRESH_SECONDS / 10)
            self._refresh(self.routing.to_refresh(now, self._chance), now)
        for key in self._republish.due(now):
            self._bring_again(key, now)
        is_late = False
        while self._late and self._late[0][0] <= now:
            is_late = self._late.popleft()[1] in self._pending or is_late
        if is_late:
            for errand in self._work.active:
                self._advance(errand, now)
        self._begin_what_waits(now)
        return self._flush()

    def _refresh(self, places: Iterable[DhtKey], now: float) -> None:
        for place in places:
            self.routing.looked_up(place, now)  # not again while it waits
            if not self._work.is_full(Purpose.REFRESH):
                self._plan(Purpose.REFRESH, place, now)

    def _bring_again(self, key: DhtKey, now: float) -> None:
        if not self.records.get(key, now):
            return
        if self._work.is_full(Purpose.REPUBLISH):
            self._republish.set(key, now + self._soon(dht_limits.REPUBLISH_SECONDS / 10))
            return
        self._republish.set(key, now + self._soon(dht_limits.REPUBLISH_SECONDS))
        own = self.records.find(key, self.own.public_key)
        half = dht_limits.RECORD_LIFETIME / 2
        if own is not None and not own.is_withdrawal and own.expires_at - now < half:
            self._events.append(Renew(own))
        self._plan(Purpose.REPUBLISH, key, now)

    # --- errands -------------------------------------------------------------------------

    def _plan(
        self,
        purpose: Purpose,
        target: bytes,
        now: float,
        *,
        records: tuple[Record, ...] = (),
        seeds: tuple[Contact, ...] = (),
        enough: int | None = None,
    ) -> int:
        number = next(self._numbers)
        plan = Plan(
            number=number,
            purpose=purpose,
            target=target,
            records=records,
            seeds=seeds,
            enough=enough,
        )
        self._work.add(plan)
        self._begin_what_waits(now)
        return number

    def _begin_what_waits(self, now: float) -> None:
        if self._is_beginning:
            return  # an errand that was done at once; the loop below goes on
        self._is_beginning = True
        try:
            while (plan := self._work.take(now)) is not None:
                errand = self._begin(plan, now)
                self._work.begin(errand)
                self._advance(errand, now)
        finally:
            self._is_beginning = False

    def _begin(self, plan: Plan, now: float) -> Errand:
        """Make a plan an errand, with what is known and held by now."""
        held = self.records.get(DhtKey(plan.target), now)
        near = self.routing.closest(plan.target)
        wants_values = plan.purpose is Purpose.GET
        lookup = Lookup(
            self.own.guid,
            plan.target,
            [*plan.seeds, *near],
            wants_values=wants_values,
            held=held if wants_values else (),
            enough=plan.enough,
        )
        records = held if plan.purpose is Purpose.REPUBLISH else plan.records
        return Errand(plan.number, plan.purpose, lookup, records)

    def _advance(self, errand: Errand, now: float) -> None:
        """Go on with an errand as far as it goes without an answer."""
        for contact, request in errand.next(now):
            self._send(contact, request, errand, now)
        self._events += errand.news()
        if errand.lookup.is_done and not errand.is_followed_up:
            errand.is_followed_up = True
            self.routing.looked_up(errand.lookup.target, now)
            if errand.purpose is Purpose.JOIN:
                self._events.append(Joined(len(self.routing)))
                self._refresh(self.routing.far_places(self._chance), now)
        if errand.is_done and self._work.finish(errand):
            self._begin_what_waits(now)

    def _send(self, contact: Contact, request: Request, errand: Errand | None, now: float) -> None:
        number = next(self._numbers)
        self._pending[number] = _Pending(number, contact, request, errand, now)
        self._late.append((now + dht_limits.LATE_SECONDS, number))
        self._events.append(Send(number, contact, request))

    # --- books ---------------------------------------------------------------------------

    def _keep(self, record: Record, network: str, now: float, *, is_direct: bool) -> Outcome:
        outcome = self.records.offer(record, network, now, is_direct=is_direct)
        self._events += map(Dropped, self.records.dropped)
        self.records.dropped.clear()
        if outcome in {Outcome.NEW, Outcome.NEWER}:
            self._events.append(Kept(record=record, network=network, is_direct=is_direct))
            if record.key not in self._republish:
                again = now + self._soon(dht_limits.REPUBLISH_SECONDS)
                self._republish.set(record.key, again)
        return outcome

    def _is_own(self, key: DhtKey) -> bool:
        return self.records.network_of(key, self.own.public_key) == OWN

    def _seen(self, contact: Contact, network: str | None, now: float) -> None:
        doubtful = self.routing.seen(contact, network, now)
        if doubtful is not None:
            self._send(doubtful, FindNode(self.own.guid), None, now)

    def _soon(self, seconds: float) -> float:
        """Return *seconds*, shortened by chance."""
        return seconds * (1 - dht_limits.JITTER * self._chance.random())

    def _flush(self) -> list[Event]:
        events, self._events = self._events, []
        return events
