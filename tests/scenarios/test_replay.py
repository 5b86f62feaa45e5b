"""Subscribing with ``since``: what was missed, then what happens, without a seam."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fondaco.devnet import actions
from fondaco.ready import ReadyInfo
from fondaco.zeroex.housekeeping import FORGET_INTERVAL
from fondaco.zeroex.order import ProtocolVersion
from scenarios.conftest import OpenScene
from support.jumping_clock import JumpingClock
from support.market import Market
from support.mesh_socket import PATIENCE, Event, MeshError, MeshSocket, open_socket
from support.running_node import node_in_process
from support.scene import Scene, name_of

pytestmark = pytest.mark.chain

V2, V3 = ProtocolVersion.V2, ProtocolVersion.V3


async def a_history(scene: Scene) -> list[Event]:
    """Let several things happen; return all events as they were told live."""
    filled, cancelled, unfunded = (
        scene.market.offer(version, salt=salt) for salt, version in enumerate((V2, V3, V2))
    )
    events = await scene.add(filled, cancelled, unfunded)
    for action in (
        actions.fill(filled, scene.taker, 10),
        actions.cancel(cancelled),
        actions.transfer(scene.at("erc20 PEP"), scene.maker, scene.taker, 10**24 - 225),
        actions.transfer(scene.at("erc20 PEP"), scene.maker, scene.taker, 200),
        actions.transfer(scene.at("erc20 PEP"), scene.taker, scene.maker, 10**24 - 25),
        actions.fill(filled, scene.taker, 30),
    ):
        await scene.do(action)
        events += await scene.events()
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    return events


async def test_replayed_as_it_was_told(scene: Scene) -> None:
    events = await a_history(scene)
    assert len(events) > 6
    for since in (0, 1, len(events) // 2, len(events) - 1):
        replay = await scene.client.subscribe(since=since)
        assert await replay.take(len(events) - since) == events[since:]
        assert replay.results.empty()
    at_the_end = await scene.client.subscribe(since=len(events))
    await scene.add(scene.market.offer(V3, salt=99))
    (event,) = await at_the_end.take(1)
    assert event["sequence"] == len(events) + 1


async def test_replayed_after_a_restart(
    market: Market, settings: dict[str, str], tmp_path: Path
) -> None:
    async with (
        node_in_process(settings, data_dir=tmp_path / "node") as node,
        open_socket(node.rpc) as client,
    ):
        watching = await client.subscribe()
        await client.add(*(market.offer(V3, salt=salt) for salt in range(3)))
        told = await watching.take(3)
    async with (
        node_in_process(settings, data_dir=tmp_path / "node") as node,
        open_socket(node.rpc) as client,
    ):
        replay = await client.subscribe(since=1)
        assert await replay.take(2) == told[1:]
        await client.add(market.offer(V2))
        (event,) = await replay.take(1)
        assert event["sequence"] == 4


async def test_only_what_a_filter_wants(scene: Scene) -> None:
    events = await a_history(scene)
    (voyager,) = (account for account in scene.market.traders.devnet.accounts[3:4])
    await scene.market.traders.equip(voyager.address)
    await scene.settle()
    wanted = [event for event in events if event["signedOrder"].get("chainId") is None]
    assert 0 < len(wanted) < len(events)
    exchange = f"0x{scene.at('exchangeV2').hex()}"
    replay = await scene.client.subscribe(since=0, filter={"exchangeAddress": exchange})
    assert await replay.take(len(wanted)) == wanted
    # Live, too: the order of the other version is not told.
    await scene.add(scene.market.offer(V3, salt=50), scene.market.offer(V2, salt=51))
    (event,) = await replay.take(1)
    assert event["signedOrder"]["salt"] == "51"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"since": 1_000}, "InvalidParameter"),
        ({"since": -1}, "InvalidParameter"),
        ({"since": "0"}, None),
        ({"since": 1.5}, None),
        ({"since": True}, None),
        ({"sinze": 0}, None),
        ({"filter": {"colour": "red"}}, "InvalidParameter"),
        ({"filter": []}, None),
    ],
)
async def test_options_that_cannot_be_meant(
    scene: Scene, options: dict[str, Any], code: str | None
) -> None:
    await scene.add(scene.market.offer(V3))
    with pytest.raises(MeshError) as caught:
        await scene.client.subscribe(**options)
    if code is None:
        assert caught.value.code == -32602
    else:
        assert caught.value.data["code"] == code
    assert (await scene.client.stats())["subscribers"] == 1


async def test_past_the_end_of_the_log_there_is_an_error_not_a_gap(open_scene: OpenScene) -> None:
    clock = JumpingClock()
    async with open_scene(clock=clock, EVENT_LOG_MAX_ROWS="1000") as scene:
        orders = [scene.market.offer(V3, salt=salt) for salt in range(1_200)]
        await scene.add(*orders[:600])
        await scene.add(*orders[600:])
        replay = await scene.client.subscribe(since=0)
        assert len(await replay.take(1_200)) == 1_200

        clock.jump(FORGET_INTERVAL)
        error = await first_error(scene.client, since=0)
        assert error.message == "events before 201 are no longer kept"
        assert error.data == {
            "code": "EventsGone",
            "field": "since",
            "expected": "at least 200",
            "firstAvailable": 201,
        }
        with pytest.raises(MeshError, match="events before 201 are no longer kept"):
            await scene.client.subscribe(since=199)
        replay = await scene.client.subscribe(since=200)
        assert len(await replay.until(1_200, after=200)) == 1_000
        # The book has not shrunk with the log.
        assert len(await scene.client.book()) == 1_200


async def first_error(client: MeshSocket, since: int) -> MeshError:
    """Subscribe until that is refused; return the refusal."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await client.call("mesh_unsubscribe", (await client.subscribe(since=since)).id)
            except MeshError as error:
                return error


