"""Signed orders as JSON: one spelling per value going out, a strict rim coming in.

    bytes --> 14 or 17 colons? --yes--> typed decode --> convert --.
                    |                        | any fault            +--> SignedOrder
                    '--no---> ``schema`` <---'                      |
                              every fault listed --> InvalidSchema  |
                              none (extras, odd blanks) ------------'

The left way costs a few microseconds; the right one runs only for orders with extra
properties and for broken ones, and is the one that explains.

Source: 0x Mesh v6 and v9, ``zeroex.SignedOrder`` (sequence of the fields going out).
"""

from __future__ import annotations

from binascii import unhexlify
from functools import lru_cache

import msgspec

from fondaco.zeroex.limits import ASSETS_CACHED, EXCHANGES_CACHED, MAX_CHAIN_ID
from fondaco.zeroex.order import (
    NULL_ADDRESS,
    UINT256_MAX,
    Address,
    Amount,
    ProtocolVersion,
    SignedOrder,
)
from fondaco.zeroex.schema import (
    ADDRESS_PATTERN,
    HEX_PATTERN,
    NULL_ADDRESS_TEXT,
    WHOLE_NUMBER_PATTERN,
    WireV2,
    WireV3,
    best_effort,
    read_carefully,
)

__all__ = ["best_effort", "decode_order", "encode_order", "encoded_size"]

_V2_COLONS = 14
_V3_COLONS = 17

# Reading a member off an enum costs more than a whole comparison in Python 3.11.
_V2 = ProtocolVersion.V2
_V3 = ProtocolVersion.V3

_decode_v2 = msgspec.json.Decoder(WireV2).decode
_decode_v3 = msgspec.json.Decoder(WireV3).decode


def decode_order(raw: bytes | msgspec.Raw) -> SignedOrder:
    """Return the signed order that *raw* spells.

    ``chainId`` or a fee-asset field makes it v3, else it is v2. Extra properties are
    dropped. Which chain and exchange are meant is not looked at (``validator``).

    Raises:
        InvalidSchema: *raw* is anything else; names the first bad field and lists
            all of them.
    """
    data = bytes(raw)
    # Each property has one colon and no value of an order has any, so the right
    # number with all fields present rules out repeated and extra properties.
    colons = data.count(b":")
    try:
        if colons == _V3_COLONS:
            wire = _decode_v3(data)
            # Left to the careful way: 0, which can also be spelled "-0".
            if 0 < wire.chainId <= MAX_CHAIN_ID:
                return _build_v3(wire)
        elif colons == _V2_COLONS:
            return _build_v2(_decode_v2(data))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        pass  # The careful way finds the fault again and names it.
    texts = read_carefully(data)
    return _build_v2(texts) if isinstance(texts, WireV2) else _build_v3(texts)


# Most values repeat from order to order. Where they do, all orders share one object:
# 100,000 stored orders are smaller, and its hash is known when it is looked up again.


def _address(text: str) -> Address:
    if text == NULL_ADDRESS_TEXT:
        return NULL_ADDRESS
    if len(text) != 42 or text[:2] != "0x":
        raise ValueError(ADDRESS_PATTERN)
    return Address(unhexlify(text[2:]))


_exchange = lru_cache(maxsize=EXCHANGES_CACHED)(_address)


def _bytes(text: str) -> bytes:
    if text[:2] != "0x":
        raise ValueError(HEX_PATTERN)
    return unhexlify(text[2:])


_erc20_data = lru_cache(maxsize=ASSETS_CACHED)(_bytes)

_ERC20_TEXT_SIZE = 2 + 2 * 36


def _asset_data(text: str) -> bytes:
    if len(text) == _ERC20_TEXT_SIZE:
        return _erc20_data(text)
    # v6 prints empty data as "", which its own schema then refuses; we read it back.
    return _bytes(text) if text else b""


def _uint(text: str) -> int:
    if text == "0":
        return 0
    # int() also takes "1_0", " 7", "+7", "07" and digits of other scripts.
    if text.isdecimal() and text.isascii() and len(text) < 79 and text[0] != "0":
        number = int(text)
        if number <= UINT256_MAX:
            return number
    raise ValueError(WHOLE_NUMBER_PATTERN)


def _build_v2(wire: WireV2) -> SignedOrder:
    return SignedOrder(
        version=_V2,
        chain_id=0,
        exchange_address=_exchange(wire.exchangeAddress),
        maker_address=_address(wire.makerAddress),
        taker_address=_address(wire.takerAddress),
        fee_recipient_address=_address(wire.feeRecipientAddress),
        sender_address=_address(wire.senderAddress),
        maker_asset_amount=Amount(_uint(wire.makerAssetAmount)),
        taker_asset_amount=Amount(_uint(wire.takerAssetAmount)),
        maker_fee=Amount(_uint(wire.makerFee)),
        taker_fee=Amount(_uint(wire.takerFee)),
        expiration_time_seconds=_uint(wire.expirationTimeSeconds),
        salt=_uint(wire.salt),
        maker_asset_data=_asset_data(wire.makerAssetData),
        taker_asset_data=_asset_data(wire.takerAssetData),
        maker_fee_asset_data=b"",
        taker_fee_asset_data=b"",
        signature=_bytes(wire.signature),
    )


