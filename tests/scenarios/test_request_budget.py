"""The daily budget of requests to the endpoint: used up, told, kept over a restart, renewed."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from fondaco.chain.budget import DAY_SECONDS, BudgetSnapshot
from fondaco.clock import SystemClock, utc_midnight_ns
from fondaco.devnet import actions
from fondaco.node import DATABASE_NAME
from fondaco.remembered import BUDGET_KEY
from fondaco.store import metadata
from fondaco.store.database import open_database
from fondaco.zeroex.order import ProtocolVersion
from support.jumping_clock import JumpingClock
from support.market import Market
from support.mesh_socket import PATIENCE, MeshSocket, codes, open_socket
from support.running_node import node_in_process
from support.scene import brief, name_of

pytestmark = pytest.mark.chain

V2, V3 = ProtocolVersion.V2, ProtocolVersion.V3
EXHAUSTED = "too many Ethereum RPC requests have been sent this 24 hour period"
CAP = 5_000_000
"""Requests a day. Fifty polls a second take 4,320,000, and 50,000 must be left."""


@pytest.fixture
def settings(settings: dict[str, str]) -> dict[str, str]:
    return settings | {
        "ENABLE_ETHEREUM_RPC_RATE_LIMITING": "true",
        "ETHEREUM_RPC_MAX_REQUESTS_PER_24_HR_UTC": str(CAP),
        "ETHEREUM_RPC_MAX_REQUESTS_PER_SECOND": "1000",
    }


@contextlib.asynccontextmanager
async def a_node(
    settings: dict[str, str], data_dir: Path, clock: JumpingClock | None = None
) -> AsyncIterator[MeshSocket]:
    async with (
        node_in_process(settings, data_dir=data_dir, clock=clock) as node,
        open_socket(node.rpc) as client,
    ):
        yield client


async def spend(data_dir: Path, sent_today: int) -> None:
    """Write into a stopped node's store that so many requests were sent today."""
    today = utc_midnight_ns(SystemClock().now_ns())
    snapshot = BudgetSnapshot(start_of_utc_day_ns=today, sent_today=sent_today)
    text = msgspec.json.encode(snapshot).decode()
    async with open_database(data_dir / DATABASE_NAME) as database:
        await database.write(lambda connection: metadata.put(connection, BUDGET_KEY, text))


async def until_spent(client: MeshSocket) -> None:
    """Return when a poll has been refused."""
    async with asyncio.timeout(PATIENCE):
        while (await client.stats())["ethRPCLastError"] is None:
            pass


async def test_used_up_served_honestly_and_renewed_the_next_day(
    market: Market, settings: dict[str, str], tmp_path: Path
) -> None:
    order, late = market.offer(V2), market.offer(V3)
    async with a_node(settings, tmp_path) as client:
        await client.add(order)
    await spend(tmp_path, CAP - 100)

    clock = JumpingClock()
    async with a_node(settings, tmp_path, clock) as client:
        watching = await client.subscribe()
        await until_spent(client)
        await market.traders.do(actions.fill(order, market.taker.address, 10))
        refused = await client.add(late)
        assert codes(refused["rejected"]) == ["EthRPCRequestFailed"]
        assert refused["rejected"][0]["detail"] == EXHAUSTED
        assert await client.book() == {name_of(order): "40"}
        stats = await client.stats()
        assert stats["ethRPCRequestsSentInCurrentUTCDay"] == CAP
        assert stats["ethRPCLastError"] == EXHAUSTED
        began = datetime.datetime.fromisoformat(stats["startOfCurrentUTCDay"])

        clock.jump(DAY_SECONDS)
        (event,) = await watching.take(1)
        assert brief(event) == ("FILLED", "30", ["ExchangeFillEvent", "ERC20TransferEvent"])
        stats = await client.stats()
        renewed = datetime.datetime.fromisoformat(stats["startOfCurrentUTCDay"])
        assert renewed - began == datetime.timedelta(days=1)
        assert stats["ethRPCRequestsSentInCurrentUTCDay"] < 10_000
        assert stats["ethRPCLastError"] is None
        assert len((await client.add(late))["accepted"]) == 1


async def test_kept_over_restarts(market: Market, settings: dict[str, str], tmp_path: Path) -> None:
    order = market.offer(V3)
    sent: list[int] = []
    for _ in range(3):
        async with a_node(settings, tmp_path) as client:
            await client.add(order)
            sent.append((await client.stats())["ethRPCRequestsSentInCurrentUTCDay"])
    assert 0 < sent[0] < sent[1] < sent[2]


async def test_a_node_without_budget_starts_and_serves(
    market: Market, settings: dict[str, str], tmp_path: Path
) -> None:
    order = market.offer(V3)
    async with a_node(settings, tmp_path) as client:
        await client.add(order)
    await spend(tmp_path, CAP)
    # Its patience with the endpoint passes fifty times as fast.
    async with a_node(settings, tmp_path, JumpingClock(50)) as client:
        assert await client.book() == {name_of(order): "40"}
        stats = await client.stats()
        assert stats["ethRPCRequestsSentInCurrentUTCDay"] == CAP
        assert stats["ethRPCLastError"] == EXHAUSTED
        assert stats["latestBlock"]["number"] > 0


async def test_yesterday_does_not_count(
    market: Market, settings: dict[str, str], tmp_path: Path
) -> None:
    async with a_node(settings, tmp_path):
        pass
    await spend(tmp_path, CAP)
    clock = JumpingClock()
    clock.jump(DAY_SECONDS)
    async with a_node(settings, tmp_path, clock) as client:
        assert len((await client.add(market.offer(V3)))["accepted"]) == 1
        assert (await client.stats())["ethRPCRequestsSentInCurrentUTCDay"] < 10_000


async def test_without_limits_requests_are_still_counted(
    market: Market, settings: dict[str, str], tmp_path: Path
) -> None:
    unlimited = settings | {"ENABLE_ETHEREUM_RPC_RATE_LIMITING": "false"}
    async with a_node(unlimited, tmp_path):
        pass
    await spend(tmp_path, CAP)
    async with a_node(unlimited, tmp_path) as client:
        assert len((await client.add(market.offer(V3)))["accepted"]) == 1
        assert (await client.stats())["ethRPCRequestsSentInCurrentUTCDay"] > CAP
