"""What is said of texts that are no orders, and what of them is shown back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fondaco.testing.orders import make_order
from fondaco.zeroex.codec import encode_order
from fondaco.zeroex.errors import InvalidSchema
from fondaco.zeroex.limits import MAX_QUOTED, MAX_SCHEMA_ERRORS
from fondaco.zeroex.order import ProtocolVersion
from fondaco.zeroex.schema import WireV2, WireV3, best_effort, read_carefully
from support.order_fields import ADDRESSES, UINTS

V2, V3 = ProtocolVersion.V2, ProtocolVersion.V3
NULL_ADDRESS_TEXT = "0x" + "00" * 20
FIELDS = {V2: list(WireV2.__struct_fields__), V3: list(WireV3.__struct_fields__)}


def spoiled(version: ProtocolVersion, **changes: Any) -> bytes:
    fields = json.loads(encode_order(make_order(version=version)))
    return json.dumps({**fields, **changes}).encode()


def without(version: ProtocolVersion, name: str) -> bytes:
    fields = json.loads(encode_order(make_order(version=version)))
    del fields[name]
    return json.dumps(fields).encode()


@pytest.mark.parametrize("version", [V2, V3])
def test_texts_are_kept_as_they_stand(version: ProtocolVersion) -> None:
    body = encode_order(make_order(version=version))
    wire = read_carefully(body)
    assert {name: getattr(wire, name) for name in wire.__struct_fields__} == json.loads(body)
    assert list(json.loads(body)) == FIELDS[version]


def test_the_chain_zero_exists() -> None:
    wire = read_carefully(spoiled(V3, chainId=0))
    assert isinstance(wire, WireV3)
    assert wire.chainId == 0


def test_names_that_strangers_chose_are_cut_and_plain() -> None:
    name = "\\ud800" + "\u00e9" * 5_000
    body = encode_order(make_order())[:-1] + f',"{name}":1,"{name}":2}}'.encode()
    with pytest.raises(InvalidSchema) as caught:
        read_carefully(body)
    assert len(caught.value.field) == MAX_QUOTED
    assert caught.value.message.isascii()
    assert len(caught.value.message) < 400


def test_the_list_of_faults_has_an_end() -> None:
    body = "{" + ",".join(f'"f{i}":1,"f{i}":2' for i in range(1_000)) + "}"
    with pytest.raises(InvalidSchema) as caught:
        read_carefully(body.encode())
    assert len(caught.value.errors) == MAX_SCHEMA_ERRORS + 1


@pytest.mark.parametrize("version", [V2, V3])
def test_a_refused_order_shows_every_field(version: ProtocolVersion) -> None:
    for raw in (b"", b"[]", b"{}", b"null", b"\xff", b"[" * 100_000):
        shown = best_effort(raw, version)
        assert list(shown) == FIELDS[version]
        for name, value in shown.items():
            if name in UINTS:
                assert value == "0"
            elif name in ADDRESSES:
                assert value == NULL_ADDRESS_TEXT
            else:
                assert value == (0 if name == "chainId" else "0x")


def test_what_can_be_read_is_shown() -> None:
    raw = spoiled(V3, makerAddress="0xAb" + "CD" * 19, salt=77, takerAddress="hi", signature=None)
    shown = best_effort(raw, V2)
    assert list(shown) == FIELDS[V3]
    assert shown["makerAddress"] == "0xab" + "cd" * 19
    assert shown["salt"] == "77"
    assert shown["takerAddress"] == NULL_ADDRESS_TEXT
    assert shown["signature"] == "0x"
    assert shown["chainId"] == 1337
    assert best_effort(without(V2, "salt"), V3).keys() == set(FIELDS[V2])
