"""Orders from text to a recovered signature, on one core, beside the bare libraries."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
from coincurve import PublicKey

from bench.figures import Figure, interleaved
from fondaco.chain.contracts import ChainContracts, Deployment
from fondaco.testing.orders import CHAIN_ID, EXCHANGE, make_order
from fondaco.zeroex.codec import decode_order, encode_order
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.order import OrderHash
from fondaco.zeroex.signatures import SignatureType, recover_is_valid
from fondaco.zeroex.validator import Policy, check_order, check_policy

RUNS = 7
"""Pairs of measurements; the median counts, the range is shown."""

ORDERS = 2_000
"""Different orders gone through per measurement, so that no cache holds them."""

HASH_BUDGET = 20.0
"""Microseconds that decoding and hashing one v3 order may take."""

RECOVER_SHARE = 0.70
"""Of the bare recover rate, what the whole path must keep (DESIGN.md, section 6)."""

POLICY = Policy(
    contracts=ChainContracts(
        chain_id=CHAIN_ID,
        v3=Deployment(
            exchange=EXCHANGE,
            dev_utils=bytes(20),
            erc20_proxy=bytes(20),
            erc721_proxy=bytes(20),
            erc1155_proxy=bytes(20),
        ),
    )
)


class _Text(msgspec.Struct):
    """The least that any decoder of an order must do: seventeen texts out of JSON."""

    chainId: int
    exchangeAddress: str
    makerAddress: str
    makerAssetData: str
    makerFeeAssetData: str
    makerAssetAmount: str
    makerFee: str
    takerAddress: str
    takerAssetData: str
    takerFeeAssetData: str
    takerAssetAmount: str
    takerFee: str
    senderAddress: str
    feeRecipientAddress: str
    expirationTimeSeconds: str
    salt: str
    signature: str


Item = TypeVar("Item")


def _seconds(work: Callable[[Item], object], items: Sequence[Item]) -> float:
    # Seconds of this core, not of the wall: whoever shares the machine is left out.
    start = time.thread_time()
    for item in items:
        work(item)
    return time.thread_time() - start


def _name(text: bytes) -> OrderHash:
    return order_hash(decode_order(text))


def _accept(text: bytes) -> None:
    order = decode_order(text)
    check_policy(order, encode_order(order), POLICY)
    check_order(order, POLICY)
    if not recover_is_valid(order_hash(order), order):
        raise AssertionError("the benchmark's own order is not valid")


def _bare_recover(question: tuple[bytes, bytes]) -> None:
    PublicKey.from_signature_and_message(question[0], question[1], hasher=None)


def measure() -> list[Figure]:
    """Return the cost of decoding and hashing, and the rate of the whole path."""
    rng = random.Random(712)
    orders = [
        make_order(salt=rng.getrandbits(256), signature_type=SignatureType.EIP712)
        for _ in range(ORDERS)
    ]
    texts = [encode_order(order) for order in orders]
    questions = [
        (order.signature[1:65] + bytes((order.signature[0] - 27,)), order_hash(order))
        for order in orders
    ]
    bare_decode = msgspec.json.Decoder(_Text).decode
    each = 1e6 / ORDERS
    decode, floor, decode_range = interleaved(
        RUNS,
        lambda: _seconds(decode_order, texts) * each,
        lambda: _seconds(bare_decode, texts) * each,
    )
    named, _, named_range = interleaved(
        RUNS,
        lambda: _seconds(_name, texts) * each,
        lambda: _seconds(bare_decode, texts) * each,
    )
    rate, bare_rate, rate_range = interleaved(
        RUNS,
        lambda: ORDERS / _seconds(_accept, texts),
        lambda: ORDERS / _seconds(_bare_recover, questions),
    )
    return [
        Figure(
            name="decode one v3 order",
            value=decode,
            unit="us",
            floor=floor,
            floor_name="bare msgspec",
            spread=decode_range,
        ),
        Figure(
            name="decode and hash one v3 order",
            value=named,
            unit="us",
            floor=floor,
            floor_name="bare msgspec",
            target=f"at most {HASH_BUDGET:.0f} us",
            reached=named <= HASH_BUDGET,
            spread=named_range,
        ),
        Figure(
            name="decode, check, hash and recover, one core",
            value=rate,
            unit="orders/s",
            floor=bare_rate,
            floor_name="bare recover",
            target=f"at least {RECOVER_SHARE:.0%} of the floor",
            reached=rate >= RECOVER_SHARE * bare_rate,
            spread=rate_range,
        ),
    ]