def _build_v3(wire: WireV3) -> SignedOrder:
    return SignedOrder(
        version=_V3,
        chain_id=wire.chainId,
        exchange_address=_exchange(wire.exchangeAddress),
        maker_address=_address(wire.makerAddress),
        taker_address=_address(wire.takerAddress),
        fee_recipient_address=_address(wire.feeRecipientAddress),
        sender_address=_address(wire.senderAddress),
        maker_asset_amount=Amount(_uint(wire.makerAssetAmount)),
        taker_asset_amount=Amount(_uint(wire.takerAssetAmount)),
        maker_fee=Amount(_uint(wire.makerFee)),
        taker_fee=Amount(_uint(wire.takerFee)),
        expiration_time_seconds=_uint(wire.expirationTimeSeconds),
        salt=_uint(wire.salt),
        maker_asset_data=_asset_data(wire.makerAssetData),
        taker_asset_data=_asset_data(wire.takerAssetData),
        maker_fee_asset_data=_asset_data(wire.makerFeeAssetData),
        taker_fee_asset_data=_asset_data(wire.takerFeeAssetData),
        signature=_bytes(wire.signature),
    )


# -- going out ---------------------------------------------------------------------


def encode_order(order: SignedOrder) -> bytes:
    """Return the one spelling of *order*: what clients, peers and the store are given.

    Lower-case hex, canonical decimals, no blanks, the sequence of fields of Mesh v6
    (v2) or v9 (v3). Empty asset data is ``""`` in v2 and ``"0x"`` in v3, as each
    printed it; ``chainId`` is an integer.
    """
    return (_encode_v2 if order.version is _V2 else _encode_v3)(order).encode()


def _encode_v2(order: SignedOrder) -> str:
    maker_data, taker_data = order.maker_asset_data, order.taker_asset_data
    return (
        f'{{"makerAddress":"0x{order.maker_address.hex()}",'
        f'"makerAssetData":"{"0x" + maker_data.hex() if maker_data else ""}",'
        f'"makerAssetAmount":"{order.maker_asset_amount}",'
        f'"makerFee":"{order.maker_fee}",'
        f'"takerAddress":"0x{order.taker_address.hex()}",'
        f'"takerAssetData":"{"0x" + taker_data.hex() if taker_data else ""}",'
        f'"takerAssetAmount":"{order.taker_asset_amount}",'
        f'"takerFee":"{order.taker_fee}",'
        f'"senderAddress":"0x{order.sender_address.hex()}",'
        f'"exchangeAddress":"0x{order.exchange_address.hex()}",'
        f'"feeRecipientAddress":"0x{order.fee_recipient_address.hex()}",'
        f'"expirationTimeSeconds":"{order.expiration_time_seconds}",'
        f'"salt":"{order.salt}",'
        f'"signature":"0x{order.signature.hex()}"}}'
    )


def _encode_v3(order: SignedOrder) -> str:
    return (
        f'{{"chainId":{order.chain_id},'
        f'"exchangeAddress":"0x{order.exchange_address.hex()}",'
        f'"makerAddress":"0x{order.maker_address.hex()}",'
        f'"makerAssetData":"0x{order.maker_asset_data.hex()}",'
        f'"makerFeeAssetData":"0x{order.maker_fee_asset_data.hex()}",'
        f'"makerAssetAmount":"{order.maker_asset_amount}",'
        f'"makerFee":"{order.maker_fee}",'
        f'"takerAddress":"0x{order.taker_address.hex()}",'
        f'"takerAssetData":"0x{order.taker_asset_data.hex()}",'
        f'"takerFeeAssetData":"0x{order.taker_fee_asset_data.hex()}",'
        f'"takerAssetAmount":"{order.taker_asset_amount}",'
        f'"takerFee":"{order.taker_fee}",'
        f'"senderAddress":"0x{order.sender_address.hex()}",'
        f'"feeRecipientAddress":"0x{order.fee_recipient_address.hex()}",'
        f'"expirationTimeSeconds":"{order.expiration_time_seconds}",'
        f'"salt":"{order.salt}",'
        f'"signature":"0x{order.signature.hex()}"}}'
    )


_V2_MESSAGE_OVERHEAD = len('{"MessageType":"order","Order":}')


def encoded_size(version: ProtocolVersion, body: bytes) -> int:
    """Return the bytes of an order that count against ``limits.MAX_ORDER_SIZE``.

    v2 counts the whole gossip message around the order, v3 the order alone.

    Args:
        version: of the order.
        body: the order as ``encode_order`` spells it.
    """
    return len(body) + (_V2_MESSAGE_OVERHEAD if version is _V2 else 0)
