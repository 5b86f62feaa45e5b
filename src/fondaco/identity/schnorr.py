"""Signatures of the market: BIP340 over tagged hashes, by the identity key.

    tag, text --tagged_hash--> 32 bytes --sign / is_signed_by--> 64 bytes

Each purpose has its own tag, so that what was signed for one is worth nothing for another.
A BIP340 key is the x of a point: whoever has the secret of a point has that of its mirror
image too, and the two have different names. A text that is signed must therefore contain
the 33 bytes of the key by which its author wants to be known.
"""

from __future__ import annotations

from fondaco.identity.libwally import wallycore

SIGNATURE_SIZE = 64
"""Bytes."""

DIGEST_SIZE = 32
"""Bytes of what is signed."""


def tagged_hash(tag: str, text: bytes) -> bytes:
    """Return SHA-256(SHA-256(tag) || SHA-256(tag) || text). *text* is not empty."""
    return bytes(wallycore.bip340_tagged_hash(text, tag))


def sign(secret: bytes, digest: bytes) -> bytes:
    """Return the BIP340 signature of *digest*, with an auxiliary random of zeros.

    *secret* is a valid private key of 32 bytes.
    """
    return bytes(wallycore.ec_sig_from_bytes(secret, digest, wallycore.EC_FLAG_SCHNORR))


def is_signed_by(public_key: bytes, digest: bytes, signature: bytes) -> bool:
    """Return whether the owner of *public_key* signed *digest*.

    Args:
        public_key: a compressed point, 33 bytes; anything else verifies nothing.
    """
    if len(signature) != SIGNATURE_SIZE or len(digest) != DIGEST_SIZE:
        return False
    try:
        wallycore.ec_sig_verify(public_key, digest, wallycore.EC_FLAG_SCHNORR, signature)
    except ValueError:  # not a point, or not its signature
        return False
    return True
