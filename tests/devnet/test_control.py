"""Blocks, time and reorganisations of the real anvil, as tests will use them."""

from __future__ import annotations

import pytest

from fondaco.devnet import actions
from fondaco.devnet.traders import Traders
from fondaco.zeroex.order import ProtocolVersion
from support.market import EXPIRED, FILLABLE, FULLY_FILLED, Market

pytestmark = pytest.mark.chain


async def test_mine_makes_blocks_one_second_apart(traders: Traders) -> None:
    first = await traders.control.mine()
    last = await traders.control.mine(3)
    assert last.number == first.number + 3
    middle = [await traders.control.block(first.number + i) for i in (1, 2, 3)]
    assert [block.parent_hash for block in middle] == [
        first.hash,
        *(block.hash for block in middle[:-1]),
    ]
    assert middle[2].timestamp - middle[1].timestamp == 1


async def test_blocks_are_made_only_when_told(traders: Traders) -> None:
    weth, owner = traders.devnet.addresses["weth9"], traders.devnet.accounts[1].address
    await traders.control.set_automine(False)
    before = await traders.control.block()
    await traders.do(actions.deposit(weth, owner, 1), actions.deposit(weth, owner, 2))
    after = await traders.control.block()
    assert after.number == before.number + 1
    assert len(after.transactions) == 2
    assert not await traders.control.is_automining()


async def test_time_is_set_and_moved(traders: Traders) -> None:
    start = (await traders.control.block()).timestamp
    await traders.control.set_next_timestamp(start + 1_000)
    assert (await traders.control.mine()).timestamp == start + 1_000
    await traders.control.increase_time(500)
    assert (await traders.control.mine()).timestamp >= start + 1_500


async def test_an_order_expires_by_block_time_and_comes_back(market: Market) -> None:
    control = market.traders.control
    now = (await control.block()).timestamp
    order = market.offer(ProtocolVersion.V3, expires_at=now + 100)
    mark = await control.snapshot()
    await control.set_next_timestamp(now + 100)
    await control.mine()
    assert (await market.status(order))[0] == EXPIRED
    await control.revert(mark)
    assert (await market.status(order))[0] == FILLABLE


async def test_a_reorganisation_undoes_a_fill(market: Market) -> None:
    control = market.traders.control
    order = market.offer(ProtocolVersion.V3)
    base = await control.block()
    await market.traders.do(actions.fill(order, market.taker.address, 40))
    old = await control.mine()
    assert (await market.status(order))[0] == FULLY_FILLED
    new = await control.reorg(2)
    assert new.number == old.number
    assert new.hash != old.hash
    assert (await control.block(base.number)).hash == base.hash
    assert (await market.status(order))[::2] == (FILLABLE, 0)
    # The chain goes on: the taker fills again on the new branch.
    await market.traders.do(actions.fill(order, market.taker.address, 40))
    assert (await market.status(order))[0] == FULLY_FILLED
