"""A draft becomes a contract of its seller, and of nobody else."""

from __future__ import annotations

import pytest

from fondaco.market.codec import read_draft
from fondaco.market.contract import Seller, fill
from fondaco.market.errors import ForeignContract
from support.contracts import BUYER, PIXEL, SELLER, contract_json, put, seed_params

OURS = Seller(guid=SELLER.guid, certificate="-----BEGIN", bitmessage="BM-1", contract_id=7)


def test_the_node_fills_in_the_seller() -> None:
    sent = put(seed_params(), "Seller.seller_PGP", "what a client thinks")
    contract = fill(read_draft(sent), seller=OURS, image=PIXEL)
    assert contract.seller is OURS
    assert contract.item.image == PIXEL
    assert contract.item.title == "asfd"


def test_a_photograph_is_replaced() -> None:
    draft = read_draft(contract_json(item_images={"image1": "data:image/jpeg;base64,AAAA"}))
    assert fill(draft, seller=OURS, image="").item.image == ""


def test_our_own_guid_may_stand_there() -> None:
    draft = read_draft(contract_json(SELLER))
    assert fill(draft, seller=OURS, image="").seller.guid == SELLER.guid


@pytest.mark.parametrize("claimed", [BUYER.guid.hex(), SELLER.guid.hex().upper(), "me"])
def test_a_contract_under_another_guid_is_refused(claimed: str) -> None:
    draft = read_draft(put(seed_params(), "Seller.seller_GUID", claimed))
    with pytest.raises(ForeignContract) as caught:
        fill(draft, seller=OURS, image="")
    assert caught.value.field == "Seller.seller_GUID"
    assert caught.value.code == "ForeignContract"
