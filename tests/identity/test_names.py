"""Peer IDs, both ways; GUIDs, SINs and burn addresses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.identity.keys import IdentityKey
from fondaco.identity.names import (
    Guid,
    InvalidGuid,
    InvalidPeerId,
    burn_address,
    compressed,
    guid,
    guid_in_sin,
    peer_id,
    protobuf_public_key,
    public_key_in,
    public_key_of,
    raw_peer_id,
    read_guid,
    ripemd160,
    sin,
    spell_peer_id,
    uncompressed,
)

MARKET = Path(__file__).parents[1] / "vectors" / "openbazaar_vectors.json"
OPENBAZAAR: dict[str, Any] = json.loads(MARKET.read_text())
GUIDS: list[dict[str, str]] = OPENBAZAAR["guid"]
WITH_SIN = [vector for vector in OPENBAZAAR["sin"] if "sin" in vector]
WITH_BURN = [vector for vector in OPENBAZAAR["sin"] if "burn_address" in vector]

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


@pytest.mark.parametrize("vector", OPENBAZAAR["guid"], ids=lambda vector: vector["guid"][:6])
def test_a_guid_follows_from_the_key(vector: dict[str, str]) -> None:
    point = bytes.fromhex(vector["pubkey"])
    key = compressed(point)
    assert guid(key) == read_guid(vector["guid"])
    assert guid(key).hex() == vector["guid"]
    assert uncompressed(key) == point
    assert guid(bytes([key[0] ^ 1]) + key[1:]).hex() != vector["guid"]


@pytest.mark.parametrize("vector", WITH_SIN, ids=lambda vector: vector["sin"][:6])
def test_a_sin_contains_a_guid(vector: dict[str, str]) -> None:
    assert sin(read_guid(vector["guid"])) == vector["sin"]
    assert guid_in_sin(vector["sin"]).hex() == vector["guid"]


def test_the_faulty_sin_is_read_and_never_written() -> None:
    (vector,) = [vector for vector in OPENBAZAAR["sin"] if "faulty_sin" in vector]
    assert guid_in_sin(vector["faulty_sin"]).hex() == vector["guid"]
    assert sin(guid_in_sin(vector["faulty_sin"])) == vector["sin"]


@pytest.mark.parametrize("vector", WITH_BURN, ids=lambda vector: vector["guid"][:6])
def test_where_coins_are_burned(vector: dict[str, str]) -> None:
    owner = read_guid(vector["guid"])
    assert burn_address(owner) == vector["burn_address"]
    if "burn_address_testnet" in vector:
        there = burn_address(owner, is_test_network=True)
        assert there == vector["burn_address_testnet"]


@given(st.binary(min_size=20, max_size=20))
def test_every_guid_goes_through_its_texts(raw: bytes) -> None:
    assert read_guid(raw.hex()) == raw
    assert guid_in_sin(sin(Guid(raw))) == raw
    assert burn_address(Guid(raw)) != burn_address(Guid(raw[:-1] + bytes([raw[-1] ^ 1])))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("a" * 39, id="one short"),
        pytest.param("a" * 41, id="one long"),
        pytest.param("A" * 40, id="upper case"),
        pytest.param("d5a848a0957838a2707b92cca9741cb71ab432k3", id="the seed's hand-made one"),
        pytest.param("a" * 40 + "\n", id="newline"),
        pytest.param("a" * 38 + " a", id="blank"),
    ],
)
def test_what_is_no_guid(text: str) -> None:
    with pytest.raises(InvalidGuid):
        read_guid(text)


SIN = WITH_SIN[0]["sin"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param(SIN[:-1], id="one short"),
        pytest.param(SIN[:-1] + "b", id="checksum"),
        pytest.param("9xHVXXi2Lv7tcchgTPLFDDF2qdaP44bDD3yXvP", id="the seed's hand-made one"),
        pytest.param("1AUMCv6Vo6bUJCHWjayECuyUVLent5apRm", id="an address"),
        pytest.param(SIN + "\0", id="NUL"),
        pytest.param("\uff34" + SIN[1:], id="wide letter"),
        pytest.param("T" * 10_000, id="ten thousand characters"),
    ],
)
def test_what_is_no_sin(text: str) -> None:
    with pytest.raises(InvalidGuid):
        guid_in_sin(text)


@given(st.text(max_size=60))
def test_any_text_is_a_sin_or_refused(text: str) -> None:
    try:
        found = guid_in_sin(text)
    except InvalidGuid:
        return
    assert len(found) == 20


@pytest.mark.parametrize(
    "point",
    [
        pytest.param(b"", id="empty"),
        pytest.param(bytes(65), id="zeros"),
        pytest.param(b"\x04" + bytes(64), id="not on the curve"),
        pytest.param(bytes.fromhex(OPENBAZAAR["guid"][0]["pubkey"])[:-1] + b"\x1c", id="other y"),
        pytest.param(b"\x06" + bytes.fromhex(OPENBAZAAR["guid"][0]["pubkey"])[1:], id="hybrid"),
    ],
)
def test_what_is_no_uncompressed_key(point: bytes) -> None:
    with pytest.raises(ValueError, match=r"secp256k1|Invalid"):
        compressed(point)
