"""Contracts to test with: the seed's own, and ones made of it."""

from __future__ import annotations

import copy
import json
from typing import Any

from fondaco.identity.keys import IdentityKey
from fondaco.market.codec import read_old_contract
from fondaco.market.contract import Contract

SELLER = IdentityKey(bytes(31) + b"\x07")
BUYER = IdentityKey(bytes(31) + b"\x08")
NOTARY = IdentityKey(bytes(31) + b"\x09")

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4//8/"
    "AAX+Av4N70a4AAAAAElFTkSuQmCC"
)
"""One white pixel."""

SEED_CREATE_CONTRACT = """\
{
"id": 42,
"command": "create_contract",
"params": {
"Contract_Metadata": {
"OBCv": "0.4",
"category": "physical_goods",
"subcategory": "fixed_price",
"contract_nonce": "01",
"expiration": "2014-01-01 00:00:00"
},
"Seller": {
"seller_GUID": "",
"seller_BTC_uncompressed_pubkey": "",
"seller_PGP": ""
},
"Contract": {
"item_title": "asfd",
"item_keywords": [
],
"currency": "XBT",
"item_price": 0.5,
"item_condition": "New",
"item_quantity": 1,
"item_desc": "asfddasf",
"item_images": {
},
"item_remote_images": [
],
"item_delivery": {
"countries": "",
"region": "",
"est_delivery": "",
"shipping_price": 0
}
}
}
}
"""
"""Lines 30 to 67 of the API document of OpenBazaar 0.3.1, as printed."""


def seed_params() -> dict[str, Any]:
    """Return the contract of the seed's ``create_contract``, decoded anew."""
    params: dict[str, Any] = json.loads(SEED_CREATE_CONTRACT)["params"]
    return params


def put(value: dict[str, Any], path: str, member: Any) -> dict[str, Any]:
    """Return a copy of *value* with another member at *path*, ``Contract.item_price``."""
    changed = copy.deepcopy(value)
    *above, last = path.split(".")
    place = changed
    for name in above:
        place = place[name]
    place[last] = member
    return changed


def drop(value: dict[str, Any], path: str) -> dict[str, Any]:
    """Return a copy of *value* without the member at *path*."""
    changed = copy.deepcopy(value)
    *above, last = path.split(".")
    place = changed
    for name in above:
        place = place[name]
    del place[last]
    return changed


def contract_json(seller: IdentityKey = SELLER, **item: Any) -> dict[str, Any]:
    """Return JSON of a contract of *seller*, with other members of ``Contract``."""
    value = put(seed_params(), "Seller.seller_GUID", seller.guid.hex())
    value["Contract"] |= {"item_title": "Bicycle", "item_keywords": ["bike", "red"], **item}
    return value


def make_contract(seller: IdentityKey = SELLER, **item: Any) -> Contract:
    """Return a contract of *seller*, with other members of ``Contract``."""
    return read_old_contract(contract_json(seller, **item))
