"""Under which keys things are found: those of the original, and the distance between two.

    contract      RIPEMD160(hex(SHA1(signed text)))
    store index   RIPEMD160(hex(SHA1("contracts-" + guid in hex)))
    keyword       RIPEMD160("keyword-" + the word in upper case)
    notaries      RIPEMD160("notary-index")

The SHA-1 goes in as ASCII hex. It is weak, and nothing rests on it here: what is found under
a key is signed. Source: OpenBazaar 0.3 to 0.4, ``dht.py`` and ``market.py``.
"""

from __future__ import annotations

import hashlib
from typing import NewType

from fondaco.identity.names import Guid, ripemd160

DhtKey = NewType("DhtKey", bytes)
"""KEY_SIZE bytes: a place in the space that keys share with GUIDs. 40 hex digits at the rim."""

KEY_SIZE = 20
"""Bytes."""

KEY_BITS = 8 * KEY_SIZE
"""Bits; as many buckets may there be."""

NOTARY_INDEX_KEY = DhtKey(ripemd160(b"notary-index"))
"""Where notaries say that they are."""


def contract_key(signed_text: bytes) -> DhtKey:
    """Return the key of a contract: of all its signed text, in UTF-8."""
    return _of_hashed(signed_text)


def store_index_key(owner: Guid) -> DhtKey:
    """Return where a store says what it has."""
    return _of_hashed(b"contracts-" + owner.hex().encode())


def keyword_key(word: str) -> DhtKey:
    """Return where listings with a keyword are named; its case makes no difference."""
    return DhtKey(ripemd160(b"keyword-" + normal_keyword(word).encode()))


def normal_keyword(word: str) -> str:
    """Return the one spelling of a keyword."""
    return word.upper()


def distance(one: bytes, other: bytes) -> int:
    """Return how far two places are apart: their XOR as a number below 2**KEY_BITS."""
    return int.from_bytes(one) ^ int.from_bytes(other)


def _of_hashed(text: bytes) -> DhtKey:
    digest = hashlib.sha1(text, usedforsecurity=False).hexdigest()
    return DhtKey(ripemd160(digest.encode()))
