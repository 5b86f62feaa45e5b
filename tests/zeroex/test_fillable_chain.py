"""Thousands of random orders, put to DevUtils of the real chain and to our arithmetic."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import pytest

from fondaco.chain.headers import Header
from fondaco.devnet import actions
from fondaco.devnet.chain import Devnet
from fondaco.devnet.offers import offer
from fondaco.devnet.rpc import Reverted
from fondaco.devnet.traders import Traders
from fondaco.zeroex.asset_data import Erc20, MemberAsset, basket, encode
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.fillable import OrderState, compute, plan
from fondaco.zeroex.lifecycle import Valid, outcome_of
from fondaco.zeroex.order import Address, ProtocolVersion, SignedOrder
from support.dev_utils_oracle import (
    ChainUnderTest,
    V2DevUtils,
    competes,
    has_inner_basket,
    open_chain,
)
from support.random_market import FAR, RandomMarket

pytestmark = pytest.mark.chain

V2, V3 = ProtocolVersion.V2, ProtocolVersion.V3
ORDERS = 2_000
"""Random orders of each version."""

SEED = 20210811


async def our_states(
    chain: ChainUnderTest, orders: Sequence[SignedOrder], zrx_asset: bytes, at: Header
) -> list[OrderState]:
    named = [(order_hash(order), order) for order in orders]
    read_plan = plan(named, chain.contracts, zrx_asset)
    answers = await chain.reader.read(read_plan.reads, at)
    assert answers.block_number == at.number
    return compute(read_plan, answers)


def what_dev_utils_v3_says(order: SignedOrder, mine: OrderState) -> int:
    """Return its amount, given the right one: see ``support.dev_utils_oracle``."""
    if order.maker_fee and order.maker_fee_asset_data == order.maker_asset_data:
        needed = order.maker_asset_amount + order.maker_fee
        return min(mine.fillable, order.maker_asset_amount * order.taker_asset_amount // needed)
    return mine.fillable


async def test_v3_amounts_are_those_of_dev_utils(devnet: Devnet, traders: Traders) -> None:
    market = RandomMarket(traders, random.Random(SEED))
    moved = await market.open()
    async with open_chain(devnet) as chain:
        at = await chain.newest()
        orders = [order for order in moved if order.version is V3]
        orders += market.orders(V3, ORDERS, at.timestamp)
        ours = await our_states(chain, orders, b"", at)
        theirs = await chain.relevant_states(orders, at)
    seen: Counter[str] = Counter()
    for order, mine, their in zip(orders, ours, theirs, strict=True):
        assert their is not None, order
        assert (mine.status, mine.filled) == (their.status, their.filled), order
        seen[f"status {mine.status}"] += 1
        expected = what_dev_utils_v3_says(order, mine)
        if competes(order, b"") or has_inner_basket(order):
            assert expected <= their.fillable, order
            seen["tried by no contract"] += 1
        else:
            assert expected == their.fillable, order
            seen[_sort(order, mine)] += 1
    assert_all_sorts(seen)


async def test_v2_amounts_are_those_of_dev_utils(devnet: Devnet, traders: Traders) -> None:
    market = RandomMarket(traders, random.Random(SEED + 2))
    moved = await market.open()
    zrx_asset = encode(Erc20(Address(devnet.addresses["zrxToken"])))
    async with open_chain(devnet) as chain:
        at = await chain.newest()
        orders = [order for order in moved if order.version is V2]
        orders += market.orders(V2, ORDERS, at.timestamp)
        ours = await our_states(chain, orders, zrx_asset, at)
        theirs = await chain.relevant_states(orders, at)
        buggy, meant = await imitations(chain, orders, zrx_asset, at)
    seen: Counter[str] = Counter()
    for order, mine, their in zip(orders, ours, theirs, strict=True):
        assert their is not None, order
        assert (mine.status, mine.filled) == (their.status, their.filled), order
        seen[f"status {mine.status}"] += 1
        # It computes an amount whatever the status, and that imitates it completely.
        assert their.fillable == buggy.fillable(order, their.filled), order
        if mine.status != 3:
            assert mine.fillable == 0
        elif competes(order, zrx_asset) or has_inner_basket(order):
            assert mine.fillable <= their.fillable, order
            seen["tried by no contract"] += 1
        else:
            assert mine.fillable == meant.fillable(order, mine.filled), order
            seen["forgotten component"] += mine.fillable != their.fillable
            seen[_sort(order, mine)] += 1
    assert_all_sorts(seen)
    assert seen["forgotten component"] > 5


async def imitations(
    chain: ChainUnderTest, orders: Sequence[SignedOrder], zrx_asset: bytes, at: Header
) -> tuple[V2DevUtils, V2DevUtils]:
    """Return DevUtils of v2 with its bug and without, both with the words they need."""
    both = [V2DevUtils(chain.deployment(V2), zrx_asset, is_forgetful=bug) for bug in (True, False)]
    for one in both:
        for order in orders:
            one.fillable(order, 0)
        reads = list(one.reads)
        answers = await chain.reader.read(reads, at)
        one.words = dict(zip(reads, answers.words, strict=True))
    return both[0], both[1]


def _sort(order: SignedOrder, state: OrderState) -> str:
    if state.status != 3:
        return "not fillable"
    if not state.fillable:
        return "unfunded"
    return "whole" if state.fillable + state.filled == order.taker_asset_amount else "part"


def assert_all_sorts(seen: Counter[str]) -> None:
    """A comparison is worth something only if every sort of order was in it."""
    for sort, least in (
        *(("whole", 200), ("part", 50), ("unfunded", 200), ("tried by no contract", 30)),
        *(("status 3", 800), ("status 4", 100), ("status 5", 15), ("status 6", 100)),
    ):
        assert seen[sort] >= least, (sort, seen)


MISJUDGED = [
    pytest.param("twice in a basket", False, id="twice in a basket"),
    pytest.param("basket in a basket", False, id="basket in a basket"),
    pytest.param("fee in the same asset", True, id="fee in the same asset"),
    pytest.param("two in a basket", True, id="two in a basket"),
]
"""Cases in which the contracts of two versions, or DevUtils and the Exchange, disagree."""


@pytest.mark.parametrize(("case", "can_be_filled"), MISJUDGED)
@pytest.mark.parametrize("version", ProtocolVersion)
async def test_the_exchange_agrees_where_dev_utils_does_not(
    devnet: Devnet, traders: Traders, version: ProtocolVersion, case: str, can_be_filled: bool
) -> None:
    """The maker has ten units; the order gives six of them, and is filled or not."""
    maker, taker = devnet.accounts[1:3]
    await traders.equip(maker.address)
    await traders.equip(taker.address)
    give, other = (Erc20(Address(devnet.addresses[f"erc20 {t}"])) for t in ("PEP", "SAF"))
    await traders.do(actions.set_balance(give.token, maker.address, 10))
    # The fee of v2 is in ZRX, so that is what is given there.
    zrx = Erc20(Address(devnet.addresses["zrxToken"]))
    is_fee = case == "fee in the same asset"
    assets: dict[str, MemberAsset] = {
        "twice in a basket": basket((1, give), (1, give)),
        "basket in a basket": basket((1, basket((1, give)))),
        "fee in the same asset": give if version is V3 else zrx,
        "two in a basket": basket((1, give), (1, other)),
    }
    data = encode(assets[case])
    order = offer(
        devnet.addresses,
        maker,
        give=(data, 6),
        want=(encode(other), 48),
        salt=1,
        expires_at=FAR,
        version=version,
        maker_fee=2 if is_fee else 0,
        maker_fee_asset_data=data if version is V3 and is_fee else b"",
    )
    async with open_chain(devnet) as chain:
        (state,) = await our_states(chain, [order], encode(zrx), await chain.newest())
    assert isinstance(outcome_of(state, order), Valid) is can_be_filled
    fill = actions.fill(order, taker.address, order.taker_asset_amount)
    if can_be_filled:
        await traders.do(fill)
    else:
        with pytest.raises(Reverted):
            await traders.do(fill)
