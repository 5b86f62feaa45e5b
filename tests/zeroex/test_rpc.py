"""What clients say and are answered, over a real socket; the chain says what the test sets."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fondaco.api.declarations import Registry
from fondaco.testing.api import Client, connect, serve
from fondaco.testing.ethereum import ample_budget
from fondaco.testing.orders import make_order
from fondaco.zeroex import codec
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.errors import RejectionCode
from fondaco.zeroex.intake import MAX_RECEIVED
from fondaco.zeroex.lifecycle import Rejected
from fondaco.zeroex.order import ProtocolVersion, SignedOrder
from fondaco.zeroex.rpc import MAX_PER_PAGE, MeshRpc
from fondaco.zeroex.snapshots import Snapshots
from fondaco.zeroex.stats import NodeStats
from fondaco.zeroex.trading import Trading
from support.chain_words import CONTRACTS
from support.order_bench import OrderBench, orders

NO_HASH = "0x" + "00" * 32


class _State:
    """What statistics ask of blocks, besides the bench's parts."""

    head = None
    staleness = 0.0
    last_error = None


@pytest.fixture
async def client(bench: OrderBench) -> AsyncIterator[Client]:
    """A connected client of a node whose chain stands still."""
    numbers = itertools.count(1)
    snapshots = Snapshots(bench.database, bench.clock, new_id=lambda: f"snapshot-{next(numbers)}")
    stats = NodeStats(
        book=bench.index,
        blocks=_State(),
        watcher=bench.watcher,
        budget=ample_budget(bench.clock),
        clock=bench.clock,
        trading=Trading(CONTRACTS, "{}"),
        peer_id="16Uiu2HAm",
        max_expiration=lambda: bench.ceiling.current,
        feed=lambda: (bench.feed.subscriber_count, bench.feed.last),
        added={},
    )
    rpc = MeshRpc(
        service=bench.service,
        database=bench.database,
        snapshots=snapshots,
        stats=stats,
        feed=bench.feed,
        clock=bench.clock,
    )
    registry = Registry()
    rpc.declare(registry)
    async with (
        bench.watching(),
        serve(registry) as address,
        connect(address) as connected,
    ):
        yield connected
    await snapshots.close()


def as_json(order: SignedOrder) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(codec.encode_order(order))
    return fields


def hex_of(order: SignedOrder) -> str:
    return f"0x{order_hash(order).hex()}"


# ---------------------------------------------------------------- mesh_addOrders


@pytest.mark.parametrize("version", ProtocolVersion)
async def test_a_new_order_and_the_same_again(client: Client, version: ProtocolVersion) -> None:
    order = make_order(version=version)
    expected = {
        "orderHash": hex_of(order),
        "signedOrder": as_json(order),
        "fillableTakerAssetAmount": str(order.taker_asset_amount),
        "isNew": True,
    }
    first = await client.call("mesh_addOrders", [as_json(order)])
    assert first == {"accepted": [expected], "rejected": []}
    again = await client.call("mesh_addOrders", [as_json(order), as_json(order)])
    assert again == {"accepted": [{**expected, "isNew": False}], "rejected": []}


async def test_a_refused_order_says_why(client: Client, bench: OrderBench) -> None:
    good, bad = orders(2)
    bench.assessor.outcomes[order_hash(bad)] = Rejected(RejectionCode.CANCELLED, "status 6")
    answer = await client.call("mesh_addOrders", [as_json(bad), as_json(good)])
    assert [entry["orderHash"] for entry in answer["accepted"]] == [hex_of(good)]
    assert answer["rejected"] == [
        {
            "orderHash": hex_of(bad),
            "signedOrder": as_json(bad),
            "kind": "ZEROEX_VALIDATION",
            "status": {"code": "OrderCancelled", "message": "order cancelled"},
            "detail": "status 6",
        }
    ]


async def test_no_order_at_all_comes_back_whole_enough_for_clients(client: Client) -> None:
    text = "x" * 5_000
    answer = await client.call("mesh_addOrders", [{"makerAddress": text}, as_json(make_order())])
    assert len(answer["accepted"]) == 1
    [entry] = answer["rejected"]
    assert (entry["orderHash"], entry["kind"]) == (NO_HASH, "MESH_VALIDATION")
    assert entry["status"]["code"] == "InvalidSchema"
    assert entry["status"]["message"].startswith("order did not pass JSON-schema validation: ")
    assert len(entry["received"]) == MAX_RECEIVED
    assert entry["received"].startswith('{"makerAddress"')
    assert set(entry["signedOrder"]) == set(as_json(make_order(version=ProtocolVersion.V2)))
    assert all(isinstance(value, str) for value in entry["signedOrder"].values())


@pytest.mark.parametrize(
    ("options", "pinned"),
    [
        pytest.param((), 1, id="left out"),
        pytest.param((None,), 1, id="null"),
        pytest.param(({},), 0, id="an object without the key"),
        pytest.param(({"pinned": False},), 0, id="no"),
        pytest.param(({"pinned": True},), 1, id="yes"),
    ],
)
async def test_who_is_pinned(client: Client, options: tuple[object, ...], pinned: int) -> None:
    await client.call("mesh_addOrders", [as_json(make_order())], *options)
    assert (await client.call("mesh_getStats"))["numPinnedOrders"] == pinned


