"""What a merchant offers: the contract of the original, as values.

    Draft                          Contract                       SignedContract
    what a client asks for  --->   its seller filled in   --->    and signed
    codec.decode_draft             fill                           contract_signing

Names of JSON fields are the original's; where one of ours differs, its docstring says of which it
is the value. Values here are well formed; whether they are allowed is in ``validator``.
Source: OpenBazaar 0.3.1, and the fields that 0.4 added.
"""

from __future__ import annotations

import enum

import msgspec

from fondaco.identity.names import Guid
from fondaco.market.dht_keys import DhtKey
from fondaco.market.errors import ForeignContract
from fondaco.market.money import Satoshi


class Condition(enum.Enum):
    """``item_condition``. Source: the web client's choices, 0.3.1 and 0.4."""

    NEW = "New"
    NEW_WITH_DEFECTS = "New with Defects"
    REFURBISHED = "Refurbished"
    USED = "Used"
    VERY_GOOD = "Very Good"
    GOOD = "Good"
    ACCEPTABLE = "Acceptable"
    DOES_NOT_FUNCTION = "Does not Function"


class Currency(enum.Enum):
    """``currency``: the one in which there is an escrow."""

    BITCOIN = "XBT"


class Metadata(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """``Contract_Metadata``, kept as it was sent: clients differ in it, and nothing follows."""

    version: str
    """``OBCv``: "0.4" of the seed's client, "0.1-alpha" of the first."""

    category: str
    subcategory: str
    contract_nonce: str

    expiration: str
    """Never enforced: the client sends ``2014-01-01 00:00:00`` and means none. An offer ends
    with the lifetime of its listing."""


class Seller(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """``Seller``: filled in by the node, whatever a client sends."""

    guid: Guid

    bitcoin_key: bytes = b""
    """``seller_BTC_uncompressed_pubkey``: 65 bytes, or none. In this node's trades the key of an
    escrow comes with the acceptance of an order, one for each."""

    certificate: str = ""
    """``seller_PGP``: armored. What it signs, the GUID's key has said that it may sign."""

    bitmessage: str = ""

    contract_id: int | None = None
    """``seller_contract_id``: the seller's own number. Since 0.4."""

    refund_address: str = ""
    """``seller_refund_addr``. Since 0.4."""


class Delivery(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """``item_delivery``: words, but for the price."""

    countries: str = ""
    region: str = ""
    estimate: str = ""
    """``est_delivery``."""

    price: Satoshi = Satoshi(0)
    """``shipping_price``: per order."""


class Item(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """``Contract``: the thing that is for sale."""

    title: str
    description: str
    keywords: tuple[str, ...]
    """Without blanks around them, each once whatever its case; spelled as they were sent."""

    currency: Currency
    price: Satoshi
    """Per piece."""

    condition: Condition
    quantity: int
    """How many there were when the contract was signed. How many there are says the listing."""

    image: str = ""
    """``item_images``: a data URI, or none, which JSON says as ``{}``."""

    remote_images: tuple[str, ...] = ()
    """Addresses of pictures elsewhere."""

    delivery: Delivery = Delivery()


class Draft(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a client wants to offer: a contract without its seller."""

    metadata: Metadata
    item: Item
    """Its image may be a photograph of up to MAX_UPLOAD_TEXT characters."""

    claimed_guid: str = ""
    """``Seller.seller_GUID`` as it was sent. The web client sends none for a new contract."""


class Contract(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An offer as its seller signs it."""

    metadata: Metadata
    seller: Seller
    item: Item


class SignedContract(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A contract whose native signature holds and whose seller made it.

    By rule only ``contract_signing`` makes one, so to hold it is to know that it is genuine.
    """

    contract: Contract

    text: bytes
    """The canonical JSON of contract, network and signatures: what travels and is kept."""

    key: DhtKey
    """The original's name for it: ``dht_keys.contract_key`` of *text*. It rests on SHA-1, so
    the same seller may have made two contracts with one key."""

    text_hash: bytes
    """SHA-256 of *text*: 32 bytes, what an order names beside the key."""

    seller_key: bytes
    """The compressed public key that the seller's GUID comes from."""


def fill(draft: Draft, *, seller: Seller, image: str) -> Contract:
    """Return the contract that *seller* offers by *draft*.

    Args:
        image: the picture of the draft made small, as a data URI; "" for none.

    Raises:
        ForeignContract: the draft names another seller.
    """
    if draft.claimed_guid not in {"", seller.guid.hex()}:
        raise ForeignContract
    item = msgspec.structs.replace(draft.item, image=image)
    return Contract(metadata=draft.metadata, seller=seller, item=item)