async def test_a_log_of_other_retention_forgets_by_age(open_scene: OpenScene) -> None:
    clock = JumpingClock()
    async with open_scene(clock=clock, EVENT_LOG_RETENTION="1h") as scene:
        await scene.add(scene.market.offer(V3, salt=1))
        clock.jump(3_000)
        await scene.add(scene.market.offer(V3, salt=2))
        clock.jump(1_000)
        error = await first_error(scene.client, since=0)
        assert error.data["firstAvailable"] == 2
        (event,) = await (await scene.client.subscribe(since=1)).take(1)
        assert event["signedOrder"]["salt"] == "2"


@pytest.fixture
async def node(settings: dict[str, str], tmp_path: Path) -> AsyncIterator[ReadyInfo]:
    async with node_in_process(settings, data_dir=tmp_path / "node") as running:
        yield running


async def test_no_seam_between_replay_and_live_under_load(market: Market, node: ReadyInfo) -> None:
    """Subscribers come at any moment, from any sequence, while orders come and go."""
    chance = random.Random(20_200_101)
    orders = [market.offer(V3, salt=salt) for salt in range(1_800)]
    parts = [orders[start : start + 60] for start in range(0, len(orders), 60)]
    end = len(orders) + 10 * len(parts)

    async def trade() -> None:
        async with open_socket(node.rpc) as client:
            for part in parts:
                assert (await client.add(*part))["rejected"] == []
                await market.traders.do(*map(actions.cancel, part[:10]))

    async def follow() -> tuple[int, list[int]]:
        async with open_socket(node.rpc) as client:
            last = (await client.stats())["lastSequence"]
            since = chance.choice((0, last, chance.randint(0, last)))
            replay = await client.subscribe(since=since)
            sequences: list[int] = []
            while since + len(sequences) < end:
                sequences += [event["sequence"] for event in await replay.next_events()]
            return since, sequences

    async with open_socket(node.rpc) as client, asyncio.TaskGroup() as tasks:
        trading = tasks.create_task(trade())
        followers: list[asyncio.Task[tuple[int, list[int]]]] = []
        while len(followers) < 12 and not trading.done():
            # One more comes each time a twentieth of it has happened.
            if (await client.stats())["lastSequence"] >= end * len(followers) // 20:
                followers.append(tasks.create_task(follow()))
    assert len(followers) > 6
    for follower in followers:
        since, sequences = follower.result()
        assert sequences == list(range(since + 1, end + 1))


async def test_a_replay_says_the_same_as_the_book(scene: Scene) -> None:
    """Whoever adds up all events has what ``mesh_getOrders`` answers."""
    await a_history(scene)
    book: dict[str, str] = {}
    replay = await scene.client.subscribe(since=0)
    for event in await replay.until(scene.sequence, after=0):
        if event["fillableTakerAssetAmount"] == "0":
            book.pop(event["orderHash"])
        else:
            book[event["orderHash"]] = event["fillableTakerAssetAmount"]
    assert book == await scene.client.book()
    assert name_of(scene.market.offer(V2, salt=2)) in book
