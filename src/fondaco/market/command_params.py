"""What each command of ``/ws`` says, as values.

The wire's names are those of the original (OpenBazaar 0.3.1 and 0.4). What its web client sends
besides, such as ``type``, or in ``shout`` who the sender is, nobody reads. Numbers may be text,
because radio buttons and form fields hand over text.
"""

from __future__ import annotations

import enum
from typing import Annotated

import msgspec

from fondaco.identity.names import Guid
from fondaco.market.codec import read_draft
from fondaco.market.contract import Draft
from fondaco.market.dht_keys import KEY_SIZE
from fondaco.market.errors import MalformedContract
from fondaco.market.fields import Kind, Misread, Wire
from fondaco.market.kinds import ANY_GUID, line, numbered, octets, short_name, text, whole
from fondaco.market.limits import MAX_CONTRACT_ID, MAX_LINE, MAX_NESTED_SIZE, MAX_QUANTITY
from fondaco.market.settings_words import ADDRESS, CHANGES, SettingsChange
from fondaco.market.word_limits import (
    MAX_ADDRESS,
    MAX_BODY,
    MAX_NICKNAME,
    MAX_ORDER_ID,
    MAX_PAGE,
    MAX_QUERY,
    MAX_SHOUT,
    MAX_SUBJECT,
)


class Role(enum.Enum):
    """On which side of an order the owner stands. Source: the web client's three lists."""

    BUYER = 0
    MERCHANT = 1
    NOTARY = 2


class Recipient(enum.Enum):
    """Whom a notary gives the money."""

    BUYER = 1
    MERCHANT = 2


def _read_draft(value: object) -> Draft:
    try:
        return read_draft(value)
    except MalformedContract as exc:
        raise Misread(exc.field, exc.expected) from exc


DRAFT: Kind[Draft] = Kind(
    expected="a contract",
    read=_read_draft,
    schema={
        "type": "object",
        "properties": {
            name: {"type": "object"} for name in ("Contract_Metadata", "Seller", "Contract")
        },
        "required": ["Contract_Metadata", "Contract"],
    },
)

_KEY = octets(KEY_SIZE)
_ORDER_ID = whole(MAX_ORDER_ID)
_CONTRACT_ID = whole(MAX_CONTRACT_ID)
_LINE = line(MAX_LINE)


class Params(msgspec.Struct, frozen=True, kw_only=True):
    """What a command says."""


class Nothing(Params, frozen=True, kw_only=True):
    """A command without parameters."""


# --- other stores --------------------------------------------------------------------


class Connect(Params, frozen=True, kw_only=True):
    """Dial a peer."""

    uri: Annotated[str, Wire("uri", line(MAX_ADDRESS, least=1))]


class QueryPage(Params, frozen=True, kw_only=True):
    """Ask a store for its page."""

    guid: Annotated[Guid, Wire("findGUID", ANY_GUID)]


class QueryStoreProducts(Params, frozen=True, kw_only=True):
    """Ask a store for what it offers."""

    guid: Annotated[Guid, Wire("key", ANY_GUID)]


class Search(Params, frozen=True, kw_only=True):
    """Look for words. The web client also asks for nothing, or without a key: no answer."""

    words: Annotated[str, Wire("key", line(MAX_QUERY))] = ""


class AddNode(Params, frozen=True, kw_only=True):
    """Look for a node."""

    guid: Annotated[Guid, Wire("guid", ANY_GUID)]


class Shout(Params, frozen=True, kw_only=True):
    """Tell all peers something."""

    text: Annotated[str, Wire("text", text(MAX_SHOUT, least=1))]


# --- own contracts -------------------------------------------------------------------


class CreateContract(Params, frozen=True, kw_only=True):
    """Offer something. The parameters are the contract."""

    draft: Annotated[Draft, Wire("", DRAFT)]


class UpdateContract(Params, frozen=True, kw_only=True):
    """Offer something else in the place of a contract."""

    contract_id: Annotated[int, Wire("contract_id", _CONTRACT_ID)]
    draft: Annotated[Draft, Wire("contract", DRAFT)]


class OneContract(Params, frozen=True, kw_only=True):
    """One of the owner's contracts."""

    contract_id: Annotated[int, Wire("contract_id", _CONTRACT_ID)]


