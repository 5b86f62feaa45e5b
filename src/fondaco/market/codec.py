"""Contracts as JSON: a wide door for the owner's client, a narrow one for peers.

    client's JSON --decode_draft--> Draft             what it means
    peers' JSON   --read_contract--> Contract         what it says, and nothing else
    Contract      --spell_contract--> JSON            the one spelling

**The wide door** takes both shapes of a client's habits: prices as numbers or as text, members that
are missing or null, AngularJS' marks. What it does not know it drops: a merchant shall not sign
what neither he nor his node has read.

**The narrow door** takes a known field in the spelling that this module writes, and in no other.
Fields that it does not know stay where they are: they are inside the text that is signed, so
later clients can add some, and a node of today passes their contracts on unharmed.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from fondaco.identity.names import InvalidGuid, read_guid
from fondaco.market import validator
from fondaco.market.contract import (
    Condition,
    Contract,
    Currency,
    Delivery,
    Draft,
    Item,
    Metadata,
    Seller,
)
from fondaco.market.errors import ContractTooLarge, MalformedContract
from fondaco.market.limits import MAX_CONTRACT_ID, MAX_DRAFT_SIZE, MAX_QUANTITY, MAX_QUOTED
from fondaco.market.money import Satoshi, spell_bitcoin
from fondaco.market.quirks import strip_angular
from fondaco.market.reading import Section

# Exact: as a float, a price could change between the client's screen and its signature.
_decode = msgspec.json.Decoder(float_hook=Decimal).decode


def decode_draft(raw: bytes | msgspec.Raw) -> Draft:
    """Return what a client wants to offer: the ``params`` of ``create_contract``.

    Raises:
        ContractTooLarge: over MAX_DRAFT_SIZE.
        MalformedContract: names the field and what was expected there.
    """
    size = memoryview(raw).nbytes
    if size > MAX_DRAFT_SIZE:
        raise ContractTooLarge(size, MAX_DRAFT_SIZE)
    try:
        value = strip_angular(_decode(raw))
    # ArithmeticError: an exponent beyond decimal's own. RecursionError: "[[[[..."
    except (ValueError, ArithmeticError, RecursionError):
        raise MalformedContract("", "a JSON object") from None
    return read_draft(value)


def read_draft(value: object) -> Draft:
    """Return what a client wants to offer, from decoded JSON without AngularJS' marks.

    Raises:
        MalformedContract: names the field and what was expected there.
    """
    whole = Section(value)
    seller = whole.section("Seller", default={})
    draft = Draft(
        metadata=_metadata(whole.section("Contract_Metadata")),
        item=_item(whole.section("Contract")),
        claimed_guid=seller.text("seller_GUID", default=""),
    )
    validator.check_draft(draft)
    return draft


def read_old_contract(value: object) -> Contract:
    """Return a contract of the original, from decoded JSON, in whatever spelling it has.

    Who signed it is for ``clearsign`` to say.

    Raises:
        MalformedContract: names the field and what was expected there.
    """
    whole = Section(value)
    contract = Contract(
        metadata=_metadata(whole.section("Contract_Metadata")),
        seller=_seller(whole.section("Seller")),
        item=_item(whole.section("Contract")),
    )
    validator.check_contract(contract)
    return contract


def read_contract(value: object) -> Contract:
    """Return the contract that peers signed, from decoded JSON.

    Raises:
        MalformedContract: names the first field that is not in its one spelling.
    """
    contract = read_old_contract(value)
    _check_spelling(spell_contract(contract), value, "")
    return contract


def spell_contract(contract: Contract) -> dict[str, Any]:
    """Return the JSON of a contract, with the names and the nesting of the original."""
    metadata, seller = contract.metadata, contract.seller
    spelled: dict[str, Any] = {
        "seller_GUID": seller.guid.hex(),
        "seller_BTC_uncompressed_pubkey": seller.bitcoin_key.hex(),
        "seller_PGP": seller.certificate,
        "seller_Bitmessage": seller.bitmessage,
        "seller_refund_addr": seller.refund_address,
    }
    if seller.contract_id is not None:
        spelled["seller_contract_id"] = seller.contract_id
    return {
        "Contract_Metadata": {
            "OBCv": metadata.version,
            "category": metadata.category,
            "subcategory": metadata.subcategory,
            "contract_nonce": metadata.contract_nonce,
            "expiration": metadata.expiration,
        },
        "Seller": spelled,
        "Contract": _spell_item(contract.item),
    }


def _spell_item(item: Item) -> dict[str, Any]:
    return {
        "item_title": item.title,
        "item_keywords": list(item.keywords),
        "currency": item.currency.value,
        "item_price": spell_bitcoin(item.price),
        "item_condition": item.condition.value,
        "item_quantity": item.quantity,
        "item_desc": item.description,
        "item_images": item.image or {},
        "item_remote_images": list(item.remote_images),
        "item_delivery": {
            "countries": item.delivery.countries,
            "region": item.delivery.region,
            "est_delivery": item.delivery.estimate,
            "shipping_price": spell_bitcoin(item.delivery.price),
        },
    }


def _metadata(fields: Section) -> Metadata:
    return Metadata(
        version=fields.text("OBCv"),
        category=fields.text("category"),
        subcategory=fields.text("subcategory"),
        contract_nonce=fields.text("contract_nonce", default=""),
        expiration=fields.text("expiration", default=""),
    )


def _seller(fields: Section) -> Seller:
    try:
        guid = read_guid(fields.text("seller_GUID"))
    except InvalidGuid as exc:
        raise MalformedContract(fields.at("seller_GUID"), "40 lower-case hex digits") from exc
    key = fields.text("seller_BTC_uncompressed_pubkey", default="")
    # fromhex skips blanks and takes either case; hex() writes neither.
    if not (key.isascii() and key.isalnum() and key == key.lower()) and key:
        raise MalformedContract(fields.at("seller_BTC_uncompressed_pubkey"), "lower-case hex")
    try:
        bitcoin_key = bytes.fromhex(key)
    except ValueError:
        raise MalformedContract(
            fields.at("seller_BTC_uncompressed_pubkey"), "lower-case hex"
        ) from None
    return Seller(
        guid=guid,
        bitcoin_key=bitcoin_key,
        certificate=fields.text("seller_PGP", default=""),
        bitmessage=fields.text("seller_Bitmessage", default=""),
        contract_id=(
            fields.count("seller_contract_id", most=MAX_CONTRACT_ID)
            if fields.has("seller_contract_id")
            else None
        ),
        refund_address=fields.text("seller_refund_addr", default=""),
    )


def _item(fields: Section) -> Item:
    return Item(
        title=fields.text("item_title"),
        description=fields.text("item_desc", default=""),
        keywords=validator.normal_keywords(fields.texts("item_keywords")),
        currency=fields.choice("currency", Currency),
        price=fields.price("item_price"),
        condition=fields.choice("item_condition", Condition),
        quantity=fields.count("item_quantity", most=MAX_QUANTITY),
        image=_image(fields),
        remote_images=tuple(filter(None, fields.texts("item_remote_images"))),
        delivery=_delivery(fields.section("item_delivery", default={})),
    )


def _image(fields: Section) -> str:
    """Read ``item_images``: nothing, ``{}``, ``{"image1": data URI}`` or a data URI."""
    value = fields.value("item_images")
    if isinstance(value, dict):
        value = value.get("image1") if set(value) == {"image1"} else (value or None)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise MalformedContract(
            fields.at("item_images"), '{}, {"image1": a data URI} or a data URI'
        )
    return value


def _delivery(fields: Section) -> Delivery:
    countries = (
        ", ".join(fields.texts("countries"))
        if isinstance(fields.value("countries"), list)
        else fields.text("countries", default="")
    )
    return Delivery(
        countries=countries,
        region=fields.text("region", default=""),
        estimate=fields.text("est_delivery", default=""),
        price=fields.price("shipping_price", default=Satoshi(0)),
    )


def _check_spelling(spelled: object, sent: object, path: str) -> None:
    """Raise where *sent* says a known field otherwise than *spelled*."""
    if not isinstance(spelled, dict):
        if type(spelled) is not type(sent) or spelled != sent:
            raise MalformedContract(path, _quote(spelled))
        return
    if not isinstance(sent, dict) or (not spelled and sent):
        raise MalformedContract(path, _quote(spelled))
    for name, value in spelled.items():
        field = f"{path}.{name}" if path else name
        if name not in sent:
            raise MalformedContract(field, _quote(value))
        _check_spelling(value, sent[name], field)


def _quote(value: object) -> str:
    """Say in an error how a value is spelled, without repeating all of it."""
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= MAX_QUOTED else "its one spelling"
