"""Real signed orders of one protocol version, funded on the local chain, in wire spelling."""

from __future__ import annotations

import json
from typing import Any

from fondaco.devnet import actions
from fondaco.devnet.offers import offer
from fondaco.devnet.traders import Traders
from fondaco.testing.orders import DEFAULT_EXPIRATION, erc20
from fondaco.zeroex.codec import decode_order, encode_order
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.order import Address, ProtocolVersion, SignedOrder

MAKER, TAKER = 1, 2
"""Places of the two accounts that trade, in the devnet's list."""


async def equip(traders: Traders) -> None:
    """Give both accounts what they trade, and let the Exchanges take it."""
    for place in (MAKER, TAKER):
        await traders.equip(traders.devnet.accounts[place].address)


class Book:
    """Orders of one maker, ZRX for WETH, each with a salt of its own."""

    def __init__(self, traders: Traders, version: ProtocolVersion) -> None:
        self.version = version
        self._traders = traders
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
        taker = self._traders.devnet.accounts[TAKER].address
        (receipt,) = await self._traders.do(actions.fill(_read(order), taker, taker_amount))
        return receipt.block_number

    async def cancel(self, order: dict[str, Any]) -> int:
        """Return the number of the block in which the maker cancelled."""
        (receipt,) = await self._traders.do(actions.cancel(_read(order)))
        return receipt.block_number

    def _order(self) -> dict[str, Any]:
        self._salt += 1
        at = self._traders.devnet.addresses
        order = offer(
            at,
            self._traders.devnet.accounts[MAKER],
            give=(erc20(Address(at["zrxToken"])), 1_000),
            want=(erc20(Address(at["weth9"])), 100),
            salt=self._salt,
            expires_at=DEFAULT_EXPIRATION,
            version=self.version,
        )
        fields = json.loads(encode_order(order))
        assert isinstance(fields, dict)
        return fields


def _read(order: dict[str, Any]) -> SignedOrder:
    return decode_order(json.dumps(order).encode())
