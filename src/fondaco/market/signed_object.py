"""Small signed things of the market: a flat JSON object, the key of its signer and one signature.

    {"key": "02...", "network": "main", "sig": "...", and its own fields}

    all of it but sig --RFC 8785--> tagged hash --BIP340--> sig

The tag says what kind of thing it is, so none can be shown as another. Fields that a reader does
not know are signed like all others, and stay.
"""

from __future__ import annotations

import re
from typing import Any

from fondaco.identity import schnorr
from fondaco.market import canonical
from fondaco.market.contract_signing import (
    KEY_TEXT,
    SIGNATURE_TEXT,
    Signer,
    check_network,
)
from fondaco.market.errors import BadSignature, MalformedListing, OtherNetwork
from fondaco.market.limits import MAX_OFFER_SIZE, MAX_SEQUENCE


def sign_object(fields: dict[str, Any], *, tag: str, key: Signer, network: str) -> bytes:
    """Return the canonical JSON of *fields*, signed. Deterministic."""
    signed = {**fields, "key": key.public_key.hex(), "network": check_network(network)}
    signature = key.sign_tagged(tag, canonical.encode(signed))
    return canonical.encode({**signed, "sig": signature.hex()})


def open_object(text: bytes, *, tag: str, network: str) -> tuple[dict[str, Any], bytes]:
    """Return the fields of a signed object, and the compressed key that signed them.

    Raises:
        ContractTooLarge: over MAX_OFFER_SIZE.
        MalformedListing: not canonical JSON, or its key is not spelled as one.
        OtherNetwork: signed for another.
        BadSignature: of another key, another text or another kind of thing.
    """
    fields = canonical.decode(text, limit=MAX_OFFER_SIZE, refuse=MalformedListing)
    spelled, signature = fields.get("key"), fields.pop("sig", None)
    if not isinstance(spelled, str) or not KEY_TEXT.fullmatch(spelled):
        raise MalformedListing("key", "66 hex digits of a compressed key")
    if not isinstance(signature, str) or not SIGNATURE_TEXT.fullmatch(signature):
        raise BadSignature("sig", "128 hex digits")
    if fields.get("network") != network:
        raise OtherNetwork("network", network)
    key = bytes.fromhex(spelled)
    digest = schnorr.tagged_hash(tag, canonical.encode(fields))
    if not schnorr.is_signed_by(key, digest, bytes.fromhex(signature)):
        raise BadSignature("sig", "a signature of all fields by this key")
    return fields, key


def read_whole(fields: dict[str, Any], name: str, *, most: int = MAX_SEQUENCE) -> int:
    """Return a whole number from 0 to *most*.

    Raises:
        MalformedListing: names the field.
    """
    value = fields.get(name)
    # type: true is an int, too.
    if type(value) is not int or not 0 <= value <= most:
        raise MalformedListing(name, f"a whole number from 0 to {most}")
    return value


def read_hex(fields: dict[str, Any], name: str, *, size: int) -> bytes:
    """Return *size* bytes that are spelled in lower-case hex.

    Raises:
        MalformedListing: names the field.
    """
    value = fields.get(name)
    if not isinstance(value, str) or not re.fullmatch(rf"[0-9a-f]{{{2 * size}}}", value):
        raise MalformedListing(name, f"{2 * size} lower-case hex digits")
    return bytes.fromhex(value)
