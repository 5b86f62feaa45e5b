"""A client of a node, as any other: JSON-RPC over a WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from fondaco.errors import NodeError, Unavailable

MESSAGE_LIMIT = 16 * 1024 * 1024
"""Bytes of one message; a notification of the node has 4 MiB at most."""

ANSWER_SECONDS = 120.0
"""How long an answer may take: fifty nodes on two cores are slow, and still there."""

OPEN_SECONDS = 30.0
"""How long the handshake may take."""


class NodeGone(Unavailable):
    """A node that is measured does not answer, or has closed a connection."""

    code = "NodeGone"


class NodeRefused(NodeError):
    """A node answered with an error."""

    code = "NodeRefused"


_NOTHING = msgspec.Raw()
"""A member that is not there."""


class _Told(msgspec.Struct, gc=False):
    """What is read of an order event."""

    orderHash: str
    endState: str


class _Parameters(msgspec.Struct, gc=False):
    result: list[_Told] = []
    error: msgspec.Raw = _NOTHING


class _Notification(msgspec.Struct, gc=False):
    params: _Parameters


class _Answer(msgspec.Struct, gc=False):
    id: int
    result: msgspec.Raw = _NOTHING
    error: msgspec.Raw = _NOTHING


_read_notification = msgspec.json.Decoder(_Notification).decode
_read_answer = msgspec.json.Decoder(_Answer).decode

Tell = Callable[[Sequence[str]], None]
"""Takes the hashes of orders that the node has just stored; does not wait."""


class NodeClient:
    """One connection for calls. Made by ``open_client``."""

    def __init__(self, url: str, socket: ClientConnection) -> None:
        self._url = url
        self._socket = socket
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[_Answer]] = {}

    async def call(self, method: str, *parameters: object) -> Any:
        """Return the result of a call. Calls may be under way at the same time.

        Raises:
            NodeRefused: the node answered with an error.
            NodeGone: it did not answer.
        """
        number = next(self._numbers)
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        call = {"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._socket.send(msgspec.json.encode(call), text=True)
                answer = await future
        except (WebSocketException, TimeoutError) as exc:
            raise NodeGone(f"{self._url}: no answer to {method}: {exc or 'too late'}") from exc
        finally:
            self._waiting.pop(number, None)
        if answer.error:
            raise NodeRefused(f"{self._url}: {method}: {bytes(answer.error).decode()}")
        return msgspec.json.decode(answer.result)

    async def read(self) -> None:
        """Hand out answers until the connection ends; whoever waits then is told."""
        problem: Exception = NodeGone(f"{self._url}: closed the connection")
        try:
            async for message in self._socket:
                answer = _read_answer(message)
                future = self._waiting.get(answer.id)
                if future is not None and not future.done():
                    future.set_result(answer)
        except (WebSocketException, msgspec.MsgspecError) as exc:
            problem = NodeGone(f"{self._url}: {exc}")
        finally:
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(problem)


@contextlib.asynccontextmanager
async def open_client(url: str, *, token: str = "") -> AsyncIterator[NodeClient]:
    """Connect to the node at *url*, ``ws://host:port``; *token* is its ``RPC_TOKEN``.

    Raises:
        NodeGone: nobody answers there.
    """
    async with _open_socket(url, token) as socket:
        client = NodeClient(url, socket)
        reading = asyncio.create_task(client.read(), name=f"answers of {url}")
        try:
            yield client
        finally:
            reading.cancel()
            await asyncio.wait([reading])


async def follow(url: str, tell: Tell, on_open: Callable[[], None], *, token: str = "") -> None:
    """Tell of each order that the node at *url* stores, from ``on_open`` on; for ever.

    Raises:
        NodeGone: the node is not there, or has ended the subscription.
    """
    async with _open_socket(url, token) as socket:
        request = {"jsonrpc": "2.0", "id": 0, "method": "mesh_subscribe", "params": ["orders"]}
        try:
            await socket.send(msgspec.json.encode(request), text=True)
            if not _read_answer(await socket.recv()).result:
                raise NodeGone(f"{url}: refused a subscription")
            on_open()
            async for message in socket:
                told = _read_notification(message).params
                if told.error:
                    raise NodeGone(f"{url}: ended a subscription: {bytes(told.error).decode()}")
                tell([event.orderHash for event in told.result if event.endState == "ADDED"])
        except (WebSocketException, msgspec.MsgspecError) as exc:
            raise NodeGone(f"{url}: {exc}") from exc
    raise NodeGone(f"{url}: closed the connection")


@contextlib.asynccontextmanager
async def _open_socket(url: str, token: str) -> AsyncIterator[ClientConnection]:
    try:
        # Pings are the lab's own load, and a node that is busy for 20 s is not gone.
        socket = await connect(
            url,
            max_size=MESSAGE_LIMIT,
            compression=None,
            open_timeout=OPEN_SECONDS,
            ping_interval=None,
            additional_headers={"Authorization": f"Bearer {token}"} if token else {},
        )
    except (OSError, WebSocketException, TimeoutError) as exc:
        raise NodeGone(f"no node answers at {url}: {exc or 'too late'}") from exc
    async with socket:
        yield socket
