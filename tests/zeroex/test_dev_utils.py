"""Calldata and answers of the real DevUtils, in both directions, and Mesh's chunks."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import msgspec
import pytest
from eth_abi.abi import decode as abi_decode

from fondaco.chain.errors import AbiError
from fondaco.errors import ConfigurationError
from fondaco.testing.orders import make_order
from fondaco.zeroex.codec import decode_order
from fondaco.zeroex.dev_utils import (
    NOT_CHECKED,
    REQUEST_BASE_SIZE,
    SELECTORS,
    call_size,
    chunks,
    decode_answer,
    encode_answer,
    encode_call,
)
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.order import ProtocolVersion, SignedOrder

VECTORS = Path(__file__).parent.parent / "vectors"
MESH = json.loads((VECTORS / "mesh_vectors.json").read_text())
ONCHAIN = {
    ProtocolVersion[version.upper()]: json.loads(
        (VECTORS / f"mesh_onchain_{version}_vectors.json").read_text()
    )["getOrderRelevantStates"]
    for version in ("v2", "v3")
}
TUPLES = {
    ProtocolVersion.V2: "(address,address,address,address,uint256,uint256,uint256,uint256,"
    "uint256,uint256,bytes,bytes)[]",
    ProtocolVersion.V3: "(address,address,address,address,uint256,uint256,uint256,uint256,"
    "uint256,uint256,bytes,bytes,bytes,bytes)[]",
}


def cases(having: str) -> list[Any]:
    return [
        pytest.param(version, case, id=f"v{version}: {case['note']}")
        for version, document in ONCHAIN.items()
        for case in document["cases"]
        if case.get(having)
    ]


def unhex(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def order_of(case: dict[str, Any]) -> SignedOrder:
    return decode_order(json.dumps(case["signedOrder"]).encode())


@pytest.mark.parametrize(("version", "case"), cases("ethCallData"))
def test_calldata_is_that_of_the_recorded_call(
    version: ProtocolVersion, case: dict[str, Any]
) -> None:
    order = order_of(case)
    assert order.version is version
    assert encode_call([order]) == unhex(case["ethCallData"])


@pytest.mark.parametrize(("version", "case"), cases("ethCallResult"))
def test_answer_of_the_real_contract(version: ProtocolVersion, case: dict[str, Any]) -> None:
    answer = unhex(case["ethCallResult"])
    (state,) = decode_answer(answer, 1)
    decoded = case["decoded"]
    assert state.order_hash == order_hash(order_of(case)) == unhex(case["orderHash"])
    assert state.status == decoded["orderStatus"]
    assert state.filled == int(decoded["orderTakerAssetFilledAmount"])
    assert state.fillable == int(decoded["fillableTakerAssetAmount"])
    assert state.is_valid_signature is decoded["isValidSignature"]
    assert encode_answer([state]) == answer


@pytest.mark.parametrize("version", ProtocolVersion)
def test_many_orders_agree_with_a_generic_encoder(version: ProtocolVersion) -> None:
    orders = [
        order_of(case)
        for case in ONCHAIN[version]["cases"]
        if case["signedOrder"]["signature"] != "0x"
    ]
    data = encode_call(orders)
    assert data[:4] == SELECTORS[version] == unhex(ONCHAIN[version]["selector"])
    tuples, signatures = abi_decode([TUPLES[version], "bytes[]"], data[4:])
    assert list(signatures) == [order.signature for order in orders]
    names = [
        *("maker_address", "taker_address", "fee_recipient_address", "sender_address"),
        *("maker_asset_amount", "taker_asset_amount", "maker_fee", "taker_fee"),
        *("expiration_time_seconds", "salt", "maker_asset_data", "taker_asset_data"),
    ]
    if version is ProtocolVersion.V3:
        names += ["maker_fee_asset_data", "taker_fee_asset_data"]
    for order, fields in zip(orders, tuples, strict=True):
        values = [getattr(order, name) for name in names]
        values[:4] = ["0x" + address.hex() for address in values[:4]]
        assert list(fields) == values
    states = [
        decode_answer(unhex(case["ethCallResult"]), 1)[0]
        for case in ONCHAIN[version]["cases"]
        if case.get("ethCallResult")
    ]
    infos, amounts, valid = abi_decode(
        ["(uint8,bytes32,uint256)[]", "uint256[]", "bool[]"], encode_answer(states)
    )
    assert [info[1] for info in infos] == [state.order_hash for state in states]
    assert list(amounts) == [state.fillable for state in states]
    assert list(valid) == [state.is_valid_signature for state in states]
    assert decode_answer(encode_answer(states), len(states)) == states


@pytest.mark.parametrize("version", ProtocolVersion)
def test_empty_call(version: ProtocolVersion) -> None:
    empty = ONCHAIN[version]["emptyCall"]
    assert decode_answer(unhex(empty["ethCallResult"]), 0) == []
    assert encode_answer([]) == unhex(empty["ethCallResult"])


def test_selectors_are_those_of_the_vectors() -> None:
    selectors = MESH["function_selectors"]
    for version, selector in SELECTORS.items():
        assert selector == unhex(selectors[f"getOrderRelevantStates v{version} tuple"])


def test_signatures_can_be_replaced() -> None:
    order = make_order()
    replaced = msgspec.structs.replace(order, signature=NOT_CHECKED)
    assert encode_call([order], [NOT_CHECKED]) == encode_call([replaced])


def test_one_call_holds_one_version() -> None:
    both = [make_order(version=version) for version in ProtocolVersion]
    with pytest.raises(ValueError, match="two versions"):
        encode_call(both)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda answer: answer[:-1], id="cut short"),
        pytest.param(lambda answer: b"", id="empty"),
        pytest.param(lambda answer: b"\xff" * len(answer), id="offsets outside"),
        pytest.param(lambda answer: answer[:127] + b"\x07" + answer[128:], id="count"),
        pytest.param(lambda answer: answer[:159] + b"\x07" + answer[160:], id="status"),
        pytest.param(lambda answer: answer[:-1] + b"\x02", id="flag"),
    ],
)
def test_nonsense_answer_is_an_error(spoil: Any) -> None:
    answer = unhex(ONCHAIN[ProtocolVersion.V3]["cases"][0]["ethCallResult"])
    with pytest.raises(AbiError):
        decode_answer(spoil(answer), 1)
    with pytest.raises(AbiError):
        decode_answer(answer, 2)


def chunk_orders(case: dict[str, Any]) -> list[SignedOrder]:
    version = ProtocolVersion[case["protocol"].upper()]
    basket = unhex(case.get("multiAssetData", "0x"))
    return [
        make_order(version=version, salt=salt)
        if name == "erc20"
        else make_order(version=version, salt=salt, maker_asset_data=basket)
        for salt, name in enumerate(case["orders"])
    ]


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(c, id=f"{c['protocol']}-{n}")
        for n, c in enumerate(MESH["eth_call_chunking"]["cases"])
    ],
)
def test_chunking_vector(case: dict[str, Any]) -> None:
    orders = chunk_orders(case)
    if "chunkSizes" in case:
        made = chunks(orders, case["limit"])
        assert [len(chunk) for chunk in made] == case["chunkSizes"]
        assert [order for chunk in made for order in chunk] == orders
    else:
        with pytest.raises(ConfigurationError) as caught:
            chunks(orders, case["limit"])
        assert caught.value.setting == "ETHEREUM_RPC_MAX_CONTENT_LENGTH"
    if "singleErc20OrderPayloadIncludingBase" in case:
        single = case["singleErc20OrderPayloadIncludingBase"]
        assert REQUEST_BASE_SIZE + call_size(orders[0]) == single
        assert MESH["eth_call_chunking"]["basePayloadBytes"] == REQUEST_BASE_SIZE


@pytest.mark.parametrize(("version", "case"), cases("ethCallData"))
def test_size_of_an_order_is_what_its_calldata_adds(
    version: ProtocolVersion, case: dict[str, Any]
) -> None:
    quoted = len(json.dumps(case["ethCallData"]))
    assert (
        call_size(order_of(case)) == quoted - MESH["eth_call_chunking"]["emptyCallDataJsonLength"]
    )


@pytest.mark.parametrize(
    ("version", "most"), [(ProtocolVersion.V2, 341), (ProtocolVersion.V3, 292)]
)
def test_plain_orders_in_a_default_call(version: ProtocolVersion, most: int) -> None:
    orders = [make_order(version=version)] * 1_000
    made = chunks(orders, 524_288)
    assert len(made) == math.ceil(1_000 / most)
    assert len(made[0]) == most
