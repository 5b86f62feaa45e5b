"""What clients are told of orders."""

from __future__ import annotations

import json
from typing import Any

from fondaco.market.envelope import Result, encode_frame
from fondaco.market.order_pushes import (
    MyOrders,
    Notice,
    OrderCount,
    OrderEntry,
    OrderInfo,
    OrderPaymentAmount,
    order_notify,
)

ORDER = OrderEntry(
    id=1, order_id=7, state="Need to Pay", buyer="aa", merchant="bb", notary="", notary_fee="0",
    address="3A", item_title="Bicycle", item_desc="", item_price="0.5", item_quantity=1,
    item_image="img/no-photo.png", item_images=[], shipping_price="0", shipping_address={},
    total_price="0.5", note_for_merchant="", merchant_bitmessage="", buyer_bitmessage="",
    payment_address="", payment_address_amount=None, qrcode="data:image/png;base64,",
    signed_contract_body="", merchant_tx="", merchant_sigs="", merchant_script="", updated=0,
)  # fmt: skip

KEYS_OF_0_3_1 = {
    *("id", "state", "address", "buyer", "merchant", "order_id", "item_price", "shipping_price"),
    *("shipping_address", "total_price", "merchant_bitmessage", "buyer_bitmessage", "notary"),
    *("payment_address", "payment_address_amount", "qrcode", "item_title"),
    *("signed_contract_body", "note_for_merchant", "updated", "item_image"),
}
ADDED_BY_0_4 = {
    *("item_images", "item_quantity", "notary_fee", "item_desc"),
    *("merchant_tx", "merchant_sigs", "merchant_script"),
}
NICKNAMES = {"buyer_nickname", "merchant_nickname"}


def result(push: Result) -> Any:
    return json.loads(encode_frame(1, push))["result"]


def test_an_order_has_every_key_of_both_versions() -> None:
    sent = result(OrderInfo(order=ORDER))
    assert sent.keys() == {"type", "order"}
    assert sent["type"] == "orderinfo"
    assert sent["order"].keys() == KEYS_OF_0_3_1 | ADDED_BY_0_4 | NICKNAMES
    assert sent["order"]["payment_address_amount"] is None


def test_a_page_of_orders() -> None:
    assert result(MyOrders(page=0, total=0, orders=[])) == {
        "type": "myorders",
        "page": 0,
        "total": 0,
        "orders": [],
    }
    (sent,) = result(MyOrders(page=1, total=11, orders=[ORDER]))["orders"]
    assert sent == result(OrderInfo(order=ORDER))["order"]


def test_counts_and_amounts() -> None:
    assert result(OrderCount(count=1)) == {"type": "order_count", "count": 1}
    assert result(OrderPaymentAmount(value=5, order_id=7)) == {
        "type": "order_payment_amount",
        "value": 5,
        "order_id": 7,
    }


def test_notices_are_in_the_originals_words() -> None:
    assert [result(order_notify(notice)) for notice in Notice] == [
        {"type": "order_notify", "msg": text}
        for text in (
            "You just auto-notarized a contract.",
            "You just received a new order.",
            "Your order requires payment now.",
            "Your order has been notarized.",
            "A buyer just paid for an order.",
            "The seller just shipped your order.",
            "Funds were released for your sale.",
        )
    ]
