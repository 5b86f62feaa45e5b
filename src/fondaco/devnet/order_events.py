"""Follow a node's order events over its own API, as any other client does."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection, connect

from fondaco.errors import NodeError

ORDERS_PER_PAGE = 100
"""Orders asked for at once."""

MESSAGE_LIMIT = 16 * 1024 * 1024
"""Bytes of one message. A page of 100 orders of 16,000 bytes has 1.6 MB."""


class OrderEvents(msgspec.Struct, frozen=True, kw_only=True):
    """Events that the node sent together."""

    events: list[dict[str, Any]]
    """As ``mesh_subscribe`` sends them."""

    is_news: bool
    """False for orders that were stored before; they come first, as ADDED."""


class UnexpectedAnswerError(NodeError):
    """The node answered with an error, or not as its API says."""

    code = "UnexpectedAnswer"


async def order_events(rpc_url: str) -> AsyncIterator[OrderEvents]:
    """Yield the stored orders of the node at *rpc_url*, then its events as they come.

    Ends when the node closes the connection.

    Raises:
        UnexpectedAnswerError: the node refused to subscribe or to list.
        OSError: nobody listens there.
    """
    async with connect(rpc_url, max_size=MESSAGE_LIMIT, compression=None) as socket:
        early: list[OrderEvents] = []
        # Before listing: an order that comes in between is then told twice, not never.
        await _ask(socket, early, "mesh_subscribe", "orders")
        async for batch in _stored(socket, early):
            yield batch
        for batch in early:
            yield batch
        async for message in socket:
            batch_or_none = _events(json.loads(message))
            if batch_or_none is not None:
                yield batch_or_none


async def _stored(socket: ClientConnection, early: list[OrderEvents]) -> AsyncIterator[OrderEvents]:
    snapshot, page = "", 0
    while True:
        answer = await _ask(socket, early, "mesh_getOrders", page, ORDERS_PER_PAGE, snapshot)
        if not answer["ordersInfos"]:
            return
        events = [{**info, "endState": "ADDED"} for info in answer["ordersInfos"]]
        yield OrderEvents(events=events, is_news=False)
        snapshot, page = answer["snapshotID"], page + 1


async def _ask(
    socket: ClientConnection, early: list[OrderEvents], method: str, *parameters: object
) -> Any:
    """Return the result of one call; events that arrive meanwhile go into *early*."""
    call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
    await socket.send(json.dumps(call))
    while True:
        message = json.loads(await socket.recv())
        events = _events(message)
        if events is not None:
            early.append(events)
        elif "result" in message:
            return message["result"]
        else:
            raise UnexpectedAnswerError(f"{method}: {json.dumps(message.get('error'))}")


def _events(message: dict[str, Any]) -> OrderEvents | None:
    """The events in a notification; None where the message is an answer."""
    if "id" in message:
        return None
    return OrderEvents(events=message["params"]["result"], is_news=True)
