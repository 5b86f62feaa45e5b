"""The names that follow from one secp256k1 public key.

public key (33 bytes) --identity multihash--> peer ID, 16Uiu2HA...   libp2p
    | its uncompressed point, as hex text
    '--SHA-256, RIPEMD-160--> GUID, 20 bytes                         the market
                                |--0f 02, base58check--> SIN, Tf...
                                '--lowest bit flipped--> burn address, 1...
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import NewType

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
"""Bytes of a GUID."""

Guid = NewType("Guid", bytes)
"""GUID_SIZE bytes: the name of a store and its node in the market. 40 hex digits at the rim."""

NAMES_REMEMBERED = 16_384
"""Keys whose GUID is remembered, 200 bytes each: a DHT sees the same few thousand."""

LONGEST_PEER_ID = 64
"""Characters. A secp256k1 peer ID has 53; base58 costs time that grows with the square."""

UNCOMPRESSED_SIZE = 65
"""Bytes of 04, x and y: how clients and contracts of the market spell a public key."""

_SIN_PREFIX = bytes.fromhex("0f02")
"""Version of an "ephemeral" identity. Source: the bitcoin wiki's page on identity protocol v1."""

_FAULTY_SIN_PREFIX = _SIN_PREFIX + b"%s"
"""The original forgot to fill in a format, so these two letters stand before the GUID. It spelled
the SINs of peers like this in every version, its own until September 2014."""

_MAIN_NETWORK, _TEST_NETWORK = b"\x00", b"\x6f"
"""Version byte of a Bitcoin address that pays to a public key's hash."""

LONGEST_SIN = 40
"""Characters. A SIN has 35, a faulty one 38."""

_GUID_TEXT = re.compile(r"[0-9a-f]{40}")


class InvalidGuid(NodeError):
    """Text that is neither a GUID nor a SIN, as the case may be."""

    code = "InvalidGuid"


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
def guid(public_key: bytes) -> Guid:
    """Return the OpenBazaar GUID of a compressed key.

    RIPEMD-160 of SHA-256 over the *hex text* of the uncompressed key, as the original has it.

    Raises:
        ValueError: *public_key* is not a point on secp256k1.
    """
    text = uncompressed(public_key).hex().encode()
    return Guid(ripemd160(hashlib.sha256(text).digest()))


def uncompressed(public_key: bytes) -> bytes:
    """Return the 65 bytes 04, x, y of a compressed key.

    Raises:
        ValueError: *public_key* is not a point of the curve.
    """
    return bytes(wallycore.ec_public_key_decompress(public_key))


def compressed(point: bytes) -> bytes:
    """Return the 33 bytes of a key spelled as 04, x, y.

    Raises:
        ValueError: *point* has another size or another first byte, or is not on the curve.
    """
    if len(point) != UNCOMPRESSED_SIZE or point[0] != 4:
        raise ValueError("not an uncompressed secp256k1 public key")
    key = bytes([2 + (point[-1] & 1)]) + point[1:PUBLIC_KEY_SIZE]
    if uncompressed(key) != point:
        raise ValueError("not a point of secp256k1")
    return key


def read_guid(text: str) -> Guid:
    """Return the GUID that 40 lower-case hex digits spell.

    Raises:
        InvalidGuid: anything else, upper case included: one spelling per name.
    """
    if not _GUID_TEXT.fullmatch(text):
        raise InvalidGuid("a GUID is 40 lower-case hex digits")
    return Guid(bytes.fromhex(text))


def sin(guid: Guid) -> str:
    """Return the SIN of a GUID, ``Tf...``, in its correct form."""
    return str(wallycore.base58check_from_bytes(_SIN_PREFIX + guid))


def guid_in_sin(text: str) -> Guid:
    """Return the GUID inside a SIN, also of one with the original's fault (``9xHV...``).

    Raises:
        InvalidGuid: *text* is not base58, its checksum is wrong, or it names something else.
    """
    # isalnum: the library would stop reading at a NUL, and take what is before it.
    if len(text) > LONGEST_SIN or not (text.isascii() and text.isalnum()):
        raise InvalidGuid("a SIN is about 35 characters of base58")
    try:
        raw = bytes(wallycore.base58check_to_bytes(text))
    except ValueError:
        raise InvalidGuid("not the base58 of a SIN, or a wrong checksum") from None
    for prefix in (_FAULTY_SIN_PREFIX, _SIN_PREFIX):
        if raw.startswith(prefix) and len(raw) == len(prefix) + GUID_SIZE:
            return Guid(raw[len(prefix) :])
    raise InvalidGuid("base58 of something that is no SIN")


def burn_address(guid: Guid, *, is_test_network: bool = False) -> str:
    """Return the Bitcoin address to which the owner of *guid* may pledge coins for ever.

    Nobody is known to have the key of a hash that was not made from one; the flipped bit keeps
    it apart from the address of whoever may have a key for the GUID itself.
    """
    version = _TEST_NETWORK if is_test_network else _MAIN_NETWORK
    flipped = guid[:-1] + bytes([guid[-1] ^ 1])
    return str(wallycore.base58check_from_bytes(version + flipped))
