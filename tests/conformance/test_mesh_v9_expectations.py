"""What the integration tests of 0x Mesh v9 expect of a node, over WebSocket and over HTTP."""

from __future__ import annotations

import asyncio
import datetime
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from conformance.book import Book
from conformance.wire import open_wire, post, request
from fondaco.zeroex.order import ProtocolVersion
from support.market import Market
from support.node_process import NodeProcess, running_node

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "mesh_vectors.json").read_text())
EXPECTED: dict[str, Any] = VECTORS["integration_expectations_v9"]

Ask = Callable[..., Awaitable[dict[str, Any]]]

pytestmark = pytest.mark.chain


@pytest.fixture
async def node(settings: dict[str, str], tmp_path: Path) -> AsyncIterator[NodeProcess]:
    """A node as v9 was: v3 orders only, and the settings of the original's tests."""
    settings |= {
        "ETHEREUM_CHAIN_ID": str(EXPECTED["node"]["chainId"]),
        "BLOCK_POLLING_INTERVAL": EXPECTED["node"]["blockPollingInterval"],
        "ETHEREUM_RPC_MAX_REQUESTS_PER_24_HR_UTC": str(EXPECTED["node"]["maxRequestsPer24h"]),
        "ORDER_PROTOCOLS": "v3",
    }
    async with running_node(settings, data_dir=tmp_path / "v9") as process:
        yield process


@pytest.fixture
def book(market: Market) -> Book:
    return Book(market, ProtocolVersion.V3)


@pytest.fixture(params=["ws", "http"])
def transport(request: pytest.FixtureRequest) -> str:
    assert isinstance(request.param, str)
    return request.param


@pytest.fixture
async def ask(transport: str, node: NodeProcess) -> AsyncIterator[Ask]:
    """Ask the node over one transport; the answer with its envelope."""
    if transport == "ws":
        async with open_wire(node.ready.rpc) as wire:
            yield lambda method, *params: wire.answer(request(method, *params))
    else:

        async def ask_http(method: str, *params: object) -> dict[str, Any]:
            status, answer = await post(node.ready.http, request(method, *params))
            assert status == 200
            assert isinstance(answer, dict)
            return answer

        yield ask_http


async def test_get_stats(ask: Ask) -> None:
    expected = dict(EXPECTED["getStats"])
    assert expected.pop("startOfCurrentUTCDay") == "today 00:00:00 UTC"
    before = datetime.datetime.now(datetime.UTC)
    stats = (await ask("mesh_getStats"))["result"]
    after = datetime.datetime.now(datetime.UTC)
    assert {name: stats[name] for name in expected} == expected
    midnights = {f"{moment:%Y-%m-%d}T00:00:00Z" for moment in (before, after)}
    assert stats["startOfCurrentUTCDay"] in midnights
    assert stats["ethRPCRequestsSentInCurrentUTCDay"] > 0
    assert stats["latestBlock"]["number"] > 0


async def test_add_orders(ask: Ask, book: Book) -> None:
    assert EXPECTED["addOrders"].startswith("1 accepted, 0 rejected")
    (order,) = book.orders(1)
    result = (await ask("mesh_addOrders", [order]))["result"]
    assert result["rejected"] == []
    assert result["accepted"] == [
        {
            "orderHash": book.hash(order),
            "signedOrder": order,
            "fillableTakerAssetAmount": order["takerAssetAmount"],
            "isNew": True,
        }
    ]


async def test_get_orders(ask: Ask, book: Book) -> None:
    expected = EXPECTED["getOrders"]
    orders = book.orders(expected["stored"])
    await ask("mesh_addOrders", orders, {"pinned": True})
    for per_page in (0, -1):
        error = (await ask("mesh_getOrders", 0, per_page, ""))["error"]
        assert expected[f"perPage {per_page}"] == f"error {error['message']}"
        assert error["code"] == -32000

    for per_page, sizes in ((3, [3, 3, 3, 1]), (5, [5, 5])):
        assert ",".join(map(str, sizes)) in expected[f"perPage {per_page}"]
        snapshot, found = "", []
        for page, size in enumerate([*sizes, 0]):
            asked_at = datetime.datetime.now(datetime.UTC)
            result = (await ask("mesh_getOrders", page, per_page, snapshot))["result"]
            assert len(result["ordersInfos"]) == size
            found += result["ordersInfos"]
            taken_at = datetime.datetime.fromisoformat(result["snapshotTimestamp"])
            if not snapshot:
                assert abs(taken_at - asked_at) < datetime.timedelta(seconds=1)
                first_taken_at = taken_at
            assert taken_at == first_taken_at
            snapshot = result["snapshotID"]
        assert [info["orderHash"] for info in found] == sorted(map(book.hash, orders))
        by_hash = {book.hash(order): order for order in orders}
        for info in found:
            order = by_hash[info["orderHash"]]
            assert info == {
                "orderHash": info["orderHash"],
                "signedOrder": order,
                "fillableTakerAssetAmount": order["takerAssetAmount"],
            }


async def test_a_subscriber_is_told_of_an_added_order(node: NodeProcess, book: Book) -> None:
    (order,) = book.orders(1)
    async with open_wire(node.ready.rpc) as wire, open_wire(node.ready.rpc) as other:
        subscription = await wire.call("mesh_subscribe", "orders")
        await other.call("mesh_addOrders", [order])
        (event,) = await wire.notification(subscription)
    # What the original did not have.
    assert isinstance(event.pop("sequence"), int)
    assert isinstance(event.pop("reason"), str)
    assert datetime.datetime.fromisoformat(event.pop("timestamp"))
    assert event == {
        "orderHash": book.hash(order),
        "signedOrder": order,
        "endState": "ADDED",
        "fillableTakerAssetAmount": order["takerAssetAmount"],
        "contractEvents": None,
    }


async def test_the_first_heartbeat_comes_at_once_and_the_next_after_five_seconds(
    node: NodeProcess,
) -> None:
    assert EXPECTED["heartbeat"] == "first notification tick within 3 s"
    async with open_wire(node.ready.rpc) as wire:
        subscription = await wire.call("mesh_subscribe", "heartbeat")
        async with asyncio.timeout(3):
            assert await wire.notification(subscription) == "tick"
        async with asyncio.timeout(8):
            assert await wire.notification(subscription) == "tick"
