"""``@0x/mesh-rpc-client`` as published, against the real node on the real chain: every method.

6.0.1-beta is the client of the seed's releases and speaks v2 orders, 9.4.2 is the last
one and speaks v3 orders. One node serves both at once.
"""

from __future__ import annotations

from typing import Any

import pytest

from conformance.book import Book
from conformance.mesh_client import (
    BIG_FIELDS,
    BigNumber,
    MeshClient,
    as_user,
    as_wire,
    open_client,
)
from conformance.wire import open_wire
from support.driven import ProgramError
from support.node_process import NodeProcess

pytestmark = pytest.mark.chain

STATS_FIELDS = {
    "version": str,
    "pubSubTopic": str,
    "rendezvous": str,
    "peerID": str,
    "ethereumChainID": int,
    "latestBlock": dict,
    "numPeers": int,
    "numOrders": int,
    "numOrdersIncludingRemoved": int,
    "numPinnedOrders": int,
    "maxExpirationTime": str,
    "startOfCurrentUTCDay": str,
    "ethRPCRequestsSentInCurrentUTCDay": int,
    "ethRPCRateLimitExpiredRequests": int,
}
"""``GetStatsResponse`` of both clients' type declarations."""


async def add(client: MeshClient, orders: list[dict[str, Any]], *pinned: bool) -> dict[str, Any]:
    results = await client.call("addOrdersAsync", [as_user(order) for order in orders], *pinned)
    assert isinstance(results, dict)
    return results


async def test_get_stats(client: MeshClient) -> None:
    stats = await client.call("getStatsAsync")
    assert {name: type(stats[name]) for name in STATS_FIELDS} == STATS_FIELDS
    assert stats["ethereumChainID"] == 1337
    assert type(stats["latestBlock"]["number"]) is int
    assert len(stats["latestBlock"]["hash"]) == 66


async def test_add_orders_and_their_pins(client: MeshClient, book: Book) -> None:
    by_default, pinned, unpinned = book.orders(3)

    first = await add(client, [by_default])
    (accepted,) = first["accepted"]
    assert first["rejected"] == []
    assert accepted["orderHash"] == book.hash(by_default)
    assert as_wire(accepted["signedOrder"]) == by_default
    assert isinstance(accepted["fillableTakerAssetAmount"], BigNumber)
    assert accepted["fillableTakerAssetAmount"] == int(by_default["takerAssetAmount"])
    assert accepted["isNew"] is True
    assert (await client.call("getStatsAsync"))["numPinnedOrders"] == 1

    again = await add(client, [by_default, pinned], True)
    is_new = {entry["orderHash"]: entry["isNew"] for entry in again["accepted"]}
    assert is_new == {book.hash(by_default): False, book.hash(pinned): True}
    assert (await client.call("getStatsAsync"))["numPinnedOrders"] == 2

    await add(client, [unpinned], False)
    stats = await client.call("getStatsAsync")
    assert stats["numPinnedOrders"] == 2
    assert stats["numOrders"] == 3


async def test_a_refused_order_says_why_and_its_neighbours_are_taken(
    client: MeshClient, node: NodeProcess, book: Book
) -> None:
    good, forged, spent = book.orders(3)
    forged["signature"] = "0x1b" + "11" * 64 + "02"
    block = await book.cancel(spent)
    async with open_wire(node.ready.rpc) as wire:
        await wire.reaches_block(block)

    results = await add(client, [forged, good, spent])
    assert [entry["orderHash"] for entry in results["accepted"]] == [book.hash(good)]
    reasons = {entry["orderHash"]: entry for entry in results["rejected"]}
    assert reasons.keys() == {book.hash(forged), book.hash(spent)}
    for order, code in ((forged, "OrderHasInvalidSignature"), (spent, "OrderCancelled")):
        entry = reasons[book.hash(order)]
        assert entry["kind"] == "ZEROEX_VALIDATION"
        assert entry["status"]["code"] == code
        assert as_wire(entry["signedOrder"]) == order


