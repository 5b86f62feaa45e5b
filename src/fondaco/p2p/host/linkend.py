"""The child's end of the link: frames in one by one, frames out behind each other."""

from __future__ import annotations

from collections import deque

import trio

from fondaco.p2p import limits
from fondaco.p2p.link import ToChild, ToMain, encode, in_child

READ_SIZE = 256 * 1024
"""Bytes read from the socket at once."""


class LinkEnd:
    """Reads with ``receive``; ``send`` waits for room and ``put`` does not."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._decoder = in_child()
        self._come: deque[ToChild] = deque()
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._something = trio.Event()
        self._room = trio.Event()
        self._empty = trio.Event()

    @property
    def queued_bytes(self) -> int:
        """Bytes that wait for the main process."""
        return self._size

    def put(self, frame: ToMain) -> None:
        """Queue *frame* whatever waits already: for what is bounded by other means."""
        raw = encode(frame)
        self._waiting.append(raw)
        self._size += len(raw)
        self._something.set()

    async def send(self, frame: ToMain) -> None:
        """Queue *frame* when there is room."""
        while self._size > limits.LINK_QUEUE_BYTES:
            await self._room.wait()
        self.put(frame)

    async def flush(self) -> None:
        """Return when nothing waits any more."""
        while self._size:
            await self._empty.wait()

    async def receive(self) -> ToChild | None:
        """Return the next frame of the main process; None when it has closed the link.

        Raises:
            BrokenLink: it sends what is none.
        """
        while not self._come:
            try:
                data = await self._stream.receive_some(READ_SIZE)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return None
            if not data:
                return None
            self._come.extend(self._decoder.feed(data))
        return self._come.popleft()

    async def write(self) -> None:
        """Write what is queued; returns when the main process has gone."""
        while True:
            await self._something.wait()
            self._something = trio.Event()
            while self._waiting:
                raw = b"".join(self._waiting)
                self._waiting.clear()
                try:
                    await self._stream.send_all(raw)
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    return
                self._size -= len(raw)
                self._room.set()
                self._room = trio.Event()
            self._empty.set()
            self._empty = trio.Event()
