"""One connection too many: a short answer instead of silence.

The limit counts connections, not requests: a client that opens sockets and sends nothing
takes as much from the others as one that talks.
"""

from __future__ import annotations

import asyncio
from typing import cast

from aiohttp import web

from fondaco.api.limits import Limits

ANSWER = (
    b"HTTP/1.1 503 Service Unavailable\r\n"
    b"Content-Type: application/json\r\n"
    b"Content-Length: %d\r\n"
    b"Retry-After: 5\r\n"
    b"Connection: close\r\n\r\n%b"
)

WAITING_PER_PLACE = 4
"""Refused connections waiting to be told, per sixteen connections served; more are dropped
without a word, or refusing would cost as much as serving."""


class Overflow:
    """Makes a protocol for each accepted connection: the server's, or a refusal."""

    def __init__(self, server: web.Server, limits: Limits) -> None:
        self._server = server
        self._limits = limits
        self._refused: set[asyncio.Transport] = set()

    def __call__(self) -> asyncio.Protocol:
        if len(self._server.connections) < self._limits.connections:
            return cast(asyncio.Protocol, self._server())
        return _Refusal(self._refused, self._limits)

    def close(self) -> None:
        """Drop the refused ones that have not gone by themselves."""
        for transport in list(self._refused):
            transport.abort()


class _Refusal(asyncio.Protocol):
    """Says 503 to the first thing a client sends, and hangs up."""

    def __init__(self, refused: set[asyncio.Transport], limits: Limits) -> None:
        self._refused = refused
        self._limits = limits
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if len(self._refused) * 16 > self._limits.connections * WAITING_PER_PLACE:
            self._transport.abort()
            return
        self._refused.add(self._transport)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._limits.close_seconds, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        # Only now: closing with unread bytes would make the kernel reset the connection,
        # and the client might never see why.
        text = b'{"error":"this node serves %d connections at once and has no place left"}\n' % (
            self._limits.connections
        )
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(ANSWER % (len(text), text))
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._refused.discard(self._transport)
