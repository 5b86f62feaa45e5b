"""A listing as clients of the original know it: a flat item, and a row of its table.

    Listing --item_of--> ListingItem      ``contracts``, ``listing_result``
                 |
                 '-----> ListingRow       ``query_listing_result``; its contract is text

``unit_price`` and ``shipping_price`` are JSON numbers here, as the API document has them; inside
the contract, which is signed, prices are text. What a peer sends in this form proves nothing: only
``signed_contract_body`` does.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from fondaco.market.codec import spell_contract
from fondaco.market.contract import Condition
from fondaco.market.dht_keys import KEY_SIZE, DhtKey
from fondaco.market.fields import Kind, Misread, Wire, listed, read_fields
from fondaco.market.kinds import OBJECT, PRICE, line, octets, text, whole
from fondaco.market.limits import (
    MAX_CONTRACT_ID,
    MAX_DESCRIPTION,
    MAX_IMAGE_TEXT,
    MAX_LINE,
    MAX_QUANTITY,
    MAX_REMOTE_IMAGES,
    MAX_SIGNED_SIZE,
    MAX_TITLE,
    MAX_URL,
)
from fondaco.market.listing import Listing
from fondaco.market.money import Satoshi
from fondaco.market.strict_json import UnreadableJson, decode_json

_KEY = octets(KEY_SIZE)


def _read_image(value: object) -> str:
    return "" if value == {} else text(MAX_IMAGE_TEXT).read(value)


_IMAGE: Kind[str] = Kind(
    expected="{} or a data URI",
    read=_read_image,
    spell=lambda image: image or {},
    schema={"anyOf": [{"type": "object"}, {"type": "string"}]},
)


def _read_contract_object(value: object) -> dict[str, Any]:
    contract = OBJECT.read(value)
    inner = contract.get("Contract")
    if not isinstance(inner, dict) or not isinstance(inner.get("item_delivery"), dict):
        # A web client that comes upon one without shows nothing of the whole store.
        raise Misread("Contract.item_delivery", "an object")
    return contract


CONTRACT: Kind[dict[str, Any]] = Kind(
    expected="a contract", read=_read_contract_object, schema=OBJECT.schema
)
"""A contract as an object."""


def _read_contract_text(value: object) -> dict[str, Any]:
    if not isinstance(value, str):
        raise Misread("", CONTRACT_TEXT.expected)
    try:
        return CONTRACT.read(decode_json(value, limit=MAX_SIGNED_SIZE))
    except UnreadableJson as exc:
        raise Misread("", str(exc)) from None


CONTRACT_TEXT: Kind[dict[str, Any]] = Kind(
    expected="a contract as JSON text",
    read=_read_contract_text,
    spell=lambda contract: msgspec.json.Encoder(decimal_format="number").encode(contract).decode(),
    schema={"type": "string"},
)
"""A contract as text that is JSON."""


class ListingItem(msgspec.Struct, frozen=True, kw_only=True):
    """One listing, flat. Made by ``item_of``, or read from what a peer sent."""

    id: Annotated[int, Wire("id", whole(MAX_CONTRACT_ID))]
    key: Annotated[DhtKey, Wire("key", _KEY)]
    item_title: Annotated[str, Wire("item_title", line(MAX_TITLE))]
    item_desc: Annotated[str, Wire("item_desc", text(MAX_DESCRIPTION))] = ""
    item_condition: Annotated[str, Wire("item_condition", line(MAX_LINE))] = Condition.NEW.value
    item_quantity_available: Annotated[
        int, Wire("item_quantity_available", whole(MAX_QUANTITY))
    ] = 0
    item_images: Annotated[str, Wire("item_images", _IMAGE)] = ""
    item_remote_images: Annotated[
        tuple[str, ...], Wire("item_remote_images", listed(line(MAX_URL), MAX_REMOTE_IMAGES))
    ] = ()
    unit_price: Annotated[Satoshi, Wire("unit_price", PRICE)]
    shipping_price: Annotated[Satoshi, Wire("shipping_price", PRICE)] = Satoshi(0)
    deleted: Annotated[int, Wire("deleted", whole(1))] = 0
    contract_body: Annotated[dict[str, Any], Wire("contract_body", CONTRACT)]
    signed_contract_body: Annotated[str, Wire("signed_contract_body", text(MAX_SIGNED_SIZE))] = ""


class ListingRow(ListingItem, frozen=True, kw_only=True):
    """The same as a row of the original's table: two columns more, and its contract is text."""

    market_id: Annotated[int, Wire("market_id", whole(MAX_CONTRACT_ID))] = 1
    state: Annotated[str, Wire("state", line(MAX_LINE))] = "seed"
    contract_body: Annotated[dict[str, Any], Wire("contract_body", CONTRACT_TEXT)]


def item_of(listing: Listing, *, number: int) -> ListingItem:
    """Return a listing, flat.

    Args:
        number: its id on this node.
    """
    return ListingItem(**_columns(listing, number))


def row_of(listing: Listing, *, number: int) -> ListingRow:
    """Return a listing as a row."""
    return ListingRow(**_columns(listing, number))


def read_item(value: object) -> ListingItem:
    """Return the listing in decoded JSON of a peer. It proves nothing.

    Raises:
        Misread: names the field.
    """
    return read_fields(ListingItem, value)


def _columns(listing: Listing, number: int) -> dict[str, Any]:
    item = listing.signed.contract.item
    return {
        "id": number,
        "key": listing.key,
        "item_title": item.title,
        "item_desc": item.description,
        "item_condition": item.condition.value,
        "item_quantity_available": listing.offer.quantity,
        "item_images": item.image,
        "item_remote_images": item.remote_images,
        "unit_price": item.price,
        "shipping_price": item.delivery.price,
        "deleted": int(listing.offer.is_withdrawn),
        "contract_body": spell_contract(listing.signed.contract),
        "signed_contract_body": listing.signed.text.decode(),
    }
