"""Every end state of an order, brought about on the real contracts."""

from __future__ import annotations

import pytest

from fondaco.devnet import actions
from fondaco.devnet.actions import Action
from fondaco.testing.contracts import SET_REFUSING, WALLET_MAGIC, accepting
from fondaco.zeroex.order import Address, ProtocolVersion, SignedOrder
from scenarios.conftest import OpenScene
from support.mesh_socket import MeshError, codes
from support.scene import Scene, brief, name_of, told_of

pytestmark = pytest.mark.chain

FILL, CANCEL, UP_TO = "ExchangeFillEvent", "ExchangeCancelEvent", "ExchangeCancelUpToEvent"
TRANSFER, APPROVAL = "ERC20TransferEvent", "ERC20ApprovalEvent"


def send_away(scene: Scene, amount: int) -> Action:
    """Take Pepper from the maker, who has 10**24 of it."""
    return actions.transfer(scene.at("erc20 PEP"), scene.maker, scene.taker, amount)


async def test_added_filled_fully_filled(scene: Scene, version: ProtocolVersion) -> None:
    order = scene.market.offer(version)
    (event,) = await scene.add(order)
    assert brief(event) == ("ADDED", "40", None)
    assert await scene.client.book() == {name_of(order): "40"}

    await scene.do(actions.fill(order, scene.taker, 10))
    assert await scene.brief() == [("FILLED", "30", [FILL, TRANSFER])]
    assert await scene.client.book() == {name_of(order): "30"}

    await scene.do(actions.fill(order, scene.taker, 30))
    assert await scene.brief() == [("FULLY_FILLED", "0", [FILL, TRANSFER])]
    assert await scene.client.book() == {}
    assert scene.stored(order) == ("removed", 0)


async def test_two_fills_in_one_block_are_one_event(scene: Scene, version: ProtocolVersion) -> None:
    order = scene.market.offer(version)
    await scene.add(order)
    await scene.do(*(actions.fill(order, scene.taker, 10) for _ in range(2)))
    assert await scene.brief() == [("FILLED", "20", [FILL, TRANSFER] * 2)]


async def test_cancelled(scene: Scene, version: ProtocolVersion) -> None:
    order = scene.market.offer(version)
    await scene.add(order)
    await scene.do(actions.fill(order, scene.taker, 10), actions.fill(order, scene.taker, 10))
    await scene.events()
    await scene.do(actions.cancel(order))
    assert await scene.brief() == [("CANCELLED", "0", [CANCEL])]
    assert scene.stored(order) == ("removed", 0)


async def test_cancelled_up_to_a_salt(scene: Scene, version: ProtocolVersion) -> None:
    orders = [scene.market.offer(version, salt=salt) for salt in (4, 5, 6)]
    other = ProtocolVersion.V2 if version is ProtocolVersion.V3 else ProtocolVersion.V3
    elsewhere = scene.market.offer(other, salt=4)
    await scene.add(*orders, elsewhere)
    await scene.do(actions.cancel_up_to(orders[0].exchange_address, scene.maker, 5))
    events = await scene.events()
    assert [told_of(events, order) for order in (*orders, elsewhere)] == [
        [("CANCELLED", "0", [UP_TO])],
        [("CANCELLED", "0", [UP_TO])],
        [],
        [],
    ]


async def test_filled_and_cancelled_in_one_block_is_one_event(
    scene: Scene, version: ProtocolVersion
) -> None:
    order = scene.market.offer(version)
    await scene.add(order)
    await scene.do(actions.fill(order, scene.taker, 10), actions.cancel(order))
    assert await scene.brief() == [("CANCELLED", "0", [FILL, TRANSFER, CANCEL])]


async def test_unfunded_and_added_again(scene: Scene, version: ProtocolVersion) -> None:
    order = scene.market.offer(version)
    await scene.add(order)
    await scene.do(send_away(scene, 10**24 - 99))
    assert await scene.brief() == [("UNFUNDED", "0", [TRANSFER])]
    assert scene.stored(order) == ("removed", 0)
    refused = await scene.client.add(order)
    assert refused["accepted"] == []
    assert codes(refused["rejected"]) == ["OrderAlreadyStoredAndUnfillable"]

    pepper = scene.at("erc20 PEP")
    await scene.do(actions.transfer(pepper, scene.taker, scene.maker, 1))
    assert await scene.brief() == [("ADDED", "40", [TRANSFER])]
    again = await scene.client.add(order)
    assert [entry["isNew"] for entry in again["accepted"]] == [False]
    assert await scene.events() == []


