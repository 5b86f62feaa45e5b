"""A served API on a free port, clients that behave and clients that do not, a log in memory."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import aiohttp

from fondaco.api.access import LOCAL_ONLY, Access
from fondaco.api.declarations import Registry
from fondaco.api.limits import DEFAULT_LIMITS, Limits
from fondaco.api.pages import NO_PAGES, Pages
from fondaco.api.server import Address, Listen, open_server
from fondaco.api.subscriptions import TokenBytes

PATIENCE = 10.0
"""Seconds a client waits for something that must happen; only a failing test waits so long."""


async def turns(count: int = 20) -> None:
    """Give whatever could run now its turns of the event loop."""
    for _ in range(count):
        await asyncio.sleep(0)


def counting_bytes() -> TokenBytes:
    """Return a source of "random" bytes that counts: ids are predictable."""
    count = 0

    def token_bytes(size: int) -> bytes:
        nonlocal count
        count += 1
        return count.to_bytes(size, "big")

    return token_bytes


@contextlib.asynccontextmanager
async def serve(
    registry: Registry,
    *,
    limits: Limits = DEFAULT_LIMITS,
    allowed: Access = LOCAL_ONLY,
    host: str = "127.0.0.1",
    ready: asyncio.Event | None = None,
    token_bytes: TokenBytes | None = None,
    pages: Pages = NO_PAGES,
) -> AsyncIterator[Address]:
    """Serve *registry* on a free port of this machine; ready unless an event says when."""
    if ready is None:
        ready = asyncio.Event()
        ready.set()
    async with open_server(
        [Listen(host=host, port=0)],
        registry,
        allowed=allowed,
        ready=ready,
        token_bytes=token_bytes or counting_bytes(),
        limits=limits,
        pages=pages,
    ) as server:
        yield server.addresses[0]


class Closed(Exception):
    """The server closed the connection with this code."""

    def __init__(self, code: int | None, reason: str = "") -> None:
        super().__init__(f"closed with {code} {reason}")
        self.code = code
        self.reason = reason


class Client:
    """A WebSocket client that does what clients should."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self._next_id = 0
        self.notifications: list[dict[str, Any]] = []
        """Those that arrived while an answer was waited for."""

    async def send(self, text: str | bytes) -> None:
        """Send *text* as one frame, whatever it is."""
        await self.socket.send_str(text if isinstance(text, str) else text.decode())

    async def receive(self) -> Any:
        """Return the next text, decoded.

        Raises:
            Closed: there is none, the connection was closed.
        """
        async with asyncio.timeout(PATIENCE):
            frame = await self.socket.receive()
        if frame.type is aiohttp.WSMsgType.TEXT:
            assert frame.data.endswith("\n")
            return json.loads(frame.data)
        reason = frame.extra if frame.type is aiohttp.WSMsgType.CLOSE else ""
        raise Closed(self.socket.close_code, str(reason))

    async def ask(self, method: str, *params: object) -> Any:
        """Call and return the whole answer."""
        self._next_id += 1
        request = {"jsonrpc": "2.0", "id": self._next_id, "method": method, "params": params}
        await self.send(json.dumps(request))
        while True:
            answer = await self.receive()
            if answer.get("id") == self._next_id:
                return answer
            self.notifications.append(answer)

    async def call(self, method: str, *params: object) -> Any:
        """Call and return the result of a call that must work."""
        answer = await self.ask(method, *params)
        assert "result" in answer, answer
        return answer["result"]

    async def notification(self) -> Any:
        """Return the parameters of the next notification."""
        message = self.notifications.pop(0) if self.notifications else await self.receive()
        assert "id" not in message
        return message["params"]


@contextlib.asynccontextmanager
async def connect(address: Address, **options: Any) -> AsyncIterator[Client]:
    """Connect a WebSocket client; *options* go to aiohttp."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(address.ws, max_msg_size=0, **options) as socket,
    ):
        yield Client(socket)


async def post(
    address: Address, body: bytes, *, path: str = "/", **headers: str
) -> tuple[int, bytes]:
    """POST *body* as JSON and return status and body of the answer."""
    sent = {"Content-Type": "application/json"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        aiohttp.ClientSession() as session,
        session.post(address.http + path, data=io.BytesIO(body), headers=sent) as response,
    ):
        return response.status, await response.read()


class RawClient:
    """A TCP client that sends whatever bytes it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        """Write *data*; a server that has hung up is no error here."""
        self.writer.write(data)
        with contextlib.suppress(ConnectionError):
            await self.writer.drain()

    async def rest(self) -> bytes:
        """Return everything until the server closes; a reset counts as closing."""
        received = bytearray()
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionError):
                while part := await self.reader.read(65_536):
                    received += part
        return bytes(received)

    async def until(self, mark: bytes) -> bytes:
        """Return what comes, up to and with *mark*."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.readuntil(mark)

    async def upgrade(self) -> None:
        """Turn the connection into a WebSocket."""
        await self.send(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Sec-WebSocket-Version: 13\r\n\r\n"
        )
        answer = await self.until(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 101 ")

    async def send_frame(self, payload: bytes, opcode: int = 1) -> None:
        """Send one whole frame, masked with zeros."""
        await self.send(client_frame(payload, opcode))

    def hang_up(self) -> None:
        """Reset the connection without a word."""
        self.writer.transport.abort()


def client_frame(payload: bytes, opcode: int = 1) -> bytes:
    """Return a client's frame; the mask is all zeros."""
    size = len(payload)
    if size < 126:
        length = bytes((0x80 | size,))
    elif size < 65_536:
        length = b"\xfe" + size.to_bytes(2, "big")
    else:
        length = b"\xff" + size.to_bytes(8, "big")
    return bytes((0x80 | opcode,)) + length + bytes(4) + payload


@contextlib.asynccontextmanager
async def connect_raw(address: Address, *, limit: int = 2**16) -> AsyncIterator[RawClient]:
    """Open a TCP connection; it is reset in the end if it is still there."""
    reader, writer = await asyncio.open_connection(address.host, address.port, limit=limit)
    try:
        yield RawClient(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


class MemoryLog:
    """An event log in memory (``feed.LogReader``)."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, bytes]] = []
        self.first = 1
        self.last = 0
        self.reads = 0

    def append(self, encoded: Sequence[bytes]) -> range:
        """Add events; return their sequences."""
        given = range(self.last + 1, self.last + 1 + len(encoded))
        self.rows += zip(given, encoded, strict=True)
        self.last = given[-1] if given else self.last
        return given

    def prune(self, first: int) -> None:
        """Forget everything before the sequence *first*."""
        self.first = first
        self.rows = [row for row in self.rows if row[0] >= first]

    async def read_after(self, sequence: int, limit: int) -> Sequence[tuple[int, bytes]]:
        self.reads += 1
        await asyncio.sleep(0)
        return [row for row in self.rows if row[0] > sequence][:limit]

    async def bounds(self) -> tuple[int, int]:
        await asyncio.sleep(0)
        return self.first, self.last
