"""BIP340: the vectors of the proposal, tags, and what does not verify."""

from __future__ import annotations

import hashlib

import pytest

from fondaco.identity.keys import IdentityKey
from fondaco.identity.schnorr import is_signed_by, sign, tagged_hash

KEY = IdentityKey(bytes(31) + b"\x01")
DIGEST = tagged_hash("fondaco/test/1", b"text")

# Of the proposal's test-vectors.csv: index, secret, x of the key, digest, signature.
# Only those with an auxiliary random of zeros can be made; all can be verified.
MADE = [
    pytest.param(
        "0000000000000000000000000000000000000000000000000000000000000003",
        "F9308A019258C31049344F85F89D5229B531C845836F99B08601F113BCE036F9",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "E907831F80848D1069A5371B402410364BDF1C5F8307B0084C55F1CE2DCA8215"
        "25F66A4A85EA8B71E482A74F382D2CE5EBEEE8FDB2172F477DF4900D310536C0",
        id="index 0",
    ),
]


@pytest.mark.parametrize(("secret", "x", "digest", "signature"), MADE)
def test_vectors_of_the_proposal(secret: str, x: str, digest: str, signature: str) -> None:
    signed = bytes.fromhex(signature)
    assert sign(bytes.fromhex(secret), bytes.fromhex(digest)) == signed
    assert is_signed_by(b"\x02" + bytes.fromhex(x), bytes.fromhex(digest), signed)


def test_a_tagged_hash_is_two_hashes_of_the_tag_before_the_text() -> None:
    tag = hashlib.sha256(b"fondaco/test/1").digest()
    assert hashlib.sha256(tag + tag + b"text").digest() == DIGEST


def test_a_signature_holds_for_its_key_text_and_tag_only() -> None:
    signature = KEY.sign_tagged("fondaco/test/1", b"text")
    assert is_signed_by(KEY.public_key, DIGEST, signature)
    assert not is_signed_by(KEY.public_key, tagged_hash("fondaco/test/2", b"text"), signature)
    assert not is_signed_by(KEY.public_key, tagged_hash("fondaco/test/1", b"text "), signature)
    assert not is_signed_by(IdentityKey(b"\x02" * 32).public_key, DIGEST, signature)


@pytest.mark.parametrize(
    ("key", "digest", "signature"),
    [
        pytest.param(b"", DIGEST, bytes(64), id="no key"),
        pytest.param(b"\x02" + b"\xff" * 32, DIGEST, bytes(64), id="not a point"),
        pytest.param(KEY.public_key, DIGEST[:31], bytes(64), id="short digest"),
        pytest.param(KEY.public_key, DIGEST, bytes(64), id="zeros"),
        pytest.param(KEY.public_key, DIGEST, bytes(63), id="short signature"),
        pytest.param(KEY.public_key, DIGEST, b"", id="no signature"),
    ],
)
def test_nonsense_verifies_nothing(key: bytes, digest: bytes, signature: bytes) -> None:
    assert not is_signed_by(key, digest, signature)
