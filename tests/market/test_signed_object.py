"""Flat signed objects: whose they are, what for, and nothing besides."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.market import canonical
from fondaco.market.errors import (
    BadSignature,
    ContractTooLarge,
    MalformedListing,
    MarketRefusal,
    OtherNetwork,
)
from fondaco.market.limits import MAX_OFFER_SIZE, MAX_SEQUENCE
from fondaco.market.signed_object import open_object, read_hex, read_whole, sign_object
from support.contracts import BUYER, SELLER

TAG = "fondaco/test/1"
FIELDS = {"sequence": 7, "later": {"a": [1, 0.5]}}
TEXT = sign_object(FIELDS, tag=TAG, key=SELLER, network="main")
WHOLE: dict[str, Any] = json.loads(TEXT)


def opened(text: bytes, tag: str = TAG, network: str = "main") -> tuple[dict[str, Any], bytes]:
    return open_object(text, tag=tag, network=network)


def test_round_trip() -> None:
    fields, key = opened(TEXT)
    assert key == SELLER.public_key
    assert fields == {**FIELDS, "key": key.hex(), "network": "main"}
    assert sign_object(FIELDS, tag=TAG, key=SELLER, network="main") == TEXT


def test_one_kind_of_thing_is_not_another() -> None:
    with pytest.raises(BadSignature):
        opened(TEXT, tag="fondaco/test/2")
    with pytest.raises(OtherNetwork):
        opened(TEXT, network="test")


@pytest.mark.parametrize(
    ("change", "error", "field"),
    [
        ({"sequence": 8}, BadSignature, "sig"),
        ({"added": 1}, BadSignature, "sig"),
        ({"network": "test"}, OtherNetwork, "network"),
        ({"network": None}, OtherNetwork, "network"),
        ({"key": BUYER.public_key.hex()}, BadSignature, "sig"),
        ({"key": WHOLE["key"].replace("02", "03", 1)}, BadSignature, "sig"),
        ({"key": WHOLE["key"].upper()}, MalformedListing, "key"),
        ({"key": 2}, MalformedListing, "key"),
        ({"sig": WHOLE["sig"][:-1]}, BadSignature, "sig"),
        ({"sig": None}, BadSignature, "sig"),
        ({"sig": "00" * 64}, BadSignature, "sig"),
    ],
)
def test_a_changed_object_is_refused(
    change: dict[str, Any], error: type[MarketRefusal], field: str
) -> None:
    with pytest.raises(error) as caught:
        opened(canonical.encode({**WHOLE, **change}))
    assert caught.value.field == field


def test_other_spellings_and_sizes() -> None:
    with pytest.raises(MalformedListing, match="canonical"):
        opened(TEXT + b" ")
    with pytest.raises(ContractTooLarge):
        opened(b"{" * (MAX_OFFER_SIZE + 1))


@pytest.mark.parametrize("value", [-1, MAX_SEQUENCE + 1, True, 1.0, "1", None, []])
def test_what_is_no_whole_number(value: object) -> None:
    with pytest.raises(MalformedListing, match=r"^n: expected a whole number"):
        read_whole({"n": value}, "n")
    assert read_whole({"n": MAX_SEQUENCE}, "n") == MAX_SEQUENCE


@pytest.mark.parametrize("value", ["", "0", "0A", "0g", "00 ", "0000", None, 0, b"00"])
def test_what_is_no_byte(value: object) -> None:
    with pytest.raises(MalformedListing, match=r"^h: expected 2 lower-case hex digits"):
        read_hex({"h": value}, "h", size=1)
    assert read_hex({"h": "0f"}, "h", size=1) == b"\x0f"


@given(st.data())
def test_one_changed_byte_is_refused(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(TEXT) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != TEXT[place]))
    with pytest.raises(MarketRefusal):
        opened(TEXT[:place] + bytes([other]) + TEXT[place + 1 :])
