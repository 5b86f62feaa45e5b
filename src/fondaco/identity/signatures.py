"""Signatures of identity keys by ECDSA: libp2p's, and OpenBazaar's to read.

    libp2p             over SHA-256 of the text, in DER     written and read
    OpenBazaar         over SHA-1 of the text, in DER       read only

What the market signs is in ``schnorr``.

The curve admits two signatures per signed text, (r, s) and (r, n - s). This node writes
and passes on the low one only, because libsecp256k1 and js-libp2p refuse the other;
go-libp2p takes both, so a message with the high one may come from a peer that did no wrong.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from coincurve import PrivateKey, PublicKey
from coincurve.ecdsa import cdata_to_der, der_to_cdata, signature_normalize

MAX_SIGNATURE_SIZE = 72
"""Bytes of the longest DER form of two 32-byte numbers."""

DIGEST_SIZE = 32
"""Bytes of what the curve's signatures are made of."""

KEYS_REMEMBERED = 4_096
"""Decompressed public keys, 100 bytes each. To find y of a point is a tenth of a verification,
and a few thousand peers write what a node sees."""


def sign(secret: bytes, text: bytes) -> bytes:
    """Return the low signature of SHA-256(*text*) in DER, at most 72 bytes.

    Deterministic (RFC 6979). *secret* is a valid private key of 32 bytes.
    """
    return PrivateKey(secret).sign(text)


def low_signature(public_key: bytes, text: bytes, signature: bytes) -> bytes | None:
    """Return *signature* in its low form if *public_key* made it for *text*; else None.

    Args:
        public_key: a compressed point, 33 bytes; anything else verifies nothing.
    """
    if not 0 < len(signature) <= MAX_SIGNATURE_SIZE:
        return None
    try:
        key = _point(public_key)
        if key.verify(signature, text):
            return signature
        was_high, low = signature_normalize(der_to_cdata(signature))
        if not was_high:
            return None
        normal = bytes(cdata_to_der(low))
        return normal if key.verify(normal, text) else None
    except ValueError:  # not a point, or not DER
        return None


def is_signed_by_ancestor(public_key: bytes, text: bytes, signature: bytes) -> bool:
    """Say whether *signature* is OpenBazaar's of *text*: ECDSA over SHA-1, in DER.

    For reading what the ancestor signed, never for trusting what arrives today: SHA-1 no longer
    withstands somebody who may choose two texts. The ancestor signed the hex text of its JSON.

    Args:
        public_key: a compressed point, 33 bytes; anything else verifies nothing.
    """
    if not 0 < len(signature) <= MAX_SIGNATURE_SIZE:
        return False
    # A digest shorter than the curve's order is the same number with zeros before it.
    # sha1: the ancestor's choice, and only read.
    digest = hashlib.sha1(text, usedforsecurity=False).digest().rjust(DIGEST_SIZE, b"\0")
    try:
        _, low = signature_normalize(der_to_cdata(signature))
        return _point(public_key).verify(cdata_to_der(low), digest, hasher=None)
    except ValueError:  # not a point, or not DER
        return False


@lru_cache(KEYS_REMEMBERED)
def _point(public_key: bytes) -> PublicKey:
    return PublicKey(public_key)
