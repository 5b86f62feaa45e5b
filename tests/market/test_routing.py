"""The routing table against a list that is sorted; strangers with many names."""

from __future__ import annotations

import random
from collections import Counter

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fondaco.identity.names import Guid
from fondaco.market import dht_limits
from fondaco.market.contacts import Contact
from fondaco.market.dht_keys import KEY_BITS, distance
from fondaco.market.routing import RoutingTable

OWN = Guid(bytes(20))
HOUR = dht_limits.REFRESH_SECONDS
STALE = dht_limits.STALE_SECONDS


def made_up(number: int) -> Contact:
    """A contact with a GUID of its own choice: the table does not ask."""
    guid = Guid(number.to_bytes(20))
    return Contact(guid=guid, peer_id=f"peer {number}", public_key=guid, addresses=("somewhere",))


def at(bucket: int, rest: int) -> Contact:
    return made_up(1 << (KEY_BITS - 1 - bucket) | rest)


def full_bucket(table: RoutingTable, now: float = 0.0) -> list[Contact]:
    members = [at(0, number) for number in range(dht_limits.BUCKET_SIZE)]
    for one in members:
        assert table.seen(one, None, now) is None
    return members


# --- closest -------------------------------------------------------------------------------


@given(
    st.binary(min_size=20, max_size=20).map(Guid),
    st.lists(st.integers(0, 2**KEY_BITS - 1), unique=True, max_size=60),
    st.binary(min_size=20, max_size=20),
    st.integers(1, 30),
)
def test_the_closest_are_those_of_a_sorted_list(
    own: Guid, numbers: list[int], target: bytes, count: int
) -> None:
    table = RoutingTable(own, size=1_000)
    everybody = [made_up(number) for number in numbers]
    for one in everybody:
        table.seen(one, None, 0.0)
    others = [one for one in everybody if one.guid != own]
    others.sort(key=lambda one: distance(one.guid, target))
    assert table.closest(target, count) == others[:count]
    assert len(table) == len(others)
    closer = sum(distance(one.guid, target) < distance(own, target) for one in others)
    assert table.closer_than_own(target, count) == min(closer, count)
    if others:
        asker = others[0].guid
        assert table.closest(target, count, leave_out=asker) == others[1 : count + 1]


def test_near_numbers_are_far_places() -> None:
    """2 and 3 are near each other; 3 and 4 are not, though the numbers are."""
    table = RoutingTable(OWN)
    for number in (2, 3, 4, 7):
        table.seen(made_up(number), None, 0.0)
    assert table.closest(made_up(3).guid) == [made_up(n) for n in (3, 2, 7, 4)]


# --- buckets -------------------------------------------------------------------------------


def test_a_full_bucket_asks_its_oldest_member_before_it_takes_another() -> None:
    table = RoutingTable(OWN)
    members = full_bucket(table)
    assert table.seen(at(0, 100), None, STALE) == members[0]
    assert at(0, 100).guid not in table
    # Others who come meanwhile do not make it ask again.
    assert table.seen(at(0, 101), None, STALE) is None
    # It lives: it stays, and the next oldest is asked next.
    assert table.seen(members[0], None, STALE) is None
    assert table.seen(at(0, 102), None, STALE) == members[1]
    table.failed(members[1].guid)
    assert members[1].guid not in table
    assert at(0, 102).guid in table
    assert len(table) == dht_limits.BUCKET_SIZE


def test_nobody_heard_of_lately_is_asked() -> None:
    table = RoutingTable(OWN)
    full_bucket(table)
    assert table.seen(at(0, 100), None, STALE - 1) is None


def test_who_does_not_answer_is_told_to_nobody_and_makes_room_for_the_next() -> None:
    table = RoutingTable(OWN)
    members = full_bucket(table)
    table.failed(members[7].guid)
    assert members[7].guid in table
    assert members[7] not in table.closest(OWN, 100)
    assert table.seen(at(0, 100), None, 1.0) is None
    assert members[7].guid not in table
    assert at(0, 100).guid in table


def test_who_answers_again_is_as_good_as_before() -> None:
    table = RoutingTable(OWN)
    members = full_bucket(table)
    for one in members:
        table.failed(one.guid)
    # All in doubt: it is our own connection, or nothing is lost by asking them.
    assert len(table.closest(OWN)) == dht_limits.BUCKET_SIZE
    table.seen(members[3], None, 1.0)
    assert table.closest(OWN) == [members[3]]


def test_who_cannot_be_dialled_is_nobodys_contact() -> None:
    table = RoutingTable(OWN)
    silent = msgspec.structs.replace(at(0, 1), addresses=())
    assert table.seen(silent, None, 0.0) is None
    assert len(table) == 0
    table.seen(at(0, 1), None, 0.0)
    table.failed(at(0, 1).guid)
    table.seen(silent, None, 0.0)
    assert table.closest(OWN) == [at(0, 1)]