# ---------------------------------------------------------------- mesh_getOrders


async def test_pages_until_an_empty_one(client: Client) -> None:
    given = orders(5)
    await client.call("mesh_addOrders", [as_json(order) for order in given])
    found: list[str] = []
    snapshot = ""
    for page in range(4):
        answer = await client.call("mesh_getOrders", page, 2, snapshot)
        snapshot = answer["snapshotID"]
        assert answer["snapshotTimestamp"].endswith("Z")
        found += [info["orderHash"] for info in answer["ordersInfos"]]
    assert answer["ordersInfos"] == []
    assert found == sorted(map(hex_of, given))


@pytest.mark.parametrize(
    ("params", "code", "message"),
    [
        ((), -32602, "missing value for required argument 0"),
        ((0,), -32602, "missing value for required argument 1"),
        ((0, 100), -32602, "missing value for required argument 2"),
        ((0, 1, "", 4), -32602, "too many arguments, want at most 3"),
        ((0, 0, ""), -32000, "perPage cannot be zero"),
        ((0, -1, ""), -32000, "perPage cannot be zero"),
        (
            (0, 1, "unknown"),
            -32000,
            "No snapshot found with id: unknown. "
            "To create a new snapshot, send a request with an empty snapshotID",
        ),
        ((-1, 1, ""), -32000, "page: expected 0 or more"),
        ((0, MAX_PER_PAGE + 1, ""), -32000, f"perPage: expected at most {MAX_PER_PAGE}"),
    ],
)
async def test_pages_nobody_can_be_given(
    client: Client, params: tuple[object, ...], code: int, message: str
) -> None:
    error = (await client.ask("mesh_getOrders", *params))["error"]
    assert (error["code"], error["message"]) == (code, message)


async def test_orders_by_what_they_are(client: Client) -> None:
    given = [make_order(salt=n, taker_asset_amount=100 - n) for n in range(5)]
    await client.call("mesh_addOrders", [as_json(order) for order in given])
    options: dict[str, object] = {"sort": "price", "limit": 2}
    found: list[str] = []
    while True:
        answer = await client.call("mesh_getOrders", options)
        found += [info["orderHash"] for info in answer["ordersInfos"]]
        if answer["after"] is None:
            break
        options["after"] = answer["after"]
    assert found == [hex_of(order) for order in reversed(given)]


async def test_a_word_the_query_does_not_know_is_named(client: Client) -> None:
    error = (await client.ask("mesh_getOrders", {"filter": {"colour": "red"}}))["error"]
    assert error["code"] == -32000
    assert error["data"]["field"] == "filter.colour"


# ---------------------------------------------------------------- the rest


async def test_an_order_is_explained(client: Client) -> None:
    order = make_order()
    await client.call("mesh_addOrders", [as_json(order)])
    found = await client.call("mesh_explain", hex_of(order))
    assert (found["status"], found["steps"][0]["what"]) == ("live", "ADDED")


@pytest.mark.parametrize("name", ["", "0x12", "ab" * 32, "0x" + "zz" * 32])
async def test_only_a_hash_can_be_explained(client: Client, name: str) -> None:
    error = (await client.ask("mesh_explain", name))["error"]
    assert error["data"]["field"] == "orderHash"


async def test_events_live_and_from_the_log(client: Client) -> None:
    first, second = orders(2)
    await client.call("mesh_addOrders", [as_json(first)])
    live = await client.call("mesh_subscribe", "orders")
    replayed = await client.call("mesh_subscribe", "orders", {"since": 0})
    seen: dict[str, list[int]] = {live: [], replayed: []}
    note = await client.notification()
    seen[note["subscription"]] += [event["sequence"] for event in note["result"]]
    await client.call("mesh_addOrders", [as_json(second)])
    for _ in range(2):
        note = await client.notification()
        seen[note["subscription"]] += [event["sequence"] for event in note["result"]]
        assert note["result"][0]["endState"] == "ADDED"
        assert note["result"][0]["contractEvents"] is None
    assert seen == {live: [2], replayed: [1, 2]}
    assert await client.call("mesh_unsubscribe", live) is True


async def test_a_filtered_subscription(client: Client) -> None:
    v3, v2 = make_order(), make_order(version=ProtocolVersion.V2)
    await client.call("mesh_subscribe", "orders", {"filter": {"protocolVersion": 2}})
    await client.call("mesh_addOrders", [as_json(v3)])
    await client.call("mesh_addOrders", [as_json(v2)])
    note = await client.notification()
    assert [event["orderHash"] for event in note["result"]] == [hex_of(v2)]


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"since": 99}, id="not yet"),
        pytest.param({"since": -1}, id="never"),
        pytest.param({"sinse": 0}, id="misspelled"),
        pytest.param({"filter": {"colour": "red"}}, id="an unknown filter"),
    ],
)
async def test_subscriptions_nobody_can_be_given(
    client: Client, options: dict[str, object]
) -> None:
    answer = await client.ask("mesh_subscribe", "orders", options)
    assert answer["error"]["code"] in (-32000, -32602)


async def test_the_heart_beats_at_once(client: Client) -> None:
    await client.call("mesh_subscribe", "heartbeat")
    assert (await client.notification())["result"] == "tick"
