"""The keys of the original, and the distance between two."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.identity.names import Guid, ripemd160
from fondaco.market.dht_keys import (
    KEY_BITS,
    NOTARY_INDEX_KEY,
    DhtKey,
    contract_key,
    distance,
    keyword_key,
    store_index_key,
)

VECTORS = Path(__file__).parents[1] / "vectors" / "openbazaar_vectors.json"
KEYS: dict[str, str] = json.loads(VECTORS.read_text())["dht_keys"]

KEY = st.binary(min_size=20, max_size=20)


def key_of(purpose: str) -> DhtKey:
    """Compute what a vector's title speaks of."""
    if purpose == "notary-index":
        return NOTARY_INDEX_KEY
    kind, _, rest = purpose.rpartition(" ")
    if kind == "keyword":
        return keyword_key(rest)
    assert kind == "listing index of"
    return store_index_key(Guid(bytes.fromhex(rest)))


@pytest.mark.parametrize("purpose", KEYS)
def test_keys_of_the_original(purpose: str) -> None:
    assert key_of(purpose).hex() == KEYS[purpose]


def test_the_case_of_a_keyword_makes_no_difference() -> None:
    assert keyword_key("bike") == keyword_key("BiKe") == keyword_key("BIKE")
    assert keyword_key("über") == keyword_key("ÜBER") != keyword_key("uber")


def test_a_contract_is_found_under_its_whole_text() -> None:
    text = b"-----BEGIN PGP SIGNED MESSAGE-----\n"
    # The hash goes in as text.
    assert contract_key(text) == ripemd160(hashlib.sha1(text).hexdigest().encode())
    assert contract_key(text) != contract_key(text + b"\n")


@given(KEY, KEY, KEY)
def test_the_distance_is_a_metric(one: bytes, two: bytes, three: bytes) -> None:
    assert distance(one, one) == 0
    assert distance(one, two) == distance(two, one) < 2**KEY_BITS
    assert (distance(one, two) == 0) == (one == two)
    assert distance(one, three) <= distance(one, two) + distance(two, three)