def test_we_are_not_our_own_contact() -> None:
    table = RoutingTable(OWN)
    table.seen(msgspec.structs.replace(made_up(1), guid=OWN), None, 0.0)
    assert len(table) == 0


def test_a_member_that_leaves_makes_room() -> None:
    table = RoutingTable(OWN)
    members = full_bucket(table)
    table.seen(at(0, 100), None, 0.0)
    table.remove(members[0].guid)
    assert members[0].guid not in table
    assert at(0, 100).guid in table
    table.remove(at(5, 0).guid)
    table.failed(at(5, 0).guid)


# --- many names ----------------------------------------------------------------------------


def test_a_network_gets_few_places_however_many_names_it_has() -> None:
    table = RoutingTable(OWN)
    for bucket in range(30):
        for number in range(100):
            table.seen(at(bucket, number), "8.8.8.0/24", 0.0)
    per_bucket = Counter(table.bucket_of(one.guid) for one in table.contacts())
    assert max(per_bucket.values()) == dht_limits.MAX_GROUP_PER_BUCKET
    assert len(table) == dht_limits.MAX_GROUP_PER_TABLE
    # And it keeps nobody out.
    for number in range(dht_limits.BUCKET_SIZE):
        table.seen(at(0, 1_000 + number), f"9.9.{number}.0/24", 0.0)
    assert len(table) == dht_limits.MAX_GROUP_PER_TABLE + dht_limits.BUCKET_SIZE - 2


def test_a_network_does_not_fill_the_places_of_those_who_wait() -> None:
    table = RoutingTable(OWN)
    members = full_bucket(table)
    table.seen(at(0, 100), "honest", 0.0)
    for number in range(200, 300):
        table.seen(at(0, number), "8.8.8.0/24", 0.0)
    for one in members[:3]:
        table.remove(one.guid)
    assert at(0, 100).guid in table
    assert len(table) == dht_limits.BUCKET_SIZE


def test_a_member_that_moves_into_a_crowded_network_waits() -> None:
    table = RoutingTable(OWN)
    for number in range(2):
        table.seen(at(0, number), "crowd", 0.0)
    table.seen(at(0, 2), "elsewhere", 0.0)
    table.seen(at(0, 2), "crowd", 0.0)
    assert at(0, 2).guid not in table
    table.seen(at(0, 2), "elsewhere", 0.0)
    assert at(0, 2).guid in table


# --- refreshing ----------------------------------------------------------------------------


@pytest.mark.parametrize("bucket", [0, 1, 57, 158, 159])
def test_a_place_in_a_bucket_is_in_it(bucket: int) -> None:
    own = Guid(bytes(range(20)))
    table = RoutingTable(own)
    chance = random.Random(bucket)
    places = {table.place_in(bucket, chance) for _ in range(20)}
    assert {table.bucket_of(place) for place in places} == {bucket}
    assert len(places) == (1 if bucket == 159 else 2 if bucket == 158 else 20)


def test_buckets_are_refreshed_when_nothing_was_looked_up() -> None:
    table = RoutingTable(OWN)
    for bucket in (0, 3, 9):
        table.seen(at(bucket, 0), None, 0.0)
    chance = random.Random(1)
    assert table.to_refresh(HOUR - 1, chance) == []
    table.looked_up(at(3, 77).guid, 100.0)
    places = table.to_refresh(HOUR, chance)
    assert [table.bucket_of(place) for place in places] == [0, 9]
    assert [table.bucket_of(place) for place in table.far_places(chance)] == list(range(9))
    assert RoutingTable(OWN).far_places(chance) == []


# --- invariants ----------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["seen", "seen", "seen", "failed", "remove"]),
        st.integers(0, 3),
        st.integers(0, 7),
        st.sampled_from([None, "a", "b", "c"]),
        st.integers(0, 400),
    ),
    max_size=120,
)


@settings(max_examples=80)
@given(STEPS)
def test_whatever_happens_the_table_keeps_its_rules(
    steps: list[tuple[str, int, int, str | None, int]],
) -> None:
    table = RoutingTable(OWN, size=4)
    networks: dict[Guid, str | None] = {}
    now = 0.0
    for action, bucket, rest, network, seconds in steps:
        now += seconds
        one = at(bucket, rest)
        if action == "seen":
            networks[one.guid] = network
            asked = table.seen(one, network, now)
            assert asked is None or asked.guid in table
        elif action == "failed":
            table.failed(one.guid)
        else:
            table.remove(one.guid)
            assert one.guid not in table
        members = table.contacts()
        assert len(members) == len(table) == len({m.guid for m in members})
        assert all(m.guid in table for m in members)
        by_bucket = Counter(table.bucket_of(m.guid) for m in members)
        assert all(count <= 4 for count in by_bucket.values())
        crowds = Counter((table.bucket_of(m.guid), networks[m.guid]) for m in members)
        assert all(
            count <= dht_limits.MAX_GROUP_PER_BUCKET
            for (_, where), count in crowds.items()
            if where is not None
        )
