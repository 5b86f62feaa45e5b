"""What happens because time passes at the node: cleanup, forgetting, snapshots."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from fondaco.devnet import actions
from fondaco.testing.contracts import SET_REFUSING, WALLET_MAGIC, accepting
from fondaco.zeroex.housekeeping import CLEANUP_INTERVAL, FORGET_INTERVAL
from fondaco.zeroex.order import Address, ProtocolVersion
from fondaco.zeroex.snapshots import SNAPSHOT_IDLE
from scenarios.conftest import OpenScene
from support.jumping_clock import JumpingClock
from support.mesh_socket import PATIENCE, MeshError, codes
from support.scene import Scene, name_of

pytestmark = pytest.mark.chain

V3 = ProtocolVersion.V3


@pytest.fixture
def clock() -> JumpingClock:
    return JumpingClock()


@pytest.fixture
async def scene(open_scene: OpenScene, clock: JumpingClock) -> AsyncIterator[Scene]:
    async with open_scene(clock=clock) as opened:
        yield opened


async def test_the_cleanup_finds_what_no_event_told(
    scene: Scene, clock: JumpingClock, version: ProtocolVersion
) -> None:
    """``contractEvents`` is then an empty list, not ``null``."""
    order = scene.market.offer(version)
    await scene.add(order)
    # The dummy token emits nothing when its owner sets a balance.
    await scene.do(actions.set_balance(scene.at("erc20 PEP"), scene.maker, 1))
    assert await scene.events() == []
    await scene.looked_at_again(order, lambda: clock.jump(CLEANUP_INTERVAL))
    assert await scene.brief() == [("UNFUNDED", "0", [])]


async def test_the_cleanup_finds_a_wallet_that_changed_its_mind(
    scene: Scene, clock: JumpingClock, version: ProtocolVersion
) -> None:
    wallet = await scene.market.traders.create(accepting(WALLET_MAGIC))
    await scene.market.traders.equip(wallet)
    order = scene.market.offer(version, maker_address=Address(wallet), signature=b"\x04")
    await scene.add(order)
    await scene.do(actions.call(scene.taker, wallet, SET_REFUSING, True))
    assert await scene.events() == []
    await scene.looked_at_again(order, lambda: clock.jump(CLEANUP_INTERVAL))
    assert await scene.brief() == [("INVALID", "0", [])]


async def test_what_was_looked_at_lately_is_left_alone(scene: Scene, clock: JumpingClock) -> None:
    old, young = (scene.market.offer(V3, salt=salt) for salt in (1, 2))
    await scene.add(old)
    clock.jump(CLEANUP_INTERVAL - 1_000)
    await scene.add(young)
    explained = await scene.client.call("mesh_explain", name_of(young))
    await scene.looked_at_again(old, lambda: clock.jump(1_000))
    assert await scene.client.call("mesh_explain", name_of(young)) == explained


async def test_a_removed_order_is_forgotten_and_can_come_again(
    scene: Scene, clock: JumpingClock, version: ProtocolVersion
) -> None:
    order = scene.market.offer(version)
    pepper = scene.at("erc20 PEP")
    await scene.add(order)
    await scene.do(actions.transfer(pepper, scene.maker, scene.taker, 10**24))
    assert await scene.brief() == [("UNFUNDED", "0", ["ERC20TransferEvent"])]
    await scene.do(actions.set_balance(pepper, scene.maker, 10**24))
    await scene.settle()
    refused = await scene.client.add(order)
    assert codes(refused["rejected"]) == ["OrderAlreadyStoredAndUnfillable"]

    clock.jump(2 * FORGET_INTERVAL)
    async with asyncio.timeout(PATIENCE):
        while (await scene.client.stats())["numOrdersIncludingRemoved"]:
            pass
    assert scene.stored(order) is None
    # Nothing is told of forgetting, and the log still speaks of the order.
    assert await scene.events() == []
    again = await scene.client.subscribe(since=0)
    assert [event["endState"] for event in await again.take(2)] == ["ADDED", "UNFUNDED"]
    await scene.add(order)
    assert scene.stored(order) == ("live", 40)


async def test_a_snapshot_ends_a_minute_after_its_last_use(
    scene: Scene, clock: JumpingClock
) -> None:
    await scene.add(*(scene.market.offer(V3, salt=salt) for salt in range(3)))
    snapshot = (await scene.client.call("mesh_getOrders", 0, 2, ""))["snapshotID"]
    clock.jump(SNAPSHOT_IDLE - 5)
    page = await scene.client.call("mesh_getOrders", 1, 2, snapshot)
    assert len(page["ordersInfos"]) == 1
    clock.jump(SNAPSHOT_IDLE - 5)
    page = await scene.client.call("mesh_getOrders", 2, 2, snapshot)
    assert page["ordersInfos"] == []
    clock.jump(SNAPSHOT_IDLE + 1)
    with pytest.raises(MeshError) as caught:
        await scene.client.call("mesh_getOrders", 0, 2, snapshot)
    assert caught.value.message == (
        f"No snapshot found with id: {snapshot}. To create a new snapshot, send a request "
        "with an empty snapshotID"
    )


async def test_a_snapshot_does_not_move_with_the_book(scene: Scene) -> None:
    orders = [scene.market.offer(V3, salt=salt) for salt in range(6)]
    await scene.add(*orders)
    first = await scene.client.call("mesh_getOrders", 0, 3, "")
    await scene.do(actions.cancel_up_to(orders[0].exchange_address, scene.maker, 5))
    await scene.settle()
    second = await scene.client.call("mesh_getOrders", 1, 3, first["snapshotID"])
    found = [info["orderHash"] for info in first["ordersInfos"] + second["ordersInfos"]]
    assert found == sorted(map(name_of, orders))
    assert await scene.client.book() == {}