async def test_an_allowance_taken_back_and_given_again(
    scene: Scene, version: ProtocolVersion
) -> None:
    order = scene.market.offer(version)
    await scene.add(order)
    approval = (scene.at("erc20 PEP"), scene.maker, scene.of("erc20Proxy", version))
    await scene.do(actions.approve(*approval, 99))
    assert await scene.brief() == [("UNFUNDED", "0", [APPROVAL])]
    await scene.do(actions.approve(*approval, 100))
    assert await scene.brief() == [("ADDED", "40", [APPROVAL])]


async def test_expired_by_time_alone(scene: Scene, version: ProtocolVersion) -> None:
    now = (await scene.control.block()).timestamp
    order = scene.market.offer(version, expires_at=now + 1_000)
    later = scene.market.offer(version, expires_at=now + 1_001, salt=2)
    await scene.add(order, later)
    await scene.control.set_next_timestamp(now + 999)
    await scene.control.mine()
    assert await scene.events() == []
    await scene.control.set_next_timestamp(now + 1_000)
    await scene.control.mine()
    assert await scene.brief() == [("EXPIRED", "0", None)]
    # Its amount is kept: time may go back.
    assert scene.stored(order) == ("removed", 40)
    assert await scene.client.book() == {name_of(later): "40"}


async def test_unexpired_when_time_goes_back(scene: Scene, version: ProtocolVersion) -> None:
    now = (await scene.control.block()).timestamp
    order = scene.market.offer(version, expires_at=now + 1_000)
    await scene.add(order)
    before = await scene.control.snapshot()
    await scene.control.set_next_timestamp(now + 1_000)
    await scene.control.mine()
    assert await scene.brief() == [("EXPIRED", "0", None)]
    await scene.control.revert(before)
    await scene.control.set_next_timestamp(now + 10)
    await scene.control.mine()
    assert await scene.brief() == [("UNEXPIRED", "40", None)]
    assert scene.stored(order) == ("live", 40)


async def test_more_and_less_of_it_can_be_delivered(
    open_scene: OpenScene, version: ProtocolVersion
) -> None:
    """Only where partly funded orders are kept: elsewhere they end as UNFUNDED."""
    async with open_scene(ACCEPT_PARTIALLY_FUNDED="true") as scene:
        pepper = scene.at("erc20 PEP")
        order = scene.market.offer(version)
        await scene.do(actions.set_balance(pepper, scene.maker, 50))
        (event,) = await scene.add(order)
        assert brief(event) == ("ADDED", "20", None)
        await scene.do(actions.transfer(pepper, scene.taker, scene.maker, 25))
        assert await scene.brief() == [("FILLABILITY_INCREASED", "30", [TRANSFER])]
        await scene.do(send_away(scene, 50))
        assert await scene.brief() == [("FILLED", "10", [TRANSFER])]
        await scene.do(actions.fill(order, scene.taker, 4), actions.fill(order, scene.taker, 6))
        assert await scene.brief() == [("UNFUNDED", "0", [FILL, TRANSFER] * 2)]
        await scene.do(actions.transfer(pepper, scene.taker, scene.maker, 10**6))
        assert await scene.brief() == [("ADDED", "30", [TRANSFER])]


async def test_partly_funded_is_unfunded_by_default(scene: Scene, version: ProtocolVersion) -> None:
    order = scene.market.offer(version)
    await scene.do(actions.set_balance(scene.at("erc20 PEP"), scene.maker, 99))
    await scene.settle()
    refused = await scene.client.add(order)
    assert codes(refused["rejected"]) == ["OrderUnfunded"]
    assert await scene.events() == []
    # It was never stored, so nothing is told when it could be filled.
    await scene.do(actions.set_balance(scene.at("erc20 PEP"), scene.maker, 100))
    assert await scene.events() == []
    await scene.add(order)


def expiring(scene: Scene, version: ProtocolVersion, *seconds: int) -> list[SignedOrder]:
    """Return orders that expire so many seconds after the year 2100 began."""
    far = 4_102_444_800
    return [scene.market.offer(version, expires_at=far + n, salt=n) for n in seconds]


