"""One node of the DHT, spoken to by hand."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

import msgspec
import pytest

from fondaco.identity.keys import IdentityKey
from fondaco.identity.names import Guid
from fondaco.market import dht_limits
from fondaco.market.contacts import Contact, MalformedContact, contact
from fondaco.market.dht import SOMEWHERE, Dht
from fondaco.market.dht_events import (
    Dropped,
    Event,
    Found,
    Joined,
    Kept,
    Misbehaved,
    Placed,
    Refuse,
    Renew,
    Reply,
    Send,
)
from fondaco.market.dht_keys import NOTARY_INDEX_KEY, DhtKey, distance
from fondaco.market.dht_messages import (
    Answer,
    FindNode,
    FindValue,
    MalformedMessage,
    Nodes,
    Store,
    Stored,
    Values,
)
from fondaco.market.dht_workload import DhtBusy
from fondaco.market.record_table import OWN
from fondaco.market.records import ForgedRecord, Record, RecordKind, UntimelyRecord, sign, verify

NOW = 1_600_000_000.0
HOUR = dht_limits.REPUBLISH_SECONDS
DAY = dht_limits.RECORD_LIFETIME
KEY = NOTARY_INDEX_KEY
OURS = IdentityKey(b"\x01" * 32)
KEYS = [IdentityKey(number.to_bytes(32)) for number in range(1, 201)]
OTHERS = [contact(key.public_key, (f"/ip4/11.0.{n}.1",)) for n, key in enumerate(KEYS)]
ALICE, BOB = OTHERS[:2]
ADDRESS = "11.0.0.1"

_Kind = TypeVar("_Kind")


def record(owner: IdentityKey = KEYS[0], payload: bytes = b"1 %", now: float = NOW) -> Record:
    return sign(owner, KEY, RecordKind.NOTARY_INDEX, payload, now, network="main")


def node() -> Dht:
    return Dht(
        contact(OURS.public_key, ("/ip4/11.9.9.9",)),
        random.Random(1),
        NOW,
        check=lambda one: verify(one, network="main"),
    )


def only(kind: type[_Kind], events: Sequence[Event]) -> _Kind:
    (found,) = (event for event in events if isinstance(event, kind))
    return found


def every(kind: type[_Kind], events: Sequence[Event]) -> list[_Kind]:
    return [event for event in events if isinstance(event, kind)]


def acquainted(count: int = 30) -> Dht:
    """A node that has heard from others."""
    dht = node()
    for number, one in enumerate(OTHERS[:count]):
        dht.asked(one, f"11.0.{number}.1", 0, FindNode(one.guid), NOW)
    return dht


def finish(dht: Dht, events: list[Event], now: float = NOW) -> list[Event]:
    """Answer everything that is asked, with nothing; return all other events."""
    others: list[Event] = []
    while events:
        event = events.pop(0)
        if isinstance(event, Send):
            answer: Answer
            match event.request:
                case FindNode():
                    answer = Nodes(())
                case FindValue():
                    answer = Values()
                case Store(records=records):
                    answer = Stored(len(records))
            events += dht.answered(event.number, answer, ADDRESS, now)
        else:
            others.append(event)
    return others


# --- what others ask -----------------------------------------------------------------------


def test_who_asks_is_told_the_closest_and_known_from_then_on() -> None:
    dht = acquainted(30)
    assert len(dht.routing) == 30
    target = KEY
    reply = only(Reply, dht.asked(ALICE, ADDRESS, 7, FindNode(target), NOW))
    near = sorted(OTHERS[1:30], key=lambda one: distance(one.guid, target))
    assert reply == Reply(7, Nodes(tuple(near[: dht_limits.BUCKET_SIZE])))
    miss = only(Reply, dht.asked(ALICE, ADDRESS, 8, FindValue(KEY), NOW)).answer
    assert miss == Values(contacts=tuple(near[: dht_limits.BUCKET_SIZE]))


def test_a_network_is_what_the_connection_says_not_the_contact() -> None:
    dht = node()
    for one in OTHERS[:100]:
        dht.asked(one, "11.7.7.7", 0, FindNode(KEY), NOW)
    assert len(dht.routing) <= dht_limits.MAX_GROUP_PER_TABLE


def test_what_is_brought_is_kept_and_shown() -> None:
    dht = acquainted(3)
    events = dht.asked(ALICE, ADDRESS, 1, Store((record(), record(KEYS[1]))), NOW)
    assert every(Kept, events) == [
        Kept(record=record(), network="11.0.0.0/24", is_direct=True),
        Kept(record=record(KEYS[1]), network="11.0.0.0/24", is_direct=False),
    ]
    assert only(Reply, events).answer == Stored(2)
    again = dht.asked(ALICE, ADDRESS, 2, Store((record(),)), NOW)
    assert again == [Reply(2, Stored(1))]
    shown = only(Reply, dht.asked(BOB, ADDRESS, 3, FindValue(KEY), NOW)).answer
    assert isinstance(shown, Values)
    assert set(shown.records) == {record(), record(KEYS[1])}
    assert shown.contacts
    later = FindValue(KEY, shown.records[0].owner)
    rest = only(Reply, dht.asked(BOB, ADDRESS, 4, later, NOW)).answer
    assert isinstance(rest, Values)
    assert rest.records == shown.records[1:]


def test_neighbours_share_one_network() -> None:
    dht = node()
    kept = only(Kept, dht.asked(ALICE, "127.0.0.1", 1, Store((record(),)), NOW))
    assert kept.network == SOMEWHERE


def test_an_expired_record_is_nobodys_fault() -> None:
    dht = node()
    events = dht.asked(ALICE, ADDRESS, 1, Store((record(now=NOW - DAY),)), NOW)
    assert events == [Reply(1, Stored(0))]


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        pytest.param(
            Store((msgspec.structs.replace(record(), payload=b"2 %"),)), ForgedRecord, id="forged"
        ),
        pytest.param(Store(()), MalformedMessage, id="nothing to store"),
        pytest.param(FindNode(b"nowhere"), MalformedMessage, id="no place"),
    ],
)
def test_who_sends_what_no_honest_node_sends_is_blamed_and_forgotten(
    request_: Store | FindNode, error: type[Exception]
) -> None:
    dht = acquainted(3)
    events = dht.asked(ALICE, ADDRESS, 1, request_, NOW)
    blame = only(Misbehaved, events)
    assert blame.contact == ALICE
    assert type(blame.error) is error
    assert only(Refuse, events) == Refuse(1)
    assert ALICE.guid not in dht.routing
    assert len(dht.records) == 0


def test_what_belongs_elsewhere_is_not_kept() -> None:
    dht = node()
    closer = [one for one in OTHERS if distance(one.guid, KEY) < distance(dht.own.guid, KEY)]
    assert len(closer) > dht_limits.RESPONSIBLE_NODES
    dht.routing._size = 1_000
    for number, one in enumerate(closer):
        dht.asked(one, f"11.0.{number}.1", 0, FindNode(KEY), NOW)
    events = dht.asked(ALICE, ADDRESS, 1, Store((record(),)), NOW)
    assert events == [Reply(1, Stored(0))]


def test_one_peer_gets_so_many_answers_and_no_more() -> None:
    dht = node()
    burst = int(dht_limits.REQUESTS_BURST)
    replies = [dht.asked(ALICE, ADDRESS, n, FindNode(KEY), NOW) for n in range(burst + 1)]
    assert replies[-1] == [Refuse(burst)]
    assert all(every(Reply, events) for events in replies[:-1])
    assert every(Reply, dht.asked(BOB, ADDRESS, 0, FindNode(KEY), NOW))


def test_one_peer_has_so_many_records_verified_and_no_more() -> None:
    verified: list[Record] = []
    dht = Dht(node().own, random.Random(1), NOW, check=verified.append)
    burst = int(dht_limits.RECORDS_BURST)
    made = [
        Record(
            key=KEY,
            kind=RecordKind.NOTARY_INDEX,
            owner=KEYS[n % 40].public_key,
            sequence=n,
            expires_at=int(NOW) + DAY,
            payload=b"x",
            signature=bytes(64),
        )
        for n in range(burst + 40)
    ]
    for at in range(0, len(made), 40):
        dht.asked(ALICE, ADDRESS, 0, Store(tuple(made[at : at + 40])), NOW)
    assert len(verified) == burst
    # What is here already costs nothing.
    kept = dht.records.get(KEY, NOW)
    assert only(Reply, dht.asked(ALICE, ADDRESS, 0, Store(kept), NOW)).answer == Stored(len(kept))


# --- what we ask ---------------------------------------------------------------------------


def test_a_record_is_put_to_the_closest_and_here() -> None:
    dht = acquainted(10)
    errand, events = dht.put(record(OURS), NOW)
    assert only(Kept, events).network == OWN
    assert len(every(Send, events)) == dht_limits.PARALLEL_REQUESTS
    placed = only(Placed, finish(dht, events))
    assert placed == Placed(errand=errand, record=record(OURS), holders=10)
    assert dht.records.get(KEY, NOW) == (record(OURS),)


def test_only_own_and_new_records_are_put() -> None:
    dht = node()
    with pytest.raises(ValueError, match="owner"):
        dht.put(record(KEYS[1]), NOW)
    dht.put(record(OURS, now=NOW + 1), NOW + 1)
    with pytest.raises(ValueError, match="newer"):
        dht.put(record(OURS), NOW + 1)
    with pytest.raises(UntimelyRecord):
        dht.put(record(OURS, now=NOW - DAY), NOW + 1)


def test_what_is_here_is_found_without_anybody() -> None:
    dht = node()
    dht.asked(ALICE, ADDRESS, 1, Store((record(),)), NOW)
    dht.left(ALICE.guid)
    errand, events = dht.get(KEY, NOW)
    found = only(Found, events)
    assert (found.errand, found.records, found.hops) == (errand, (record(),), 0)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Nodes(()), id="to another question"),
        pytest.param(
            Values(records=(msgspec.structs.replace(record(), payload=b"2 %"),)), id="forged"
        ),
        pytest.param(
            Values(contacts=(msgspec.structs.replace(BOB, guid=ALICE.guid),)), id="false contact"
        ),
    ],
)
def test_a_liar_is_blamed_and_the_search_goes_on(answer: Answer) -> None:
    dht = acquainted(10)
    errand, events = dht.get(KEY, NOW)
    first = every(Send, events)[0]
    after = dht.answered(first.number, answer, ADDRESS, NOW)
    blame = only(Misbehaved, after)
    assert blame.contact == first.contact
    assert isinstance(blame.error, MalformedMessage | ForgedRecord | MalformedContact)
    assert first.contact.guid not in dht.routing
    asked = [one for one in (*events, *after) if isinstance(one, Send) and one != first]
    found = only(Found, finish(dht, [*asked]))
    assert found == Found(errand=errand, key=KEY, records=(), hops=1, queries=10)


def test_expired_records_in_an_answer_are_passed_over() -> None:
    dht = acquainted(1)
    _, events = dht.get(KEY, NOW)
    first = every(Send, events)[0]
    values = Values(records=(record(now=NOW - DAY),), has_more=True)
    after = dht.answered(first.number, values, ADDRESS, NOW)
    assert every(Misbehaved, after) == []
    assert only(Found, after).records == ()


def test_silence_ends_a_request_and_doubts_the_contact() -> None:
    dht = acquainted(3)
    _, events = dht.get(KEY, NOW)
    sent = every(Send, events)
    assert len(sent) == 3
    # Late: nobody waits for them any longer.
    now = dht.next_due(NOW)
    assert now == NOW + dht_limits.LATE_SECONDS
    dht.tick(now)
    now = NOW + dht_limits.REQUEST_SECONDS
    assert dht.next_due(now) <= now
    found = only(Found, dht.tick(now))
    assert found.records == ()
    assert dht.active == 0
    # All in doubt: only when there is nobody else are they told of.
    dht.asked(OTHERS[3], ADDRESS, 0, FindNode(KEY), now)
    assert dht.routing.closest(KEY) == [OTHERS[3]]
    assert dht.answered(sent[0].number, Values(records=(record(),)), ADDRESS, now) == []
    assert dht.failed(sent[0].number, now) == []


def test_a_full_bucket_asks_whether_its_oldest_lives() -> None:
    dht = node()
    far = [one for one in OTHERS if dht.routing.bucket_of(one.guid) == 0]
    assert len(far) > 2 * dht_limits.BUCKET_SIZE
    for number, one in enumerate(far[: dht_limits.BUCKET_SIZE]):
        dht.asked(one, f"11.0.{number}.1", 0, FindNode(KEY), NOW)
    later = NOW + dht_limits.STALE_SECONDS
    newcomer = far[dht_limits.BUCKET_SIZE]
    ask = only(Send, dht.asked(newcomer, "11.1.1.1", 0, FindNode(KEY), later))
    assert ask.contact == far[0]
    dht.failed(ask.number, later)
    assert far[0].guid not in dht.routing
    assert newcomer.guid in dht.routing


def test_joining_ends_with_a_look_around() -> None:
    dht = node()
    events = dht.join(OTHERS[:30], NOW)
    assert {event.request for event in events if isinstance(event, Send)} == {
        FindNode(dht.own.guid)
    }
    asked: set[bytes] = set()
    joined: list[Joined] = []
    while events:
        event = events.pop(0)
        if isinstance(event, Send):
            assert isinstance(event.request, FindNode)
            asked.add(event.request.target)
            address = event.contact.addresses[0].removeprefix("/ip4/")
            events += dht.answered(event.number, Nodes(()), address, NOW)
        elif isinstance(event, Joined):
            joined.append(event)
    assert joined == [Joined(20)]  # the k closest were asked
    deepest = max(dht.routing.bucket_of(one.guid) for one in dht.routing.contacts())
    assert {dht.routing.bucket_of(place) for place in asked - {dht.own.guid}} == set(range(deepest))


def test_without_anybody_everything_ends_at_once() -> None:
    dht = node()
    assert only(Joined, dht.join([], NOW)) == Joined(0)
    for number in range(3_000):
        key = DhtKey(number.to_bytes(20))
        assert only(Found, dht.get(key, NOW)[1]).records == ()
    assert dht.active == dht.waiting == 0


def test_too_many_searches() -> None:
    dht = acquainted(3)
    for number in range(dht_limits.MAX_LOOKUPS + dht_limits.MAX_QUEUED_LOOKUPS):
        dht.find(number.to_bytes(20), NOW)
    assert dht.active == dht_limits.MAX_LOOKUPS
    with pytest.raises(DhtBusy):
        dht.find(KEY, NOW)
    # They all end, though nobody ever answers.
    now = NOW
    while dht.active:
        now = dht.next_due(now)
        dht.tick(now)
    assert dht.waiting == 0


# --- time ----------------------------------------------------------------------------------


def brought(dht: Dht, until: float, now: float = NOW) -> list[tuple[float, Record]]:
    """Let time pass and everybody answer; return what was brought to the first node, and when."""
    found: dict[tuple[float, bytes], Record] = {}
    while (due := dht.next_due(now)) <= until:
        now = max(now, due)
        events = dht.tick(now)
        while events:
            event = events.pop(0)
            if not isinstance(event, Send):
                continue
            answer: Answer = Nodes(())
            if isinstance(event.request, Store):
                answer = Stored(len(event.request.records))
                found.update({(now, one.owner): one for one in event.request.records})
            events += dht.answered(event.number, answer, ADDRESS, now)
    return [(when, one) for (when, _), one in found.items()]


def test_what_is_kept_for_others_is_brought_on_every_hour() -> None:
    dht = acquainted(4)
    dht.asked(ALICE, ADDRESS, 1, Store((record(),)), NOW)
    times = [when - NOW for when, _ in brought(dht, NOW + 3.5 * HOUR)]
    assert len(times) == 3
    for number, when in enumerate(times, 1):
        assert (1 - dht_limits.JITTER) * HOUR * number <= when <= HOUR * number


def test_unless_somebody_else_has_just_done_so() -> None:
    dht = acquainted(4)
    dht.asked(ALICE, ADDRESS, 1, Store((record(),)), NOW)
    for half in range(1, 8):
        now = NOW + half * HOUR / 2
        assert brought(dht, now) == []
        dht.asked(BOB, ADDRESS, 1, Store((record(),)), now)


def test_own_records_are_brought_in_any_case() -> None:
    dht = acquainted(4)
    finish(dht, dht.put(record(OURS), NOW)[1])
    dht.asked(BOB, ADDRESS, 1, Store((record(OURS),)), NOW + HOUR / 2)
    assert [one for _, one in brought(dht, NOW + HOUR)] == [record(OURS)]


def test_half_way_through_its_life_a_signature_is_asked_for() -> None:
    dht = acquainted(4)
    finish(dht, dht.put(record(OURS), NOW)[1])
    asked: list[float] = []
    now = NOW
    while now < NOW + DAY:
        now = max(now, dht.next_due(now))
        events = finish(dht, dht.tick(now), now)
        asked += [now for event in events if isinstance(event, Renew)]
        if every(Renew, events) and len(asked) == 2:
            finish(dht, dht.put(record(OURS, now=now), now)[1], now)
    assert NOW + DAY / 2 < asked[0] < NOW + DAY / 2 + HOUR + 1
    # It is asked for until it comes, and then not for another half.
    assert asked[1] < asked[0] + HOUR + 1
    assert len(asked) == 2


def test_what_was_withdrawn_is_not_renewed_and_expires() -> None:
    dht = acquainted(4)
    finish(dht, dht.put(record(OURS, b""), NOW)[1])
    events: list[Event] = []
    now = NOW
    while now < NOW + DAY:
        now = max(now, dht.next_due(now))
        events += finish(dht, dht.tick(now), now)
    assert every(Renew, events) == []
    assert only(Dropped, events).record == record(OURS, b"")
    assert len(dht.records) == 0
    assert brought(dht, now + 3 * HOUR, now) == []


def test_quiet_buckets_are_refreshed() -> None:
    dht = acquainted(60)
    buckets = {dht.routing.bucket_of(one.guid) for one in dht.routing.contacts()}
    looked: set[int] = set()
    now = NOW
    while now < NOW + 1.3 * dht_limits.REFRESH_SECONDS:
        now = max(now, dht.next_due(now))
        events = dht.tick(now)
        looked |= {
            dht.routing.bucket_of(event.request.target)
            for event in events
            if isinstance(event, Send) and isinstance(event.request, FindNode)
        }
        finish(dht, events, now)
    assert looked >= buckets


def test_records_are_taken_back_after_a_restart() -> None:
    dht = node()
    dht.restore(record(OURS), OWN, NOW + 5, is_direct=True)
    dht.restore(record(KEYS[1]), "11.0.0.0/24", NOW + 5, is_direct=False)
    assert len(dht.records) == 2
    assert dht.records.network_of(KEY, KEYS[1].public_key) == "11.0.0.0/24"
    with pytest.raises(UntimelyRecord):
        dht.restore(record(KEYS[2], now=NOW - DAY), "11.0.0.0/24", NOW + 5, is_direct=False)
    dht.asked(ALICE, ADDRESS, 0, FindNode(KEY), NOW + 5)
    assert {one.owner for _, one in brought(dht, NOW + HOUR + 6)} == {
        OURS.public_key,
        KEYS[1].public_key,
    }


def test_a_contact_named_by_others_is_no_member_before_it_has_spoken() -> None:
    dht = acquainted(3)
    stranger: Contact = OTHERS[100]
    _, events = dht.find(Guid(stranger.guid), NOW)
    first = every(Send, events)[0]
    after = dht.answered(first.number, Nodes((stranger,)), ADDRESS, NOW)
    assert stranger.guid not in dht.routing
    ask = next(event for event in after if isinstance(event, Send))
    assert ask.contact == stranger
    dht.answered(ask.number, Nodes(()), "11.0.100.1", NOW)
    assert stranger.guid in dht.routing
