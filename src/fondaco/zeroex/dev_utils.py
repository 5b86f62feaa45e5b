"""Questions to the DevUtils contract: what 0x Mesh asked of the chain for every order.

Here it is asked only where words do not tell: orders with a StaticCall or a bridge among
their assets, one order a call, so that an order which makes the call revert is alone.
In the tests it is the oracle that the arithmetic of ``fillable`` is held against.

    getOrderRelevantStates(orders[], signatures[])
      -> ((status, hash, filled)[], fillable[], isValidSignature[])

Source: ``OrderValidationUtils`` of 0x v2 and v3; chunking rule of 0x Mesh v6 and v9
``OrderValidator``; reference/0x-mesh.md section 3.6.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from fondaco.chain.errors import AbiError
from fondaco.chain.logs import WORD, boolean_at, encode_words, word, word_bytes
from fondaco.errors import ConfigurationError
from fondaco.zeroex.order import OrderHash, ProtocolVersion, SignedOrder

SELECTORS = {
    ProtocolVersion.V2: bytes.fromhex("7f46448d"),
    ProtocolVersion.V3: bytes.fromhex("e25cabf7"),
}
"""``getOrderRelevantStates`` of each version."""

NOT_CHECKED = b"\x01"
"""A signature of type Invalid: never valid, and never makes the call revert. Sent where
the signature is judged elsewhere."""

REQUEST_BASE_SIZE = 444
"""Bytes of a JSON request without any order, as Mesh counts them."""

_HEX_PER_WORD = 2 * WORD
_FIXED_WORDS = {ProtocolVersion.V2: 17, ProtocolVersion.V3: 21}


class RelevantState(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What DevUtils says of one order at one block."""

    order_hash: OrderHash
    status: int
    """``LibOrder.OrderStatus``. v2 computes the amount whatever the status: look at this
    first."""
    filled: int
    """Taker base units already exchanged."""
    fillable: int
    """Taker base units that can still be exchanged."""
    is_valid_signature: bool


# ---------------------------------------------------------------- calldata


def encode_call(orders: Sequence[SignedOrder], signatures: Sequence[bytes] | None = None) -> bytes:
    """Return the calldata that asks for the states of *orders*.

    Args:
        orders: at least one, all of one version.
        signatures: one per order; their own by default.
    """
    version = orders[0].version
    if any(order.version is not version for order in orders):
        raise ValueError("orders of two versions in one call")
    if signatures is None:
        signatures = [order.signature for order in orders]
    listed = _dynamic_array([_order_tuple(order) for order in orders])
    signed = _dynamic_array([_bytes(signature) for signature in signatures])
    heads = encode_words([2 * WORD, 2 * WORD + len(listed)])
    return b"".join((SELECTORS[version], heads, listed, signed))


def _order_tuple(order: SignedOrder) -> bytes:
    """Return the ABI tuple ``Order``; members in the sequence of the EIP-712 type."""
    datas = [order.maker_asset_data, order.taker_asset_data]
    if order.version is ProtocolVersion.V3:
        datas += [order.maker_fee_asset_data, order.taker_fee_asset_data]
    tails = [_bytes(data) for data in datas]
    numbers = [
        int.from_bytes(order.maker_address, "big"),
        int.from_bytes(order.taker_address, "big"),
        int.from_bytes(order.fee_recipient_address, "big"),
        int.from_bytes(order.sender_address, "big"),
        order.maker_asset_amount,
        order.taker_asset_amount,
        order.maker_fee,
        order.taker_fee,
        order.expiration_time_seconds,
        order.salt,
    ]
    offset = (len(numbers) + len(tails)) * WORD
    for tail in tails:
        numbers.append(offset)
        offset += len(tail)
    return b"".join((encode_words(numbers), *tails))


def _bytes(data: bytes) -> bytes:
    return b"".join((len(data).to_bytes(WORD, "big"), data, bytes(-len(data) % WORD)))


def _dynamic_array(items: Sequence[bytes]) -> bytes:
    """Return an array of dynamic values: their number, their offsets, themselves."""
    heads = [len(items)]
    offset = len(items) * WORD
    for item in items:
        heads.append(offset)
        offset += len(item)
    return b"".join((encode_words(heads), *items))


# ---------------------------------------------------------------- answers


def decode_answer(data: bytes, count: int) -> list[RelevantState]:
    """Return the states in the answer to a call for *count* orders.

    Raises:
        AbiError: the answer is not what the contract's interface promises.
    """
    infos, amounts, valid = (
        _array(data, index, count, size) for index, size in enumerate((3, 1, 1))
    )
    return [
        RelevantState(
            order_hash=OrderHash(word_bytes(infos, 3 * number + 1)),
            status=_status(infos, 3 * number),
            filled=word(infos, 3 * number + 2),
            fillable=word(amounts, number),
            is_valid_signature=boolean_at(valid, number),
        )
        for number in range(count)
    ]


def _array(data: bytes, index: int, count: int, size: int) -> bytes:
    """Return the items of the array of *count* items, *size* words each, at head *index*."""
    start = word(data, index)
    if start % WORD or word(data, start // WORD) != count:
        raise AbiError(f"array {index} has not {count} items")
    items = data[start + WORD : start + WORD * (1 + size * count)]
    if len(items) != WORD * size * count:
        raise AbiError(f"array {index} is cut short")
    return items


def _status(infos: bytes, index: int) -> int:
    status = word(infos, index)
    if status > 6:
        raise AbiError(f"{status} is no order status")
    return status


def encode_answer(states: Sequence[RelevantState]) -> bytes:
    """Return what the contract would answer; for a scripted endpoint."""
    count = len(states)
    infos = [
        value
        for state in states
        for value in (state.status, int.from_bytes(state.order_hash, "big"), state.filled)
    ]
    amounts = [state.fillable for state in states]
    valid = [int(state.is_valid_signature) for state in states]
    second = 3 + 1 + len(infos)
    third = second + 1 + count
    heads = [WORD * 3, WORD * second, WORD * third]
    return encode_words([*heads, count, *infos, count, *amounts, count, *valid])


# ---------------------------------------------------------------- chunks


def call_size(order: SignedOrder) -> int:
    """Return what *order* adds to a request, in bytes of JSON, as Mesh counts it."""
    counted = [order.maker_asset_data, order.taker_asset_data, order.signature]
    if order.version is ProtocolVersion.V3:
        counted += [order.maker_fee_asset_data, order.taker_fee_asset_data]
    words = _FIXED_WORDS[order.version] + sum(-(-len(data) // WORD) for data in counted)
    return _HEX_PER_WORD * words


def chunks(orders: Iterable[SignedOrder], max_content_length: int) -> list[list[SignedOrder]]:
    """Cut *orders* into the calls Mesh would make, each below *max_content_length* bytes.

    Raises:
        ConfigurationError: an order does not fit alone.
    """
    result: list[list[SignedOrder]] = []
    size = max_content_length
    for order in orders:
        cost = call_size(order)
        if size + cost >= max_content_length:
            if REQUEST_BASE_SIZE + cost >= max_content_length:
                raise ConfigurationError(
                    "ETHEREUM_RPC_MAX_CONTENT_LENGTH",
                    f"{max_content_length} bytes do not hold one order of {cost}",
                    "raise it",
                )
            result.append([])
            size = REQUEST_BASE_SIZE
        result[-1].append(order)
        size += cost
    return result