async def test_stopped_watching_to_make_room(
    open_scene: OpenScene, version: ProtocolVersion
) -> None:
    async with open_scene(MAX_ORDERS_IN_STORAGE="10") as scene:
        pinned = expiring(scene, version, 100, 101)
        loose = expiring(scene, version, 1, 2, 3, 4, 5, 6, 7, 8)
        await scene.add(*pinned)
        await scene.add(*loose, pinned=False)
        newcomer, too_late = expiring(scene, version, 0, 50)

        added = await scene.client.add(newcomer, options={"pinned": False})
        assert [entry["orderHash"] for entry in added["accepted"]] == [name_of(newcomer)]
        events = await scene.events()
        assert [(event["orderHash"], *brief(event)) for event in events] == [
            (name_of(loose[-1]), "STOPPED_WATCHING", "40", None),
            (name_of(newcomer), "ADDED", "40", None),
        ]
        # From now on nothing that expires as late as what had to go.
        maximum = str(loose[-1].expiration_time_seconds - 1)
        assert (await scene.client.stats())["maxExpirationTime"] == maximum
        for options in ({"pinned": False}, {"pinned": True}):
            refused = await scene.client.add(too_late, options=options)
            assert codes(refused["rejected"]) == ["OrderMaxExpirationExceeded"]
        # What made room is not stored any more: what happens to it is not told.
        await scene.do(actions.cancel(loose[-1]))
        assert await scene.events() == []
        explained = await scene.client.call("mesh_explain", name_of(loose[-1]))
        assert explained["status"] == "gone"


async def test_a_store_full_of_pinned_orders_takes_no_more(
    open_scene: OpenScene, version: ProtocolVersion
) -> None:
    async with open_scene(MAX_ORDERS_IN_STORAGE="3") as scene:
        first, second, third, fourth = expiring(scene, version, 4, 3, 2, 1)
        await scene.add(first, second)
        result = await scene.client.add(third, fourth, options={"pinned": False})
        assert [entry["orderHash"] for entry in result["accepted"]] == [name_of(third)]
        assert codes(result["rejected"]) == ["DatabaseFullOfOrders"]
        assert await scene.brief() == [("ADDED", "40", None)]


async def wallet_order(scene: Scene, version: ProtocolVersion) -> tuple[bytes, SignedOrder]:
    """Return a contract that signs for itself, and an order of it."""
    traders = scene.market.traders
    wallet = await traders.create(accepting(WALLET_MAGIC))
    await traders.equip(wallet)
    return wallet, scene.market.offer(version, maker_address=Address(wallet), signature=b"\x04")


async def test_invalid_when_a_wallet_changes_its_mind(
    scene: Scene, version: ProtocolVersion
) -> None:
    """Mesh stopped here. Nothing tells of the change itself: the next look finds it."""
    wallet, order = await wallet_order(scene, version)
    await scene.add(order)
    touch = actions.transfer(scene.at("erc20 PEP"), scene.taker, wallet, 1)
    await scene.do(touch)
    assert await scene.events() == []

    await scene.do(actions.call(scene.taker, wallet, SET_REFUSING, True))
    assert await scene.events() == []
    assert scene.stored(order) == ("live", 40)
    await scene.do(touch)
    assert await scene.brief() == [("INVALID", "0", [TRANSFER])]
    assert scene.stored(order) == ("removed", 0)

    await scene.do(actions.call(scene.taker, wallet, SET_REFUSING, False), touch)
    assert await scene.brief() == [("ADDED", "40", [TRANSFER])]


async def test_what_is_said_of_an_order_afterwards(scene: Scene, version: ProtocolVersion) -> None:
    order = scene.market.offer(version)
    await scene.add(order)
    await scene.do(actions.fill(order, scene.taker, 10))
    await scene.events()
    await scene.do(actions.cancel(order))
    await scene.events()
    explained = await scene.client.call("mesh_explain", name_of(order))
    steps = [(step["what"], step["fillableTakerAssetAmount"]) for step in explained["steps"]]
    assert steps == [("ADDED", "40"), ("FILLED", "30"), ("CANCELLED", "0")]
    assert [step["sequence"] for step in explained["steps"]] == [1, 2, 3]
    assert explained["steps"][1]["why"] == f"moved by {FILL}, {TRANSFER}"
    with pytest.raises(MeshError, match="64 hexadecimal digits"):
        await scene.client.call("mesh_explain", "0x12")