async def test_what_is_no_order_comes_back_readable(client: MeshClient, book: Book) -> None:
    """The original answers null here, at which both clients throw and all answers are lost."""
    (good,) = book.orders(1)
    user = as_user(good)
    nonsense: list[Any] = [
        {},
        {**user, "makerAddress": "0x12"},
        {**user, "makerAssetAmount": None},
        {**user, "takerAssetAmount": 5},
        {name: value for name, value in user.items() if name != "salt"},
        {**user, "signature": []},
        [],
        "order",
        7,
        None,
    ]
    results = await client.call("addOrdersAsync", [*nonsense, user])
    assert [entry["orderHash"] for entry in results["accepted"]] == [book.hash(good)]
    assert len(results["rejected"]) == len(nonsense)
    for entry in results["rejected"]:
        assert entry["orderHash"] == "0x" + "00" * 32
        assert entry["kind"] == "MESH_VALIDATION"
        assert entry["status"]["code"] == "InvalidSchema"
        for name in BIG_FIELDS:
            # No NaN: what cannot be read is zero.
            assert isinstance(entry["signedOrder"][name], BigNumber)


async def test_get_orders_page_by_page(client: MeshClient, book: Book) -> None:
    orders = {book.hash(order): order for order in book.orders(5)}
    await add(client, list(orders.values()))
    for per_page in ([1], [2], []):
        response = await client.call("getOrdersAsync", *per_page)
        infos = response if book.is_v2 else response["ordersInfos"]
        assert [info["orderHash"] for info in infos] == sorted(orders)
        for info in infos:
            order = orders[info["orderHash"]]
            assert as_wire(info["signedOrder"]) == order
            assert info["fillableTakerAssetAmount"] == int(order["takerAssetAmount"])
            assert isinstance(info["fillableTakerAssetAmount"], BigNumber)
        if not book.is_v2:
            assert type(response["snapshotTimestamp"]) is int


async def test_an_error_reaches_the_user(client: MeshClient) -> None:
    with pytest.raises(ProgramError, match=r"Node error: .*perPage cannot be zero"):
        await client.call("getOrdersAsync", 0)


@pytest.mark.parametrize("client_version", ["9.4.2"])
async def test_get_orders_for_page_keeps_its_snapshot(client: MeshClient, book: Book) -> None:
    *orders, late = book.orders(4)
    await add(client, orders)
    first = await client.call("getOrdersForPageAsync", 0, 2)
    await add(client, [late])
    second = await client.call("getOrdersForPageAsync", 1, 2, first["snapshotID"])
    end = await client.call("getOrdersForPageAsync", 2, 2, first["snapshotID"])
    found = [info["orderHash"] for page in (first, second, end) for info in page["ordersInfos"]]
    assert found == sorted(book.hash(order) for order in orders)
    assert second["snapshotID"] == end["snapshotID"] == first["snapshotID"]
    assert second["snapshotTimestamp"] == end["snapshotTimestamp"] == first["snapshotTimestamp"]
    with pytest.raises(ProgramError, match="No snapshot found with id: unknown"):
        await client.call("getOrdersForPageAsync", 0, 2, "unknown")


