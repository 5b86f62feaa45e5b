"""Sending: one block or several, and reverts that say why."""

from __future__ import annotations

import pytest

from fondaco.devnet import actions
from fondaco.devnet.chain import open_devnet
from fondaco.devnet.deploy import FUNGIBLE_IDS
from fondaco.devnet.fetch import PartsStore
from fondaco.devnet.rpc import Reverted
from fondaco.devnet.traders import ETHER, Traders
from fondaco.testing.contracts import LOOPING
from fondaco.zeroex.order import ProtocolVersion
from support.market import FILLABLE, Market

pytestmark = pytest.mark.chain


async def test_a_revert_is_told_with_its_reason(market: Market) -> None:
    weth = market.at["erc20 PEP"]
    with pytest.raises(Reverted, match="ERC20_INSUFFICIENT_BALANCE"):
        await market.traders.do(
            actions.transfer(weth, market.maker.address, market.taker.address, 10**30)
        )


async def test_several_actions_share_a_block_in_their_sequence(market: Market) -> None:
    token, maker, taker = market.at["erc20 AMB"], market.maker.address, market.taker.address
    receipts = await market.traders.do(
        actions.set_balance(token, maker, 5),
        actions.transfer(token, maker, taker, 5),
        actions.transfer(token, taker, maker, 3),
    )
    assert len({receipt.block_hash for receipt in receipts}) == 1
    assert [receipt.logs[0].log_index for receipt in receipts[1:]] == [0, 1]
    assert await market.traders.balance_of(token, maker) == 3
    assert await market.traders.control.is_automining()


async def test_the_actions_around_a_reverted_one_are_done(market: Market) -> None:
    token, maker, taker = market.at["erc20 AMB"], market.maker.address, market.taker.address
    with pytest.raises(Reverted):
        await market.traders.do(
            actions.set_balance(token, maker, 5),
            actions.transfer(token, maker, taker, 6),
            actions.transfer(token, maker, taker, 2),
        )
    assert await market.traders.balance_of(token, maker) == 3


async def test_running_out_of_gas_counts_as_a_revert(traders: Traders) -> None:
    looping = await traders.create(LOOPING)
    caller = traders.devnet.accounts[1].address
    with pytest.raises(Reverted):
        await traders.do(actions.transfer(looping, caller, caller, 1))


async def test_equip_gives_a_maker_what_both_protocols_need(market: Market) -> None:
    maker = market.maker.address
    assert await market.traders.balance_of(market.at["zrxToken"], maker) == 10**21
    assert await market.traders.balance_of(market.at["weth9"], maker) == 10 * ETHER
    for proxy in ("erc20Proxy", "erc20ProxyV2"):
        question = "allowance(address,address)"
        answer = await market.traders.call(
            market.at["erc20 PEP"], question, maker, market.at[proxy]
        )
        assert int.from_bytes(answer, "big") == 2**256 - 1
    for identifier in FUNGIBLE_IDS:
        question = "balanceOf(address,uint256)"
        answer = await market.traders.call(market.at["erc1155"], question, maker, identifier)
        assert int.from_bytes(answer, "big") == 10**6


async def test_without_mining_the_actions_make_their_own_block(chain_parts: PartsStore) -> None:
    async with open_devnet(chain_parts, no_mining=True) as devnet:
        traders = Traders(devnet)
        before = await traders.control.block()
        (receipt,) = await traders.do(actions.deposit(devnet.addresses["weth9"], b"\x01" * 20, 0))
        assert receipt.block_number == before.number + 1
        assert not await traders.control.is_automining()


async def test_with_a_block_time_the_actions_wait_for_a_block(chain_parts: PartsStore) -> None:
    async with open_devnet(chain_parts, block_time=0.05) as devnet:
        market = Market(Traders(devnet))
        await market.open()
        order = market.offer(ProtocolVersion.V3)
        receipts = await market.traders.do(
            actions.fill(order, market.taker.address, 10),
            actions.fill(order, market.taker.address, 10),
        )
        assert len(receipts) == 2
        assert (await market.status(order))[::2] == (FILLABLE, 20)
