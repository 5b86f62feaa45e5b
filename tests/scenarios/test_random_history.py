"""Whatever happens in whatever sequence: the book is what DevUtils says, and the log adds up to it.

Seeded chance lets traders fill, cancel, move and approve, lets time pass and the chain go
back, and adds orders in between, several steps at a time without waiting for the node.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

import pytest

from fondaco.chain import wire
from fondaco.devnet import actions
from fondaco.devnet.actions import Action
from fondaco.devnet.rpc import Reverted
from fondaco.devnet.traders import GAS
from fondaco.zeroex import dev_utils
from fondaco.zeroex.order import ProtocolVersion, SignedOrder
from scenarios.conftest import OpenScene
from support.scene import Scene, name_of

pytestmark = pytest.mark.chain

V2, V3 = ProtocolVersion.V2, ProtocolVersion.V3
FILLABLE = 3

ROUNDS = 12
STEPS = 6
"""Steps between two comparisons."""


class History:
    """Lets chance act, and knows what must come of it."""

    def __init__(self, scene: Scene, chance: random.Random) -> None:
        self._scene = scene
        self._chance = chance
        self._salt = 0
        self._mark: str | None = None
        self.orders: dict[str, SignedOrder] = {}
        """Every order that was ever accepted."""

    async def step(self) -> None:
        """Do one thing; that it reverts is as good as that it does not."""
        doers: list[Callable[[], Awaitable[None]]] = [
            self._add,
            self._add,
            self._fill,
            self._fill,
            self._cancel,
            self._cancel_up_to,
            self._move_tokens,
            self._approve,
            self._let_time_pass,
            self._go_back,
        ]
        await self._chance.choice(doers)()

    async def _do(self, *todo: Action) -> None:
        try:
            await self._scene.do(*todo)
        except Reverted:
            # A transaction of a block may fail; those around it are in the chain.
            return

    async def _add(self) -> None:
        if self._chance.random() < 0.7:
            await self._fund()
        now = (await self._scene.control.block()).timestamp
        batch = []
        for _ in range(self._chance.randint(1, 4)):
            self._salt += 1
            life = self._chance.choice((60, 300, 10**6))
            give = (self._scene.market.pepper, self._chance.choice((40, 100, 300)))
            version = self._chance.choice((V2, V3))
            batch.append(
                self._scene.market.offer(version, salt=self._salt, expires_at=now + life, give=give)
            )
        result = await self._scene.client.add(*batch)
        names = {name_of(order): order for order in batch}
        for entry in result["accepted"]:
            self.orders[entry["orderHash"]] = names[entry["orderHash"]]

    async def _fund(self) -> None:
        """Let the maker be able to deliver."""
        pepper, maker, taker = self._scene.at("erc20 PEP"), self._scene.maker, self._scene.taker
        await self._do(
            actions.transfer(pepper, taker, maker, 5_000),
            *(
                actions.approve(pepper, maker, self._scene.of("erc20Proxy", version))
                for version in (V2, V3)
            ),
        )

    def _any_order(self) -> SignedOrder | None:
        return self._chance.choice(list(self.orders.values())) if self.orders else None

    async def _fill(self) -> None:
        order = self._any_order()
        if order is not None:
            amount = self._chance.choice((10, 20, 40))
            await self._do(actions.fill(order, self._scene.taker, amount))

    async def _cancel(self) -> None:
        order = self._any_order()
        if order is not None:
            await self._do(actions.fill(order, self._scene.taker, 10), actions.cancel(order))

    async def _cancel_up_to(self) -> None:
        order = self._any_order()
        if order is not None and self._chance.random() < 0.5:
            salt = max(0, self._salt - 8)
            await self._do(actions.cancel_up_to(order.exchange_address, self._scene.maker, salt))

    async def _move_tokens(self) -> None:
        pepper, maker, taker = self._scene.at("erc20 PEP"), self._scene.maker, self._scene.taker
        has = await self._scene.market.traders.balance_of(pepper, maker)
        if has > 1_000:
            await self._do(
                actions.transfer(pepper, maker, taker, has - self._chance.choice((0, 90, 250)))
            )
        else:
            await self._do(actions.transfer(pepper, taker, maker, 10**22))

    async def _approve(self) -> None:
        proxy = self._scene.of("erc20Proxy", self._chance.choice((V2, V3)))
        amount = self._chance.choice((0, 95, 10**30))
        await self._do(
            actions.approve(self._scene.at("erc20 PEP"), self._scene.maker, proxy, amount)
        )

    async def _let_time_pass(self) -> None:
        now = (await self._scene.control.block()).timestamp
        await self._scene.control.set_next_timestamp(now + self._chance.choice((5, 100, 400)))
        await self._scene.control.mine(self._chance.choice((1, 2, 25)))

    async def _go_back(self) -> None:
        """Undo everything since a mark, or set one."""
        control = self._scene.control
        if self._mark is None:
            now = (await control.block()).timestamp
            self._mark = await control.snapshot()
            await control.set_next_timestamp(now + 1)
            await control.mine()
            return
        await control.revert(self._mark)
        self._mark = None
        now = (await control.block()).timestamp
        await control.set_next_timestamp(now + self._chance.choice((1, 2)))
        await control.mine(self._chance.choice((1, 3, 30)))

    async def truth(self) -> dict[str, str]:
        """Return the orders that can be filled, and for how much, by the contract's word."""
        found: dict[str, str] = {}
        for version in (V2, V3):
            orders = [order for order in self.orders.values() if order.version is version]
            if not orders:
                continue
            question = {
                "to": wire.encode_data(self._scene.of("devUtils", version)),
                "data": wire.encode_data(dev_utils.encode_call(orders)),
                "gas": hex(20 * GAS),
            }
            rpc = self._scene.market.traders.devnet.rpc
            answer = wire.data(await rpc.call("eth_call", question, "latest"))
            for order, state in zip(
                orders, dev_utils.decode_answer(answer, len(orders)), strict=True
            ):
                remaining = order.taker_asset_amount - state.filled
                if state.status == FILLABLE and state.fillable == remaining:
                    found[name_of(order)] = str(remaining)
        return found


SEEDS = [*range(3), *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(3, 30))]


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_book_is_what_the_contract_says(open_scene: OpenScene, seed: int) -> None:
    async with open_scene() as scene:
        history = History(scene, random.Random(seed))
        told: dict[str, str] = {}
        for _ in range(ROUNDS):
            for _ in range(STEPS):
                await history.step()
            stats = await scene.settle()
            last = stats["lastSequence"]
            for event in await scene.watching.until(last, after=scene.sequence):
                told[event["orderHash"]] = event["fillableTakerAssetAmount"]
            scene.sequence = last
            book = await scene.client.book()
            assert book == await history.truth()
            assert {name: amount for name, amount in told.items() if amount != "0"} == book
        assert len(history.orders) > 10
        assert scene.sequence > 25