async def test_a_subscriber_follows_orders_from_added_to_their_end(
    client: MeshClient, book: Book
) -> None:
    filled, cancelled = orders = book.orders(2)
    subscription = await client.subscribe()
    await add(client, orders)
    events = await client.order_events(subscription, 2)
    assert {event["orderHash"] for event in events} == {book.hash(order) for order in orders}
    for event in events:
        assert event["endState"] == "ADDED"
        # On the wire it is null.
        assert event["contractEvents"] == []
        assert isinstance(event["fillableTakerAssetAmount"], BigNumber)
        assert book.is_v2 or type(event["timestampMs"]) is int

    part = int(filled["takerAssetAmount"]) // 4
    await book.fill(filled, part)
    (event,) = await client.orders(subscription)
    amount = int(filled["takerAssetAmount"]) - part
    assert (event["endState"], event["fillableTakerAssetAmount"]) == ("FILLED", amount)
    assert as_wire(event["signedOrder"]) == filled
    (fill,) = (
        contract_event
        for contract_event in event["contractEvents"]
        if contract_event["kind"] == "ExchangeFillEvent"
    )
    assert fill["parameters"]["orderHash"] == book.hash(filled)
    assert isinstance(fill["parameters"]["takerAssetFilledAmount"], BigNumber)
    assert fill["parameters"]["takerAssetFilledAmount"] == part
    assert fill["isRemoved"] is False

    await book.cancel(cancelled)
    (event,) = await client.orders(subscription)
    assert (event["endState"], event["fillableTakerAssetAmount"]) == ("CANCELLED", 0)
    assert event["orderHash"] == book.hash(cancelled)
    assert [each["kind"] for each in event["contractEvents"]] == ["ExchangeCancelEvent"]


async def test_after_unsubscribe_nothing_comes(client: MeshClient, book: Book) -> None:
    before, after = book.orders(2)
    ended, going_on = await client.subscribe(), await client.subscribe()
    await add(client, [before])
    for subscription in (ended, going_on):
        (event,) = await client.orders(subscription)
        assert event["orderHash"] == book.hash(before)
    assert await client.call("unsubscribeAsync", ended) is None
    await add(client, [after])
    (event,) = await client.orders(going_on)
    assert event["orderHash"] == book.hash(after)
    told = [note["subscription"] for note in client.seen if note["event"] == "orders"]
    assert told.count(ended) == 1
    with pytest.raises(ProgramError, match="subscription not found"):
        await client.call("unsubscribeAsync", ended)


async def test_answers_and_events_above_a_mebibyte_arrive(client: MeshClient, book: Book) -> None:
    """Both clients close at a frame over 1 MiB; longer messages have to be fragmented."""
    orders = book.orders(1_500)
    subscription = await client.subscribe()
    results = await add(client, orders)
    assert len(results["accepted"]) == len(orders)
    events = await client.order_events(subscription, len(orders))
    assert {event["endState"] for event in events} == {"ADDED"}
    response = await client.call("getOrdersAsync", 2_000)
    infos = response if book.is_v2 else response["ordersInfos"]
    assert len(infos) == len(orders)
    assert not [note for note in client.seen if note["event"] == "close"]


async def test_destroy_ends_it_cleanly(client: MeshClient, node: NodeProcess, book: Book) -> None:
    """It gives back every subscription, even one that was given back before."""
    subscription = await client.subscribe()
    await client.call("unsubscribeAsync", subscription)
    await client.destroy()
    assert [note for note in client.seen if note["event"] != "socket"] == [
        {"event": "connect"},
        {"event": "close"},
    ]
    async with open_wire(node.ready.rpc) as wire:
        assert await wire.call("rpc_modules")
    with pytest.raises(ProgramError, match="not open"):
        await client.call("getStatsAsync")


async def test_two_versions_share_one_node(
    node: NodeProcess, books: dict[str, Book], installations: dict[str, Any]
) -> None:
    """Each version's subscriber also gets the orders of the other, and can read them."""
    async with (
        open_client(installations["6.0.1-beta"], node.ready.rpc) as old,
        open_client(installations["9.4.2"], node.ready.rpc) as new,
    ):
        subscriptions = {old: await old.subscribe(), new: await new.subscribe()}
        (v2,), (v3,) = (book.orders(1) for book in books.values())
        await add(old, [v2])
        await add(new, [v3])
        hashes = {books["6.0.1-beta"].hash(v2), books["9.4.2"].hash(v3)}
        for client, subscription in subscriptions.items():
            events = await client.order_events(subscription, 2)
            assert {event["orderHash"] for event in events} == hashes
