"""A listing: a contract, and the terms on which it is offered just now.

    contract   signed once; its text is its name (``contract_key``)
    offer      signed again and again: version, how many are left, until when

    {"contract": {...signed contract...}, "offer": {...signed object...}}

An update is a new contract: its seller offers the new one and withdraws the old one, whose last
offer names the successor. A removal withdraws without one; undone, the contract is offered again
with a higher sequence number. Of two offers of one contract the later version counts, on every
node and in whatever order they arrive: so nobody can bring back an old price by repeating what was
once signed.
"""

from __future__ import annotations

from typing import Any

import msgspec

from fondaco.identity.names import Guid
from fondaco.market import canonical
from fondaco.market.contract import SignedContract
from fondaco.market.contract_signing import Signer, decode_signed
from fondaco.market.dht_keys import KEY_SIZE, DhtKey
from fondaco.market.errors import (
    ForeignContract,
    ListingOutdated,
    MalformedListing,
)
from fondaco.market.lifetimes import Lifetime, check_lifetime, read_lifetime
from fondaco.market.limits import (
    LISTING_LIFETIME,
    MAX_LISTING_LIFETIME,
    MAX_OFFER_SIZE,
    MAX_QUANTITY,
    MAX_SEQUENCE,
    MAX_SIGNED_SIZE,
)
from fondaco.market.signed_object import open_object, read_hex, read_whole, sign_object

OFFER_TAG = "fondaco/offer/1"
"""BIP340 tag of a signature under the terms of an offer."""

HASH_SIZE = 32
"""Bytes of a SHA-256."""

_FRAME = len(b'{"contract":,"offer":}')


class Offer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The terms of a contract, signed by its seller."""

    sequence: int
    """0 .. MAX_SEQUENCE; rises with every offer of the same contract."""

    quantity: int
    """How many are left; 0 is sold out."""

    lifetime: Lifetime
    is_withdrawn: bool
    """Not offered any more. Kept like any other offer until its lifetime ends, so that nobody who
    comes late takes an older one for the last word."""

    successor: DhtKey | None
    """Of a withdrawn one: the contract that took its place."""

    text: bytes
    """The signed JSON."""


class Listing(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A contract with its offer, both signed by the same seller.

    By rule only this module makes one.
    """

    signed: SignedContract
    offer: Offer

    @property
    def key(self) -> DhtKey:
        """Return the contract's key."""
        return self.signed.key

    @property
    def seller(self) -> Guid:
        """Return whose listing it is."""
        return self.signed.contract.seller.guid

    def is_on_offer(self, now: int) -> bool:
        """Say whether it can be ordered at *now*."""
        offer = self.offer
        return not offer.is_withdrawn and offer.quantity > 0 and not offer.lifetime.is_over(now)


def offer_contract(
    signed: SignedContract,
    key: Signer,
    *,
    network: str,
    sequence: int,
    quantity: int,
    now: int,
    lifetime: int = LISTING_LIFETIME,
) -> Listing:
    """Return *signed* on offer from *now* on.

    Args:
        sequence: higher than that of every offer of this contract before.
        quantity: how many are left.
        lifetime: seconds.

    Raises:
        ForeignContract: *key* is not the seller's.
        MalformedListing: a number is out of its bounds.
    """
    return _signed(signed, key, network, now, lifetime, sequence=sequence, quantity=quantity)


def withdraw(
    listing: Listing,
    key: Signer,
    *,
    network: str,
    now: int,
    successor: DhtKey | None = None,
) -> Listing:
    """Return *listing* withdrawn, for as long as an offer of it could still be about.

    Args:
        successor: the contract that takes its place, where there is one.

    Raises:
        ForeignContract: *key* is not the seller's.
        MalformedListing: there is no higher sequence number.
    """
    left = listing.offer.lifetime.expires_at - now
    lifetime = min(max(left, LISTING_LIFETIME), MAX_LISTING_LIFETIME)
    return _signed(
        listing.signed,
        key,
        network,
        now,
        lifetime,
        sequence=listing.offer.sequence + 1,
        quantity=0,
        is_withdrawn=True,
        successor=successor,
    )


def encode_listing(listing: Listing) -> bytes:
    """Return the canonical JSON of contract and offer."""
    # Both parts are canonical, and so are the two names in this sequence.
    return b'{"contract":%b,"offer":%b}' % (listing.signed.text, listing.offer.text)


