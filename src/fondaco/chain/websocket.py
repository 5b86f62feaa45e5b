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


class _Link:
    """One connection, and the requests that wait for an answer over it."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.pending: dict[int, asyncio.Future[Answer]] = {}
        self.is_usable = True

    def fail(self, problem: EndpointUnavailable) -> None:
        """Let nobody wait any longer, and nobody new begin."""
        self.is_usable = False
        pending, self.pending = self.pending, {}
        for future in pending.values():
            if not future.done():
                future.set_exception(problem)


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
        self._link: _Link | None = None
        self._readers: set[asyncio.Task[None]] = set()
        self._connecting = asyncio.Lock()

    async def exchange(self, request_id: int, request: bytes) -> msgspec.Raw:
        """Send *request*; return the result in its answer.

        Raises:
            EndpointError: the answer is a JSON-RPC error.
            EndpointUnavailable: no usable answer.
        """
        link = await self._usable_link()
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        link.pending[request_id] = future
        try:
            await link.connection.send(request, text=True)
            return result_of(await future, request_id)
        except ConnectionClosed as exc:
            raise EndpointUnavailable("connection lost") from exc
        finally:
            link.pending.pop(request_id, None)
            if future.done() and not future.cancelled():
                future.exception()  # seen, where sending had failed before it could be

    async def lost(self) -> None:
        """Return when the present connection is gone; at once where there is none."""
        if self._link is not None:
            await self._link.connection.wait_closed()

    async def close(self) -> None:
        """Close the connection; requests in flight fail."""
        if self._link is not None:
            await self._link.connection.close()
        if self._readers:
            await asyncio.wait(self._readers)

    async def _usable_link(self) -> _Link:
        async with self._connecting:
            if self._link is not None and self._link.is_usable:
                return self._link
            try:
                connection = await connect(
                    self._url,
                    max_size=self._max_answer_size,
                    open_timeout=CONNECT_TIMEOUT,
                    proxy=None,
                )
            except (OSError, WebSocketException) as exc:
                raise EndpointUnavailable(f"connection failed: {type(exc).__name__}") from exc
            self._link = link = _Link(connection)
            reader = asyncio.create_task(self._read(link), name="ethereum reader")
            self._readers.add(reader)
            reader.add_done_callback(self._readers.discard)
            return link

    async def _read(self, link: _Link) -> None:
        """Hand out what arrives until the connection ends; ends, it never raises."""
        problem = EndpointUnavailable("connection lost")
        try:
            async for text in link.connection:
                self._dispatch(link, text)
        except MalformedAnswer as exc:
            # Whose answer it was cannot be told, and the next may be as bad.
            problem = exc
        except ConnectionClosed as exc:
            if exc.sent is not None and exc.sent.code == _TOO_BIG:
                problem = AnswerTooLarge(f"the answer has over {self._max_answer_size} bytes")
        finally:
            link.fail(problem)
            # May take its time; a new connection is already possible.
            await link.connection.close()

    def _dispatch(self, link: _Link, text: str | bytes) -> None:
        message = decode_message(text)
        if isinstance(message, Notification):
            self._on_notification(message)
            return
        request_id = message.request_id
        if not isinstance(request_id, int) or isinstance(request_id, bool):
            raise MalformedAnswer("an answer without the id of a request")
        future = link.pending.get(request_id)
        # An id that nobody waits for: its request has timed out.
        if future is not None and not future.done():
            future.set_result(message)
