"""The names that follow from one secp256k1 public key.

The libp2p peer ID and the market's GUID.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from fondaco.errors import NodeError
from fondaco.identity.libwally import wallycore

PUBLIC_KEY_SIZE = 33
"""Bytes of a compressed secp256k1 point, the only spelling of a public key in here."""

_PROTOBUF_HEADER = bytes.fromhex("08021221")
"""Field 1 (key type) = 2, secp256k1; field 2 (key) of 33 bytes. Source: libp2p crypto.proto."""

_MULTIHASH_HEADER = bytes.fromhex("0025")
"""Multihash 0x00, identity, of 37 bytes: a key this short is its own hash.
Source: libp2p peer-ids specification."""

_HEADER = _MULTIHASH_HEADER + _PROTOBUF_HEADER

RAW_PEER_ID_SIZE = len(_HEADER) + PUBLIC_KEY_SIZE
"""Bytes of the peer ID of a secp256k1 key: 39."""

GUID_SIZE = 20
"""Bytes of a GUID; 40 hex digits at the rim."""

NAMES_REMEMBERED = 16_384
"""Keys whose GUID is remembered, 200 bytes each: a DHT sees the same few thousand."""

LONGEST_PEER_ID = 64
"""Characters. A secp256k1 peer ID has 53; base58 costs time that grows with the square."""


class InvalidPeerId(NodeError):
    """Text that is not the peer ID of a secp256k1 key."""

    code = "InvalidPeerId"


def peer_id(public_key: bytes) -> str:
    """Return the libp2p peer ID of a compressed secp256k1 key: ``16Uiu2HA…``.

    Raises:
        ValueError: *public_key* is not a compressed point; our own bug.
    """
    if len(public_key) != PUBLIC_KEY_SIZE or public_key[0] not in {2, 3}:
        raise ValueError("not a compressed secp256k1 public key")
    return str(wallycore.base58_from_bytes(_HEADER + public_key, 0))


def public_key_of(name: str) -> bytes:
    """Return the compressed public key that a peer ID contains.

    Raises:
        InvalidPeerId: *name* is not base58, or not of a point on secp256k1.
    """
    # isalnum: the library would stop reading at a NUL, and take what is before it.
    if len(name) > LONGEST_PEER_ID or not (name.isascii() and name.isalnum()):
        raise InvalidPeerId(name[:LONGEST_PEER_ID])
    try:
        raw = bytes(wallycore.base58_to_bytes(name, 0))
        key = raw[len(_HEADER) :]
        if raw[: len(_HEADER)] != _HEADER or len(key) != PUBLIC_KEY_SIZE:
            raise InvalidPeerId(name)
        wallycore.ec_public_key_verify(key)
    except ValueError:
        raise InvalidPeerId(name) from None
    return key


def raw_peer_id(public_key: bytes) -> bytes:
    """Return the bytes that ``peer_id`` spells: how messages name a peer. 39 of them."""
    return _HEADER + public_key


def public_key_in(raw: bytes) -> bytes:
    """Return the 33 bytes that should be a compressed key in a raw peer ID.

    Whether they are a point of the curve shows when they are used.

    Raises:
        InvalidPeerId: *raw* is of another kind of key, or is no peer ID.
    """
    if len(raw) != RAW_PEER_ID_SIZE or not raw.startswith(_HEADER):
        raise InvalidPeerId(raw[:LONGEST_PEER_ID].hex())
    return raw[len(_HEADER) :]


def spell_peer_id(raw: bytes) -> str:
    """Return raw peer ID bytes, of any kind of key, as base58."""
    return str(wallycore.base58_from_bytes(raw, 0))


def protobuf_public_key(public_key: bytes) -> bytes:
    """Return a compressed key as libp2p's protobuf ``PublicKey``: 37 bytes."""
    return _PROTOBUF_HEADER + public_key


def ripemd160(text: bytes) -> bytes:
    """Return the 20 bytes. (That of ``hashlib`` is missing where OpenSSL has retired it.)"""
    return bytes(wallycore.ripemd160(text))


@lru_cache(NAMES_REMEMBERED)
def guid(public_key: bytes) -> bytes:
    """Return the OpenBazaar GUID of a compressed key, 20 bytes.

    RIPEMD-160 of SHA-256 over the *hex text* of the uncompressed key, as the original has it.

    Raises:
        ValueError: *public_key* is not a point on secp256k1.
    """
    point = bytes(wallycore.ec_public_key_decompress(public_key))
    return ripemd160(hashlib.sha256(point.hex().encode()).digest())
