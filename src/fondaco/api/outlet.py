"""Writing to one WebSocket client, which may read slowly or not at all.

    offer   now or not at all; never waits     (the many: one event to a thousand clients)
    send    waits until the client has read    (the one: answers, and who has fallen behind)

What is buffered for a client is bounded by ``write_buffer_bytes`` plus one frame. A client
that takes nothing for ``write_seconds`` is cut off.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from fondaco.api import frames
from fondaco.api.limits import Limits
from fondaco.errors import NodeError

log = logging.getLogger(__name__)

JOINED = 16 * 1024
"""Bytes. Up to here copying a text into one buffer is cheaper than writing its parts."""


class ClientGone(NodeError):
    """The connection is closed; what was to be sent is dropped."""

    code = "ClientGone"


class Outlet:
    """The writing end of one connection.

    Args:
        transport: of the connection, after the handshake.
        drain: waits until the transport may be written to again.
        peer: the client's address, for the log.
    """

    def __init__(
        self,
        transport: asyncio.WriteTransport,
        drain: Callable[[], Awaitable[None]],
        limits: Limits,
        peer: str = "",
    ) -> None:
        transport.set_write_buffer_limits(high=limits.write_buffer_bytes)
        self._transport = transport
        self._drain = drain
        self._limits = limits
        self._peer = peer
        self._lock = asyncio.Lock()
        self._drained: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._closed or self._transport.is_closing()

    def close(self) -> None:
        """Send nothing more. What is buffered still goes out."""
        self._closed = True

    def abort(self) -> None:
        """Cut the client off, whatever is still buffered."""
        self._closed = True
        self._transport.abort()

    def offer(self, parts: Sequence[bytes]) -> bool:
        """Write one text, if the client has kept up; return whether it was written.

        A text longer than one frame is never taken: it needs the pauses of ``send``.
        """
        length = sum(map(len, parts))
        if length > self._limits.frame_bytes or self._lock.locked() or self.is_closed:
            return False
        if self._is_backed_up():
            self._until_drained()
            return False
        if length <= JOINED:
            self._transport.write(frames.text_frame(parts, length))
        else:
            self._transport.writelines((frames.header(frames.TEXT, length), *parts))
        return True

    async def send(self, parts: Sequence[bytes]) -> None:
        """Write one text and return when the client has taken (nearly) all of it.

        A cancelled caller does not stop a text half-way: the connection would be broken
        for everybody else's texts.

        Raises:
            ClientGone: closed, or cut off because it did not read.
        """
        if sum(map(len, parts)) <= self._limits.frame_bytes and not self._lock.locked():
            for frame in frames.fragments(parts, self._limits.frame_bytes):
                self._write(frame)
            await self._keep_up()
        else:
            await asyncio.shield(asyncio.ensure_future(self._send(parts)))

    async def pong(self, payload: bytes) -> None:
        """Answer a ping. Control frames may stand inside a fragmented text.

        Raises:
            ClientGone: as for ``send``.
        """
        self._write([frames.header(frames.PONG, len(payload)), payload])
        await self._keep_up()

    async def _send(self, parts: Sequence[bytes]) -> None:
        async with self._lock:
            for frame in frames.fragments(parts, self._limits.frame_bytes):
                self._write(frame)
                await self._keep_up()

    def _write(self, buffers: Sequence[bytes | memoryview]) -> None:
        if self.is_closed:
            raise ClientGone("the connection is closed")
        self._transport.writelines(buffers)

    async def _keep_up(self) -> None:
        if self._is_backed_up():
            # One task waits for all: cancelling a wait must not cancel the others' wait.
            await asyncio.shield(self._until_drained())
            if self.is_closed:
                raise ClientGone("the client did not read")

    def _is_backed_up(self) -> bool:
        return self._transport.get_write_buffer_size() > self._limits.write_buffer_bytes

    def _until_drained(self) -> asyncio.Task[None]:
        if self._drained is None or self._drained.done():
            self._drained = asyncio.ensure_future(self._wait_for_drain())
        return self._drained

    async def _wait_for_drain(self) -> None:
        """Return when the client has read, or has been cut off because it did not.

        It goes on when nobody waits for it any more: what is buffered must not keep a
        connection for ever.
        """
        draining = asyncio.ensure_future(self._drain())
        if not (await asyncio.wait([draining], timeout=self._limits.write_seconds))[0]:
            log.warning("client cut off: it does not read", extra={"peer": self._peer})
            self._closed = True
            self._transport.abort()
            await asyncio.wait([draining])
        if draining.cancelled() or draining.exception() is not None:
            self._closed = True
