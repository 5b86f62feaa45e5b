"""What a node tells its clients of orders."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any

import msgspec

from fondaco.market.envelope import Result


class OrderCount(Result, frozen=True, kw_only=True, tag="order_count"):
    """Answers ``check_order_count``: orders that wait for a payment."""

    count: int


class OrderPaymentAmount(Result, frozen=True, kw_only=True, tag="order_payment_amount"):
    """What has come to the escrow of an order."""

    value: int
    """Satoshi."""
    order_id: int


class Notice(enum.Enum):
    """What is told of an order, in the original's words; clients show them as they are."""

    NOTARIZED = "You just auto-notarized a contract."
    """To the notary."""
    RECEIVED = "You just received a new order."
    """To the merchant."""
    PAYMENT_DUE = "Your order requires payment now."
    """To the buyer."""
    WAS_NOTARIZED = "Your order has been notarized."
    """To the buyer."""
    PAID = "A buyer just paid for an order."
    """To the merchant."""
    SHIPPED = "The seller just shipped your order."
    """To the buyer."""
    RELEASED = "Funds were released for your sale."
    """To whoever got them."""


class OrderNotify(Result, frozen=True, kw_only=True, tag="order_notify"):
    """Something happened to an order. Made by ``order_notify``."""

    msg: str


def order_notify(notice: Notice) -> OrderNotify:
    """Return what is told."""
    return OrderNotify(msg=notice.value)


class OrderEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One order, with all keys of 0.3.1 and 0.4."""

    id: int
    order_id: int
    state: str
    buyer: str
    merchant: str
    notary: str
    """A GUID, or ""."""
    notary_fee: str
    address: str
    """Of the escrow."""
    item_title: str
    item_desc: str
    item_price: str
    item_quantity: int
    item_image: str
    """A data URI, or the client's own picture of nothing."""
    item_images: list[str]
    """Addresses of pictures elsewhere."""
    shipping_price: str
    shipping_address: Any
    """For the merchant text that is JSON, for the buyer an object."""
    total_price: str
    note_for_merchant: str
    merchant_bitmessage: str
    buyer_bitmessage: str
    payment_address: str
    payment_address_amount: int | None
    """Always null in the original; ``order_payment_amount`` says it."""
    qrcode: str
    """A data URI of a PNG."""
    signed_contract_body: str
    merchant_tx: str
    merchant_sigs: str
    merchant_script: str
    updated: int
    """Seconds since 1970."""
    buyer_nickname: str = ""
    merchant_nickname: str = ""


class OrderInfo(Result, frozen=True, kw_only=True, tag="orderinfo"):
    """Answers ``query_order``."""

    order: OrderEntry


class MyOrders(Result, frozen=True, kw_only=True, tag="myorders"):
    """Answers ``query_orders``: ten of all, the one that changed last first."""

    page: int
    total: int
    orders: Sequence[OrderEntry]
