"""A signed 0x order as a value: bytes and integers, no text.

Field names and their sequence follow the EIP-712 type ``Order`` of 0x v2 and v3.
"""

from __future__ import annotations

import enum
from typing import NewType

import msgspec

Address = NewType("Address", bytes)
"""20 bytes. Hex and checksums exist only in codecs."""

Amount = NewType("Amount", int)
"""Base units of an asset (wei for WETH); 0 <= amount < 2**256."""

OrderHash = NewType("OrderHash", bytes)
"""32 bytes: the EIP-712 hash of an order, its identity everywhere."""

UINT256_MAX = 2**256 - 1

NULL_ADDRESS = Address(bytes(20))


class ProtocolVersion(enum.IntEnum):
    """Which 0x protocol an order belongs to. A value, not a subclass."""

    V2 = 2
    """Exchange v2.1: no chain ID in the hash, fees in ZRX."""

    V3 = 3
    """Exchange v3: chain ID in the hash, fees in any asset."""


class SignedOrder(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A maker's signed offer to swap one asset for another.

    ``codec.decode_order`` is the only door from the outside; it has checked every
    length and range, so nobody checks them again. Whether the signature is good
    and the order fillable is not said by this type (``validator``, ``fillable``).
    """

    version: ProtocolVersion
    chain_id: int
    """EIP-155 chain of a v3 order; 0 in v2, whose hash has no chain."""
    exchange_address: Address
    maker_address: Address
    taker_address: Address
    """Null when anybody may take the order."""
    fee_recipient_address: Address
    sender_address: Address
    """Null when anybody may submit the fill."""
    maker_asset_amount: Amount
    taker_asset_amount: Amount
    maker_fee: Amount
    taker_fee: Amount
    expiration_time_seconds: int
    """Unix seconds; 0 <= value < 2**256 as in the contract."""
    salt: int
    maker_asset_data: bytes
    taker_asset_data: bytes
    maker_fee_asset_data: bytes
    """Empty in v2, where fees are in ZRX."""
    taker_fee_asset_data: bytes
    """Empty in v2."""
    signature: bytes
    """Last byte is the signature type (0x v2 and v3 ``SignatureType``)."""
