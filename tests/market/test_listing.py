"""Listings: a contract and its last offer, whoever brings them."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.market import canonical
from fondaco.market.contract_signing import sign_contract
from fondaco.market.errors import (
    BadSignature,
    ContractTooLarge,
    ForeignContract,
    ListingOutdated,
    MalformedListing,
    MarketRefusal,
    OtherNetwork,
)
from fondaco.market.limits import LISTING_LIFETIME, MAX_LISTING_LIFETIME, MAX_SEQUENCE
from fondaco.market.listing import (
    OFFER_TAG,
    Listing,
    check_newer,
    decode_listing,
    decode_offer,
    encode_listing,
    offer_contract,
    replaces,
    withdraw,
)
from fondaco.market.signed_object import sign_object
from support.contracts import BUYER, SELLER, make_contract

NOW = 1_790_000_000
SIGNED = sign_contract(make_contract(), SELLER, network="main")
OTHER = sign_contract(make_contract(item_title="Tandem"), SELLER, network="main")


def offer(sequence: int = 1, quantity: int = 3, now: int = NOW, **more: Any) -> Listing:
    return offer_contract(
        SIGNED, SELLER, network="main", sequence=sequence, quantity=quantity, now=now, **more
    )


def decode(text: bytes, now: int = NOW) -> Listing:
    return decode_listing(text, network="main", now=now)


LISTING = offer()
FIELDS: dict[str, Any] = {
    name: value
    for name, value in json.loads(LISTING.offer.text).items()
    if name not in {"sig", "key", "network"}
}


def resigned(change: dict[str, Any], key: Any = SELLER) -> bytes:
    return sign_object({**FIELDS, **change}, tag=OFFER_TAG, key=key, network="main")


def read(offer_text: bytes, now: int = NOW) -> Listing:
    return decode_offer(offer_text, signed=SIGNED, network="main", now=now)


def test_round_trip() -> None:
    text = encode_listing(LISTING)
    assert decode(text) == LISTING
    assert canonical.encode(json.loads(text)) == text
    assert read(LISTING.offer.text) == LISTING
    assert LISTING.key == SIGNED.key
    assert LISTING.seller == SELLER.guid


def test_it_is_on_offer_while_there_are_some_and_time() -> None:
    assert LISTING.is_on_offer(NOW)
    assert LISTING.is_on_offer(NOW + LISTING_LIFETIME - 1)
    assert not LISTING.is_on_offer(NOW + LISTING_LIFETIME)
    assert not offer(quantity=0).is_on_offer(NOW)
    assert not withdraw(LISTING, SELLER, network="main", now=NOW).is_on_offer(NOW)


def test_an_update_withdraws_the_old_version_and_names_the_new_one() -> None:
    gone = withdraw(LISTING, SELLER, network="main", now=NOW + 5, successor=OTHER.key)
    assert gone.offer.is_withdrawn
    assert gone.offer.successor == OTHER.key
    assert gone.offer.sequence == LISTING.offer.sequence + 1
    assert replaces(gone.offer, LISTING.offer)
    assert decode(encode_listing(gone), NOW + 5) == gone


def test_a_removal_is_undone_by_a_later_offer() -> None:
    gone = withdraw(LISTING, SELLER, network="main", now=NOW)
    assert gone.offer.successor is None
    back = offer(sequence=gone.offer.sequence + 1)
    assert replaces(back.offer, gone.offer)
    assert back.is_on_offer(NOW)


def test_the_withdrawal_outlives_the_offer() -> None:
    for lifetime in (1, LISTING_LIFETIME, MAX_LISTING_LIFETIME):
        long = offer(lifetime=lifetime)
        for now in (NOW, NOW + lifetime // 2, NOW + lifetime + 1):
            gone = withdraw(long, SELLER, network="main", now=now)
            assert gone.offer.lifetime.expires_at >= long.offer.lifetime.expires_at


def test_only_the_seller_offers_and_withdraws() -> None:
    with pytest.raises(ForeignContract):
        offer_contract(SIGNED, BUYER, network="main", sequence=1, quantity=1, now=NOW)
    with pytest.raises(ForeignContract):
        withdraw(LISTING, BUYER, network="main", now=NOW)
    with pytest.raises(ForeignContract) as caught:
        read(resigned({}, BUYER))
    assert caught.value.field == "key"


def test_an_offer_belongs_to_one_contract() -> None:
    with pytest.raises(MalformedListing) as caught:
        decode_offer(LISTING.offer.text, signed=OTHER, network="main", now=NOW)
    assert caught.value.field == "contract_key"
    # Two contracts with one SHA-1 would have one key; an offer is of one of them.
    with pytest.raises(MalformedListing) as caught:
        read(resigned({"text_hash": OTHER.text_hash.hex()}))
    assert caught.value.field == "text_hash"


def test_nothing_that_was_signed_once_comes_back() -> None:
    newer = offer(sequence=2, quantity=2)
    check_newer(newer.offer, LISTING.offer)
    for replayed in (LISTING.offer, newer.offer):
        with pytest.raises(ListingOutdated, match=r"offer\.sequence: expected more than 2"):
            check_newer(replayed, newer.offer)


def test_all_nodes_agree_on_the_last_of_many() -> None:
    # The seller ran a copy of his node: two offers with one number.
    offers = [
        offer(1).offer,
        offer(2).offer,
        offer(2, quantity=1).offer,
        offer(2, now=NOW + 1).offer,
    ]
    last = set()
    for order in itertools.permutations(offers):
        known = order[0]
        for each in order[1:]:
            known = each if replaces(each, known) else known
        last.add(known.text)
    assert len(last) == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"sequence": -1}, "sequence"),
        ({"sequence": "1"}, "sequence"),
        ({"quantity": 1_000_001}, "quantity"),
        ({"quantity": None}, "quantity"),
        ({"published_at": 1.5}, "published_at"),
        ({"expires_at": NOW}, "expires_at"),
        ({"expires_at": NOW + MAX_LISTING_LIFETIME + 1}, "expires_at"),
        ({"is_withdrawn": 0}, "is_withdrawn"),
        ({"is_withdrawn": None}, "is_withdrawn"),
        ({"is_withdrawn": True}, "quantity"),
        ({"successor": OTHER.key.hex()}, "successor"),
        ({"successor": None}, "successor"),
        ({"successor": "xy"}, "successor"),
        ({"contract_key": ""}, "contract_key"),
        ({"text_hash": 1}, "text_hash"),
    ],
)
def test_a_spoiled_field_is_named(change: dict[str, Any], field: str) -> None:
    with pytest.raises(MalformedListing) as caught:
        read(resigned(change))
    assert caught.value.field == field


@pytest.mark.parametrize(
    "more",
    [
        {"sequence": MAX_SEQUENCE + 1},
        {"quantity": -1},
        {"lifetime": 0},
        {"lifetime": MAX_LISTING_LIFETIME + 1},
    ],
)
def test_what_peers_would_refuse_is_not_signed(more: dict[str, int]) -> None:
    with pytest.raises(MalformedListing):
        offer(**more)


def test_there_is_no_version_after_the_last() -> None:
    with pytest.raises(MalformedListing, match="sequence"):
        withdraw(offer(sequence=MAX_SEQUENCE), SELLER, network="main", now=NOW)


def test_time() -> None:
    with pytest.raises(ListingOutdated):
        decode(encode_listing(LISTING), NOW + LISTING_LIFETIME)
    with pytest.raises(ListingOutdated):
        decode(encode_listing(LISTING), NOW - 10_000)


def test_both_parts_are_for_our_network() -> None:
    with pytest.raises(OtherNetwork):
        decode_listing(encode_listing(LISTING), network="test", now=NOW)
    there = sign_object(FIELDS, tag=OFFER_TAG, key=SELLER, network="test")
    with pytest.raises(OtherNetwork):
        read(there)


@pytest.mark.parametrize("change", [{"contract": None}, {"offer": []}, {"more": 1}])
def test_a_listing_has_two_parts(change: dict[str, Any]) -> None:
    whole = {**json.loads(encode_listing(LISTING)), **change}
    with pytest.raises(MarketRefusal):
        decode(canonical.encode(whole))


def test_later_fields_of_an_offer_stay() -> None:
    text = resigned({"delivery_from": "Berlin"})
    assert read(text).offer.text == text


def test_ten_megabytes_are_not_looked_at() -> None:
    with pytest.raises(ContractTooLarge):
        decode(b"[" * 10_000_000)
    with pytest.raises(ContractTooLarge):
        read(resigned({"note": "x" * 2_000}))


ENCODED = encode_listing(LISTING)


@given(st.data())
def test_one_changed_byte_is_refused(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(ENCODED) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != ENCODED[place]))
    with pytest.raises(MarketRefusal):
        decode(ENCODED[:place] + bytes([other]) + ENCODED[place + 1 :])


@given(st.binary(max_size=60))
def test_any_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(MarketRefusal):
        decode(raw)


def test_an_offer_under_another_tag_is_none() -> None:
    text = sign_object(FIELDS, tag="fondaco/store-index/1", key=SELLER, network="main")
    with pytest.raises(BadSignature):
        read(text)
