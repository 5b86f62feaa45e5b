"""Real signed orders of one protocol version, funded on the local chain, in wire spelling."""

from __future__ import annotations

import json
from typing import Any

from fondaco.devnet import actions
from fondaco.zeroex.codec import decode_order, encode_order
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.order import ProtocolVersion, SignedOrder
from support.market import Market


class Book:
    """Orders of the market's maker, each with a salt of its own."""

    def __init__(self, market: Market, version: ProtocolVersion) -> None:
        self.version = version
        self._market = market
        self._salt = 0

    @property
    def is_v2(self) -> bool:
        return self.version is ProtocolVersion.V2

    def orders(self, count: int) -> list[dict[str, Any]]:
        """Return *count* further orders that can be filled."""
        return [self._order() for _ in range(count)]

    def hash(self, order: dict[str, Any]) -> str:
        """Return the order's hash as JSON-RPC spells it."""
        return "0x" + order_hash(_read(order)).hex()

    async def fill(self, order: dict[str, Any], taker_amount: int) -> int:
        """Fill some base units of the taker's side; return the number of the block."""
        action = actions.fill(_read(order), self._market.taker.address, taker_amount)
        (receipt,) = await self._market.traders.do(action)
        return receipt.block_number

    async def cancel(self, order: dict[str, Any]) -> int:
        """Return the number of the block in which the maker cancelled."""
        (receipt,) = await self._market.traders.do(actions.cancel(_read(order)))
        return receipt.block_number

    def _order(self) -> dict[str, Any]:
        self._salt += 1
        fields = json.loads(encode_order(self._market.offer(self.version, salt=self._salt)))
        assert isinstance(fields, dict)
        return fields


def _read(order: dict[str, Any]) -> SignedOrder:
    return decode_order(json.dumps(order).encode())
