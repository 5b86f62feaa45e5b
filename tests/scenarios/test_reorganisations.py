"""The chain takes back what it said: reorganisations, and a head that goes backwards."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from fondaco.devnet import actions
from fondaco.devnet.control import ChainControl
from fondaco.node import DATABASE_NAME
from fondaco.zeroex.order import ProtocolVersion
from scenarios.conftest import OpenScene
from support.jumping_clock import JumpingClock
from support.market import Market
from support.mesh_socket import Event, MeshSocket, open_socket
from support.running_node import node_in_process
from support.scene import Scene, brief, name_of

pytestmark = pytest.mark.chain

V3 = ProtocolVersion.V3
FILL, CANCEL, UP_TO = "ExchangeFillEvent", "ExchangeCancelEvent", "ExchangeCancelUpToEvent"
TRANSFER = "ERC20TransferEvent"

TakeBack = Callable[[ChainControl, str, int], Awaitable[object]]
"""Undoes the blocks since a mark; the last argument says how many there are."""


async def replaced(control: ChainControl, _: str, depth: int) -> None:
    """As many empty blocks come in their place."""
    await control.reorg(depth)


async def reverted(control: ChainControl, mark: str, _: int) -> None:
    """The head is just an older block."""
    await control.revert(mark)


async def reverted_and_mined(control: ChainControl, mark: str, _: int) -> None:
    """The head is an older block, and on top of it come more blocks than were taken."""
    await control.revert(mark)
    await control.mine(3)


@pytest.fixture(params=[replaced, reverted, reverted_and_mined])
def take_back(request: pytest.FixtureRequest) -> TakeBack:
    undo: TakeBack = request.param
    return undo


def removed(event: Event) -> list[bool]:
    """Return of each contract event of *event* whether its block left the chain."""
    return [cause["isRemoved"] for cause in event["contractEvents"]]


async def test_a_complete_fill_is_undone(
    scene: Scene, version: ProtocolVersion, take_back: TakeBack
) -> None:
    order = scene.market.offer(version)
    await scene.add(order)
    mark = await scene.control.snapshot()
    await scene.do(actions.fill(order, scene.taker, 40))
    (filled,) = await scene.events()
    assert brief(filled) == ("FULLY_FILLED", "0", [FILL, TRANSFER])
    assert removed(filled) == [False, False]

    await take_back(scene.control, mark, 1)
    (undone,) = await scene.events()
    assert brief(undone) == ("ADDED", "40", [FILL, TRANSFER])
    # The same events as before, word for word, but for the flag.
    told = [{**cause, "isRemoved": True} for cause in filled["contractEvents"]]
    assert undone["contractEvents"] == told
    assert await scene.client.book() == {name_of(order): "40"}

    await scene.do(actions.fill(order, scene.taker, 40))
    assert await scene.brief() == [("FULLY_FILLED", "0", [FILL, TRANSFER])]


async def test_a_partial_fill_is_undone(scene: Scene, take_back: TakeBack) -> None:
    order = scene.market.offer(V3)
    await scene.add(order)
    await scene.do(actions.fill(order, scene.taker, 10))
    await scene.events()
    mark = await scene.control.snapshot()
    for _ in range(2):
        await scene.do(actions.fill(order, scene.taker, 10))
        await scene.events()
    await take_back(scene.control, mark, 2)
    (undone,) = await scene.events()
    assert brief(undone) == ("FILLABILITY_INCREASED", "30", [FILL, TRANSFER] * 2)
    assert removed(undone) == [True] * 4


@pytest.mark.parametrize("how", [CANCEL, UP_TO])
async def test_a_cancellation_is_undone(
    scene: Scene, version: ProtocolVersion, take_back: TakeBack, how: str
) -> None:
    order = scene.market.offer(version)
    await scene.add(order)
    mark = await scene.control.snapshot()
    if how == CANCEL:
        await scene.do(actions.cancel(order))
    else:
        await scene.do(actions.cancel_up_to(order.exchange_address, scene.maker, order.salt))
    assert await scene.brief() == [("CANCELLED", "0", [how])]
    await take_back(scene.control, mark, 1)
    (undone,) = await scene.events()
    assert brief(undone) == ("ADDED", "40", [how])
    assert removed(undone) == [True]


async def test_the_funds_are_back(scene: Scene, take_back: TakeBack) -> None:
    order = scene.market.offer(V3)
    await scene.add(order)
    mark = await scene.control.snapshot()
    await scene.do(actions.transfer(scene.at("erc20 PEP"), scene.maker, scene.taker, 10**24))
    assert await scene.brief() == [("UNFUNDED", "0", [TRANSFER])]
    await take_back(scene.control, mark, 1)
    assert await scene.brief() == [("ADDED", "40", [TRANSFER])]


async def test_another_block_says_something_else(
    open_scene: OpenScene, version: ProtocolVersion
) -> None:
    """What left and what came are one step, so the order is told of once."""
    clock = JumpingClock()
    async with open_scene(clock=clock, BLOCK_POLLING_INTERVAL="10m") as scene:
        order = scene.market.offer(version)
        await scene.add(order)
        mark = await scene.control.snapshot()
        await scene.do(actions.fill(order, scene.taker, 10))
        clock.jump(600)
        assert await scene.brief() == [("FILLED", "30", [FILL, TRANSFER])]
        await scene.control.revert(mark)
        await scene.do(actions.fill(order, scene.taker, 20), actions.cancel(order))
        await scene.control.mine()
        clock.jump(600)
        (event,) = await scene.events()
        assert brief(event) == ("CANCELLED", "0", [FILL, TRANSFER, FILL, TRANSFER, CANCEL])
        assert removed(event) == [True, True, False, False, False]


async def test_the_same_fill_in_another_block_is_no_news(
    open_scene: OpenScene, version: ProtocolVersion
) -> None:
    # The node looks for blocks only when the test has made all of them.
    clock = JumpingClock()
    async with open_scene(clock=clock, BLOCK_POLLING_INTERVAL="10m") as scene:
        order = scene.market.offer(version)
        await scene.add(order)
        mark = await scene.control.snapshot()
        await scene.do(actions.fill(order, scene.taker, 10))
        clock.jump(600)
        assert await scene.brief() == [("FILLED", "30", [FILL, TRANSFER])]
        await scene.control.revert(mark)
        await scene.control.mine()
        await scene.do(actions.fill(order, scene.taker, 10))
        clock.jump(600)
        assert await scene.events() == []
        assert scene.stored(order) == ("live", 30)


async def test_time_goes_back_and_the_order_was_filled_before_it_expired(
    scene: Scene, version: ProtocolVersion
) -> None:
    now = (await scene.control.block()).timestamp
    order = scene.market.offer(version, expires_at=now + 100)
    await scene.add(order)
    mark = await scene.control.snapshot()
    await scene.control.set_next_timestamp(now + 100)
    await scene.do(actions.transfer(scene.at("erc20 PEP"), scene.maker, scene.taker, 1))
    # Touched and expired in one block: looked at, so its amount is not kept.
    assert await scene.brief() == [("EXPIRED", "0", [TRANSFER])]
    assert scene.stored(order) == ("removed", 0)
    await scene.control.revert(mark)
    await scene.control.set_next_timestamp(now + 10)
    await scene.control.mine()
    assert await scene.brief() == [("ADDED", "40", [TRANSFER])]


async def test_a_reorganisation_deeper_than_what_is_kept(
    scene: Scene, version: ProtocolVersion
) -> None:
    """Every order is looked at again; the events of blocks long gone are not known any more."""
    orders = [scene.market.offer(version, salt=salt) for salt in (1, 2)]
    await scene.add(*orders)
    mark = await scene.control.snapshot()
    await scene.do(actions.fill(orders[0], scene.taker, 10))
    await scene.events()
    await scene.do(actions.cancel(orders[1]))
    await scene.events()
    await scene.control.mine(30)
    await scene.settle()
    await scene.control.revert(mark)
    await scene.control.mine(40)
    events = await scene.events()
    assert sorted((event["orderHash"], *brief(event)) for event in events) == sorted(
        [
            (name_of(orders[0]), "FILLABILITY_INCREASED", "40", []),
            (name_of(orders[1]), "ADDED", "40", []),
        ]
    )


@pytest.mark.parametrize("blocks_after", [0, 2, 40, 140])
async def test_a_reorganisation_while_the_node_is_down(
    market: Market,
    settings: dict[str, str],
    tmp_path: Path,
    version: ProtocolVersion,
    blocks_after: int,
) -> None:
    """Also where the new chain is shorter, or longer than can be replayed."""
    control = market.traders.control
    order = market.offer(version)
    async with (
        node_in_process(settings, data_dir=tmp_path) as node,
        open_socket(node.rpc) as client,
    ):
        await client.add(order)
        watching = await client.subscribe()
        mark = await control.snapshot()
        await market.traders.do(actions.fill(order, market.taker.address, 40))
        (filled,) = await watching.take(1)
        assert brief(filled) == ("FULLY_FILLED", "0", [FILL, TRANSFER])
        assert await caught_up(client, control) == filled["sequence"]
        # A node that is stopped before that knows less: the last test here.
        await stored_as_seen(client, tmp_path, filled["contractEvents"][0]["blockHash"])
    await control.revert(mark)
    if blocks_after:
        await control.mine(blocks_after)
    async with (
        node_in_process(settings, data_dir=tmp_path) as node,
        open_socket(node.rpc) as client,
    ):
        watching = await client.subscribe(since=filled["sequence"])
        (undone,) = await watching.take(1)
        causes = [] if blocks_after == 140 else [FILL, TRANSFER]
        assert brief(undone) == ("ADDED", "40", causes)
        assert removed(undone) == [True] * len(causes)
        assert await caught_up(client, control) == undone["sequence"]


async def stored_as_seen(client: MeshSocket, data_dir: Path, block_hash: str) -> None:
    """Return when the node will not have to read that block again after a restart."""
    path = f"file:{data_dir / DATABASE_NAME}?mode=ro"
    with contextlib.closing(sqlite3.connect(path, uri=True)) as database:
        async with asyncio.timeout(20):
            while f"0x{stored_head(database).hex()}" != block_hash:
                await client.stats()


def stored_head(database: sqlite3.Connection) -> bytes:
    query = "SELECT hash FROM retained_blocks ORDER BY number DESC LIMIT 1"
    head: bytes = database.execute(query).fetchone()[0]
    return head


async def caught_up(client: MeshSocket, control: ChainControl) -> int:
    """Wait for the newest block; return the sequence of the last event then."""
    head = f"0x{(await control.block()).hash.hex()}"
    async with asyncio.timeout(20):
        while True:
            stats = await client.stats()
            if stats["latestBlock"]["hash"] == head and not stats["ordersWaitingForChain"]:
                last: int = stats["lastSequence"]
                return last


async def test_an_order_is_added_while_the_chain_is_reorganised(
    open_scene: OpenScene, version: ProtocolVersion
) -> None:
    """The block the node has seen last is gone; the answer must not be that it is gone."""
    async with open_scene(BLOCK_POLLING_INTERVAL="1h") as scene:
        await scene.control.mine(2)
        await scene.control.reorg(3)
        added = await scene.client.add(scene.market.offer(version))
        assert added["rejected"] == []
        assert len(added["accepted"]) == 1


BLOCK_TABLES = ("retained_blocks", "node_metadata")
"""What the node writes once the effects of a block are all in the book."""


async def test_a_kill_between_an_order_and_its_block(
    market: Market, settings: dict[str, str], tmp_path: Path, version: ProtocolVersion
) -> None:
    """The fill is in the book, its block is not stored as seen, and then it is undone."""
    control = market.traders.control
    order = market.offer(version)
    async with (
        node_in_process(settings, data_dir=tmp_path) as node,
        open_socket(node.rpc) as client,
    ):
        await client.add(order)
        watching = await client.subscribe()
        mark = await control.snapshot()
        with contextlib.closing(sqlite3.connect(tmp_path / DATABASE_NAME)) as database:
            before = {
                table: database.execute(f"SELECT * FROM {table}").fetchall()
                for table in BLOCK_TABLES
            }
        await market.traders.do(actions.fill(order, market.taker.address, 40))
        assert [brief(event)[0] for event in await watching.take(1)] == ["FULLY_FILLED"]
        await caught_up(client, control)
    # A kill can hit the moment between the two commits; a test cannot, so it is put back.
    with contextlib.closing(sqlite3.connect(tmp_path / DATABASE_NAME)) as database:
        for table, rows in before.items():
            database.execute(f"DELETE FROM {table}")
            marks = ",".join("?" * len(rows[0]))
            database.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
        database.commit()
    await control.revert(mark)
    await control.mine(2)
    async with (
        node_in_process(settings, data_dir=tmp_path) as node,
        open_socket(node.rpc) as client,
    ):
        await caught_up(client, control)
        events = await (await client.subscribe(since=0)).take(3)
        assert [brief(event) for event in events] == [
            ("ADDED", "40", None),
            ("FULLY_FILLED", "0", [FILL, TRANSFER]),
            ("ADDED", "40", []),
        ]
