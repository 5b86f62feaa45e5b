"""What commands say: in the words of every client, with the parameter named that is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from fondaco.market.command_params import (
    AddNode,
    Connect,
    CreateContract,
    DistrustNotary,
    ImportContract,
    OneContract,
    OneOrder,
    Paged,
    PlaceOrder,
    QueryOrders,
    QueryPage,
    QueryStoreProducts,
    Recipient,
    Resolve,
    Role,
    Search,
    SendInboxMessage,
    ShipOrder,
    Shout,
    TrustNotary,
    UpdateContract,
)
from fondaco.market.command_table import find_command, read_params
from fondaco.market.errors import MalformedParams
from support.contracts import SELLER, put, seed_params

GUID = SELLER.guid
HEX = GUID.hex()
KEY = "8def8106bfed395ba39eb626b316edd879349fe5"
ADDRESS = "1AUMCv6Vo6bUJCHWjayECuyUVLent5apRm"


def read(name: str, **params: Any) -> Any:
    return read_params(find_command(name), params)


@pytest.mark.parametrize(
    ("name", "sent", "meant"),
    [
        ("connect", {"uri": "/ip4/1.2.3.4/tcp/1"}, Connect(uri="/ip4/1.2.3.4/tcp/1")),
        ("query_page", {"findGUID": HEX, "type": "query_page"}, QueryPage(guid=GUID)),
        ("query_page", {"findGUID": f" {HEX.upper()}"}, QueryPage(guid=GUID)),
        ("query_store_products", {"key": HEX}, QueryStoreProducts(guid=GUID)),
        ("search", {"key": "bike", "type": "search"}, Search(words="bike")),
        ("search", {"key": ""}, Search()),
        ("search", {"key": None}, Search()),
        ("search", {}, Search()),
        ("add_node", {"guid": HEX, "type": "add_guid"}, AddNode(guid=GUID)),
        (
            "shout",
            {"text": "hi", "type": "shout", "pubkey": "x", "senderGUID": 7, "avatar_url": None},
            Shout(text="hi"),
        ),
        ("remove_contract", {"contract_id": 12}, OneContract(contract_id=12)),
        ("undo_remove_contract", {"contract_id": "12"}, OneContract(contract_id=12)),
        ("query_contracts", {"type": "query_contracts"}, Paged(page=0)),
        ("query_contracts", {"page": "3"}, Paged(page=3)),
        ("import_raw_contract", {"contract": "-----BEGIN"}, ImportContract(contract="-----BEGIN")),
        ("query_orders", {"merchant": 1, "page": 0, "type": "x"}, QueryOrders(role=Role.MERCHANT)),
        ("query_orders", {"merchant": "0"}, QueryOrders(role=Role.BUYER)),
        ("query_orders", {"merchant": 2, "page": "4"}, QueryOrders(role=Role.NOTARY, page=4)),
        ("query_orders", {}, QueryOrders()),
        ("query_order", {"orderId": 5}, OneOrder(order_id=5)),
        ("pay_order", {"orderId": "5"}, OneOrder(order_id=5)),
        (
            "ship_order",
            {"orderId": 5, "paymentAddress": ADDRESS},
            ShipOrder(order_id=5, payment_address=ADDRESS),
        ),
        (
            "refund_recipient",
            {"orderId": 5, "recipientId": 1},
            Resolve(order_id=5, recipient=Recipient.BUYER),
        ),
        (
            "refund_recipient",
            {"orderId": 5, "recipientId": "1"},
            Resolve(order_id=5, recipient=Recipient.BUYER),
        ),
        (
            "refund_recipient",
            {"orderId": 5, "recipientId": "2"},
            Resolve(order_id=5, recipient=Recipient.MERCHANT),
        ),
        (
            "order",
            {
                "state": "new",
                "message": "wrapped, please",
                "buyer": "04",
                "seller": "04",
                "sellerGUID": HEX,
                "listingKey": KEY,
                "orderTotal": "0.50",
                "rawContract": "-----BEGIN",
                "notary": "",
                "btc_pubkey": "",
                "arbiter": "",
            },
            PlaceOrder(
                state="New",
                seller=GUID,
                listing_key=bytes.fromhex(KEY),
                message="wrapped, please",
                shown_total="0.50",
            ),
        ),
        (
            "add_trusted_notary",
            {"guid": HEX, "nickname": "N", "$$hashKey": "00G"},
            TrustNotary(guid=GUID, nickname="N"),
        ),
        ("remove_trusted_notary", {"guid": HEX}, DistrustNotary(guid=GUID)),
        (
            "send_inbox_message",
            {"recipient": HEX, "subject": "s", "body": "two\nlines"},
            SendInboxMessage(recipient=GUID, subject="s", body="two\nlines"),
        ),
    ],
)
def test_what_is_meant(name: str, sent: dict[str, Any], meant: object) -> None:
    assert read(name, **sent) == meant


@pytest.mark.parametrize(
    ("name", "sent", "field"),
    [
        ("connect", {}, "uri"),
        ("connect", {"uri": ""}, "uri"),
        ("query_page", {}, "findGUID"),
        ("query_page", {"findGUID": "d5a848a0957838a2707b92cca9741cb71ab432k3"}, "findGUID"),
        ("query_store_products", {"key": ""}, "key"),
        ("search", {"key": 7}, "key"),
        ("search", {"key": "x" * 257}, "key"),
        ("shout", {"text": ""}, "text"),
        ("shout", {"text": "x" * 1_025}, "text"),
        ("remove_contract", {}, "contract_id"),
        ("remove_contract", {"contract_id": "x"}, "contract_id"),
        ("remove_contract", {"contract_id": 2**53}, "contract_id"),
        ("query_contracts", {"page": -1}, "page"),
        ("query_orders", {"merchant": 3}, "merchant"),
        ("query_orders", {"merchant": True}, "merchant"),
        ("query_order", {"orderId": [5]}, "orderId"),
        ("ship_order", {"orderId": 5}, "paymentAddress"),
        ("refund_recipient", {"orderId": 5, "recipientId": "3"}, "recipientId"),
        ("order", {"state": "Paid"}, "state"),
        ("order", {"state": "New", "sellerGUID": HEX, "listingKey": "x"}, "listingKey"),
        ("update_settings", {}, "settings"),
        ("update_settings", {"settings": []}, "settings"),
        ("update_settings", {"settings": {"notaries": [{}]}}, "settings.notaries[0].guid"),
        ("add_trusted_notary", {"nickname": "N"}, "guid"),
        ("send_inbox_message", {"subject": "s"}, "recipient"),
        ("send_inbox_message", {"recipient": HEX, "body": "x" * 16_385}, "body"),
        ("create_contract", {}, "Contract_Metadata"),
        ("update_contract", {"contract_id": 1}, "contract"),
        ("update_contract", {"contract_id": 1, "contract": {}}, "contract.Contract_Metadata"),
    ],
)
def test_the_parameter_is_named(name: str, sent: dict[str, Any], field: str) -> None:
    with pytest.raises(MalformedParams) as caught:
        read(name, **sent)
    assert caught.value.field == field


def test_a_contract_is_the_parameters_or_one_of_them() -> None:
    made = read("create_contract", **seed_params())
    assert isinstance(made, CreateContract)
    assert made.draft.item.title == "asfd"
    updated = read("update_contract", contract_id="7", contract=seed_params())
    assert updated == UpdateContract(contract_id=7, draft=made.draft)


def test_a_field_of_a_contract_is_named_by_its_path() -> None:
    spoiled = put(seed_params(), "Contract.item_delivery.shipping_price", "free")
    with pytest.raises(MalformedParams) as caught:
        read("create_contract", **spoiled)
    assert caught.value.field == "Contract.item_delivery.shipping_price"
    with pytest.raises(MalformedParams) as caught:
        read("update_contract", contract_id=7, contract=spoiled)
    assert caught.value.field == "contract.Contract.item_delivery.shipping_price"
