"""Orders as JSON: vectors both ways, spoiled fields, and nonsense of every sort."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fondaco.errors import Verdict
from fondaco.testing.orders import make_order
from fondaco.zeroex.codec import best_effort, decode_order, encode_order, encoded_size
from fondaco.zeroex.errors import InvalidSchema
from fondaco.zeroex.order import UINT256_MAX, Address, Amount, ProtocolVersion, SignedOrder
from support.order_fields import ADDRESSES, UINTS

V2, V3 = ProtocolVersion.V2, ProtocolVersion.V3
VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "mesh_vectors.json").read_text())
NULL_ADDRESS_TEXT = "0x" + "00" * 20


def orders_in(value: Any) -> list[dict[str, Any]]:
    """Every signed order printed anywhere in *value*."""
    if isinstance(value, dict):
        found = [value] if {"makerAddress", "signature"} <= value.keys() else []
        return found + [order for item in value.values() for order in orders_in(item)]
    if isinstance(value, list):
        return [order for item in value for order in orders_in(item)]
    return []


PRINTED = orders_in(VECTORS["seed_json_blocks"]) + orders_in(VECTORS["seed_orders"])


def lowered(order: dict[str, Any]) -> dict[str, Any]:
    return {name: v.lower() if isinstance(v, str) else v for name, v in order.items()}


@pytest.mark.parametrize("printed", PRINTED)
def test_orders_of_the_seed_go_in_and_out(printed: dict[str, Any]) -> None:
    order = decode_order(json.dumps(printed).encode())
    assert order.version is V2
    assert json.loads(encode_order(order)) == lowered(printed)


def test_there_are_orders_in_the_seed() -> None:
    assert len(PRINTED) >= 8


@pytest.mark.parametrize("vector", VECTORS["order_hash_v3"])
def test_v3_orders_go_in_and_out(vector: dict[str, Any]) -> None:
    printed = {"signature": "0x", **vector["order"]}
    order = decode_order(json.dumps(printed).encode())
    assert order.version is V3
    assert json.loads(encode_order(order)) == lowered(printed)


@pytest.mark.parametrize("case", VECTORS["order_schema_v2"]["cases"])
def test_schema_vectors(case: dict[str, Any]) -> None:
    if case["valid"]:
        decode_order(case["input"].encode())
        return
    with pytest.raises(InvalidSchema) as caught:
        decode_order(case["input"].encode())
    assert len(caught.value.errors) == len(case["errors"])
    for error, fragment in zip(caught.value.errors, case["errors"], strict=True):
        assert fragment in error
        assert error in caught.value.message


def test_the_sequence_of_fields_is_the_originals() -> None:
    printed = next(
        block["result"]["accepted"][0]["signedOrder"]
        for block in VECTORS["seed_json_blocks"]["blocks"]
        if "accepted" in block.get("result", {})
    )
    body = encode_order(decode_order(json.dumps(printed).encode()))
    assert list(json.loads(body)) == list(printed)
    assert body == json.dumps(printed, separators=(",", ":")).encode()


def test_empty_asset_data_is_printed_as_each_version_did() -> None:
    empty: dict[str, Any] = {"maker_asset_data": b"", "taker_asset_data": b""}
    v2 = json.loads(encode_order(make_order(version=V2, **empty)))
    v3 = json.loads(encode_order(make_order(**empty)))
    assert (v2["makerAssetData"], v2["takerAssetData"]) == ("", "")
    assert (v3["makerAssetData"], v3["takerAssetData"]) == ("0x", "0x")
    assert (v3["makerFeeAssetData"], v3["takerFeeAssetData"]) == ("0x", "0x")
    assert v3["chainId"] == 1337


@pytest.mark.parametrize("version", [V2, V3])
@pytest.mark.parametrize("spelling", ["", "0x"])
def test_both_spellings_of_empty_data_are_read(version: ProtocolVersion, spelling: str) -> None:
    assert decode_order(spoiled(version, makerAssetData=spelling)).maker_asset_data == b""


def spoiled(version: ProtocolVersion, **changes: Any) -> bytes:
    fields = json.loads(encode_order(make_order(version=version)))
    return json.dumps({**fields, **changes}).encode()


def without(version: ProtocolVersion, name: str) -> bytes:
    fields = json.loads(encode_order(make_order(version=version)))
    del fields[name]
    return json.dumps(fields).encode()


FIELDS = {v: list(json.loads(encode_order(make_order(version=v)))) for v in (V2, V3)}
NOT_UINTS = [
    pytest.param(100, id="integer"),
    pytest.param(1.5, id="fraction"),
    pytest.param("", id="empty"),
    pytest.param("1_0", id="underscore"),
    pytest.param("\u00b2", id="superscript two"),
    pytest.param("\u0661", id="Arabic one"),
    pytest.param("-1", id="negative"),
    pytest.param("+1", id="plus"),
    pytest.param(" 1", id="blank"),
    pytest.param("1\n", id="newline"),
    pytest.param("01", id="leading zero"),
    pytest.param("0x10", id="hex"),
    pytest.param("1e3", id="exponent"),
    pytest.param(str(2**256), id="over uint256"),
    pytest.param("9" * 5000, id="huge"),
    pytest.param(None, id="null"),
    pytest.param(True, id="boolean"),
    pytest.param(["1"], id="array"),
    pytest.param({"a": "1"}, id="object"),
]
NOT_ADDRESSES = [
    pytest.param("11" * 20, id="no 0x"),
    pytest.param("0X" + "11" * 20, id="capital X"),
    pytest.param("0x" + "11" * 19, id="short"),
    pytest.param("0x" + "11" * 21, id="long"),
    pytest.param("0x" + "1g" * 20, id="not hex"),
    pytest.param("0x" + "1 " * 20, id="blanks"),
    pytest.param("0x" + "\uff11" * 40, id="wide digits"),
    pytest.param("0x" + "11" * 20 + "\n", id="newline"),
    pytest.param("0x" + "\0" * 40, id="NUL"),
    pytest.param("", id="empty"),
    pytest.param(0, id="integer"),
    pytest.param(None, id="null"),
]
NOT_HEX = [
    pytest.param("0x1c 02", id="blank"),
    pytest.param("0x1czz", id="junk"),
    pytest.param("0x1", id="odd"),
    pytest.param("1c02", id="no 0x"),
    pytest.param("0", id="one character"),
    pytest.param(28, id="integer"),
    pytest.param(None, id="null"),
]


def refusal(raw: bytes) -> InvalidSchema:
    with pytest.raises(InvalidSchema) as caught:
        decode_order(raw)
    assert caught.value.verdict is Verdict.REJECT
    return caught.value


@pytest.mark.parametrize("version", [V2, V3])
@pytest.mark.parametrize("name", UINTS)
@pytest.mark.parametrize("value", NOT_UINTS)
def test_a_spoiled_number_is_named(version: ProtocolVersion, name: str, value: Any) -> None:
    rejection = refusal(spoiled(version, **{name: value}))
    assert rejection.field == name
    assert rejection.errors[0].startswith(f"{name}: ")


@pytest.mark.parametrize("name", ADDRESSES)
@pytest.mark.parametrize("value", NOT_ADDRESSES)
def test_a_spoiled_address_is_named(name: str, value: Any) -> None:
    for version in (V2, V3):
        assert refusal(spoiled(version, **{name: value})).field == name


@pytest.mark.parametrize("name", ["makerAssetData", "takerFeeAssetData", "signature"])
@pytest.mark.parametrize("value", NOT_HEX)
def test_spoiled_bytes_are_named(name: str, value: Any) -> None:
    assert refusal(spoiled(V3, **{name: value})).field == name


def test_an_empty_text_is_no_signature() -> None:
    assert refusal(spoiled(V2, signature="")).field == "signature"
    assert decode_order(spoiled(V2, signature="0x")).signature == b""


@pytest.mark.parametrize("value", ["1337", 1337.0, -1, 2**63, None, True, [1337]])
def test_the_chain_is_a_json_integer(value: Any) -> None:
    assert refusal(spoiled(V3, chainId=value)).field == "chainId"


@pytest.mark.parametrize("text", ["-0", "1337.0", "1.337e3", "9" * 6000])
def test_the_chain_has_one_spelling(text: str) -> None:
    raw = encode_order(make_order()).replace(b'"chainId":1337', f'"chainId":{text}'.encode())
    assert refusal(raw).field == "chainId"


def test_the_words_of_the_original() -> None:
    assert refusal(spoiled(V2, makerFee=7)).errors == (
        "makerFee: Invalid type. Expected: string, given: integer",
        "(root): Must validate all the schemas (allOf)",
    )
    assert refusal(spoiled(V2, takerAddress="hi")).errors[0] == (
        "takerAddress: Does not match pattern '^0x[0-9a-fA-F]{40}$'"
    )
    assert refusal(b"[]").errors == ("(root): Invalid type. Expected: object, given: array",)
    assert refusal(b"").message.endswith(": Malformed JSON or empty payload")


@pytest.mark.parametrize("version", [V2, V3])
def test_every_missing_field_is_named(version: ProtocolVersion) -> None:
    for name in FIELDS[version]:
        if version is V3 and name == "chainId":
            continue
        rejection = refusal(without(version, name))
        assert rejection.field == name
        assert rejection.errors[0] == f"(root): {name} is required"


@pytest.mark.parametrize("name", ["chainId", "makerFeeAssetData", "takerFeeAssetData"])
def test_one_field_of_v3_makes_the_others_required(name: str) -> None:
    fields = json.loads(encode_order(make_order(version=V2)))
    rejection = refusal(json.dumps({**fields, name: 1337 if name == "chainId" else "0x"}).encode())
    missing = {"chainId", "makerFeeAssetData", "takerFeeAssetData"} - {name}
    assert {f"(root): {other} is required" for other in missing} < set(rejection.errors)


def test_all_faults_are_listed() -> None:
    raw = spoiled(V3, salt=1, makerAddress="x", signature=None)
    assert len(refusal(raw).errors) == 4
    assert len(refusal(b"{}").errors) == len(FIELDS[V2]) + 1


@pytest.mark.parametrize("version", [V2, V3])
def test_spelling_on_the_way_in_does_not_matter(version: ProtocolVersion) -> None:
    order = make_order(version=version)
    fields = json.loads(encode_order(order))
    shouted = {
        name: "0x" + v[2:].upper() if isinstance(v, str) and v.startswith("0x") else v
        for name, v in reversed(fields.items())
    }
    for raw in (
        json.dumps(shouted, indent=3),
        json.dumps(fields).replace('"salt"', '"\\u0073alt"'),
        json.dumps({"comment": "a: b", **fields, "nested": {"salt": ["0"] * 3}, "é": 1}),
        json.dumps({**fields, "x": 1e300})[:-1] + ',"n":' + "9" * 9000 + "}",
    ):
        assert decode_order(raw.encode()) == order
        assert decode_order(msgspec.Raw(raw.encode())) == order


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"null", id="null"),
        pytest.param(b'"order"', id="string"),
        pytest.param(b"12", id="number"),
        pytest.param(b"[" * 100_000, id="nesting bomb"),
        pytest.param(b'{"a":' * 100_000, id="object bomb"),
        pytest.param(b'{"a":NaN}', id="NaN"),
        pytest.param(b"\xef\xbb\xbf{}", id="byte order mark"),
        pytest.param("{}".encode("utf-16"), id="UTF-16"),
        pytest.param(b'{"makerAddress":"\xff"}', id="not UTF-8"),
        pytest.param(b'{"a":"\0"}', id="raw NUL"),
        pytest.param(b'{"salt":"\\ud800"}', id="lone surrogate"),
        pytest.param(b"\0" * 17 + b":" * 17, id="NULs"),
        pytest.param(b"{" + b":" * 17 + b"}", id="colons"),
        pytest.param(encode_order(make_order()) + b"x", id="trailing text"),
        pytest.param(encode_order(make_order())[:-1], id="cut short"),
    ],
)
def test_nonsense_is_refused_with_a_type(raw: bytes) -> None:
    assert refusal(raw).code == "InvalidSchema"


@pytest.mark.parametrize("version", [V2, V3])
def test_a_repeated_field_is_refused(version: ProtocolVersion) -> None:
    body = encode_order(make_order(version=version))
    twice = body[:-1] + b',"salt":"1"}'
    assert refusal(twice).field == "salt"
    # As many colons as an order has, since another field is missing.
    swapped = twice.replace(b'"makerFee":"0",', b"")
    assert refusal(swapped).field == "salt"
    extra = body[:-1] + b',"note":1,"note":2}'
    assert refusal(extra).field == "note"


def test_bad_extras_do_not_slip_past() -> None:
    body = encode_order(make_order())
    for extra in (b'"x":"\xff"', b'"x":"\x01"', b'"x":' + b"[" * 100_000, b'"x":Infinity'):
        assert refusal(body[:-1] + b"," + extra + b"}").field == "(root)"


# -- size ----------------------------------------------------------------------------


def test_what_counts_against_the_limit() -> None:
    v2, v3 = encode_order(make_order(version=V2)), encode_order(make_order())
    message = b'{"MessageType":"order","Order":' + v2 + b"}"
    assert encoded_size(V2, v2) == len(message)
    assert encoded_size(V3, v3) == len(v3)


# -- fuzz ----------------------------------------------------------------------------

uint256 = st.one_of(st.integers(0, 9), st.integers(0, UINT256_MAX)).map(Amount)
addresses = st.binary(min_size=20, max_size=20).map(Address)
byte_strings = st.binary(max_size=100)


@st.composite
def orders(draw: Callable[[st.SearchStrategy[Any]], Any]) -> SignedOrder:
    version = draw(st.sampled_from([V2, V3]))
    is_v3 = version is V3
    return SignedOrder(
        version=version,
        chain_id=draw(st.integers(0, 2**63 - 1)) if is_v3 else 0,
        exchange_address=draw(addresses),
        maker_address=draw(addresses),
        taker_address=draw(addresses),
        fee_recipient_address=draw(addresses),
        sender_address=draw(addresses),
        maker_asset_amount=draw(uint256),
        taker_asset_amount=draw(uint256),
        maker_fee=draw(uint256),
        taker_fee=draw(uint256),
        expiration_time_seconds=draw(uint256),
        salt=draw(uint256),
        maker_asset_data=draw(byte_strings),
        taker_asset_data=draw(byte_strings),
        maker_fee_asset_data=draw(byte_strings) if is_v3 else b"",
        taker_fee_asset_data=draw(byte_strings) if is_v3 else b"",
        signature=draw(byte_strings),
    )


@given(orders())
def test_what_is_printed_is_read_back(order: SignedOrder) -> None:
    body = encode_order(order)
    assert decode_order(body) == order
    # The careful way reads the same.
    assert decode_order(body[:-1] + b',"more":1}') == order
    assert list(best_effort(body, V2)) == FIELDS[order.version]


def read_or_refuse(raw: bytes) -> None:
    """No other exception, and what is read is printed and read back alike."""
    try:
        order = decode_order(raw)
    except InvalidSchema:
        assert set(best_effort(raw, V3)) in (set(FIELDS[V2]), set(FIELDS[V3]))
    else:
        assert decode_order(encode_order(order)) == order


@given(st.binary(max_size=300))
def test_any_bytes_are_an_order_or_refused(raw: bytes) -> None:
    read_or_refuse(raw)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)


@settings(max_examples=200)
@given(
    st.sampled_from([V2, V3]),
    st.dictionaries(st.sampled_from(FIELDS[V3]) | st.text(max_size=5), json_values, max_size=3),
)
def test_orders_with_changed_fields(version: ProtocolVersion, changes: dict[str, Any]) -> None:
    read_or_refuse(spoiled(version, **changes))


@settings(max_examples=200)
@given(st.sampled_from([V2, V3]), st.data())
def test_orders_with_changed_bytes(version: ProtocolVersion, data: st.DataObject) -> None:
    raw = bytearray(encode_order(make_order(version=version)))
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, len(raw) - 1))
        match data.draw(st.sampled_from(["set", "cut", "insert"])):
            case "set":
                raw[position] = data.draw(st.integers(0, 255))
            case "cut":
                del raw[position]
            case _:
                raw.insert(position, data.draw(st.integers(0, 255)))
    read_or_refuse(bytes(raw))
