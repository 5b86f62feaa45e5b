"""Peer IDs, both ways; GUIDs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fondaco.identity.keys import IdentityKey
from fondaco.identity.names import (
    InvalidPeerId,
    guid,
    peer_id,
    protobuf_public_key,
    public_key_in,
    public_key_of,
    raw_peer_id,
    ripemd160,
    spell_peer_id,
)

MARKET = Path(__file__).parents[1] / "vectors" / "openbazaar_vectors.json"
GUIDS: list[dict[str, str]] = json.loads(MARKET.read_text())["guid"]

NAME = "16Uiu2HAmGd949LwaV4KNvK2WDSiMVy7xEmW983VH75CMmefmMpP7"


def test_a_peer_id_contains_its_key() -> None:
    key = public_key_of(NAME)
    assert len(key) == 33
    assert peer_id(key) == NAME


@pytest.mark.parametrize("secret", [1, 2, 2**255, 2**256 - 2**129])
def test_round_trip(secret: int) -> None:
    key = IdentityKey(secret.to_bytes(32, "big")).public_key
    assert public_key_of(peer_id(key)) == key


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("", id="empty"),
        pytest.param(NAME[:-1], id="one short"),
        pytest.param(NAME[:10] + "z" + NAME[11:], id="not a point"),
        pytest.param(NAME + "1", id="one long"),
        pytest.param("1" + NAME, id="leading zero byte"),
        pytest.param(NAME.replace("U", "0"), id="not base58"),
        pytest.param("12D3KooWSAMH4jpnTLiTmuWoPuDHVPhmvmUzFUdmFn9BaBy7nCBc", id="ed25519"),
        pytest.param("1" * 10_000, id="ten thousand characters"),
        pytest.param(NAME + "\0", id="NUL"),
        pytest.param("\uff11\uff16Uiu2HA", id="wide digits"),
    ],
)
def test_what_is_no_peer_id(name: str) -> None:
    with pytest.raises(InvalidPeerId):
        public_key_of(name)


def test_only_compressed_points_have_names() -> None:
    for wrong in (b"", b"\x04" + b"\x01" * 32, b"\x02" * 32, b"\x02" * 34):
        with pytest.raises(ValueError, match="compressed"):
            peer_id(wrong)


def test_bytes_and_text_name_the_same_peer() -> None:
    key = public_key_of(NAME)
    raw = raw_peer_id(key)
    assert spell_peer_id(raw) == NAME
    assert public_key_in(raw) == key
    assert raw == bytes.fromhex("0025") + protobuf_public_key(key)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="empty"),
        pytest.param(raw_peer_id(public_key_of(NAME))[:-1], id="one short"),
        pytest.param(raw_peer_id(public_key_of(NAME)) + b"\0", id="one long"),
        pytest.param(bytes.fromhex("002408011220") + bytes(33), id="ed25519"),
        pytest.param(bytes.fromhex("1220") + bytes(32), id="sha256 of a long key"),
    ],
)
def test_bytes_that_contain_no_secp256k1_key(raw: bytes) -> None:
    with pytest.raises(InvalidPeerId):
        public_key_in(raw)


@pytest.mark.parametrize("vector", GUIDS, ids=lambda vector: vector["guid"][:6])
def test_guids_of_the_original(vector: dict[str, str]) -> None:
    point = bytes.fromhex(vector["pubkey"])
    compressed = bytes([2 + point[-1] % 2]) + point[1:33]
    assert guid(compressed).hex() == vector["guid"]


def test_no_guid_without_a_point() -> None:
    with pytest.raises(ValueError, match="Invalid"):
        guid(b"\x02" + b"\xff" * 32)


def test_ripemd160_is_what_its_authors_say() -> None:
    assert ripemd160(b"abc").hex() == "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc"
