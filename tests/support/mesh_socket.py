"""A client of a node over a real WebSocket, for tests that expect exact events.

    async with open_socket(node.rpc) as client:
        orders = await client.subscribe()
        await client.add(order)
        (event,) = await orders.take(1)

Unlike a published client it checks every frame: an answer nobody waits for, a second
answer, or a notification without a subscription fails the test.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from fondaco.zeroex.codec import encode_order
from fondaco.zeroex.order import SignedOrder

PATIENCE = 20.0
"""Seconds until something that must happen counts as not happening."""

MESSAGE_LIMIT = 2**27
"""Bytes. More than any answer; what the node sends is what is looked at."""

Order = SignedOrder | dict[str, Any]
Event = dict[str, Any]


class MeshError(Exception):
    """The node answered a call, or ended a subscription, with an error."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(f"{error['message']} (code {error['code']})")
        self.code: int = error["code"]
        self.message: str = error["message"]
        self.data: Any = error.get("data")


class Subscription:
    """What one subscription was sent. Made by ``MeshSocket.subscribe``."""

    def __init__(self, subscription_id: str) -> None:
        self.id = subscription_id
        self.results: asyncio.Queue[Any] = asyncio.Queue()
        self._left: list[Event] = []

    async def next_result(self) -> Any:
        """Return the result of the next notification, whatever it is.

        Raises:
            MeshError: the node ended the subscription.
        """
        async with asyncio.timeout(PATIENCE):
            result = await self.results.get()
        if isinstance(result, MeshError):
            raise result
        return result

    async def next_events(self) -> list[Event]:
        """Return the events of the next notification, or what ``take`` left of it."""
        events, self._left = self._left, []
        if not events:
            events = await self.next_result()
            assert isinstance(events, list)
        return events

    async def take(self, count: int) -> list[Event]:
        """Return the next *count* events, however they are parted into notifications."""
        taken: list[Event] = []
        while len(taken) < count:
            events = await self.next_events()
            room = count - len(taken)
            taken += events[:room]
            self._left = events[room:]
        return taken

    async def until(self, sequence: int, *, after: int) -> list[Event]:
        """Return the events *after* a sequence up to another, which must be all of them."""
        events = await self.take(sequence - after)
        assert [event["sequence"] for event in events] == list(range(after + 1, sequence + 1))
        return events


class MeshSocket:
    """One connection. Made by ``open_socket``."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._subscriptions: dict[str, Subscription] = {}
        self._early: dict[str, list[Any]] = {}
        self._reader = asyncio.create_task(self._read(), name="mesh socket")

    async def ask(self, method: str, *params: object, patience: float = PATIENCE) -> dict[str, Any]:
        """Call *method* and return the whole answer."""
        number = next(self._ids)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        request = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        await self.connection.send(msgspec.json.encode(request), text=True)
        async with asyncio.timeout(patience):
            return await answer

    async def call(self, method: str, *params: object, patience: float = PATIENCE) -> Any:
        """Return the result of *method*.

        Raises:
            MeshError: it answered with an error.
        """
        answer = await self.ask(method, *params, patience=patience)
        if "error" in answer:
            raise MeshError(answer["error"])
        return answer["result"]

    async def add(
        self,
        *orders: Order,
        options: Mapping[str, object] | None = None,
        patience: float = PATIENCE,
    ) -> dict[str, Any]:
        """``mesh_addOrders``."""
        params = [[wire(order) for order in orders], *([] if options is None else [options])]
        result = await self.call("mesh_addOrders", *params, patience=patience)
        assert isinstance(result, dict)
        return result

    async def stats(self) -> dict[str, Any]:
        """``mesh_getStats``."""
        result = await self.call("mesh_getStats")
        assert isinstance(result, dict)
        return result

    async def book(self, per_page: int = 1_000) -> dict[str, str]:
        """Page through ``mesh_getOrders``; return fillable amounts by order hash."""
        snapshot = ""
        found: dict[str, str] = {}
        for page in itertools.count():
            answer = await self.call("mesh_getOrders", page, per_page, snapshot)
            snapshot = answer["snapshotID"]
            if not answer["ordersInfos"]:
                return found
            for info in answer["ordersInfos"]:
                assert info["orderHash"] not in found
                found[info["orderHash"]] = info["fillableTakerAssetAmount"]
        raise AssertionError("pages without end")

    async def subscribe(self, name: str = "orders", **options: object) -> Subscription:
        """``mesh_subscribe``; *options* are ``since`` and ``filter``."""
        params = [name, *([options] if options else [])]
        subscription = Subscription(await self.call("mesh_subscribe", *params))
        self._subscriptions[subscription.id] = subscription
        for result in self._early.pop(subscription.id, []):
            subscription.results.put_nowait(result)
        return subscription

    async def close(self) -> None:
        """Close in good order; fails if the reader found something wrong."""
        await self.connection.close()
        await self._reader

    async def _read(self) -> None:
        failure: Exception = ConnectionError("the connection is closed")
        try:
            async for text in self.connection:
                self._dispatch(json.loads(text))
        except ConnectionClosed as exc:
            failure = exc
        finally:
            for answer in self._answers.values():
                if not answer.done():
                    answer.set_exception(failure)
                    answer.exception()

    def _dispatch(self, message: dict[str, Any]) -> None:
        assert message["jsonrpc"] == "2.0"
        if "id" in message:
            answer = self._answers.pop(message["id"])
            if not answer.cancelled():
                answer.set_result(message)
            return
        assert message["method"] == "mesh_subscription"
        params = message["params"]
        result = MeshError(params["error"]) if "error" in params else params["result"]
        subscription = self._subscriptions.get(params["subscription"])
        if subscription is None:
            self._early.setdefault(params["subscription"], []).append(result)
        else:
            subscription.results.put_nowait(result)


def wire(order: Order) -> Any:
    """Return *order* as a request carries it; a dictionary stays what it is."""
    return msgspec.Raw(encode_order(order)) if isinstance(order, SignedOrder) else order


def codes(rejected: Sequence[dict[str, Any]]) -> list[str]:
    """Return the codes of the rejected part of an answer, in its sequence."""
    return [entry["status"]["code"] for entry in rejected]


@contextlib.asynccontextmanager
async def open_socket(url: str) -> AsyncIterator[MeshSocket]:
    """Connect to the node at *url*, ``ws://host:port``."""
    async with connect(url, max_size=MESSAGE_LIMIT, compression=None) as connection:
        client = MeshSocket(connection)
        try:
            yield client
        finally:
            await client.close()