def decode_listing(text: bytes, *, network: str, now: int) -> Listing:
    """Return the listing in *text*.

    Raises:
        ContractTooLarge, MalformedContract, BadSignature, ForeignContract, OtherNetwork: as
            ``decode_signed`` of the contract.
        MalformedListing, ListingOutdated: as ``decode_offer``.
    """
    whole = canonical.decode(
        text, limit=MAX_SIGNED_SIZE + MAX_OFFER_SIZE + _FRAME, refuse=MalformedListing
    )
    if set(whole) != {"contract", "offer"}:
        raise MalformedListing("", "a contract, an offer and nothing else")
    signed = decode_signed(canonical.encode(whole["contract"]), network=network)
    return decode_offer(canonical.encode(whole["offer"]), signed=signed, network=network, now=now)


def decode_offer(text: bytes, *, signed: SignedContract, network: str, now: int) -> Listing:
    """Return *signed* with the offer in *text*.

    Raises:
        ContractTooLarge: over MAX_OFFER_SIZE.
        MalformedListing: names the field that is not as it has to be.
        ListingOutdated: its lifetime has ended, or has not begun.
        OtherNetwork, BadSignature: as ``open_object``.
        ForeignContract: it is another's offer.
    """
    fields, signer = open_object(text, tag=OFFER_TAG, network=network)
    if signer != signed.seller_key:
        raise ForeignContract("key")
    if read_hex(fields, "contract_key", size=KEY_SIZE) != signed.key:
        raise MalformedListing("contract_key", "the key of the contract beside it")
    if read_hex(fields, "text_hash", size=HASH_SIZE) != signed.text_hash:
        raise MalformedListing("text_hash", "SHA-256 of the contract beside it")
    offer = _read_offer(fields, text)
    check_lifetime(offer.lifetime, now)
    return Listing(signed=signed, offer=offer)


def replaces(newer: Offer, older: Offer) -> bool:
    """Say whether *newer* takes the place of *older*; both are of the same contract.

    A seller who signs two offers with one number (from a copy of his node, say) has no say in
    which counts, but all nodes agree.
    """
    return (newer.sequence, newer.text) > (older.sequence, older.text)


def check_newer(newer: Offer, known: Offer) -> None:
    """Check that *newer* says something that *known* does not.

    Raises:
        ListingOutdated: a version that is as late, or later, is known.
    """
    if not replaces(newer, known):
        raise ListingOutdated("offer.sequence", f"more than {known.sequence}")


def _signed(
    signed: SignedContract,
    key: Signer,
    network: str,
    now: int,
    lifetime: int,
    *,
    sequence: int,
    quantity: int,
    is_withdrawn: bool = False,
    successor: DhtKey | None = None,
) -> Listing:
    if key.public_key != signed.seller_key:
        raise ForeignContract("key")
    fields: dict[str, Any] = {
        "contract_key": signed.key.hex(),
        "text_hash": signed.text_hash.hex(),
        "sequence": sequence,
        "quantity": quantity,
        "published_at": now,
        "expires_at": now + lifetime,
        "is_withdrawn": is_withdrawn,
        "successor": "" if successor is None else successor.hex(),
    }
    _read_offer(fields, b"")
    text = sign_object(fields, tag=OFFER_TAG, key=key, network=network)
    return Listing(signed=signed, offer=_read_offer(fields, text))


def _read_offer(fields: dict[str, Any], text: bytes) -> Offer:
    is_withdrawn = fields.get("is_withdrawn")
    if not isinstance(is_withdrawn, bool):
        raise MalformedListing("is_withdrawn", "true or false")
    successor = None
    if fields.get("successor") != "":
        successor = DhtKey(read_hex(fields, "successor", size=KEY_SIZE))
        if not is_withdrawn:
            raise MalformedListing("successor", '"" while it is on offer')
    return Offer(
        sequence=read_whole(fields, "sequence", most=MAX_SEQUENCE),
        quantity=read_whole(fields, "quantity", most=0 if is_withdrawn else MAX_QUANTITY),
        lifetime=read_lifetime(fields, longest=MAX_LISTING_LIFETIME),
        is_withdrawn=is_withdrawn,
        successor=successor,
        text=text,
    )
