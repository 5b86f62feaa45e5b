"""``kill -9`` at any moment: the book is what was acknowledged, the log gapless, no repeat."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fondaco.devnet import actions
from fondaco.zeroex.order import ProtocolVersion, SignedOrder
from support.market import Market
from support.mesh_socket import Event, MeshSocket, Subscription, open_socket
from support.node_process import NodeProcess, running_node
from support.running_node import node_in_process
from support.scene import brief, name_of

pytestmark = pytest.mark.chain

V2, V3 = ProtocolVersion.V2, ProtocolVersion.V3
FILL, CANCEL, TRANSFER = "ExchangeFillEvent", "ExchangeCancelEvent", "ERC20TransferEvent"

BATCH = 100
"""Orders in one call. The node stores 500 at once, so calls queue."""


@pytest.fixture
async def node(settings: dict[str, str], tmp_path: Path) -> AsyncIterator[NodeProcess]:
    async with running_node(settings, data_dir=tmp_path / "node") as process:
        yield process


def offers(market: Market, count: int, first: int = 0) -> list[SignedOrder]:
    return [market.offer(V3, salt=salt) for salt in range(first, first + count)]


async def received_until_closed(watching: Subscription, closed: asyncio.Task[None]) -> list[Event]:
    """Return every event a subscriber got before the connection broke."""
    await closed
    events: list[Event] = []
    while not watching.results.empty():
        events += watching.results.get_nowait()
    return events


async def whole_log(client: MeshSocket) -> list[Event]:
    """Return the log from its beginning; it must be gapless."""
    last = (await client.stats())["lastSequence"]
    return await (await client.subscribe(since=0)).until(last, after=0)


async def add_until_killed(
    node: NodeProcess, orders: list[SignedOrder], kill_after: int
) -> tuple[set[str], list[Event]]:
    """Send batches all at once, kill the node after some answers.

    Returns:
        The orders that were acknowledged, and the events that were told until then.
    """
    acknowledged: set[str] = set()
    answers = itertools.count(1)
    async with open_socket(node.ready.rpc) as client:
        watching = await client.subscribe()
        closed = asyncio.create_task(client.connection.wait_closed())

        async def add(part: list[SignedOrder]) -> None:
            result = await client.add(*part)
            assert result["rejected"] == []
            acknowledged.update(entry["orderHash"] for entry in result["accepted"])
            if next(answers) == kill_after:
                await node.kill()

        parts = [orders[start : start + BATCH] for start in range(0, len(orders), BATCH)]
        results = await asyncio.gather(*map(add, parts), return_exceptions=True)
        assert len([result for result in results if result is None]) >= kill_after
        return acknowledged, await received_until_closed(watching, closed)


async def test_what_was_acknowledged_is_there_after_every_kill(
    market: Market, node: NodeProcess
) -> None:
    acknowledged: set[str] = set()
    sent: list[SignedOrder] = []
    for round_, kill_after in enumerate((1, 4, 7)):
        orders = offers(market, 1_000, first=1_000 * round_)
        sent += orders
        more, told = await add_until_killed(node, orders, kill_after)
        assert kill_after * BATCH <= len(more) < len(orders)
        acknowledged |= more
        await node.restart()
        async with open_socket(node.ready.rpc) as client:
            book = await client.book()
            assert acknowledged <= book.keys() <= {name_of(order) for order in sent}
            log = await whole_log(client)
            # Exactly the stored orders are in the log, each of them once.
            assert Counter(event["orderHash"] for event in log) == Counter(book.keys())
            assert {brief(event) for event in map(hashable, log)} == {("ADDED", "40", None)}
            # Whatever was told before the kill is what the log says.
            by_sequence = {event["sequence"]: event for event in log}
            assert told == [by_sequence[event["sequence"]] for event in told]

    async with open_socket(node.ready.rpc) as client:
        again = await client.add(*sent)
        assert again["rejected"] == []
        is_new = {entry["orderHash"]: entry["isNew"] for entry in again["accepted"]}
        assert is_new == {name_of(order): name_of(order) not in book for order in sent}
        assert (await client.book()).keys() == is_new.keys()


def hashable(event: Event) -> Event:
    """Return *event*; it must have no contract events, so that ``brief`` is hashable."""
    assert event["contractEvents"] is None
    return event


async def test_killed_while_a_block_moves_thousands_of_orders(
    market: Market, node: NodeProcess
) -> None:
    """More than are read at once: the kill comes between two commits of one block."""
    orders = offers(market, 4_500)
    async with open_socket(node.ready.rpc) as client:
        added = await client.add(*orders, patience=60)
        assert len(added["accepted"]) == len(orders)
        watching = await client.subscribe()
        closed = asyncio.create_task(client.connection.wait_closed())
        # The allowance is what only one event can take away from all of them.
        proxy = market.at["erc20Proxy"]
        await market.traders.do(
            actions.approve(market.at["erc20 PEP"], market.maker.address, proxy, 0)
        )
        first = await watching.next_events()
        await node.kill()
        told = first + await received_until_closed(watching, closed)
    assert 0 < len(told) < len(orders)
    await node.restart()
    async with open_socket(node.ready.rpc) as client:
        assert await client.book() == {}
        log = await whole_log(client)
        assert log[len(orders) : len(orders) + len(told)] == told
        assert Counter((event["orderHash"], event["endState"]) for event in log) == Counter(
            (name_of(order), state) for order in orders for state in ("ADDED", "UNFUNDED")
        )


@contextlib.asynccontextmanager
async def a_node(settings: dict[str, str], data_dir: Path) -> AsyncIterator[MeshSocket]:
    async with (
        node_in_process(settings, data_dir=data_dir) as node,
        open_socket(node.rpc) as client,
    ):
        yield client


@pytest.mark.parametrize("gap", [3, 21, 127, 128, 300])
async def test_what_happened_while_it_was_down(
    market: Market, settings: dict[str, str], tmp_path: Path, gap: int
) -> None:
    """From 128 blocks on every order is read anew: what is told is right, but not the cause."""
    now = (await market.traders.control.block()).timestamp
    filled, cancelled, untouched, back_again = (
        market.offer(version, salt=salt) for salt, version in ((2, V2), (3, V3), (4, V2), (5, V3))
    )
    expired = market.offer(V2, salt=6, expires_at=now + 500)
    async with a_node(settings, tmp_path) as client:
        await client.add(filled, cancelled, untouched, back_again, expired)
        last = (await client.stats())["lastSequence"]

    control, taker = market.traders.control, market.taker.address
    pepper, maker = market.at["erc20 PEP"], market.maker.address
    await market.traders.do(actions.fill(filled, taker, 10))
    mined = 2
    await market.traders.do(
        actions.cancel(cancelled),
        # Away and back between two looks: nothing has changed.
        actions.transfer(pepper, maker, taker, 10**24 - 25),
        actions.transfer(pepper, taker, maker, 10**24 - 25),
    )
    await control.mine(gap - mined - 1)
    await control.set_next_timestamp(now + 600)
    await control.mine()
    async with a_node(settings, tmp_path) as client:
        watching = await client.subscribe(since=last)
        events = await watching.take(3)
        told = {event["orderHash"]: brief(event) for event in events}
        causes = gap < 128
        moves = [TRANSFER, TRANSFER]
        assert told == {
            name_of(filled): ("FILLED", "30", [FILL, TRANSFER, *moves] if causes else []),
            name_of(cancelled): (
                "CANCELLED",
                "0",
                [TRANSFER, CANCEL, *moves] if causes else [],
            ),
            name_of(expired): ("EXPIRED", "0", [TRANSFER, *moves] if causes else []),
        }
        assert await client.book() == {
            name_of(filled): "30",
            name_of(untouched): "40",
            name_of(back_again): "40",
        }
        assert (await client.stats())["lastSequence"] == events[-1]["sequence"]


async def test_killed_and_the_blocks_since_are_caught_up(market: Market, node: NodeProcess) -> None:
    filled, cancelled = market.offer(V2), market.offer(V3)
    async with open_socket(node.ready.rpc) as client:
        await client.add(filled, cancelled)
    await node.kill()
    await market.traders.do(actions.fill(filled, market.taker.address, 40))
    await market.traders.do(actions.cancel(cancelled))
    await node.restart()
    async with open_socket(node.ready.rpc) as client:
        log = await whole_log(client)
        assert len(log) == 4
        assert {event["orderHash"]: brief(event) for event in log[2:]} == {
            name_of(filled): ("FULLY_FILLED", "0", [FILL, TRANSFER]),
            name_of(cancelled): ("CANCELLED", "0", [TRANSFER, CANCEL]),
        }
        assert await client.book() == {}
