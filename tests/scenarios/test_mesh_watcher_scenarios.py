"""The scenarios of Mesh's own order watcher tests, read from the vectors, on a real chain."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from fondaco.devnet import actions
from fondaco.devnet.deploy import FUNGIBLE_IDS
from fondaco.zeroex.asset_data import Erc20, Erc721, Erc1155, encode
from fondaco.zeroex.order import NULL_ADDRESS, Address, Amount, ProtocolVersion, SignedOrder
from scenarios.conftest import OpenScene
from support.jumping_clock import JumpingClock
from support.mesh_socket import Event
from support.scene import Scene, brief, told_of

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "mesh_vectors.json").read_text())
CASES: list[dict[str, Any]] = VECTORS["order_watcher_scenarios"]["cases"]
V2, V3 = ProtocolVersion.V2, ProtocolVersion.V3

pytestmark = pytest.mark.chain

Steps = AsyncIterator[SignedOrder]
"""Yields the order in question each time something has been done that may move it."""

DRIVERS: dict[str, Callable[[Scene, ProtocolVersion, JumpingClock], Steps]] = {}
"""What a scenario does, by the words of its vector."""


def does(
    what: str,
) -> Callable[[Callable[[Scene, ProtocolVersion, JumpingClock], Steps]], object]:
    """Say which vector a driver acts out."""

    def note(driver: Callable[[Scene, ProtocolVersion, JumpingClock], Steps]) -> object:
        DRIVERS[what] = driver
        return driver

    return note


async def plain(scene: Scene, version: ProtocolVersion) -> SignedOrder:
    order = scene.market.offer(version)
    await scene.add(order)
    return order


@does("maker transfers the ERC20 maker asset away")
async def _(scene: Scene, version: ProtocolVersion, _: JumpingClock) -> Steps:
    order = await plain(scene, version)
    await scene.do(actions.transfer(scene.at("erc20 PEP"), scene.maker, scene.taker, 10**24))
    yield order


@does("maker transfers the ERC20 maker-fee asset away")
async def _(scene: Scene, version: ProtocolVersion, _: JumpingClock) -> Steps:
    saffron = scene.at("erc20 SAF")
    fee = encode(Erc20(Address(saffron)))
    order = scene.market.offer(version, maker_fee=Amount(7), maker_fee_asset_data=fee)
    await scene.add(order)
    await scene.do(actions.transfer(saffron, scene.maker, scene.taker, 10**24))
    yield order


async def voyage(scene: Scene, version: ProtocolVersion) -> SignedOrder:
    token = scene.at("erc721 VOY")
    await scene.do(actions.mint_erc721(token, scene.maker, 7))
    order = scene.market.offer(version, give=(encode(Erc721(Address(token), 7)), 1))
    await scene.add(order)
    return order


@does("maker transfers the ERC721 token away")
async def _(scene: Scene, version: ProtocolVersion, _: JumpingClock) -> Steps:
    order = await voyage(scene, version)
    await scene.do(actions.transfer_erc721(scene.at("erc721 VOY"), scene.maker, scene.taker, 7))
    yield order


@does("maker revokes ERC721 allowance (approve to null)")
async def _(scene: Scene, version: ProtocolVersion, _: JumpingClock) -> Steps:
    token, proxy = scene.at("erc721 VOY"), scene.of("erc721Proxy", version)
    order = await voyage(scene, version)
    await scene.do(
        actions.approve_erc721(token, scene.maker, proxy, 7),
        actions.approve_all(token, scene.maker, proxy, False),
    )
    yield order
    await scene.do(actions.approve_erc721(token, scene.maker, NULL_ADDRESS, 7))
    yield order


async def shares(scene: Scene, version: ProtocolVersion) -> SignedOrder:
    asset = Erc1155(Address(scene.at("erc1155")), FUNGIBLE_IDS[:1], (1,), b"")
    order = scene.market.offer(version, give=(encode(asset), 10))
    await scene.add(order)
    return order


@does("maker revokes ERC1155 setApprovalForAll")
async def _(scene: Scene, version: ProtocolVersion, _: JumpingClock) -> Steps:
    order = await shares(scene, version)
    proxy = scene.of("erc1155Proxy", version)
    await scene.do(actions.approve_all(scene.at("erc1155"), scene.maker, proxy, False))
    yield order


@does("maker transfers ERC1155 balance away")
async def _(scene: Scene, version: ProtocolVersion, _: JumpingClock) -> Steps:
    order = await shares(scene, version)
    token = scene.at("erc1155")
    await scene.do(
        actions.transfer_erc1155(token, scene.maker, scene.taker, FUNGIBLE_IDS[0], 10**6)
    )
    yield order


@does("maker sets ERC20 allowance of the ERC20 proxy to 0")
async def _(scene: Scene, version: ProtocolVersion, _: JumpingClock) -> Steps:
    order = await plain(scene, version)
    proxy = scene.of("erc20Proxy", version)
    await scene.do(actions.approve(scene.at("erc20 PEP"), scene.maker, proxy, 0))
    yield order


@does("maker transfers away, later receives the asset back")
async def _(scene: Scene, version: ProtocolVersion, _: JumpingClock) -> Steps:
    order = await plain(scene, version)
    pepper = scene.at("erc20 PEP")
    await scene.do(actions.transfer(pepper, scene.maker, scene.taker, 10**24))
    yield order
    await scene.do(actions.transfer(pepper, scene.taker, scene.maker, 10**24))
    yield order


@does(
    "unrelated transfer of the same token involving the maker that leaves the order fully fillable"
)
async def _(scene: Scene, version: ProtocolVersion, _: JumpingClock) -> Steps:
    order = await plain(scene, version)
    await scene.do(actions.transfer(scene.at("erc20 PEP"), scene.maker, scene.taker, 5))
    yield order


@does("maker withdraws WETH maker asset, then deposits it again")
async def _(scene: Scene, version: ProtocolVersion, _: JumpingClock) -> Steps:
    weth = scene.at("weth9")
    order = scene.market.offer(
        version, give=(scene.market.weth, 10**19), want=(scene.market.pepper, 40)
    )
    await scene.add(order)
    await scene.do(actions.withdraw(weth, scene.maker, 10**19))
    yield order
    await scene.do(actions.deposit(weth, scene.maker, 10**19))
    yield order


@does("maker cancels")
async def _(scene: Scene, version: ProtocolVersion, _: JumpingClock) -> Steps:
    order = await plain(scene, version)
    await scene.do(actions.cancel(order))
    yield order


@does("maker cancelOrdersUpTo(salt)")
async def _(scene: Scene, version: ProtocolVersion, _: JumpingClock) -> Steps:
    order = await plain(scene, version)
    await scene.do(actions.cancel_up_to(order.exchange_address, scene.maker, order.salt))
    yield order


@does("taker fills completely")
async def _(scene: Scene, version: ProtocolVersion, _: JumpingClock) -> Steps:
    order = await plain(scene, version)
    await scene.do(actions.fill(order, scene.taker, order.taker_asset_amount))
    yield order


@does("taker fills half")
async def _(scene: Scene, version: ProtocolVersion, _: JumpingClock) -> Steps:
    order = await plain(scene, version)
    await scene.do(actions.fill(order, scene.taker, order.taker_asset_amount // 2))
    yield order


async def expiring(scene: Scene, version: ProtocolVersion, **changes: object) -> SignedOrder:
    """Add an order that expires in a hundred seconds."""
    now = (await scene.control.block()).timestamp
    order = scene.market.offer(version, expires_at=now + 100, **changes)
    await scene.add(order)
    return order


async def mine_at(scene: Scene, timestamp: int, *todo: actions.Action) -> None:
    """Make one block with this time and these transactions."""
    await scene.control.set_next_timestamp(timestamp)
    if todo:
        await scene.do(*todo)
    else:
        await scene.control.mine()


@does("new block with timestamp > expiration, then reorg to two blocks with timestamps before it")
async def _(scene: Scene, version: ProtocolVersion, _: JumpingClock) -> Steps:
    order = await expiring(scene, version)
    before = await scene.control.snapshot()
    await mine_at(scene, order.expiration_time_seconds + 1)
    yield order
    await scene.control.revert(before)
    await mine_at(scene, order.expiration_time_seconds - 20)
    await mine_at(scene, order.expiration_time_seconds - 10)
    yield order


@does(
    "expired order is revalidated at an earlier-than-expiry block and found half fillable, "
    "with an ExchangeFillEvent attached"
)
async def _(scene: Scene, version: ProtocolVersion, _: JumpingClock) -> Steps:
    order = await expiring(scene, version)
    before = await scene.control.snapshot()
    await mine_at(scene, order.expiration_time_seconds + 1)
    assert [brief(event) for event in await scene.events()] == [("EXPIRED", "0", None)]
    await scene.control.revert(before)
    half = actions.fill(order, scene.taker, order.taker_asset_amount // 2)
    await mine_at(scene, order.expiration_time_seconds - 10, half)
    yield order


@does("cleanup job on a stale but unchanged order")
async def _(scene: Scene, version: ProtocolVersion, clock: JumpingClock) -> Steps:
    order = await plain(scene, version)
    await scene.looked_at_again(order, lambda: clock.jump(3_600))
    yield order


TWO_EXPIRE = (
    "two orders expire in one block, one of them is already queued for revalidation by a "
    "contract event"
)
TWO_ADDED = "two valid orders added in one batch"


def matching_versions() -> list[Any]:
    """Return each vector with the versions of orders it was written for."""
    return [
        pytest.param(case, version, id=f"{case['do'][:60]}-v{version}")
        for case in CASES
        if case["do"] not in {TWO_EXPIRE, TWO_ADDED}
        for version in (V2, V3)
        if case.get("v6") or version is V3
    ]


def told_states(events: list[Event], case: dict[str, Any]) -> list[str]:
    """Return the end states of *events*, with remarks where the vector has some."""
    if not any("(" in expected for expected in case["events"]):
        return [event["endState"] for event in events]
    remarked = []
    for event in events:
        fills = [
            cause
            for cause in event["contractEvents"] or ()
            # A real fill also moves tokens; the original's test attached the one event.
            if cause["kind"] == "ExchangeFillEvent"
        ]
        has_none = event["contractEvents"] is None
        remark = "no contractEvents" if has_none else f"{len(fills)} contractEvent"
        remarked.append(f"{event['endState']} ({remark})")
    return remarked


@pytest.mark.parametrize(("case", "version"), matching_versions())
async def test_scenario(
    open_scene: OpenScene, case: dict[str, Any], version: ProtocolVersion
) -> None:
    clock = JumpingClock()
    async with open_scene(clock=clock) as scene:
        events: list[Event] = []
        found: list[tuple[str, int] | None] = []
        async for order in DRIVERS[case["do"]](scene, version, clock):
            events += await scene.events()
            found.append(scene.stored(order))
        assert told_states(events, case) == case["events"]
        amounts = {
            "0": 0,
            "takerAssetAmount": order.taker_asset_amount,
            "takerAssetAmount/2": order.taker_asset_amount // 2,
        }
        if "eventFillable" in case:
            told = [int(event["fillableTakerAssetAmount"]) for event in events]
            assert told == [amounts[words] for words in case["eventFillable"]]
        expected = case.get("db", [])
        if isinstance(expected, dict):
            expected, found = [expected], found[-1:]
        for wanted, row in zip(expected, found, strict=bool(expected)):
            assert row is not None
            assert (row[0] == "removed") is wanted["isRemoved"]
            assert row[1] == amounts.get(wanted.get("fillable", ""), row[1])


def case_of(what: str) -> dict[str, Any]:
    (case,) = [case for case in CASES if case["do"] == what]
    return case


async def test_two_expire_and_one_is_queued_already(scene: Scene) -> None:
    """By time alone only the other one expires; the queued one is told of once, by its look."""
    assert case_of(TWO_EXPIRE)["events"] == ["EXPIRED for the other one only"]
    saffron = encode(Erc20(Address(scene.at("erc20 SAF"))))
    queued = await expiring(scene, V3)
    other = scene.market.offer(
        V3, give=(saffron, 100), expires_at=queued.expiration_time_seconds, salt=2
    )
    await scene.add(other)
    touch = actions.transfer(scene.at("erc20 PEP"), scene.maker, scene.taker, 1)
    await mine_at(scene, queued.expiration_time_seconds, touch)
    events = await scene.events()
    assert told_of(events, other) == [("EXPIRED", "0", None)]
    assert told_of(events, queued) == [("EXPIRED", "0", ["ERC20TransferEvent"])]
    assert len(events) == 2


async def test_two_added_in_one_batch(scene: Scene, version: ProtocolVersion) -> None:
    case = case_of(TWO_ADDED)
    assert case["delivery"] == "one notification holding both"
    orders = [scene.market.offer(version, salt=salt) for salt in (1, 2)]
    await scene.settle()
    await scene.client.add(*orders)
    notification = await scene.watching.next_events()
    assert [event["endState"] for event in notification] == case["events"]


def test_every_vector_is_acted_out() -> None:
    assert {case["do"] for case in CASES} == DRIVERS.keys() | {TWO_EXPIRE, TWO_ADDED}
