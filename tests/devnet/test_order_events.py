"""A client that follows order events, against a scripted node."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from fondaco.devnet.order_events import OrderEvents, UnexpectedAnswerError, order_events

Answer = Callable[[ServerConnection, dict[str, Any]], Awaitable[None]]


async def followed(answer: Answer) -> list[OrderEvents]:
    async def handle(socket: ServerConnection) -> None:
        async for message in socket:
            await answer(socket, json.loads(message))

    async with serve(handle, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        return [batch async for batch in order_events(f"ws://127.0.0.1:{port}")]


async def reply(socket: ServerConnection, call: dict[str, Any], result: object) -> None:
    await socket.send(json.dumps({"jsonrpc": "2.0", "id": call["id"], "result": result}))


async def notify(socket: ServerConnection, *names: str) -> None:
    events = [{"orderHash": name, "endState": "FILLED"} for name in names]
    params = {"subscription": "0x1", "result": events}
    message = {"jsonrpc": "2.0", "method": "mesh_subscription", "params": params}
    await socket.send(json.dumps(message))


async def test_stored_orders_come_first_and_nothing_is_lost_between() -> None:
    pages = [["a", "b"], ["c"], []]
    asked: list[object] = []

    async def answer(socket: ServerConnection, call: dict[str, Any]) -> None:
        asked.append([call["method"], *call["params"]])
        if call["method"] == "mesh_subscribe":
            await reply(socket, call, "0x1")
            return
        page = call["params"][0]
        await notify(socket, f"early {page}")
        infos = [{"orderHash": name} for name in pages[page]]
        await reply(socket, call, {"snapshotID": "s", "ordersInfos": infos})
        if not infos:
            await notify(socket, "late", "later")
            await socket.close()

    batches = await followed(answer)
    assert asked == [
        ["mesh_subscribe", "orders"],
        ["mesh_getOrders", 0, 100, ""],
        ["mesh_getOrders", 1, 100, "s"],
        ["mesh_getOrders", 2, 100, "s"],
    ]
    told = [
        ([f"{event['orderHash']} {event['endState']}" for event in batch.events], batch.is_news)
        for batch in batches
    ]
    assert told == [
        (["a ADDED", "b ADDED"], False),
        (["c ADDED"], False),
        (["early 0 FILLED"], True),
        (["early 1 FILLED"], True),
        (["early 2 FILLED"], True),
        (["late FILLED", "later FILLED"], True),
    ]


async def test_a_refusal_is_an_error() -> None:
    async def answer(socket: ServerConnection, call: dict[str, Any]) -> None:
        error = {"code": -32000, "message": "no more subscriptions"}
        await socket.send(json.dumps({"jsonrpc": "2.0", "id": call["id"], "error": error}))

    with pytest.raises(UnexpectedAnswerError, match=r"mesh_subscribe.*no more subscriptions"):
        await followed(answer)


async def test_nobody_is_there() -> None:
    with pytest.raises(OSError, match=r"Connect|refused"):
        [batch async for batch in order_events("ws://127.0.0.1:1")]
