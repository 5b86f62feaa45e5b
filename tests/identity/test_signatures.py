"""Signatures of identity keys, against the curve's arithmetic."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from fondaco.identity.keys import IdentityKey
from fondaco.identity.names import compressed
from fondaco.identity.signatures import (
    MAX_SIGNATURE_SIZE,
    is_signed_by_ancestor,
    low_signature,
)

VECTORS = Path(__file__).parents[1] / "vectors" / "openbazaar_vectors.json"
OPENBAZAAR = json.loads(VECTORS.read_text())

KEY = IdentityKey(bytes(31) + b"\x07")
GROUP_ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
"""n of secp256k1. Source: SEC 2, section 2.4.1."""


def der(r: int, s: int) -> bytes:
    body = b""
    for number in (r, s):
        raw = number.to_bytes(number.bit_length() // 8 + 1, "big")
        body += b"\x02" + bytes([len(raw)]) + raw
    return b"\x30" + bytes([len(body)]) + body


def numbers(signature: bytes) -> tuple[int, int]:
    size = signature[3]
    return int.from_bytes(signature[4 : 4 + size], "big"), int.from_bytes(
        signature[6 + size :], "big"
    )


def test_a_signature_is_low_and_verifies() -> None:
    for count in range(50):
        text = b"%d" % count
        signature = KEY.sign(text)
        assert len(signature) <= MAX_SIGNATURE_SIZE
        assert numbers(signature)[1] <= GROUP_ORDER // 2
        assert low_signature(KEY.public_key, text, signature) == signature


def test_the_high_form_is_taken_and_made_low() -> None:
    signature = KEY.sign(b"text")
    r, s = numbers(signature)
    assert low_signature(KEY.public_key, b"text", der(r, GROUP_ORDER - s)) == signature


@pytest.mark.parametrize(
    ("public_key", "text", "signature"),
    [
        pytest.param(KEY.public_key, b"other", KEY.sign(b"text"), id="another text"),
        pytest.param(
            IdentityKey(bytes(31) + b"\x08").public_key, b"text", KEY.sign(b"text"), id="other key"
        ),
        pytest.param(b"\x02" * 33, b"text", b"\x30\x00", id="not DER"),
        pytest.param(b"\x02" + b"\xff" * 32, b"text", KEY.sign(b"text"), id="not a point"),
        pytest.param(b"", b"text", KEY.sign(b"text"), id="no key"),
        pytest.param(KEY.public_key, b"text", b"", id="no signature"),
        pytest.param(KEY.public_key, b"text", der(0, 0), id="zeros"),
        pytest.param(KEY.public_key, b"text", b"\x30" * 10_000, id="ten thousand bytes"),
    ],
)
def test_what_verifies_nothing(public_key: bytes, text: bytes, signature: bytes) -> None:
    assert low_signature(public_key, text, signature) is None


def test_no_flipped_bit_verifies() -> None:
    rng = random.Random(256)
    signature = KEY.sign(b"text")
    for _ in range(300):
        spoiled = bytearray(signature)
        spoiled[rng.randrange(len(spoiled))] ^= 1 << rng.randrange(8)
        assert low_signature(KEY.public_key, b"text", bytes(spoiled)) is None


def test_a_message_of_the_ancestor() -> None:
    vector = OPENBAZAAR["message_signature"]
    text = vector["data_hex_text"].encode()
    key = compressed(bytes.fromhex(json.loads(bytes.fromhex(text.decode()))["pubkey"]))
    signature = bytes.fromhex(vector["signature_der"])
    assert is_signed_by_ancestor(key, text, signature)
    assert not is_signed_by_ancestor(key, text, bytes.fromhex(vector["bad_signature_der"]))
    assert not is_signed_by_ancestor(key, bytes.fromhex(text.decode()), signature)
    assert not is_signed_by_ancestor(key, text + b"0", signature)
    assert not is_signed_by_ancestor(KEY.public_key, text, signature)
    assert not is_signed_by_ancestor(b"\2" * 33, text, signature + b"\0" * 100)
    assert not is_signed_by_ancestor(b"\5" * 33, text, signature)
    assert not is_signed_by_ancestor(key, text, b"")


def test_the_ancestor_signed_another_hash() -> None:
    assert not is_signed_by_ancestor(KEY.public_key, b"text", KEY.sign(b"text"))
