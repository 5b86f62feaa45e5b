"""Two equipped traders on the local chain, and the orders they make."""

from __future__ import annotations

from fondaco.devnet import actions
from fondaco.devnet.offers import offer
from fondaco.devnet.traders import Traders
from fondaco.zeroex.asset_data import Erc20, encode
from fondaco.zeroex.order import Address, ProtocolVersion, SignedOrder

FAR = 4_102_444_800
"""Unix seconds: the year 2100."""

FILLABLE, EXPIRED, FULLY_FILLED, CANCELLED = 3, 4, 5, 6
"""OrderStatus of the Exchange."""


class Market:
    """Two equipped accounts and the assets they trade."""

    def __init__(self, traders: Traders) -> None:
        self.traders = traders
        self.maker, self.taker = traders.devnet.accounts[1:3]
        self.at = traders.devnet.addresses
        self.pepper = encode(Erc20(Address(self.at["erc20 PEP"])))
        self.weth = encode(Erc20(Address(self.at["weth9"])))

    async def open(self) -> None:
        await self.traders.equip(self.maker.address)
        await self.traders.equip(self.taker.address)

    def offer(self, version: ProtocolVersion, **changes: object) -> SignedOrder:
        given: dict[str, object] = {
            "give": (self.pepper, 100),
            "want": (self.weth, 40),
            "salt": 1,
            "expires_at": FAR,
            **changes,
        }
        return offer(self.at, self.maker, version=version, **given)  # type: ignore[arg-type]

    async def status(self, order: SignedOrder) -> tuple[int, bytes, int]:
        """Return the Exchange's own view: status, hash, filled taker amount."""
        signature = actions.order_signature(order.version, "getOrderInfo({})")
        answer = await self.traders.call(
            order.exchange_address, signature, actions.order_tuple(order)
        )
        return answer[31], answer[32:64], int.from_bytes(answer[64:96], "big")
