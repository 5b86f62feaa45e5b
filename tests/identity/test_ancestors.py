"""Identities of OpenBazaar come over, and stay hidden."""

from __future__ import annotations

import copy
import hashlib
import json
import pickle
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fondaco.identity.ancestors import OldSeed, import_old_identity, is_labelled
from fondaco.identity.keys import IdentityKey, MalformedKey
from fondaco.identity.names import burn_address, sin

VECTORS = Path(__file__).parents[1] / "vectors" / "openbazaar_vectors.json"
VECTOR: dict[str, str] = json.loads(VECTORS.read_text())["bip32_seed"]
DIGITS = VECTOR["seed_text"]
SECRET_OF_2014 = "6ed645ef0e1abea1bf1e4e935ff04f9e18d39812387f63cda3415b46240f0405"


def key(secret: str) -> IdentityKey:
    return IdentityKey(bytes.fromhex(secret))


def test_a_seed_gives_the_names_the_original_gave() -> None:
    identity = OldSeed(DIGITS).identity_key()
    assert identity == key(VECTOR["m/0/0/0_private"])
    assert identity.guid.hex() == VECTOR["guid"]
    assert sin(identity.guid) == VECTOR["sin"]
    assert burn_address(identity.guid) == VECTOR["burn_address"]


def test_a_seed_gives_the_escrow_keys() -> None:
    assert OldSeed(DIGITS).escrow_key(1) == key(VECTOR["m/1/0/1_private"])
    assert OldSeed(DIGITS).escrow_key(2) != OldSeed(DIGITS).escrow_key(1)
    for index in (0, -1, 2**31):
        with pytest.raises(ValueError, match="escrow key"):
            OldSeed(DIGITS).escrow_key(index)


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        (f"bip32_seed={DIGITS}", VECTOR["m/0/0/0_private"]),
        (f"  bip32_seed={DIGITS}\n", VECTOR["m/0/0/0_private"]),
        (f"secret={SECRET_OF_2014}\n", SECRET_OF_2014),
        (f"secret={SECRET_OF_2014.upper()}", SECRET_OF_2014),
        (f"secret={VECTOR['m/0/0/0_private']}01", VECTOR["m/0/0/0_private"]),
    ],
    ids=["seed", "blanks around", "2014", "upper case", "with the compression byte"],
)
def test_lines_of_the_settings(line: str, secret: str) -> None:
    assert is_labelled(line)
    assert import_old_identity(line) == key(secret)


def test_the_secret_of_2014_is_the_hash_of_the_drawn_number() -> None:
    assert hashlib.sha256(DIGITS.encode()).hexdigest() == SECRET_OF_2014
    assert key(SECRET_OF_2014).guid.hex() == "97d7169d1aa2fac194ce8aa47af77f48b96070b6"


@pytest.mark.parametrize(
    "line",
    [
        DIGITS,
        SECRET_OF_2014,
        "bip32_seed=",
        f"bip32_seed=-{DIGITS}",
        "bip32_seed=12345_67890",
        "bip32_seed=１２３４５６７８９０",  # noqa: RUF001 - digits, but not the ten
        "bip32_seed=" + "9" * 79,
        f"bip32_seed={SECRET_OF_2014}",
        "secret=",
        f"secret={SECRET_OF_2014[:-1]}",
        f"secret={SECRET_OF_2014}02",
        f"secret=0x{SECRET_OF_2014}",
        "secret=" + "0" * 64,
        "secret=" + "f" * 64,
        f"secret={SECRET_OF_2014}\nsecret={SECRET_OF_2014}",
    ],
)
def test_what_is_no_old_identity_is_not_repeated(line: str) -> None:
    with pytest.raises(MalformedKey) as caught:
        import_old_identity(line)
    assert DIGITS not in str(caught.value)
    assert SECRET_OF_2014 not in str(caught.value)


@pytest.mark.parametrize(
    "show",
    [repr, str, lambda hidden: f"{hidden} {hidden!r}", lambda hidden: str(ValueError(hidden))],
    ids=["repr", "str", "format", "exception"],
)
def test_the_digits_are_not_printed(show: Any) -> None:
    assert DIGITS not in show(OldSeed(DIGITS))


@pytest.mark.parametrize(
    "encode",
    [pickle.dumps, copy.copy, copy.deepcopy, json.dumps, msgspec.json.encode, vars],
    ids=["pickle", "copy", "deepcopy", "json", "msgspec", "vars"],
)
def test_the_digits_are_not_encoded(encode: Any) -> None:
    with pytest.raises(TypeError):
        encode(OldSeed(DIGITS))
