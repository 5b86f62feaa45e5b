"""JSON-RPC over WebSocket: one connection from handshake to close.

    read frame --> parse --> a task per message --> reply --> outlet
         ^                        |                             |
         '--- waits while ``calls_per_connection`` are busy     '--> subscriptions start

The library does the handshake and reads frames. Frames are written by ``Outlet``, because it
must cut long texts, share bytes between clients and know who does not read.
"""

from __future__ import annotations

import asyncio
import logging
import socket

from aiohttp import WebSocketError, WSCloseCode, WSMsgType, web
from aiohttp.web import BaseRequest, Response, StreamResponse

from fondaco import jsonrpc
from fondaco.api.dispatch import Calls, Dispatcher
from fondaco.api.limits import Limits
from fondaco.api.outlet import ClientGone, Outlet
from fondaco.api.subscriptions import Session, TokenBytes

log = logging.getLogger(__name__)

QUIET_SECONDS = 0.25
"""A client that has been sent a close frame and says nothing for so long has stopped."""

GOING_AWAY = b"the node is shutting down"


class WebSocketDoor:
    """Serves the WebSocket clients of one listener."""

    def __init__(
        self, dispatcher: Dispatcher, limits: Limits, token_bytes: TokenBytes, calls: Calls
    ) -> None:
        self._dispatcher = dispatcher
        self._limits = limits
        self._token_bytes = token_bytes
        self._calls = calls
        self._open: set[_Connection] = set()

    async def serve(self, request: BaseRequest) -> StreamResponse:
        """Answer a handshake and serve the connection until it ends."""
        response = web.WebSocketResponse(
            timeout=self._limits.close_seconds,
            max_msg_size=self._limits.message_bytes + 1,  # it refuses its limit already
            decode_text=False,
            autoping=False,
            compress=False,
        )
        if not response.can_prepare(request):
            return Response(
                status=400,
                body=b'{"error":"not a WebSocket handshake (RFC 6455, version 13)"}\n',
                content_type="application/json",
            )
        writer = await response.prepare(request)
        transport = request.transport
        if transport is None:
            return response
        peer = str(request.remote)
        outlet = Outlet(transport, writer.drain, self._limits, peer)
        session = Session(
            peer=peer, limits=self._limits, token_bytes=self._token_bytes, outlet=outlet
        )
        connection = _Connection(self._dispatcher, self._limits, response, outlet, session)
        self._open.add(connection)
        try:
            await connection.run(self._calls, transport)
        finally:
            self._open.discard(connection)
            outlet.close()
            await session.close()
            if transport.get_write_buffer_size():
                # Closing waits until the client has read what is buffered; not for ever.
                loop = asyncio.get_running_loop()
                loop.call_later(self._limits.write_seconds, transport.abort)
        return response

    async def close(self) -> None:
        """Tell every client 1001."""
        await asyncio.gather(*(connection.say_goodbye() for connection in self._open))


class _Connection:
    """One client."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        limits: Limits,
        response: web.WebSocketResponse[bool],
        outlet: Outlet,
        session: Session,
    ) -> None:
        self._dispatcher = dispatcher
        self._limits = limits
        self._response = response
        self._outlet = outlet
        self._session = session
        self._places = asyncio.Semaphore(limits.calls_per_connection)

    async def run(self, calls: Calls, transport: asyncio.BaseTransport) -> None:
        """Read until the client leaves, breaks the protocol or stops reading.

        Calls that are running then run to their end: what a client has sent is done, whether
        or not it waits for the answer.
        """
        while True:
            frame = await self._response.receive()
            if frame.type is WSMsgType.PING:
                await self._pong(frame.data)
            elif frame.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                # Binary frames are read as text ones, as go-ethereum did.
                try:
                    message = jsonrpc.parse(frame.data, batch_limit=self._limits.batch_calls)
                except jsonrpc.ParseError as exc:
                    await self._refuse(exc)
                    await self._response.close(
                        code=WSCloseCode.INVALID_TEXT, message=b"the message is not JSON"
                    )
                    return
                except jsonrpc.RpcError as exc:
                    await self._refuse(exc)
                    continue
                await self._places.acquire()
                calls.start(self._serve(message))
            elif frame.type is WSMsgType.ERROR and isinstance(frame.data, WebSocketError):
                # The library has sent the close frame and is about to close.
                with _another_hold_on(transport) as held:
                    await _read_away(held, self._limits.close_seconds)
                return
            elif frame.type is not WSMsgType.PONG:
                return

    async def say_goodbye(self) -> None:
        """Close with 1001; cut off who does not take even that."""
        self._outlet.close()
        try:
            async with asyncio.timeout(self._limits.close_seconds + QUIET_SECONDS):
                await self._response.close(code=WSCloseCode.GOING_AWAY, message=GOING_AWAY)
        except TimeoutError:
            self._outlet.abort()

    async def _serve(self, message: jsonrpc.Message) -> None:
        try:
            reply = await self._dispatcher.reply(self._session, message)
            if reply.data is not None:
                await self._outlet.send((reply.data, b"\n"))
            for active in reply.started:
                self._session.start(active)
        except ClientGone:
            log.debug("answer dropped", extra={"peer": self._session.peer})
        finally:
            self._places.release()

    async def _refuse(self, error: jsonrpc.RpcError) -> None:
        try:
            await self._outlet.send((jsonrpc.failure(jsonrpc.NULL, error), b"\n"))
        except ClientGone:
            log.debug("answer dropped", extra={"peer": self._session.peer})

    async def _pong(self, payload: bytes) -> None:
        try:
            await self._outlet.pong(payload)
        except ClientGone:
            log.debug("pong dropped", extra={"peer": self._session.peer})


def _another_hold_on(transport: asyncio.BaseTransport) -> socket.socket:
    """Return a second handle on the connection: it stays open when the first is closed."""
    first = transport.get_extra_info("socket")
    held = socket.fromfd(first.fileno(), first.family, first.type)
    held.setblocking(False)
    return held


async def _read_away(connection: socket.socket, seconds: float) -> None:
    """Read and forget what a client still sends, until it stops or *seconds* are over.

    Closing with unread bytes makes the kernel reset the connection, and a client in the
    middle of a message too large would lose the close frame that says so.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(seconds):
            while True:
                async with asyncio.timeout(QUIET_SECONDS):
                    if not await loop.sock_recv(connection, 65_536):
                        return
    except (TimeoutError, OSError):
        return
