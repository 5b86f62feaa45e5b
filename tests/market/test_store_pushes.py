"""What clients are told of contracts."""

from __future__ import annotations

import json
from typing import Any

from fondaco.market.envelope import Result, encode_frame
from fondaco.market.fields import spell_fields
from fondaco.market.listing_words import item_of
from fondaco.market.store_pushes import NoListingsFound, StoreContract, contracts, search_result
from support.listings import make_listing

LISTING = make_listing()


def result(push: Result) -> Any:
    return json.loads(encode_frame(1, push))["result"]


def test_contracts_are_nested_twice() -> None:
    sent = result(contracts([item_of(LISTING, number=7)], page=2, total=21))
    assert sent.keys() == {"type", "contracts"}
    assert sent["contracts"].keys() == {"contracts", "page", "total_contracts"}
    assert (sent["contracts"]["page"], sent["contracts"]["total_contracts"]) == (2, 21)
    (item,) = sent["contracts"]["contracts"]
    assert (item["id"], item["key"]) == (7, LISTING.key.hex())


def test_a_contract_of_a_store_and_none() -> None:
    item = spell_fields(item_of(LISTING, number=7))
    assert result(StoreContract(contract=item))["contract"]["id"] == 7
    assert result(NoListingsFound()) == {"type": "no_listings_found"}


def test_a_hit_for_clients_of_the_first_version() -> None:
    sent = result(search_result(LISTING.signed, nickname="Default"))
    assert sent.keys() == {"type", "data", "key", "rawContract", "nickname"}
    assert sent["data"]["Contract"]["item_title"] == "Bicycle"
    assert sent["key"] == LISTING.key.hex()
    assert json.loads(sent["rawContract"])["contract"] == sent["data"]
