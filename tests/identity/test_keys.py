"""Keys are derived as recorded, and cannot be seen."""

from __future__ import annotations

import copy
import hashlib
import hmac
import json
import pickle
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fondaco.identity.keys import IdentityKey, MalformedKey, Seed, import_from_libp2p

VECTORS = Path(__file__).parents[1] / "vectors" / "mesh_vectors.json"
MESH_KEYS: list[dict[str, str]] = json.loads(VECTORS.read_text())["p2p_identity"]["keys"]

SECRET = bytes.fromhex("b42f3bc25b6aa6d6b6e0c2e2e7f0b9a5a3c1d2e3f4051627384950617283940a")
WORDS = "abandon " * 23 + "art"


@pytest.mark.parametrize("vector", MESH_KEYS, ids=lambda vector: vector["peerId"][-6:])
def test_keys_of_mesh_come_in_and_go_out(vector: dict[str, str]) -> None:
    key = import_from_libp2p(vector["privkeyFile"] + "\n")
    assert key.peer_id == vector["peerId"]
    assert key.export_for_libp2p() == vector["privkeyFile"]


def test_a_seed_gives_the_key_at_the_recorded_path() -> None:
    # m/61658'/0'/0' of 32 zero bytes.
    key = Seed.from_entropy(bytes(32)).identity_key()
    assert key == IdentityKey(_derived_slowly(WORDS, (61658, 0, 0)))
    assert key.peer_id == "16Uiu2HAmDXWkYkAsh3G6qP46Wze8SeDJpGz5sMmmFKBwwtzn1h67"
    assert Seed(WORDS.replace(" ", "\n  ")).identity_key() == key
    assert Seed.from_entropy(bytes(32)).export_words() == WORDS


def _derived_slowly(words: str, hardened_path: tuple[int, ...]) -> bytes:
    """BIP39 and BIP32 in a few lines of the standard library: the oracle."""
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    seed = hashlib.pbkdf2_hmac("sha512", words.encode(), b"mnemonic", 2048)
    node = hmac.digest(b"Bitcoin seed", seed, "sha512")
    for index in hardened_path:
        data = b"\0" + node[:32] + (index + 2**31).to_bytes(4, "big")
        child = hmac.digest(node[32:], data, "sha512")
        key = (int.from_bytes(child[:32], "big") + int.from_bytes(node[:32], "big")) % order
        node = key.to_bytes(32, "big") + child[32:]
    return node[:32]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("CAISIPF3", id="cut"),
        pytest.param("!" + MESH_KEYS[0]["privkeyFile"], id="not base64"),
        pytest.param("CAESIPF3yWZ72zKSlTAWM1naqEaixUXjL2KHteOPKyyMghCr", id="ed25519"),
        pytest.param("CAISIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", id="zero"),
        pytest.param("CAISIP////////////////////////////////////////////", id="over the order"),
    ],
)
def test_malformed_private_keys_are_not_repeated(text: str) -> None:
    with pytest.raises(MalformedKey) as caught:
        import_from_libp2p(text)
    assert not text or text not in str(caught.value)


@pytest.mark.parametrize(
    "words",
    ["", "abandon", "abandon " * 24, WORDS.replace("art", "zoo"), WORDS.replace("art", "arts")],
    ids=["none", "one", "checksum", "other checksum", "unknown word"],
)
def test_malformed_seeds_are_not_repeated(words: str) -> None:
    with pytest.raises(MalformedKey) as caught:
        Seed(words)
    assert "abandon" not in str(caught.value)


@pytest.mark.parametrize("hidden", [IdentityKey(SECRET), Seed(WORDS)], ids=["key", "seed"])
@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        lambda hidden: f"{hidden} {hidden!r} {hidden!s:>9}",
        lambda hidden: "%s %r" % (hidden, hidden),  # noqa: UP031 - the oldest way must hide too
        lambda hidden: repr([hidden, {"key": hidden}]),
        lambda hidden: str(ValueError(hidden)),
    ],
    ids=["repr", "str", "format", "percent", "containers", "exception"],
)
def test_secrets_are_not_printed(hidden: Any, show: Any) -> None:
    text = show(hidden)
    assert "abandon" not in text
    assert SECRET.hex() not in text
    assert repr(SECRET) not in text


@pytest.mark.parametrize("hidden", [IdentityKey(SECRET), Seed(WORDS)], ids=["key", "seed"])
@pytest.mark.parametrize(
    "encode",
    [
        pickle.dumps,
        copy.copy,
        copy.deepcopy,
        json.dumps,
        msgspec.json.encode,
        msgspec.msgpack.encode,
        vars,
    ],
    ids=["pickle", "copy", "deepcopy", "json", "msgspec json", "msgpack", "vars"],
)
def test_secrets_are_not_encoded(hidden: Any, encode: Any) -> None:
    with pytest.raises(TypeError):
        encode(hidden)
