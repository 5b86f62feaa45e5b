"""Every request that the seed prints is accepted as printed, and answered in its terms.

Where the seed's examples and its releases differ, the releases win: decimal strings,
RFC 3339 times, 0-based pages.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from conformance.wire import open_wire
from support.node_process import NodeProcess

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "mesh_vectors.json").read_text())
BLOCKS: list[dict[str, Any]] = VECTORS["seed_json_blocks"]["blocks"]
REQUESTS = [
    block for block in BLOCKS if "method" in block and block["method"] != "mesh_subscription"
]
ADD_ORDERS, GET_ORDERS, GET_STATS, SUBSCRIBE_ORDERS, UNSUBSCRIBE, SUBSCRIBE_HEARTBEAT = REQUESTS[:6]
EXAMPLES = [block for block in BLOCKS if block not in REQUESTS]
STATS_EXAMPLE: dict[str, Any] = next(
    block["result"]
    for block in EXAMPLES
    if isinstance(block.get("result"), dict) and "peerID" in block["result"]
)

SUBSCRIPTION_ID = re.compile(r"0x[1-9a-f][0-9a-f]{0,31}")
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")

pytestmark = pytest.mark.chain


def test_the_seed_prints_what_is_tested_here() -> None:
    assert len(BLOCKS) == 14
    assert [request["method"] for request in REQUESTS] == [
        "mesh_addOrders",
        "mesh_getOrders",
        "mesh_getStats",
        "mesh_subscribe",
        "mesh_unsubscribe",
        "mesh_subscribe",
        "mesh_unsubscribe",
    ]


async def test_no_request_is_an_invalid_one(node: NodeProcess) -> None:
    async with open_wire(node.ready.rpc) as wire:
        for request in REQUESTS:
            answer = await wire.answer(request)
            assert answer["id"] == request["id"]
            assert answer["jsonrpc"] == "2.0"
            if request["method"] == "mesh_unsubscribe":
                # The printed subscription is not ours, which is no fault of the request.
                assert answer["error"]["code"] == -32000
                assert answer["error"]["message"] == "subscription not found"
            else:
                assert "error" not in answer, answer


async def test_orders_of_another_chain_come_back_with_a_reason(node: NodeProcess) -> None:
    (order,) = ADD_ORDERS["params"][0]
    async with open_wire(node.ready.rpc) as wire:
        answer = await wire.answer(ADD_ORDERS)
    assert answer["result"]["accepted"] == []
    (rejected,) = answer["result"]["rejected"]
    assert rejected["orderHash"] == VECTORS["seed_orders"][0]["computedOrderHash"]
    assert rejected["signedOrder"] == order
    assert rejected["kind"] == "MESH_VALIDATION"
    assert rejected["status"]["code"] == "OrderForIncorrectChain"


async def test_a_page_past_the_end_is_empty(node: NodeProcess) -> None:
    async with open_wire(node.ready.rpc) as wire:
        answer = await wire.answer(GET_ORDERS)
        assert answer["result"]["ordersInfos"] == []
        page, per_page, _ = GET_ORDERS["params"]
        again = await wire.call("mesh_getOrders", page, per_page, answer["result"]["snapshotID"])
    assert again["snapshotID"] == answer["result"]["snapshotID"]


async def test_stats_have_every_printed_field(node: NodeProcess) -> None:
    async with open_wire(node.ready.rpc) as wire:
        stats = (await wire.answer(GET_STATS))["result"]
    missing = STATS_EXAMPLE.keys() - stats.keys()
    assert not missing
    types = {name: type(value) for name, value in STATS_EXAMPLE.items()}
    assert {name: type(stats[name]) for name in types} == types
    assert stats["latestBlock"].keys() == STATS_EXAMPLE["latestBlock"].keys()
    assert RFC_3339.fullmatch(stats["startOfCurrentUTCDay"])
    assert stats["rendervous"] == stats["rendezvous"]


@pytest.mark.parametrize("topic", ["orders", "heartbeat"])
async def test_subscribe_and_unsubscribe(node: NodeProcess, topic: str) -> None:
    subscribe = SUBSCRIBE_ORDERS if topic == "orders" else SUBSCRIBE_HEARTBEAT
    assert subscribe["params"] == [topic]
    assert "jsonrpc" not in UNSUBSCRIBE
    async with open_wire(node.ready.rpc) as wire:
        subscription = (await wire.answer(subscribe))["result"]
        assert SUBSCRIPTION_ID.fullmatch(subscription)
        if topic == "heartbeat":
            assert await wire.notification(subscription) == "tick"
        printed = {**UNSUBSCRIBE, "params": [subscription]}
        assert await wire.answer(printed) == {"jsonrpc": "2.0", "id": 1, "result": True}
        again = await wire.answer(printed)
    assert again["error"]["message"] == "subscription not found"
