"""The name of an order: its EIP-712 hash.

    order -> struct hash ---.
    (version, exchange,      +--> keccak(0x1901 || domain || struct) -> OrderHash
     chain) -> domain hash -'

Source: EIP-712; 0x v2 ``LibOrder``/``LibEIP712`` (domain without a chain), 0x v3 the
same with ``chainId`` and two more members.
"""

from __future__ import annotations

from functools import lru_cache

from tiny_keccak import keccak256

from fondaco.zeroex.order import Address, OrderHash, ProtocolVersion, SignedOrder

# Reading a member off an enum costs more than a whole comparison in Python 3.11.
_V2 = ProtocolVersion.V2
_V3 = ProtocolVersion.V3

_V2_ORDER = (
    b"Order(address makerAddress,address takerAddress,address feeRecipientAddress,"
    b"address senderAddress,uint256 makerAssetAmount,uint256 takerAssetAmount,"
    b"uint256 makerFee,uint256 takerFee,uint256 expirationTimeSeconds,uint256 salt,"
    b"bytes makerAssetData,bytes takerAssetData"
)

ORDER_TYPE_HASHES = {
    ProtocolVersion.V2: keccak256(_V2_ORDER + b")"),
    ProtocolVersion.V3: keccak256(_V2_ORDER + b",bytes makerFeeAssetData,bytes takerFeeAssetData)"),
}
"""Type hash of ``Order`` in each version."""

DOMAIN_TYPE_HASHES = {
    ProtocolVersion.V2: keccak256(
        b"EIP712Domain(string name,string version,address verifyingContract)"
    ),
    ProtocolVersion.V3: keccak256(
        b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    ),
}
"""Type hash of ``EIP712Domain`` in each version."""

_NAME = keccak256(b"0x Protocol")
_V2_DOMAIN_HEAD = DOMAIN_TYPE_HASHES[ProtocolVersion.V2] + _NAME + keccak256(b"2")
_V3_DOMAIN_HEAD = DOMAIN_TYPE_HASHES[ProtocolVersion.V3] + _NAME + keccak256(b"3.0.0")

_PAD = bytes(12)
_V2_PREFIX = ORDER_TYPE_HASHES[ProtocolVersion.V2] + _PAD
_V3_PREFIX = ORDER_TYPE_HASHES[ProtocolVersion.V3] + _PAD

DOMAINS_CACHED = 256
"""Domain separators kept. A node meets a handful; strangers may invent more, and the
cache must not grow with them."""

CACHED_DATA_SIZE = 68
"""Bytes of the longest asset data whose hash is kept: ERC20 (36) and ERC721 (68).
Longer data is rarely repeated and would let a stranger fill memory."""

DATA_HASHES_CACHED = 4096
"""Asset-data hashes kept (under 1 MB). A book trades few tokens; recurring ones cost
a look-up instead of a hash."""


@lru_cache(maxsize=DOMAINS_CACHED)
def domain_separator(version: ProtocolVersion, exchange: Address, chain_id: int) -> bytes:
    """Return the 32-byte domain hash. *chain_id* plays no part in v2."""
    contract = _PAD + exchange
    if version is _V2:
        return keccak256(_V2_DOMAIN_HEAD + contract)
    return keccak256(_V3_DOMAIN_HEAD + chain_id.to_bytes(32, "big") + contract)


_short_data_hash = lru_cache(maxsize=DATA_HASHES_CACHED)(keccak256)


def _data_hash(data: bytes) -> bytes:
    return _short_data_hash(data) if len(data) <= CACHED_DATA_SIZE else keccak256(data)


def order_hash(order: SignedOrder) -> OrderHash:
    """Return the hash that names *order* and that its maker signed."""
    domain = domain_separator(order.version, order.exchange_address, order.chain_id)
    is_v3 = order.version is _V3
    parts = [
        _V3_PREFIX if is_v3 else _V2_PREFIX,
        order.maker_address,
        _PAD,
        order.taker_address,
        _PAD,
        order.fee_recipient_address,
        _PAD,
        order.sender_address,
        order.maker_asset_amount.to_bytes(32, "big"),
        order.taker_asset_amount.to_bytes(32, "big"),
        order.maker_fee.to_bytes(32, "big"),
        order.taker_fee.to_bytes(32, "big"),
        order.expiration_time_seconds.to_bytes(32, "big"),
        order.salt.to_bytes(32, "big"),
        _data_hash(order.maker_asset_data),
        _data_hash(order.taker_asset_data),
    ]
    if is_v3:
        parts.append(_data_hash(order.maker_fee_asset_data))
        parts.append(_data_hash(order.taker_fee_asset_data))
    return OrderHash(keccak256(b"\x19\x01" + domain + keccak256(b"".join(parts))))
