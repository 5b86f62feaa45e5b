"""A JSON-RPC peer without manners: it sends what it is told and hands over what comes back.

Kept apart from the node's own codec on purpose: the standard library's ``json`` and two
foreign transports see what any client would see.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
from websockets.asyncio.client import ClientConnection, connect

ANSWER_SECONDS = 30.0
"""Under load; an answer takes milliseconds."""

MESSAGE_LIMIT = 2**26
"""Bytes. Larger than any answer; what the node sends is what is looked at."""

JSON_TYPE = "application/json"


class Wire:
    """One WebSocket connection. Made by ``open_wire``."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.notifications: list[dict[str, Any]] = []
        """Arrived while an answer was waited for; ``notification`` takes the first."""

    async def send(self, message: object) -> None:
        """Send *message*: text as it is, anything else as JSON."""
        await self.connection.send(message if isinstance(message, str) else json.dumps(message))

    async def receive(self) -> Any:
        """Return the next message, decoded.

        Raises:
            websockets.exceptions.ConnectionClosed: the node closed instead.
        """
        async with asyncio.timeout(ANSWER_SECONDS):
            return json.loads(await self.connection.recv())

    async def answer(self, message: object) -> Any:
        """Send *message* and return the first message back that is no notification."""
        await self.send(message)
        while True:
            received = await self.receive()
            if isinstance(received, list) or "method" not in received:
                return received
            self.notifications.append(received)

    async def call(self, method: str, *params: object) -> Any:
        """Return the result of *method*.

        Raises:
            AssertionError: the node answered with an error.
        """
        answer = await self.answer(request(method, *params))
        assert "error" not in answer, answer
        return answer["result"]

    async def notification(self, subscription: str) -> Any:
        """Return the ``result`` of the next notification of *subscription*."""
        while True:
            for position, kept in enumerate(self.notifications):
                if kept["params"]["subscription"] == subscription:
                    return self.notifications.pop(position)["params"]["result"]
            received = await self.receive()
            assert received.get("method") == "mesh_subscription", received
            self.notifications.append(received)

    async def reaches_block(self, number: int) -> None:
        """Return once the node has processed block *number*."""
        async with asyncio.timeout(ANSWER_SECONDS):
            while (await self.call("mesh_getStats"))["latestBlock"]["number"] < number:
                pass


def request(method: str, *params: object) -> dict[str, object]:
    """Return a call as most clients spell it."""
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}


@contextlib.asynccontextmanager
async def open_wire(url: str) -> AsyncIterator[Wire]:
    """Connect as a program does: without Origin, subprotocol or extensions."""
    async with connect(url, max_size=MESSAGE_LIMIT, compression=None) as connection:
        yield Wire(connection)


async def post(
    url: str, message: object, headers: Mapping[str, str] | None = None
) -> tuple[int, Any]:
    """POST *message*; return the HTTP status and the decoded body (None where empty)."""
    body = message if isinstance(message, str) else json.dumps(message)
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS)) as session,
        session.post(url, data=body, headers={"Content-Type": JSON_TYPE, **(headers or {})}) as got,
    ):
        text = await got.text()
        return got.status, json.loads(text) if text else None
