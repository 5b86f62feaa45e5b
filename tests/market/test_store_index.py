"""A store's index: all of it, nothing else, the last version."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.identity.names import guid
from fondaco.market import canonical
from fondaco.market.dht_keys import DhtKey
from fondaco.market.errors import (
    BadSignature,
    ForeignContract,
    ListingOutdated,
    MalformedListing,
    MarketRefusal,
    OtherNetwork,
)
from fondaco.market.limits import LISTING_LIFETIME, MAX_SEQUENCE
from fondaco.market.signed_object import sign_object
from fondaco.market.store_index import (
    ENTRY_SIZE,
    INDEX_TAG,
    Entry,
    StoreIndex,
    check_newer,
    decode_entries,
    decode_index,
    digest_of,
    encode_entries,
    sign_index,
)
from support.contracts import BUYER, SELLER

NOW = 1_790_000_000
ENTRIES = [Entry(DhtKey(bytes([n]) * 20), n % 5) for n in range(30)]

KEYS = st.binary(min_size=20, max_size=20).map(DhtKey)
STORES = st.dictionaries(KEYS, st.integers(0, MAX_SEQUENCE), max_size=20).map(
    lambda store: [Entry(key, sequence) for key, sequence in store.items()]
)


def index_of(entries: list[Entry], sequence: int = 1, now: int = NOW) -> StoreIndex:
    return sign_index(entries, SELLER, network="main", sequence=sequence, now=now)


def decode(text: bytes, now: int = NOW) -> StoreIndex:
    return decode_index(text, network="main", now=now)


INDEX = index_of(ENTRIES)
FIELDS: dict[str, Any] = {
    name: value
    for name, value in json.loads(INDEX.text).items()
    if name not in {"sig", "key", "network"}
}


def test_round_trip() -> None:
    assert decode(INDEX.text) == INDEX
    assert INDEX.owner == SELLER.guid
    assert INDEX.count == 30
    assert len(INDEX.text) < 700


@given(STORES, st.randoms(use_true_random=False))
def test_the_order_of_arrival_makes_no_difference(entries: list[Entry], rng: Any) -> None:
    index = index_of(entries)
    shuffled = entries.copy()
    rng.shuffle(shuffled)
    assert index.is_all(shuffled)
    assert decode_entries(encode_entries(shuffled), index) == tuple(sorted(entries))


@given(STORES, KEYS, st.integers(0, MAX_SEQUENCE))
def test_a_visitor_knows_that_something_is_missing(
    entries: list[Entry], key: DhtKey, sequence: int
) -> None:
    index = index_of(entries)
    other = Entry(key, sequence)
    if key not in {entry.key for entry in entries}:
        assert not index.is_all([*entries, other])
    for place, entry in enumerate(entries):
        assert not index.is_all(entries[:place] + entries[place + 1 :])
        older = entry._replace(sequence=entry.sequence ^ 1)
        assert not index.is_all([*entries[:place], older, *entries[place + 1 :]])


def test_an_empty_store_is_known_to_be_empty() -> None:
    index = index_of([])
    assert index.is_all([])
    assert not index.is_all(ENTRIES[:1])
    assert decode_entries(b"", index) == ()
    assert digest_of([]) != digest_of(ENTRIES[:1])


def test_a_contract_is_in_a_store_once() -> None:
    with pytest.raises(ValueError, match="twice"):
        index_of([ENTRIES[0], Entry(ENTRIES[0].key, 9)])


def test_entries_that_the_store_did_not_sign() -> None:
    raw = encode_entries(ENTRIES)
    for wrong in (raw[:-1], raw + bytes(ENTRY_SIZE), b""):
        with pytest.raises(MalformedListing, match="30 entries of 28 bytes"):
            decode_entries(wrong, INDEX)
    swapped = raw[ENTRY_SIZE : 2 * ENTRY_SIZE] + raw[:ENTRY_SIZE] + raw[2 * ENTRY_SIZE :]
    for wrong in (swapped, bytes(len(raw))):
        with pytest.raises(MalformedListing, match="digest"):
            decode_entries(wrong, INDEX)


def test_the_last_version_counts() -> None:
    newer = index_of(ENTRIES[:3], sequence=2)
    check_newer(newer, INDEX)
    for replayed in (INDEX, newer):
        with pytest.raises(ListingOutdated, match="more than 2"):
            check_newer(replayed, newer)


def resigned(change: dict[str, Any], key: Any = SELLER) -> bytes:
    return sign_object({**FIELDS, **change}, tag=INDEX_TAG, key=key, network="main")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"guid": SELLER.guid.hex().upper()}, "guid"),
        ({"guid": None}, "guid"),
        ({"sequence": -1}, "sequence"),
        ({"count": 100_001}, "count"),
        ({"count": True}, "count"),
        ({"digest": "00"}, "digest"),
        ({"digest": 1}, "digest"),
        ({"expires_at": NOW}, "expires_at"),
        ({"published_at": None}, "published_at"),
    ],
)
def test_a_spoiled_field_is_named(change: dict[str, Any], field: str) -> None:
    with pytest.raises(MalformedListing) as caught:
        decode(resigned(change))
    assert caught.value.field == field


def test_nobody_speaks_for_another_store() -> None:
    with pytest.raises(ForeignContract) as caught:
        decode(resigned({}, BUYER))
    assert caught.value.field == "guid"
    mirrored = bytes([SELLER.public_key[0] ^ 1]) + SELLER.public_key[1:]
    whole = json.loads(resigned({"guid": guid(mirrored).hex()}))
    with pytest.raises(BadSignature):
        decode(canonical.encode({**whole, "key": mirrored.hex()}))


def test_time_and_network() -> None:
    with pytest.raises(ListingOutdated):
        decode(INDEX.text, NOW + LISTING_LIFETIME)
    with pytest.raises(OtherNetwork):
        decode_index(INDEX.text, network="test", now=NOW)
    with pytest.raises(MalformedListing):
        sign_index([], SELLER, network="main", sequence=-1, now=NOW)
    with pytest.raises(MalformedListing):
        sign_index([], SELLER, network="main", sequence=1, now=NOW, lifetime=0)


@given(st.data())
def test_one_changed_byte_is_refused(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(INDEX.text) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != INDEX.text[place]))
    with pytest.raises(MarketRefusal):
        decode(INDEX.text[:place] + bytes([other]) + INDEX.text[place + 1 :])


@given(st.binary(max_size=60))
def test_any_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(MarketRefusal):
        decode(raw)
    if len(raw) != 30 * ENTRY_SIZE:
        with pytest.raises(MalformedListing):
            decode_entries(raw, INDEX)
