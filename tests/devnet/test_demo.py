"""The demo's market on the real chain, with a door that only looks at the orders."""

from __future__ import annotations

import asyncio
import random

import msgspec
import pytest

from fondaco.clock import SystemClock
from fondaco.devnet import actions
from fondaco.devnet.chain import Devnet
from fondaco.devnet.demo import FEWEST, FIRST_ROUNDS, MOST, Demo, trade_forever
from fondaco.devnet.traders import Traders
from fondaco.devnet.wares import KINDS
from fondaco.testing.clock import FakeClock
from fondaco.zeroex.asset_data import decode
from fondaco.zeroex.codec import decode_order
from fondaco.zeroex.order import ProtocolVersion, SignedOrder

pytestmark = pytest.mark.chain


class Door:
    """Takes orders as a node does: each must be good for its whole amount."""

    def __init__(self, traders: Traders) -> None:
        self.orders: list[SignedOrder] = []
        self._traders = traders

    async def submit(self, batch: list[dict[str, object]]) -> None:
        for fields in batch:
            order = decode_order(msgspec.json.encode(fields))
            assert await self._fillable(order) == (order.taker_asset_amount, True), fields
            self.orders.append(order)

    async def _fillable(self, order: SignedOrder) -> tuple[int, bool]:
        is_v3 = order.version is ProtocolVersion.V3
        dev_utils = self._traders.devnet.addresses["devUtils" if is_v3 else "devUtilsV2"]
        signature = actions.order_signature(order.version, "getOrderRelevantState({},bytes)")
        arguments = (actions.order_tuple(order), order.signature)
        answer = await self._traders.call(dev_utils, signature, *arguments)
        return int.from_bytes(answer[96:128], "big"), answer[159] == 1


async def test_what_is_offered_is_good_and_everything_happens(
    devnet: Devnet, traders: Traders
) -> None:
    door, said = Door(traders), list[str]()
    demo = Demo(
        devnet, door.submit, random=random.Random(7), clock=SystemClock(), report=said.append
    )
    await demo.open()
    assert len(door.orders) == FIRST_ROUNDS * len(KINDS)
    for _ in range(150):
        await demo.step()
    assert FEWEST - 5 <= len(demo.listings) <= MOST
    assert {type(decode(order.maker_asset_data)).__name__ for order in door.orders} == {
        "Erc20",
        "Erc721",
        "Erc1155",
        "MultiAsset",
    }
    assert {(order.version, order.signature[-1]) for order in door.orders} == {
        (version, kind) for version in ProtocolVersion for kind in (2, 3)
    }
    for deed in ("offered", " filled", "part of", " cancelled", "up to a salt", "away", "back"):
        assert any(deed in line for line in said), deed
    refused = [line for line in said if line.startswith("refused")]
    assert len(refused) < len(said) / 10, refused


async def test_a_seed_gives_the_same_market(devnet: Devnet, traders: Traders) -> None:
    told = []
    for _ in range(2):
        said, mark = list[str](), await traders.control.snapshot()
        clock = FakeClock(now_ns=SystemClock().now_ns())
        door = Door(traders)
        demo = Demo(devnet, door.submit, random=random.Random(3), clock=clock, report=said.append)
        await demo.open()
        for _ in range(20):
            await demo.step()
        told.append(said)
        await traders.control.revert(mark)
    assert told[0] == told[1]


async def test_it_goes_on_until_it_is_cancelled(devnet: Devnet) -> None:
    clock, said = FakeClock(now_ns=SystemClock().now_ns()), list[str]()

    async def submit(batch: list[dict[str, object]]) -> None:
        said.append(f"{len(batch)} submitted")

    trading = asyncio.create_task(
        trade_forever(devnet, submit, random=random.Random(1), clock=clock, report=said.append)
    )
    async with asyncio.timeout(30):
        while len(said) < 8:
            await clock.advance(2)
    assert not trading.done()
    trading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await trading
