"""The Ethereum endpoint goes away for a while; the node does not."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from fondaco.clock import SystemClock
from fondaco.devnet import actions
from fondaco.zeroex.order import ProtocolVersion
from support.cable import Cable, open_cable
from support.jumping_clock import JumpingClock
from support.market import Market
from support.mesh_socket import PATIENCE, MeshSocket, codes, open_socket
from support.running_node import node_in_process
from support.scene import brief, name_of

pytestmark = pytest.mark.chain

V2, V3 = ProtocolVersion.V2, ProtocolVersion.V3
FILL, TRANSFER, CANCEL = "ExchangeFillEvent", "ERC20TransferEvent", "ExchangeCancelEvent"

CLIENT_PATIENCE = 30.0
"""Seconds after which the published clients give a call up."""

ANSWER_SECONDS = 2.0
"""Within which everything that needs no chain must be answered, on two shared cores."""

Break = Callable[[Cable], Awaitable[None]]


async def cut(cable: Cable) -> None:
    await cable.cut()


async def blocked(cable: Cable) -> None:
    cable.block()


@pytest.fixture
async def cable(market: Market) -> AsyncIterator[Cable]:
    async with open_cable(market.traders.devnet.http_url) as laid:
        yield laid


@contextlib.asynccontextmanager
async def node_behind(
    url: str, settings: dict[str, str], tmp_path: Path, *, speed: float = 1.0
) -> AsyncIterator[MeshSocket]:
    """A node that reaches the chain by *url*, and a client of it.

    Args:
        speed: of its clock, by which it pauses between tries and says how stale it is.
            Time-outs of the network are real.
    """
    own = settings | {"ETHEREUM_RPC_URL": url}
    async with (
        node_in_process(own, data_dir=tmp_path / "node", clock=JumpingClock(speed)) as node,
        open_socket(node.rpc) as client,
    ):
        yield client


async def serves_without_chain(client: MeshSocket, book: dict[str, str]) -> float:
    """Ask what needs no chain; return how stale the node says it is."""
    async with asyncio.timeout(ANSWER_SECONDS):
        assert await client.book() == book
    async with asyncio.timeout(ANSWER_SECONDS):
        stats = await client.stats()
    staleness: float = stats["ethRPCSecondsSinceLastAnswer"]
    return staleness


AWAY = [
    pytest.param("http", cut, 30, 10, id="http refused"),
    pytest.param("ws", cut, 30, 10, id="ws refused"),
    pytest.param("http", blocked, 3, 1, id="http silent"),
    pytest.param("ws", blocked, 3, 1, id="ws silent"),
    pytest.param("http", cut, 30, 1, id="http refused 30 s", marks=pytest.mark.soak),
    pytest.param("ws", cut, 30, 1, id="ws refused 30 s", marks=pytest.mark.soak),
    pytest.param("http", blocked, 30, 1, id="http silent 30 s", marks=pytest.mark.soak),
    pytest.param("ws", blocked, 30, 1, id="ws silent 30 s", marks=pytest.mark.soak),
]
"""Transport, how the endpoint goes, seconds it is away, speed of the node's clock."""


@pytest.mark.parametrize(("scheme", "goes", "seconds", "speed"), AWAY)
async def test_served_meanwhile_and_caught_up_after(
    market: Market,
    settings: dict[str, str],
    tmp_path: Path,
    cable: Cable,
    scheme: str,
    goes: Break,
    seconds: float,
    speed: float,
) -> None:
    filled, cancelled, untouched = (
        market.offer(version, salt=salt) for salt, version in ((1, V2), (2, V3), (3, V2))
    )
    async with node_behind(cable.url(scheme), settings, tmp_path, speed=speed) as client:
        await client.add(filled, cancelled, untouched)
        watching = await client.subscribe()
        book = await client.book()
        assert len(book) == 3

        await goes(cable)
        while await serves_without_chain(client, book) < seconds:
            pass
        await market.traders.do(actions.fill(filled, market.taker.address, 10))
        await market.traders.do(actions.cancel(cancelled))
        again = await client.add(untouched)
        assert [entry["isNew"] for entry in again["accepted"]] == [False]

        await cable.mend()
        told = [
            (event["orderHash"], *brief(event), event["timestamp"])
            for event in await watching.take(2)
        ]
        assert sorted(entry[:-1] for entry in told) == sorted(
            [
                (name_of(filled), "FILLED", "30", [FILL, TRANSFER]),
                (name_of(cancelled), "CANCELLED", "0", [TRANSFER, CANCEL]),
            ]
        )
        stats = await client.stats()
        assert stats["ethRPCLastError"] is None
        assert stats["ordersWaitingForChain"] == 0
        accepted = await client.add(market.offer(V3, salt=4))
        assert len(accepted["accepted"]) == 1


@pytest.mark.parametrize(
    ("goes", "speed"),
    [
        pytest.param(cut, 10, id="refused"),
        pytest.param(blocked, 4, id="silent"),
        pytest.param(blocked, 1, id="silent in real time", marks=pytest.mark.soak),
    ],
)
async def test_new_orders_are_refused_in_bounded_time(
    market: Market,
    settings: dict[str, str],
    tmp_path: Path,
    cable: Cable,
    goes: Break,
    speed: float,
) -> None:
    """Many orders take no longer than one: the client gives up after half a minute."""
    clock = SystemClock()
    orders = [market.offer(V3, salt=salt) for salt in range(3_000)]
    async with node_behind(cable.url("http"), settings, tmp_path, speed=speed) as client:
        known = market.offer(V2)
        await client.add(known)
        await goes(cable)
        began = clock.monotonic()
        adding = [
            asyncio.create_task(client.add(*part, patience=2 * CLIENT_PATIENCE))
            for part in ([known, orders[0]], orders[1:])
        ]
        while (await asyncio.wait(adding, timeout=0.2))[1]:
            await serves_without_chain(client, {name_of(known): "40"})
        took = speed * (clock.monotonic() - began)
        few, many = await asyncio.gather(*adding)
        assert [entry["orderHash"] for entry in few["accepted"]] == [name_of(known)]
        assert codes(few["rejected"]) == ["EthRPCRequestFailed"]
        assert many["accepted"] == []
        assert codes(many["rejected"]) == ["EthRPCRequestFailed"] * (len(orders) - 1)
        assert {entry["kind"] for entry in many["rejected"]} == {"MESH_ERROR"}
        assert took < CLIENT_PATIENCE

        # Nothing stands in the way of the same orders once the chain is back.
        await cable.mend()
        async with asyncio.timeout(PATIENCE):
            while (await client.add(orders[0]))["rejected"]:
                pass


@pytest.mark.soak
async def test_the_whole_process_of_the_endpoint_is_stopped(
    market: Market, settings: dict[str, str], tmp_path: Path
) -> None:
    chain = market.traders.devnet
    order = market.offer(V3)
    async with node_behind(chain.http_url, settings, tmp_path) as client:
        await client.add(order)
        watching = await client.subscribe()
        os.kill(chain.anvil.pid, signal.SIGSTOP)
        try:
            while await serves_without_chain(client, {name_of(order): "40"}) < 30:
                pass
        finally:
            os.kill(chain.anvil.pid, signal.SIGCONT)
        await market.traders.do(actions.fill(order, market.taker.address, 40))
        assert [brief(event) for event in await watching.take(1)] == [
            ("FULLY_FILLED", "0", [FILL, TRANSFER])
        ]
