"""What records say, and that they say it under the right key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.identity.keys import IdentityKey
from fondaco.market import dht_limits
from fondaco.market.dht_keys import (
    NOTARY_INDEX_KEY,
    DhtKey,
    contract_key,
    keyword_key,
    store_index_key,
)
from fondaco.market.record_payloads import (
    KeywordEntry,
    check_place,
    decode_keyword,
    encode_keyword,
)
from fondaco.market.records import MAX_PAYLOAD, MalformedRecord, Record, RecordKind, sign

ALICE, BOB = (IdentityKey(bytes([n]) * 32) for n in (1, 2))
ONE, TWO = (DhtKey(bytes([n]) * 20) for n in (1, 2))
WORDS = st.text(min_size=1, max_size=12).filter(lambda word: len(word.upper().encode()) <= 64)


def record(key: DhtKey, kind: RecordKind, payload: bytes, owner: IdentityKey = ALICE) -> Record:
    return sign(owner, key, kind, payload, 1_600_000_000, network="main")


@given(WORDS, st.sets(st.binary(min_size=20, max_size=20).map(DhtKey), min_size=1, max_size=20))
def test_a_keyword_comes_back_in_upper_case(word: str, listings: set[DhtKey]) -> None:
    entry = decode_keyword(encode_keyword(word, listings))
    assert entry == KeywordEntry(word=word.upper(), listings=tuple(sorted(listings)))


@given(st.binary(max_size=70))
def test_a_keyword_record_has_one_spelling(payload: bytes) -> None:
    try:
        entry = decode_keyword(payload)
    except MalformedRecord:
        return
    assert encode_keyword(entry.word, entry.listings) == payload


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x00" + ONE, id="no word"),
        pytest.param(b"\x04BIKE", id="no listing"),
        pytest.param(b"\x04BIKE" + ONE[:-1], id="half a listing"),
        pytest.param(b"\x04BIKE" + TWO + ONE, id="out of order"),
        pytest.param(b"\x04BIKE" + ONE + ONE, id="twice"),
        pytest.param(b"\x04Bike" + ONE, id="another case"),
        pytest.param(b"\x01\xff" + ONE, id="not UTF-8"),
        pytest.param(b"\x41" + b"A" * 65 + ONE, id="a long word"),
        pytest.param(
            b"\x04BIKE" + b"".join(n.to_bytes(20) for n in range(129)), id="too many listings"
        ),
    ],
)
def test_another_spelling_is_refused(payload: bytes) -> None:
    with pytest.raises(MalformedRecord):
        decode_keyword(payload)


@pytest.mark.parametrize(("word", "listings"), [("", [ONE]), ("A" * 65, [ONE]), ("A", [])])
def test_nothing_is_written_that_would_be_refused(word: str, listings: list[DhtKey]) -> None:
    with pytest.raises(ValueError, match="keyword"):
        encode_keyword(word, listings)


def test_a_large_store_names_a_part_of_its_listings() -> None:
    listings = [DhtKey(n.to_bytes(20)) for n in range(5_000)]
    payload = encode_keyword("A" * dht_limits.MAX_KEYWORD_SIZE, listings)
    assert len(payload) <= MAX_PAYLOAD[RecordKind.KEYWORD]
    entry = decode_keyword(payload)
    assert entry.listings == tuple(listings[: dht_limits.MAX_KEYWORD_LISTINGS])


BIKE = encode_keyword("bike", [ONE])


@pytest.mark.parametrize(
    "right",
    [
        record(contract_key(b"text"), RecordKind.CONTRACT, b"text"),
        record(contract_key(b"text"), RecordKind.CONTRACT, b""),
        record(keyword_key("bike"), RecordKind.KEYWORD, BIKE),
        record(keyword_key("bike"), RecordKind.KEYWORD, b""),
        record(store_index_key(ALICE.guid), RecordKind.STORE_INDEX, b"digest"),
        record(store_index_key(ALICE.guid), RecordKind.STORE_INDEX, b""),
        record(NOTARY_INDEX_KEY, RecordKind.NOTARY_INDEX, b"1 %"),
    ],
    ids=lambda one: f"{one.kind.name} {len(one.payload)}",
)
def test_where_records_belong(right: Record) -> None:
    check_place(right)


@pytest.mark.parametrize(
    "wrong",
    [
        record(contract_key(b"text"), RecordKind.CONTRACT, b"another text"),
        record(keyword_key("boat"), RecordKind.KEYWORD, BIKE),
        record(keyword_key("bike"), RecordKind.KEYWORD, b"free text"),
        record(store_index_key(ALICE.guid), RecordKind.STORE_INDEX, b"digest", BOB),
        record(store_index_key(ALICE.guid), RecordKind.STORE_INDEX, b"", BOB),
        record(keyword_key("bike"), RecordKind.NOTARY_INDEX, b"1 %"),
    ],
    ids=lambda one: f"{one.kind.name} {len(one.payload)}",
)
def test_nobody_puts_anything_elsewhere(wrong: Record) -> None:
    with pytest.raises(MalformedRecord):
        check_place(wrong)
