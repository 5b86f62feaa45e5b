"""Fields of an order on the wire, by what they hold."""

from __future__ import annotations

UINTS = (
    "makerAssetAmount",
    "takerAssetAmount",
    "makerFee",
    "takerFee",
    "expirationTimeSeconds",
    "salt",
)
ADDRESSES = (
    "makerAddress",
    "takerAddress",
    "senderAddress",
    "feeRecipientAddress",
    "exchangeAddress",
)