class ImportContract(Params, frozen=True, kw_only=True):
    """Take over a contract that the owner signed with the original."""

    contract: Annotated[str, Wire("contract", text(MAX_NESTED_SIZE, least=1))]


class Paged(Params, frozen=True, kw_only=True):
    """One page of a list."""

    page: Annotated[int, Wire("page", whole(MAX_PAGE))] = 0


# --- settings, messages --------------------------------------------------------------


class TrustNotary(Params, frozen=True, kw_only=True):
    """Trust a notary."""

    guid: Annotated[Guid, Wire("guid", ANY_GUID)]
    nickname: Annotated[str, Wire("nickname", short_name(MAX_NICKNAME))] = ""


class DistrustNotary(Params, frozen=True, kw_only=True):
    """Trust a notary no longer."""

    guid: Annotated[Guid, Wire("guid", ANY_GUID)]


class UpdateSettings(Params, frozen=True, kw_only=True):
    """Change what the store says of itself."""

    change: Annotated[SettingsChange, Wire("settings", CHANGES)]


class SendInboxMessage(Params, frozen=True, kw_only=True):
    """Write to a peer."""

    recipient: Annotated[Guid, Wire("recipient", ANY_GUID)]
    subject: Annotated[str, Wire("subject", line(MAX_SUBJECT))] = ""
    body: Annotated[str, Wire("body", text(MAX_BODY))] = ""


class SendBitmessage(Params, frozen=True, kw_only=True):
    """Write to an address of Bitmessage."""

    to: Annotated[str, Wire("to", _LINE)]
    subject: Annotated[str, Wire("subject", line(MAX_SUBJECT))] = ""
    body: Annotated[str, Wire("body", text(MAX_BODY))] = ""


class Review(Params, frozen=True, kw_only=True):
    """Judge a peer."""

    pubkey: Annotated[str, Wire("pubkey", _LINE)]
    text: Annotated[str, Wire("text", text(MAX_BODY))] = ""
    rating: Annotated[int, Wire("rating", whole(100))] = 0


# --- orders --------------------------------------------------------------------------


def _read_state(value: object) -> str:
    # Only a new order may come from a client; the first version wrote it small.
    if value not in ("New", "new"):
        raise Misread("", "New")
    return "New"


_NEW: Kind[str] = Kind(expected="New", read=_read_state, schema={"enum": ["New", "new"]})


class PlaceOrder(Params, frozen=True, kw_only=True):
    """Order something.

    The web client also sends keys (``buyer``, ``seller``, ``btc_pubkey``) and a contract
    (``rawContract``); the node knows the ones and has verified the other.
    """

    state: Annotated[str, Wire("state", _NEW)]
    seller: Annotated[Guid, Wire("sellerGUID", ANY_GUID)]
    listing_key: Annotated[bytes, Wire("listingKey", _KEY)]
    notary: Annotated[Guid | None, Wire("notary", ANY_GUID)] = None
    message: Annotated[str, Wire("message", text(MAX_BODY))] = ""
    quantity: Annotated[int, Wire("productQuantity", whole(MAX_QUANTITY, least=1))] = 1
    shown_total: Annotated[str, Wire("orderTotal", _LINE)] = ""
    """What the buyer saw on his screen."""
    refund_address: Annotated[str, Wire("buyerRefundAddress", ADDRESS)] = ""


class QueryOrders(Params, frozen=True, kw_only=True):
    """One page of the owner's orders."""

    role: Annotated[Role | None, Wire("merchant", numbered(Role))] = None
    """None: all of them."""
    page: Annotated[int, Wire("page", whole(MAX_PAGE))] = 0


class OneOrder(Params, frozen=True, kw_only=True):
    """One of the owner's orders."""

    order_id: Annotated[int, Wire("orderId", _ORDER_ID)]


class ShipOrder(Params, frozen=True, kw_only=True):
    """Say that an order was sent, and where its money shall go."""

    order_id: Annotated[int, Wire("orderId", _ORDER_ID)]
    payment_address: Annotated[str, Wire("paymentAddress", ADDRESS)]


class Resolve(Params, frozen=True, kw_only=True):
    """A notary's word on an order."""

    order_id: Annotated[int, Wire("orderId", _ORDER_ID)]
    recipient: Annotated[Recipient, Wire("recipientId", numbered(Recipient))]
