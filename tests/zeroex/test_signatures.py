"""Signatures in both directions, their forms, and the questions put to the Exchange."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import decode as abi_decode
from tiny_keccak import keccak256

from fondaco.errors import Unavailable
from fondaco.testing.orders import MAKER_KEY, OTHER_MAKER_KEY, address_of, make_order
from fondaco.zeroex.codec import decode_order
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.errors import OrderRejected
from fondaco.zeroex.order import NULL_ADDRESS, OrderHash, ProtocolVersion, SignedOrder
from fondaco.zeroex.signatures import (
    SignatureType,
    check_shape,
    decode_signature_answer,
    encode_signature_call,
    needs_chain,
    recover,
    recover_is_valid,
    recover_many,
    sign,
    split,
)

V2, V3 = ProtocolVersion.V2, ProtocolVersion.V3
VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "mesh_vectors.json").read_text())
KEYS = {
    account["address"]: bytes.fromhex(account["privateKey"][2:])
    for account in VECTORS["test_accounts"]["accounts"]
}
SIGNED = [v for v in VECTORS["order_hash_v2"] + VECTORS["order_hash_v3"] if "signature" in v]
CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def order_of(vector: dict[str, Any]) -> SignedOrder:
    fields = {"signature": vector["signature"], **vector["order"]}
    return decode_order(json.dumps(fields).encode())


@pytest.mark.parametrize("vector", SIGNED)
def test_the_signature_recovers_to_the_signer(vector: dict[str, Any]) -> None:
    order = order_of(vector)
    signer = recover(order_hash(order), order.signature)
    assert signer is not None
    assert "0x" + signer.hex() == vector["signer"]
    assert recover_is_valid(order_hash(order), order)


@pytest.mark.parametrize("vector", [v for v in SIGNED if v["signer"] in KEYS])
def test_signing_gives_the_very_bytes(vector: dict[str, Any]) -> None:
    order = order_of(vector)
    kind = SignatureType(order.signature[-1])
    assert sign(order_hash(order), KEYS[vector["signer"]], kind) == order.signature


def test_eth_sign_of_a_fixed_message() -> None:
    vector = VECTORS["signer"]
    message = OrderHash(bytes.fromhex(vector["message"][2:]))
    v, r, s = split(sign(message, KEYS[vector["signer"]], SignatureType.ETH_SIGN))
    assert (v, "0x" + r.hex(), "0x" + s.hex()) == (vector["v"], vector["r"], vector["s"])


def test_seed_orders_are_signed_by_their_makers() -> None:
    for vector in VECTORS["seed_orders"]:
        order = decode_order(json.dumps(vector["order"]).encode())
        assert recover_is_valid(order_hash(order), order) is vector["signatureValidForMaker"]


def mirrored(signature: bytes) -> bytes:
    """The other signature of the same key over the same hash: v flipped, s negated."""
    v, r, s = split(signature)
    high = (CURVE_ORDER - int.from_bytes(s, "big")).to_bytes(32, "big")
    return bytes((55 - v,)) + r + high + signature[65:]


@pytest.mark.parametrize("kind", [SignatureType.EIP712, SignatureType.ETH_SIGN])
def test_a_high_s_is_as_good_as_the_contract_finds_it(kind: SignatureType) -> None:
    order = make_order(signature_type=kind)
    twin = make_order(signature=mirrored(order.signature))
    assert twin.signature != order.signature
    assert recover_is_valid(order_hash(twin), twin)


def spoil(signature: bytes, position: int, value: int) -> bytes:
    return signature[:position] + bytes((value,)) + signature[position + 1 :]


GOOD = make_order().signature


@pytest.mark.parametrize(
    "signature",
    [
        pytest.param(spoil(GOOD, 0, 0), id="v 0"),
        pytest.param(spoil(GOOD, 0, 26), id="v 26"),
        pytest.param(spoil(GOOD, 0, 29), id="v 29"),
        pytest.param(spoil(GOOD, 0, 55 - GOOD[0]), id="other v"),
        pytest.param(spoil(GOOD, 65, 2), id="other type"),
        pytest.param(spoil(GOOD, 10, GOOD[10] ^ 1), id="other r"),
        pytest.param(GOOD[:1] + bytes(32) + GOOD[33:], id="r 0"),
        pytest.param(GOOD[:33] + bytes(32) + GOOD[65:], id="s 0"),
        pytest.param(GOOD[:1] + CURVE_ORDER.to_bytes(32, "big") + GOOD[33:], id="r = n"),
        pytest.param(GOOD[:33] + b"\xff" * 32 + GOOD[65:], id="s over n"),
        pytest.param(GOOD[:64] + GOOD[65:], id="65 bytes"),
        pytest.param(GOOD + b"\x03", id="67 bytes"),
        pytest.param(b"", id="empty"),
        pytest.param(b"\x04", id="not recoverable"),
    ],
)
def test_a_spoiled_signature_is_not_the_makers(signature: bytes) -> None:
    order = make_order(signature=signature)
    assert not recover_is_valid(order_hash(order), order)


def test_nobody_signs_for_the_null_maker() -> None:
    garbage = b"\x1b" + b"\xff" * 64 + b"\x03"
    order = make_order(maker_address=NULL_ADDRESS, signature=garbage)
    assert check_shape(order) is SignatureType.ETH_SIGN
    assert not recover_is_valid(order_hash(order), order)


def test_another_key_does_not_sign_for_the_maker() -> None:
    order = make_order(maker_address=address_of(OTHER_MAKER_KEY), maker_key=MAKER_KEY)
    assert recover(order_hash(order), order.signature) == address_of(MAKER_KEY)
    assert not recover_is_valid(order_hash(order), order)


def test_a_batch_gives_one_answer_per_order_in_sequence() -> None:
    orders = [make_order(), make_order(signature=b"\x03"), make_order(version=V2)]
    assert recover_many((order_hash(o), o) for o in orders) == [True, False, True]


SHAPES = [
    # type, length, allowed in v2, allowed in v3
    (0, 66, False, False),
    (1, 1, False, False),
    (2, 66, True, True),
    (2, 65, False, False),
    (3, 66, True, True),
    (3, 67, False, False),
    (4, 1, True, True),
    (4, 200, True, True),
    (5, 21, True, True),
    (5, 20, False, False),
    (6, 1, True, True),
    (7, 1, False, True),
    (7, 66, False, True),
    (8, 66, False, False),
    (255, 66, False, False),
]


@pytest.mark.parametrize("version", [V2, V3])
@pytest.mark.parametrize(("kind", "length", "in_v2", "in_v3"), SHAPES)
def test_forms(kind: int, length: int, in_v2: bool, in_v3: bool, version: ProtocolVersion) -> None:
    order = make_order(version=version, signature=bytes(length - 1) + bytes((kind,)))
    if in_v2 if version is V2 else in_v3:
        assert check_shape(order) == kind
        assert needs_chain(order) is (kind >= 4)
    else:
        with pytest.raises(OrderRejected) as caught:
            check_shape(order)
        assert caught.value.code == "OrderHasInvalidSignature"
        assert caught.value.detail


def test_an_empty_signature_is_refused_not_a_crash() -> None:
    order = make_order(signature=b"")
    assert not needs_chain(order)
    with pytest.raises(OrderRejected, match="empty"):
        check_shape(order)


@pytest.mark.parametrize("kind", [SignatureType.WALLET, SignatureType.ILLEGAL])
def test_a_key_makes_only_two_types(kind: SignatureType) -> None:
    with pytest.raises(ValueError, match="private key"):
        sign(order_hash(make_order()), MAKER_KEY, kind)


ORDER_TUPLE = "(" + "address," * 4 + "uint256," * 6 + "bytes,bytes,bytes,bytes)"


def test_the_v2_question_is_the_call_of_the_contract() -> None:
    order = make_order(version=V2, signature=b"\x11" * 20 + b"\x05")
    call = encode_signature_call(order, order_hash(order))
    assert call[:4] == keccak256(b"isValidSignature(bytes32,address,bytes)")[:4]
    assert abi_decode(["bytes32", "address", "bytes"], call[4:]) == (
        order_hash(order),
        "0x" + order.maker_address.hex(),
        order.signature,
    )


@pytest.mark.parametrize("size", [0, 1, 32, 33, 100])
def test_the_v3_question_is_the_call_of_the_contract(size: int) -> None:
    order = make_order(
        maker_asset_data=bytes(range(size)),
        maker_fee_asset_data=b"\x01" * size,
        signature=b"\x07" * (size + 1),
    )
    call = encode_signature_call(order, order_hash(order))
    signature = f"isValidOrderSignature({ORDER_TUPLE},bytes)".encode()
    assert call[:4] == keccak256(signature)[:4]
    assert len(call) % 32 == 4
    fields, sent = abi_decode([ORDER_TUPLE, "bytes"], call[4:])
    assert sent == order.signature
    assert fields == (
        *(
            "0x" + address.hex()
            for address in (
                order.maker_address,
                order.taker_address,
                order.fee_recipient_address,
                order.sender_address,
            )
        ),
        order.maker_asset_amount,
        order.taker_asset_amount,
        order.maker_fee,
        order.taker_fee,
        order.expiration_time_seconds,
        order.salt,
        order.maker_asset_data,
        order.taker_asset_data,
        order.maker_fee_asset_data,
        order.taker_fee_asset_data,
    )


def test_the_answer_is_one_strict_bool() -> None:
    assert decode_signature_answer(bytes(31) + b"\x01") is True
    assert decode_signature_answer(bytes(32)) is False


@pytest.mark.parametrize(
    "answer", [b"", b"\x01", bytes(31) + b"\x02", b"\x01" + bytes(31), bytes(64), bytes(33)]
)
def test_anything_else_says_nothing_about_the_signature(answer: bytes) -> None:
    with pytest.raises(Unavailable):
        decode_signature_answer(answer)
