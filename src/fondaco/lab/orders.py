"""The orders of a run: signed by the local chain's traders, the same for the same seed."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fondaco.devnet.chain import Devnet
from fondaco.devnet.offers import offer
from fondaco.devnet.traders import Traders
from fondaco.lab.chance import Chance
from fondaco.zeroex.asset_data import Erc20, encode
from fondaco.zeroex.codec import encode_order
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.order import Address

FAR = 4_102_444_800
"""Unix seconds: the year 2100."""

MAKERS = slice(1, 10)
"""Accounts that make offers; account 0 owns the contracts."""

TOKENS = 5
"""ERC20 tokens that they trade."""


class LabOrder(msgspec.Struct, frozen=True, gc=False):
    """A signed order as a client posts it."""

    name: str
    """Its hash, as nodes spell it."""
    body: bytes
    """JSON."""


async def equip_makers(devnet: Devnet) -> None:
    """Give every maker of *devnet* enough of all tokens, approved."""
    traders = Traders(devnet)
    for account in devnet.accounts[MAKERS]:
        await traders.equip(account.address)


def make_orders(devnet: Devnet, count: int, chance: Chance) -> Sequence[LabOrder]:
    """Return *count* signed v3 orders of one ERC20 token for another, all fillable.

    Takes 0.1 ms each; call it in a thread.
    """
    makers = devnet.accounts[MAKERS]
    tokens = [
        encode(Erc20(Address(address)))
        for name, address in devnet.addresses.items()
        if name.startswith("erc20 ")
    ][:TOKENS]
    made = []
    for _ in range(count):
        given = chance.randrange(len(tokens))
        wanted = (given + 1 + chance.randrange(len(tokens) - 1)) % len(tokens)
        order = offer(
            devnet.addresses,
            makers[chance.randrange(len(makers))],
            give=(tokens[given], 1 + chance.randrange(1_000)),
            want=(tokens[wanted], 1 + chance.randrange(1_000)),
            salt=chance.randrange(2**256),
            expires_at=FAR,
        )
        made.append(LabOrder(f"0x{order_hash(order).hex()}", encode_order(order)))
    return made
