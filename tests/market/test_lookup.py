"""Searches through made-up networks: they end, they find, and liars only cost time."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fondaco.identity.keys import IdentityKey
from fondaco.identity.names import Guid
from fondaco.market import dht_limits
from fondaco.market.contacts import Contact
from fondaco.market.dht_keys import NOTARY_INDEX_KEY, distance
from fondaco.market.lookup import MAX_TRIES, Lookup, Query
from fondaco.market.records import Record, RecordKind, merge, sign

OWN = Guid(b"\xff" * 20)
TARGET = NOTARY_INDEX_KEY
K = dht_limits.BUCKET_SIZE
LATE = dht_limits.LATE_SECONDS
OWNERS = [IdentityKey(number.to_bytes(32)) for number in range(1, 8)]


def record(owner: int, payload: bytes = b"1 %", now: float = 1_600_000_000) -> Record:
    kind = RecordKind.NOTARY_INDEX
    return sign(OWNERS[owner], TARGET, kind, payload, now, network="main")


def made_up(guid: bytes, address: str = "somewhere") -> Contact:
    return Contact(guid=Guid(guid), peer_id=guid.hex(), public_key=guid, addresses=(address,))


def by_distance(contacts: list[Contact]) -> list[Contact]:
    return sorted(contacts, key=lambda one: distance(one.guid, TARGET))


class World:
    """Nodes of which each knows some others, and answers at once."""

    def __init__(self, seed: int, size: int) -> None:
        self.random = random.Random(seed)
        self.nodes = [made_up(self.random.randbytes(20)) for _ in range(size)]
        self.known = {one.guid: self._neighbours(one) for one in self.nodes}
        self.records: dict[Guid, tuple[Record, ...]] = {}
        self.dead: set[Guid] = set()
        self.invented: dict[Guid, list[Contact]] = {}
        """Liar -> whom it names."""
        self.asked: list[Guid] = []

    def _neighbours(self, one: Contact) -> list[Contact]:
        """The k closest to it, and some of the rest."""
        near = sorted(self.nodes, key=lambda other: distance(one.guid, other.guid))
        some = near[1 : K + 1] + self.random.sample(self.nodes, min(len(self.nodes), 2 * K))
        return list(dict.fromkeys(some))

    def seeds(self, count: int = 3) -> list[Contact]:
        return self.random.sample(self.nodes, count)

    def run(self, lookup: Lookup) -> float:
        """Answer until it is done; return the seconds it took."""
        now = 0.0
        waiting: list[Query] = []
        while not lookup.is_done:
            waiting += lookup.next(now)
            if lookup.is_done:
                break
            alive = [query for query in waiting if query.contact.guid not in self.dead]
            if alive:
                waiting.remove(alive[0])
                self._answer(lookup, alive[0])
            else:
                now += LATE
                assert now < 1_000, "it never ends"
                for query in waiting[: -2 * K]:
                    lookup.failed(query.contact.guid)
        return now

    def _answer(self, lookup: Lookup, query: Query) -> None:
        guid = query.contact.guid
        self.asked.append(guid)
        near = self.invented.get(guid) or by_distance(self.known[guid])[:K]
        lookup.answered(guid, tuple(near), self.records.get(guid, ()))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 150))
def test_it_finds_the_k_closest(seed: int, size: int) -> None:
    world = World(seed, size)
    lookup = Lookup(OWN, TARGET, world.seeds(min(3, size)))
    world.run(lookup)
    assert lookup.closest == by_distance(world.nodes)[:K]
    assert len(world.asked) == len(set(world.asked)) == lookup.queries
    assert 1 <= lookup.hops <= 8


def test_at_most_alpha_are_waited_for_and_the_closest_come_first() -> None:
    seeds = [made_up(bytes([number]) * 20) for number in range(1, 31)]
    lookup = Lookup(OWN, TARGET, seeds)
    near = by_distance(seeds)
    assert [query.contact for query in lookup.next(0.0)] == near[:3]
    assert lookup.next(LATE - 0.1) == []
    lookup.answered(near[1].guid, ())
    assert [query.contact for query in lookup.next(LATE - 0.1)] == near[3:4]
    # Who is late is not waited for any longer...
    assert [query.contact for query in lookup.next(LATE)] == near[4:6]
    # ...and counts when it answers after all.
    lookup.answered(near[0].guid, ())
    assert lookup.closest == [near[0], near[1]]


def test_without_anybody_to_ask_it_is_done() -> None:
    lookup = Lookup(OWN, TARGET, [made_up(OWN)])
    assert lookup.next(0.0) == []
    assert lookup.is_done
    assert lookup.closest == []
    assert lookup.hops == 0


def test_slow_nodes_are_better_than_none() -> None:
    seeds = [made_up(bytes([number]) * 20) for number in (1, 2)]
    lookup = Lookup(OWN, TARGET, seeds)
    lookup.next(0.0)
    lookup.next(LATE)
    assert not lookup.is_done
    lookup.answered(seeds[0].guid, ())
    lookup.failed(seeds[1].guid)
    lookup.next(LATE + 1)
    assert lookup.is_done
    assert lookup.closest == [seeds[0]]


def test_answers_nobody_asked_for_change_nothing() -> None:
    seed, other = made_up(b"\x01" * 20), made_up(b"\x02" * 20)
    lookup = Lookup(OWN, TARGET, [seed], wants_values=True)
    lookup.answered(seed.guid, (other,), (record(0),))
    lookup.answered(other.guid, (), (record(0),))
    lookup.failed(seed.guid)
    assert lookup.records == ()
    assert [query.contact for query in lookup.next(0.0)] == [seed]


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_dead_nodes_cost_time_and_nothing_else(share: float) -> None:
    world = World(5, 200)
    seeds = world.seeds(12)
    world.dead = {one.guid for one in world.random.sample(world.nodes, round(200 * share))}
    alive = [one for one in world.nodes if one.guid not in world.dead]
    lookup = Lookup(OWN, TARGET, seeds)
    world.run(lookup)
    found = set(map(bytes, (one.guid for one in lookup.closest)))
    best = {bytes(one.guid) for one in by_distance(alive)[:K]}
    assert len(found & best) >= 0.9 * K
    assert by_distance(alive)[0] in lookup.closest


# --- liars ---------------------------------------------------------------------------------


def near_target(number: int) -> Contact:
    """Somebody closer to the target than anybody real."""
    return made_up(TARGET[:12] + number.to_bytes(8))


def test_inventors_of_contacts_are_found_out() -> None:
    world = World(6, 200)
    real = by_distance(world.nodes)
    liars = [*real[3:6], *world.random.sample(real[30:], 27)]
    numbers = iter(range(10_000))
    for liar in liars:
        world.invented[liar.guid] = [near_target(next(numbers)) for _ in range(K)]
        world.dead |= {one.guid for one in world.invented[liar.guid]}
    lookup = Lookup(OWN, TARGET, world.seeds(12))
    seconds = world.run(lookup)
    assert set(real[:K]) <= set(lookup.closest)
    assert lookup.queries < dht_limits.MAX_QUERIES
    assert seconds < 20 * LATE


def test_endless_invention_ends() -> None:
    """All nodes lie: nothing is found, but it ends."""
    world = World(7, 60)
    numbers = iter(range(100_000))
    for liar in world.nodes:
        world.invented[liar.guid] = [near_target(next(numbers)) for _ in range(K)]
        world.dead |= {one.guid for one in world.invented[liar.guid]}
    lookup = Lookup(OWN, TARGET, world.seeds(20))
    world.run(lookup)
    assert lookup.queries <= dht_limits.MAX_QUERIES
    assert len(lookup._all) <= dht_limits.MAX_CANDIDATES + K


def test_a_false_address_does_not_hide_a_node() -> None:
    liar, honest = made_up(b"\x01" * 20), made_up(b"\x02" * 20)
    hidden = near_target(1)
    lookup = Lookup(OWN, TARGET, [liar, honest])
    lookup.next(0.0)
    lookup.answered(liar.guid, (msgspec.structs.replace(hidden, addresses=("nowhere",)),))
    assert [query.contact.addresses for query in lookup.next(0.0)] == [("nowhere",)]
    lookup.failed(hidden.guid)
    lookup.answered(honest.guid, (hidden,))
    (again,) = lookup.next(0.0)
    assert again.contact.guid == hidden.guid
    assert "somewhere" in again.contact.addresses
    lookup.answered(hidden.guid, ())
    assert hidden in [
        msgspec.structs.replace(one, addresses=("somewhere",)) for one in lookup.closest
    ]


def test_a_dead_node_is_not_asked_for_ever() -> None:
    seeds = [made_up(number.to_bytes(20)) for number in range(1, 30)]
    hidden = near_target(1)
    lookup = Lookup(OWN, TARGET, seeds)
    tries = 0
    number = 0
    while not lookup.is_done:
        for query in lookup.next(0.0):
            if query.contact.guid == hidden.guid:
                tries += 1
                lookup.failed(hidden.guid)
            else:
                number += 1
                address = (f"nowhere {number}",)
                named = msgspec.structs.replace(hidden, addresses=address)
                lookup.answered(query.contact.guid, (named,))
    assert 1 <= tries <= MAX_TRIES


# --- values --------------------------------------------------------------------------------


def test_a_value_is_the_union_of_what_the_closest_show() -> None:
    world = World(8, 120)
    near = by_distance(world.nodes)
    old, new = record(0), record(0, b"2 %", 1_600_000_001)
    for number, one in enumerate(near[:K]):
        world.records[one.guid] = (record(number % 5 + 1),)
    world.records[near[7].guid] = (old,)
    world.records[near[9].guid] = (new,)
    lookup = Lookup(OWN, TARGET, world.seeds(), wants_values=True)
    world.run(lookup)
    assert lookup.records == merge((new, *(record(number) for number in range(1, 6))))
    lacking = lookup.lacking()
    assert lacking is not None
    holder, missing = lacking
    assert holder == near[0]
    assert set(missing) == set(lookup.records) - {record(1)}


def test_one_who_shows_all_lacks_nothing() -> None:
    seed = made_up(b"\x01" * 20)
    lookup = Lookup(OWN, TARGET, [seed], wants_values=True, held=(record(0),))
    lookup.next(0.0)
    lookup.answered(seed.guid, (), (record(0),))
    assert lookup.next(0.0) == []
    assert lookup.lacking() is None
    assert lookup.hops == 0
    silent = Lookup(OWN, TARGET, [seed], wants_values=True)
    silent.next(0.0)
    silent.answered(seed.guid, ())
    assert silent.lacking() is None


def test_enough_is_enough() -> None:
    world = World(9, 120)
    for one in by_distance(world.nodes)[:K]:
        world.records[one.guid] = (record(0),)
    lookup = Lookup(OWN, TARGET, world.seeds(), wants_values=True, enough=2)
    world.run(lookup)
    assert lookup.records == (record(0),)
    assert sum(one in world.records for one in world.asked) == 2


def test_pages_are_turned() -> None:
    seed = made_up(b"\x01" * 20)
    records = merge(tuple(record(number) for number in range(6)))
    lookup = Lookup(OWN, TARGET, [seed], wants_values=True)
    after = []
    for at in (0, 2, 4):
        (query,) = lookup.next(0.0)
        after.append(query.after)
        lookup.answered(seed.guid, (), records[at : at + 2], has_more=at < 4)
    assert lookup.next(0.0) == []
    assert lookup.is_done
    assert lookup.records == records
    assert after == [b"", records[1].owner, records[3].owner]


def test_pages_without_end_end() -> None:
    seed = made_up(b"\x01" * 20)
    lookup = Lookup(OWN, TARGET, [seed], wants_values=True)
    pages = 0
    while lookup.next(0.0):
        pages += 1
        endless = msgspec.structs.replace(record(0), owner=b"\x02" + pages.to_bytes(32))
        lookup.answered(seed.guid, (), (endless,), has_more=True)
    assert lookup.is_done
    assert pages == dht_limits.MAX_PAGES


def test_what_a_node_showed_stays_when_it_dies_over_the_next_page() -> None:
    seed = made_up(b"\x01" * 20)
    lookup = Lookup(OWN, TARGET, [seed], wants_values=True)
    lookup.next(0.0)
    lookup.answered(seed.guid, (), (record(0),), has_more=True)
    lookup.next(0.0)
    lookup.failed(seed.guid)
    assert lookup.next(0.0) == []
    assert lookup.is_done
    assert lookup.records == (record(0),)
