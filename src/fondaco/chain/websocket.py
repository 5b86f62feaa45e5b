"""Many JSON-RPC requests over one WebSocket, told apart by their ids."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from fondaco.chain.envelope import Answer, Notification, decode_message, result_of
from fondaco.chain.errors import AnswerTooLarge, EndpointUnavailable, MalformedAnswer
from fondaco.chain.limits import CONNECT_TIMEOUT, MAX_ANSWER_SIZE

_TOO_BIG = 1009
"""WebSocket close code: a message was too big to process (RFC 6455, section 7.4.1)."""


class WebSocketEndpoint:
    """An endpoint behind ``ws://`` or ``wss://``; connects when used, again when lost.

    Args:
        url: may hold a secret key, so it stands in no error and no log line.
        on_notification: called with each message of a subscription, on the event loop.
    """

    has_subscriptions = True

    def __init__(
        self,
        url: str,
        on_notification: Callable[[Notification], None],
        *,
        max_answer_size: int = MAX_ANSWER_SIZE,
    ) -> None:
        self._url = url
        self._on_notification = on_notification
        self._max_answer_size = max_answer_size
        self._connection: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._pending: dict[int, asyncio.Future[Answer]] = {}
        self._connecting = asyncio.Lock()

    async def exchange(self, request_id: int, request: bytes) -> msgspec.Raw:
        """Send *request*; return the result in its answer.

        Raises:
            EndpointError: the answer is a JSON-RPC error.
            EndpointUnavailable: no usable answer.
        """
        connection = await self._connected()
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._pending[request_id] = future
        try:
            await connection.send(request, text=True)
            return result_of(await future, request_id)
        except ConnectionClosed as exc:
            raise EndpointUnavailable("connection lost") from exc
        finally:
            self._pending.pop(request_id, None)
            if future.done() and not future.cancelled():
                future.exception()  # seen, where sending had failed before it could be

    async def lost(self) -> None:
        """Return when the present connection is gone; at once where there is none."""
        if self._connection is not None:
            await self._connection.wait_closed()

    async def close(self) -> None:
        """Close the connection; requests in flight fail."""
        if self._connection is not None:
            await self._connection.close()
        if self._reader is not None:
            await self._reader

    async def _connected(self) -> ClientConnection:
        async with self._connecting:
            if self._connection is not None and self._reader and not self._reader.done():
                return self._connection
            try:
                connection = await connect(
                    self._url,
                    max_size=self._max_answer_size,
                    open_timeout=CONNECT_TIMEOUT,
                    proxy=None,
                )
            except (OSError, WebSocketException) as exc:
                raise EndpointUnavailable(f"connection failed: {type(exc).__name__}") from exc
            self._connection = connection
            self._reader = asyncio.create_task(self._read(connection), name="ethereum reader")
            return connection

    async def _read(self, connection: ClientConnection) -> None:
        """Hand out what arrives until the connection ends; ends, it never raises."""
        problem = EndpointUnavailable("connection lost")
        try:
            async for text in connection:
                self._dispatch(text)
        except MalformedAnswer as exc:
            # Whose answer it was cannot be told, and the next may be as bad.
            problem = exc
        except ConnectionClosed as exc:
            if exc.sent is not None and exc.sent.code == _TOO_BIG:
                problem = AnswerTooLarge(f"the answer has over {self._max_answer_size} bytes")
        finally:
            pending, self._pending = self._pending, {}
            for future in pending.values():
                if not future.done():
                    future.set_exception(problem)
            await connection.close()

    def _dispatch(self, text: str | bytes) -> None:
        message = decode_message(text)
        if isinstance(message, Notification):
            self._on_notification(message)
            return
        request_id = message.request_id
        if not isinstance(request_id, int) or isinstance(request_id, bool):
            raise MalformedAnswer("an answer without the id of a request")
        future = self._pending.get(request_id)
        # An id that nobody waits for: its request has timed out.
        if future is not None and not future.done():
            future.set_result(message)
