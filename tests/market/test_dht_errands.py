"""Errands: a lookup, what is brought, and what the client is told."""

from __future__ import annotations

from fondaco.identity.keys import IdentityKey
from fondaco.identity.names import Guid
from fondaco.market import dht_limits
from fondaco.market.contacts import Contact
from fondaco.market.dht_errands import Errand, Purpose
from fondaco.market.dht_events import Event, Found, Located, Placed, Shown
from fondaco.market.dht_keys import NOTARY_INDEX_KEY, DhtKey, distance
from fondaco.market.dht_messages import FindNode, FindValue, Nodes, Request, Store, Stored, Values
from fondaco.market.lookup import Lookup
from fondaco.market.records import Record, RecordKind, sign

KEY = NOTARY_INDEX_KEY
OWN = Guid(b"\xff" * 20)
OWNERS = sorted(
    (IdentityKey(number.to_bytes(32)) for number in range(1, 101)), key=lambda key: key.public_key
)


def made_up(number: int) -> Contact:
    guid = Guid(bytes([number]) * 20)
    return Contact(guid=guid, peer_id="", public_key=guid, addresses=("somewhere",))


NODES = sorted((made_up(n) for n in range(1, 11)), key=lambda one: distance(one.guid, KEY))


def record(owner: int, payload: bytes = b"1 %") -> Record:
    kind = RecordKind.NOTARY_INDEX
    return sign(OWNERS[owner], KEY, kind, payload, 1_600_000_000, network="main")


def errand(purpose: Purpose, records: tuple[Record, ...] = ()) -> Errand:
    lookup = Lookup(OWN, KEY, NODES, wants_values=purpose is Purpose.GET)
    return Errand(1, purpose, lookup, records)


def look_up(one: Errand) -> list[tuple[Contact, Request]]:
    """Answer the lookup; return the first requests after it."""
    while True:
        requests = one.next(0.0)
        if one.lookup.is_done:
            return requests
        for contact, request in requests:
            assert request == FindNode(KEY)
            one.answered(contact, request, Nodes(()))


def test_a_record_is_brought_to_the_closest() -> None:
    one = errand(Purpose.PUT, (record(0),))
    requests = look_up(one)
    told: list[Contact] = []
    while not one.is_done:
        assert len(requests) <= dht_limits.PARALLEL_STORES
        assert one.news() == []
        contact, request = requests.pop(0)
        assert request == Store((record(0),))
        told.append(contact)
        one.answered(contact, request, Stored(1))
        requests += one.next(0.0)
    assert told == NODES
    assert one.news() == [Placed(errand=1, record=record(0), holders=10)]
    assert one.news() == []


def test_only_those_who_take_it_hold_it() -> None:
    one = errand(Purpose.PUT, (record(0),))
    requests = look_up(one)
    while not one.is_done:
        contact, request = requests.pop(0)
        if contact == NODES[0]:
            one.failed(contact, request)
        else:
            one.answered(contact, request, Stored(int(contact != NODES[1])))
        requests += one.next(0.0)
    assert one.holders == 8


def test_many_records_come_in_parts_and_who_refuses_gets_no_more() -> None:
    records = tuple(record(number) for number in range(100))
    one = errand(Purpose.REPUBLISH, records)
    requests = look_up(one)
    brought: dict[Guid, list[Record]] = {node.guid: [] for node in NODES}
    while not one.is_done:
        contact, request = requests.pop(0)
        assert isinstance(request, Store)
        assert len(request.records) <= dht_limits.MAX_ANSWER_RECORDS
        brought[contact.guid] += request.records
        one.answered(contact, request, Stored(len(request.records) - (contact == NODES[0])))
        requests += one.next(0.0)
    assert brought[NODES[0].guid] == list(records[: dht_limits.MAX_ANSWER_RECORDS])
    assert all(brought[node.guid] == list(records) for node in NODES[1:])
    assert one.holders == 9
    assert one.news() == []


def test_long_records_come_one_by_one() -> None:
    records = tuple(
        sign(OWNERS[n], KEY, RecordKind.CONTRACT, bytes(150_000), 1_600_000_000, network="main")
        for n in range(3)
    )
    sizes = [
        len(request.records)
        for _, request in look_up(errand(Purpose.REPUBLISH, records))
        if isinstance(request, Store)
    ]
    assert set(sizes) == {1}


def test_a_search_shows_what_it_finds_and_completes_the_closest() -> None:
    one = errand(Purpose.GET)
    answers = {
        NODES[0].guid: (record(0),),
        NODES[2].guid: (record(1), record(2, b"")),
        NODES[3].guid: (record(0), record(1)),
    }
    news: list[Event] = []
    store: list[tuple[Contact, Request]] = []
    while not store:
        requests = one.next(0.0)
        news += one.news()
        for contact, request in requests:
            if isinstance(request, Store):
                store.append((contact, request))
            else:
                assert request == FindValue(KEY)
                values = Values(records=answers.get(contact.guid, ()))
                one.answered(contact, request, values)
                news += one.news()
    assert news == [
        Shown(1, (record(0),)),
        Shown(1, (record(1),)),
        # A withdrawal is brought to others, and not shown.
        Found(errand=1, key=KEY, records=(record(0), record(1)), hops=1, queries=10),
    ]
    assert store == [(NODES[0], Store((record(1), record(2, b""))))]
    assert not one.is_done
    one.answered(*store[0], Stored(2))
    assert one.is_done
    assert one.news() == []


def test_a_search_for_nothing_ends_too() -> None:
    one = Errand(1, Purpose.GET, Lookup(OWN, KEY, [], wants_values=True))
    assert one.next(0.0) == []
    assert one.is_done
    assert one.news() == [Found(errand=1, key=KEY, records=(), hops=0, queries=0)]


def test_who_looks_for_a_node_is_told_the_closest() -> None:
    one = errand(Purpose.FIND)
    assert look_up(one) == []
    assert one.is_done
    (found,) = one.news()
    assert isinstance(found, Located)
    assert found.contacts == tuple(NODES)
    assert DhtKey(found.target) == KEY
