"""Records: one spelling, one author, one order among those of an owner."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.errors import Verdict
from fondaco.identity.keys import IdentityKey
from fondaco.market import dht_limits
from fondaco.market.dht_keys import DhtKey, keyword_key
from fondaco.market.records import (
    HEADER_SIZE,
    MAX_PAYLOAD,
    OVERHEAD,
    ForgedRecord,
    MalformedRecord,
    Record,
    RecordKind,
    UntimelyRecord,
    check_time,
    decode_record,
    encode_record,
    merge,
    sign,
    supersedes,
    verify,
)

NOW = 1_600_000_000.0
ALICE, BOB = (IdentityKey(bytes([n]) * 32) for n in (1, 2))
KEY = keyword_key("bike")
RECORD = sign(ALICE, KEY, RecordKind.KEYWORD, b"payload", NOW, network="main")

RECORDS = st.builds(
    Record,
    key=st.binary(min_size=20, max_size=20).map(DhtKey),
    kind=st.sampled_from(RecordKind),
    owner=st.sampled_from([ALICE.public_key, BOB.public_key]),
    sequence=st.integers(0, 2**63 - 1),
    expires_at=st.integers(0, 2**63 - 1),
    payload=st.binary(max_size=300),
    signature=st.binary(min_size=64, max_size=64),
)


def changed(**fields: object) -> Record:
    return msgspec.structs.replace(RECORD, **fields)


# --- spelling ----------------------------------------------------------------------------


@given(RECORDS)
def test_round_trip(record: Record) -> None:
    raw = encode_record(record)
    assert len(raw) == record.size
    assert decode_record(raw) == record


@given(st.binary(max_size=400) | RECORDS.map(encode_record), st.data())
def test_whatever_is_read_has_one_spelling(raw: bytes, data: st.DataObject) -> None:
    if raw:
        at = data.draw(st.integers(0, len(raw) - 1))
        raw = raw[:at] + data.draw(st.binary(max_size=2)) + raw[at + 1 :]
    try:
        record = decode_record(raw)
    except MalformedRecord:
        return
    assert encode_record(record) == raw


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(encode_record(RECORD)[:-1], id="one short"),
        pytest.param(encode_record(RECORD) + b"\0", id="one long"),
        pytest.param(b"\x02" + encode_record(RECORD)[1:], id="another version"),
        pytest.param(b"\x01\x00" + encode_record(RECORD)[2:], id="kind 0"),
        pytest.param(b"\x01\x05" + encode_record(RECORD)[2:], id="kind 5"),
        pytest.param(encode_record(changed(owner=b"\x04" + bytes(32))), id="owner's first byte"),
        pytest.param(encode_record(changed(sequence=2**63)), id="sequence of 64 bits"),
        pytest.param(encode_record(changed(expires_at=2**63)), id="time of 64 bits"),
        pytest.param(
            encode_record(changed(payload=bytes(dht_limits.MAX_INDEX_SIZE + 1))), id="too long"
        ),
    ],
)
def test_what_is_no_record(raw: bytes) -> None:
    with pytest.raises(MalformedRecord) as caught:
        decode_record(raw)
    assert caught.value.verdict is Verdict.REJECT


@pytest.mark.parametrize("kind", RecordKind)
def test_each_kind_has_its_longest_payload(kind: RecordKind) -> None:
    longest = sign(ALICE, KEY, kind, bytes(MAX_PAYLOAD[kind]), NOW, network="main")
    assert decode_record(encode_record(longest)) == longest
    assert longest.size == OVERHEAD + MAX_PAYLOAD[kind] <= dht_limits.MAX_ANSWER_SIZE
    with pytest.raises(ValueError, match="payload"):
        sign(ALICE, KEY, kind, bytes(MAX_PAYLOAD[kind] + 1), NOW, network="main")


# --- author ------------------------------------------------------------------------------


def test_a_record_is_its_owners() -> None:
    verify(RECORD, network="main")
    assert RECORD.owner == ALICE.public_key
    assert RECORD.owner_guid == ALICE.guid


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param(changed(payload=b"another"), id="payload"),
        pytest.param(changed(payload=b""), id="withdrawn by somebody"),
        pytest.param(changed(key=keyword_key("boat")), id="key"),
        pytest.param(changed(kind=RecordKind.CONTRACT), id="kind"),
        pytest.param(changed(owner=BOB.public_key), id="owner"),
        # BIP340 looks at x alone: the mirrored key would have another GUID.
        pytest.param(
            changed(owner=bytes([RECORD.owner[0] ^ 1]) + RECORD.owner[1:]), id="mirrored owner"
        ),
        pytest.param(changed(owner=b"\x02" + b"\xff" * 32), id="owner is no point"),
        pytest.param(changed(sequence=RECORD.sequence + 1), id="sequence"),
        pytest.param(changed(expires_at=RECORD.expires_at + 1), id="lifetime"),
        pytest.param(changed(signature=bytes(64)), id="signature"),
    ],
)
def test_nobody_can_change_it(forged: Record) -> None:
    with pytest.raises(ForgedRecord):
        verify(forged, network="main")


def test_a_record_is_of_one_network() -> None:
    with pytest.raises(ForgedRecord):
        verify(RECORD, network="test")


# --- time and order ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("later", "is_timely"),
    [
        pytest.param(-dht_limits.CLOCK_TOLERANCE - 1, False, id="clocks too far apart"),
        pytest.param(-dht_limits.CLOCK_TOLERANCE, True, id="the owner's clock is ahead"),
        pytest.param(0, True, id="new"),
        pytest.param(dht_limits.RECORD_LIFETIME - 1, True, id="last second"),
        pytest.param(dht_limits.RECORD_LIFETIME, False, id="expired"),
    ],
)
def test_a_record_has_its_time(later: int, is_timely: bool) -> None:
    if is_timely:
        check_time(RECORD, NOW + later)
    else:
        with pytest.raises(UntimelyRecord) as caught:
            check_time(RECORD, NOW + later)
        assert caught.value.verdict is Verdict.IGNORE


def test_an_owner_is_newer_than_himself() -> None:
    withdrawn = sign(
        ALICE, KEY, RecordKind.KEYWORD, b"", NOW - 100, network="main", previous=RECORD
    )
    assert withdrawn.is_withdrawal
    assert supersedes(withdrawn, RECORD)
    assert not supersedes(RECORD, withdrawn)
    # It may not end first, or what it withdraws would come back.
    assert withdrawn.expires_at == RECORD.expires_at
    forgetful = sign(ALICE, KEY, RecordKind.KEYWORD, b"again", NOW + 1, network="main")
    assert supersedes(forgetful, withdrawn)


def test_of_two_with_one_number_all_nodes_choose_the_same() -> None:
    other = sign(ALICE, KEY, RecordKind.KEYWORD, b"other", NOW, network="main")
    assert other.sequence == RECORD.sequence
    assert supersedes(other, RECORD) is not supersedes(RECORD, other)
    assert not supersedes(RECORD, RECORD)


@given(st.lists(RECORDS, max_size=6))
def test_merging_is_a_union_whatever_the_sequence(records: list[Record]) -> None:
    merged = merge(tuple(records))
    assert len({record.owner for record in merged}) == len(merged)
    assert {record.owner for record in merged} == {record.owner for record in records}
    for record in records:
        assert not any(r.owner == record.owner and supersedes(record, r) for r in merged)
    for shuffled in itertools.islice(itertools.permutations(records), 24):
        assert merge(*[(record,) for record in shuffled]) == merged
    assert merge(merged, merged) == merged


def test_the_header_has_the_size_it_says() -> None:
    assert encode_record(RECORD)[HEADER_SIZE:].startswith(b"payload")
