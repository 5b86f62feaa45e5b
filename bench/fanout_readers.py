"""The other side of ``bench.fanout``: a process that holds many sockets and reads.

    python -m bench.fanout_readers PORT SOCKETS BYTES {websocket,raw}

Says ``ready`` when every socket is connected (and subscribed), then counts bytes until each
has had BYTES, and prints how long that took from the first byte on, as JSON. It only counts:
the server's speed is asked for, not a client's.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import cast

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
SUBSCRIBE = b'{"id":1,"method":"mesh_subscribe","params":["orders"]}'


def masked_frame(text: bytes) -> bytes:
    """A short client frame; the mask is all zeros."""
    return bytes((0x81, 0x80 | len(text), 0, 0, 0, 0)) + text


class Readers:
    """What all sockets have in common."""

    def __init__(self, sockets: int, expected: int) -> None:
        self.left = sockets * expected
        self.first: float | None = None
        self.done = asyncio.Event()

    def count(self, size: int) -> None:
        if self.first is None:
            self.first = time.perf_counter()
        self.left -= size
        if self.left <= 0:
            self.done.set()


class Reader(asyncio.Protocol):
    """One socket: handshake, subscribe, then count."""

    def __init__(self, readers: Readers, is_websocket: bool) -> None:
        self._readers = readers
        self._buffer: bytearray | None = bytearray() if is_websocket else None
        self._has_subscribed = False
        self.ready = asyncio.get_running_loop().create_future()
        if not is_websocket:
            self.ready.set_result(None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        if self._buffer is not None:
            self._transport.write(HANDSHAKE)

    def data_received(self, data: bytes) -> None:
        if self._buffer is None:
            self._readers.count(len(data))
            return
        self._buffer += data
        if not self._has_subscribed and b"\r\n\r\n" in self._buffer:
            del self._buffer[: self._buffer.index(b"\r\n\r\n") + 4]
            self._has_subscribed = True
            self._transport.write(masked_frame(SUBSCRIBE))
        if self._has_subscribed and self._buffer.endswith(b"\n"):
            self._buffer = None
            self.ready.set_result(None)


async def read(port: int, sockets: int, expected: int, is_websocket: bool) -> dict[str, float]:
    """Read with *sockets* sockets until each has had *expected* bytes."""
    readers = Readers(sockets, expected)
    loop = asyncio.get_running_loop()
    protocols = []
    for _ in range(sockets):
        _, protocol = await loop.create_connection(
            lambda: Reader(readers, is_websocket), "127.0.0.1", port
        )
        protocols.append(protocol)
    await asyncio.gather(*(protocol.ready for protocol in protocols))
    print("ready", flush=True)
    await readers.done.wait()
    assert readers.first is not None
    return {"seconds": time.perf_counter() - readers.first, "left": readers.left}


def main() -> None:
    import uvloop

    port, sockets, expected = map(int, sys.argv[1:4])
    result = uvloop.run(read(port, sockets, expected, sys.argv[4] == "websocket"))
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
