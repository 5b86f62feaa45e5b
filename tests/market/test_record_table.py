"""The table of records: who may say what, who has to go, and that the books are right."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fondaco.identity.keys import IdentityKey
from fondaco.market import dht_limits
from fondaco.market.dht_keys import NOTARY_INDEX_KEY, DhtKey, keyword_key
from fondaco.market.record_payloads import encode_keyword
from fondaco.market.record_table import OWN, Outcome, RecordTable, weight_of
from fondaco.market.records import (
    ForgedRecord,
    MalformedRecord,
    Record,
    RecordKind,
    UntimelyRecord,
    sign,
    verify,
)

NOW = 1_600_000_000.0
DAY = dht_limits.RECORD_LIFETIME
KEY = NOTARY_INDEX_KEY
OWNERS = [IdentityKey(bytes([1]) * 31 + bytes([n])) for n in range(1, 41)]
ALICE, BOB = OWNERS[:2]


def record(
    owner: IdentityKey = ALICE, payload: bytes = b"1 %", now: float = NOW, key: DhtKey = KEY
) -> Record:
    kind = RecordKind.NOTARY_INDEX if key == KEY else RecordKind.KEYWORD
    return sign(owner, key, kind, payload, now, network="main")


def check(one: Record) -> None:
    verify(one, network="main")


def table(**limits: int) -> RecordTable:
    return RecordTable(check, **limits)


WEIGHT = weight_of(record())


# --- who may say what ----------------------------------------------------------------------


def test_a_key_holds_one_record_of_each_owner() -> None:
    here = table()
    old, new = record(), record(payload=b"2 %", now=NOW + 1)
    assert here.offer(old, "a", NOW, is_direct=True) is Outcome.NEW
    assert here.offer(record(BOB), "b", NOW, is_direct=True) is Outcome.NEW
    assert here.offer(new, "a", NOW + 1, is_direct=True) is Outcome.NEWER
    assert set(here.get(KEY, NOW + 1)) == {new, record(BOB)}
    assert len(here) == 2


def test_a_stale_owner_cannot_overwrite_what_he_said_later() -> None:
    here = table()
    new = record(payload=b"2 %", now=NOW + 1)
    here.offer(new, "a", NOW + 1, is_direct=True)
    assert here.offer(record(), "a", NOW + 1, is_direct=True) is Outcome.OLDER
    assert here.offer(new, "a", NOW + 1, is_direct=True) is Outcome.SAME
    assert here.get(KEY, NOW + 1) == (new,)


def test_nobody_removes_anothers_record() -> None:
    here = table()
    here.offer(record(), "a", NOW, is_direct=True)
    withdrawal = record(payload=b"", now=NOW + 1)
    by_bob = msgspec.structs.replace(withdrawal, signature=record(BOB, b"", NOW + 1).signature)
    with pytest.raises(ForgedRecord):
        here.offer(by_bob, "b", NOW + 1, is_direct=False)
    # One of his own, he may sign; it withdraws nothing of Alice's.
    here.offer(record(BOB, b"", NOW + 1), "b", NOW + 1, is_direct=True)
    assert here.find(KEY, ALICE.public_key) == record()
    assert here.offer(withdrawal, "b", NOW + 1, is_direct=False) is Outcome.NEWER
    assert here.find(KEY, ALICE.public_key) == withdrawal


def test_what_was_withdrawn_does_not_come_back_from_others() -> None:
    here = table()
    withdrawal = record(payload=b"", now=NOW + 1)
    here.offer(withdrawal, "a", NOW + 1, is_direct=True)
    assert here.offer(record(), "b", NOW + DAY - 1, is_direct=False) is Outcome.OLDER
    # Nor when the withdrawal has gone: by then the record has expired itself.
    assert here.expire(NOW + DAY + 1) == [withdrawal]
    with pytest.raises(UntimelyRecord):
        here.offer(record(), "b", NOW + DAY + 1, is_direct=False)


def test_records_expire() -> None:
    here = table()
    here.offer(record(), "a", NOW, is_direct=True)
    assert here.next_expiry() == NOW + DAY
    assert here.expire(NOW + DAY - 1) == []
    assert here.get(KEY, NOW + DAY) == ()
    assert here.expire(NOW + DAY) == [record()]
    assert len(here) == here.weight == 0
    assert list(here.keys()) == []


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        pytest.param(record(now=NOW - DAY), UntimelyRecord, id="expired"),
        pytest.param(record(now=NOW + DAY), UntimelyRecord, id="from the future"),
        pytest.param(
            record(key=keyword_key("boat"), payload=encode_keyword("bike", [KEY])),
            MalformedRecord,
            id="misplaced",
        ),
        pytest.param(msgspec.structs.replace(record(), payload=b"3 %"), ForgedRecord, id="forged"),
        pytest.param(
            msgspec.structs.replace(record(), payload=bytes(5_000)), MalformedRecord, id="too long"
        ),
    ],
)
def test_bad_records_leave_no_trace(bad: Record, error: type[Exception]) -> None:
    here = table()
    with pytest.raises(error):
        here.offer(bad, "a", NOW, is_direct=True)
    assert len(here) == here.weight == 0
    assert here.next_expiry() is None


# --- room ----------------------------------------------------------------------------------


def test_a_flood_from_one_network_drives_out_itself() -> None:
    here = table(key_records=8)
    for owner in OWNERS[:3]:
        here.offer(record(owner), "flood", NOW, is_direct=True)
    for number, owner in enumerate(OWNERS[3:5]):
        here.offer(record(owner), f"honest {number}", NOW, is_direct=True)
    for owner in OWNERS[6:]:
        here.offer(record(owner), "flood", NOW, is_direct=True)
    late = record(OWNERS[5])
    assert here.offer(late, "honest 5", NOW, is_direct=True) is Outcome.NEW
    kept = {one.owner for one in here.get(KEY, NOW)}
    assert len(kept) == 8
    assert {owner.public_key for owner in OWNERS[3:6]} <= kept
    # And within the flooding network those stay who came first.
    assert {owner.public_key for owner in OWNERS[:3]} <= kept
    assert [one.owner for one in here.dropped] == [OWNERS[8].public_key]


def test_equal_shares_do_not_displace_each_other() -> None:
    here = table(key_records=3)
    for name, owner in zip("abc", OWNERS, strict=False):
        here.offer(record(owner), name, NOW, is_direct=True)
    before = here.get(KEY, NOW)
    for name, owner in zip("abcd", OWNERS[10:], strict=False):
        assert here.offer(record(owner), name, NOW, is_direct=True) is Outcome.NO_ROOM
    assert here.get(KEY, NOW) == before


def test_large_records_are_large_shares() -> None:
    here = table(key_weight=4 * WEIGHT + 3_000)
    here.offer(record(OWNERS[0], bytes(3_000)), "fat", NOW, is_direct=True)
    for name, owner in zip("abc", OWNERS[1:], strict=False):
        here.offer(record(owner), name, NOW, is_direct=True)
    assert here.offer(record(OWNERS[5]), "d", NOW, is_direct=True) is Outcome.NEW
    assert [one.owner for one in here.dropped] == [OWNERS[0].public_key]


def test_a_copied_record_is_charged_to_its_owner_when_he_comes_himself() -> None:
    here = table(key_records=3)
    here.offer(record(OWNERS[0]), "copier", NOW, is_direct=False)
    here.offer(record(OWNERS[1]), "copier", NOW, is_direct=True)
    assert here.network_of(KEY, OWNERS[0].public_key) == "copier"
    assert here.offer(record(OWNERS[0]), "home", NOW, is_direct=True) is Outcome.SAME
    assert here.network_of(KEY, OWNERS[0].public_key) == "home"
    # From then on no copier can take it over, not even with a newer one.
    newer = record(OWNERS[0], b"2 %", NOW + 1)
    assert here.offer(newer, "copier", NOW + 1, is_direct=False) is Outcome.NEWER
    assert here.network_of(KEY, OWNERS[0].public_key) == "home"


def test_within_a_network_copies_go_before_what_owners_brought() -> None:
    here = table(key_records=3)
    here.offer(record(OWNERS[0]), "a", NOW, is_direct=False)
    here.offer(record(OWNERS[1]), "a", NOW, is_direct=True)
    here.offer(record(OWNERS[2]), "a", NOW, is_direct=True)
    here.offer(record(OWNERS[3]), "b", NOW, is_direct=True)
    assert [one.owner for one in here.dropped] == [OWNERS[0].public_key]


def test_one_owner_does_not_fill_the_table() -> None:
    here = table(owner_weight=2 * WEIGHT + 300)
    words = [("one", Outcome.NEW), ("two", Outcome.NEW), ("three", Outcome.NO_ROOM)]
    for word, outcome in words:
        one = record(key=keyword_key(word), payload=encode_keyword(word, [KEY]))
        assert here.offer(one, "a", NOW, is_direct=True) is outcome


def test_a_full_table_takes_from_the_heaviest_network() -> None:
    words = [f"word {number}" for number in range(20)]
    made = [
        record(owner, encode_keyword(word, [KEY]), key=keyword_key(word))
        for owner, word in zip(OWNERS, words, strict=False)
    ]
    here = table(table_weight=10 * max(map(weight_of, made)))
    for one in made[:10]:
        assert here.offer(one, "flood", NOW, is_direct=True) is Outcome.NEW
    assert here.offer(made[10], "flood", NOW, is_direct=True) is Outcome.NO_ROOM
    assert here.offer(made[11], "honest", NOW, is_direct=True) is Outcome.NEW
    assert here.dropped == [made[9]]
    assert here.find(made[0].key, made[0].owner) == made[0]


def test_own_records_are_charged_to_nobody_and_never_go() -> None:
    here = table(key_records=2, table_weight=2 * WEIGHT, owner_weight=2 * WEIGHT)
    for owner in OWNERS[:5]:
        assert here.offer(record(owner), OWN, NOW, is_direct=True) is Outcome.NEW
    assert here.weight == 0
    for name, owner in zip("abcd", OWNERS[5:], strict=False):
        here.offer(record(owner), name, NOW, is_direct=True)
    assert {owner.public_key for owner in OWNERS[:5]} <= {r.owner for r in here.get(KEY, NOW)}
    assert here.weight == 2 * WEIGHT


# --- pages and books -----------------------------------------------------------------------


def test_pages_show_everything_once() -> None:
    here = table()
    owners = [IdentityKey(number.to_bytes(32)) for number in range(1, 120)]
    for number, owner in enumerate(owners):
        here.offer(record(owner, bytes(100)), f"n{number}", NOW, is_direct=True)
    found: list[Record] = []
    after, sizes = b"", []
    while True:
        records, has_more = here.page(KEY, after, NOW)
        found += records
        sizes.append(len(records))
        if not has_more:
            break
        after = records[-1].owner
    assert tuple(found) == here.get(KEY, NOW)
    assert sizes == [dht_limits.MAX_ANSWER_RECORDS] * 2 + [119 - 96]


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 7),
            st.sampled_from("abc"),
            st.booleans(),
            st.integers(0, 400),
            st.integers(0, 3),
        ),
        max_size=60,
    )
)
def test_the_books_are_right(steps: list[tuple[int, str, bool, int, int]]) -> None:
    here = RecordTable(
        lambda _record: None, key_records=5, key_weight=6 * WEIGHT, table_weight=9 * WEIGHT
    )
    now = NOW
    for number, network, is_direct, size, step in steps:
        now += step * 9_000
        one = sign(OWNERS[number], KEY, RecordKind.NOTARY_INDEX, bytes(size), now, network="main")
        before = {r.owner: r for r in here.get(KEY, 0.0)}
        outcome = here.offer(one, network, now, is_direct=is_direct)
        after = {r.owner: r for r in here.get(KEY, 0.0)}
        if outcome in {Outcome.NEW, Outcome.NEWER}:
            assert after[one.owner] == one
        else:
            assert after == before
        here.expire(now)
        held = here.get(KEY, 0.0)
        assert all(r.expires_at > now for r in held)
        assert len(held) == len(here) <= 5
        assert here.weight == sum(map(weight_of, held)) <= 6 * WEIGHT
        by_network: Counter[str | None] = Counter()
        for r in held:
            by_network[here.network_of(KEY, r.owner)] += weight_of(r)
        assert by_network.total() == here.weight
