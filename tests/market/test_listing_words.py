"""Listings, flat and as rows, for clients of the original."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fondaco.market.envelope import encode
from fondaco.market.fields import Misread, read_fields, spell_fields
from fondaco.market.listing import withdraw
from fondaco.market.listing_words import ListingItem, ListingRow, item_of, read_item, row_of
from fondaco.market.strict_json import decode_json
from support.contracts import PIXEL, SELLER
from support.listings import NOW, make_listing
from support.seed_messages import lacks, seed_message, shape

ITEM_KEYS = {
    *("key", "id", "item_images", "signed_contract_body", "contract_body", "unit_price"),
    *("deleted", "shipping_price", "item_title", "item_desc", "item_condition"),
    *("item_quantity_available", "item_remote_images"),
}
LISTING = make_listing(quantity=3, item_images=PIXEL)
DELIVERY = "contract_body.Contract.item_delivery"


def received(value: ListingItem) -> Any:
    """Return what our own decoder reads: numbers are exact."""
    return decode_json(encode(spell_fields(value)), limit=10**6)


def wire(value: ListingItem) -> Any:
    """Return what a client, or a peer, reads."""
    return json.loads(encode(spell_fields(value)))


def test_an_item_has_the_keys_and_types_of_the_seed() -> None:
    # Lines 219 to 243.
    printed = seed_message(215).value["result"]["contract"]
    for listing in (LISTING, make_listing(item_remote_images=["http://example.org/a.jpg"])):
        sent = wire(item_of(listing, number=379843))
        assert sent.keys() == ITEM_KEYS
        mine = {name: printed[name] for name in ITEM_KEYS - {"contract_body", "item_images"}}
        assert lacks(shape(mine), shape(sent)) == []
        assert sent["contract_body"]["Contract"]["item_delivery"].keys() >= {"shipping_price"}


def test_prices_are_numbers_and_a_picture_is_text_or_an_empty_object() -> None:
    bare = make_listing(item_price="0.5", item_images={})
    sent = wire(item_of(bare, number=1))
    assert (sent["unit_price"], sent["shipping_price"], sent["deleted"]) == (0.5, 0, 0)
    assert sent["item_images"] == {}
    assert sent["contract_body"]["Contract"]["item_price"] == "0.5"
    assert wire(item_of(LISTING, number=1))["item_images"] == PIXEL


def test_a_removed_one_says_so() -> None:
    gone = withdraw(LISTING, SELLER, network="main", now=NOW)
    sent = wire(item_of(gone, number=1))
    assert (sent["deleted"], sent["item_quantity_available"]) == (1, 0)


def test_in_a_row_the_contract_is_text() -> None:
    sent = wire(row_of(LISTING, number=7))
    assert sent.keys() == ITEM_KEYS | {"market_id", "state"}
    assert sent["state"] == "seed"
    assert isinstance(sent["contract_body"], str)
    assert json.loads(sent["contract_body"]) == wire(item_of(LISTING, number=7))["contract_body"]


def test_what_goes_out_comes_in() -> None:
    item, row = item_of(LISTING, number=7), row_of(LISTING, number=7)
    assert read_item(received(item)) == item
    assert read_fields(ListingRow, received(row)) == row


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"key": "x"}, "key"),
        ({"item_title": None}, "item_title"),
        ({"item_title": "x" * 201}, "item_title"),
        ({"unit_price": -1}, "unit_price"),
        ({"item_images": {"image1": "x"}}, "item_images"),
        ({"item_remote_images": ["x"] * 4}, "item_remote_images"),
        ({"contract_body": {}}, DELIVERY),
        ({"contract_body": {"Contract": {"item_delivery": 7}}}, DELIVERY),
        ({"contract_body": "{}"}, "contract_body"),
        ({"signed_contract_body": "x" * 10**6}, "signed_contract_body"),
    ],
)
def test_a_peers_item_is_bounded(change: dict[str, Any], path: str) -> None:
    with pytest.raises(Misread) as caught:
        read_item(received(item_of(LISTING, number=7)) | change)
    assert caught.value.path == path


@pytest.mark.parametrize("contract", ["{", "[]", "{}", 7, '{"Contract": {"item_delivery": 1}}'])
def test_a_peers_row_holds_a_contract_as_text(contract: object) -> None:
    with pytest.raises(Misread, match="contract_body"):
        read_fields(ListingRow, received(row_of(LISTING, number=7)) | {"contract_body": contract})
