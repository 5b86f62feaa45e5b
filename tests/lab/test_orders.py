"""Orders that a real node takes, the same for the same seed."""

from __future__ import annotations

from random import Random

import pytest

from fondaco.devnet.chain import Devnet
from fondaco.devnet.traders import Traders
from fondaco.lab.orders import MAKERS, equip_makers, make_orders
from fondaco.zeroex.codec import decode_order
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.signatures import recover_is_valid

pytestmark = pytest.mark.chain


async def test_they_are_signed_and_no_two_are_the_same(devnet: Devnet) -> None:
    made = make_orders(devnet, 200, Random(1))
    assert len({order.name for order in made}) == 200
    makers = {account.address for account in devnet.accounts[MAKERS]}
    for order in made:
        read = decode_order(order.body)
        name = order_hash(read)
        assert order.name == f"0x{name.hex()}"
        assert recover_is_valid(name, read)
        assert read.maker_address in makers
        assert read.maker_asset_data != read.taker_asset_data


async def test_the_same_seed_makes_the_same_orders(devnet: Devnet) -> None:
    assert make_orders(devnet, 5, Random(1)) == make_orders(devnet, 5, Random(1))
    assert make_orders(devnet, 5, Random(1)) != make_orders(devnet, 5, Random(2))


async def test_every_maker_has_what_the_orders_give(devnet: Devnet) -> None:
    await equip_makers(devnet)
    traders = Traders(devnet)
    for account in devnet.accounts[MAKERS]:
        balance = await traders.balance_of(devnet.addresses["erc20 PEP"], account.address)
        assert balance > 10**9
