"""The line between a node and its endpoint, which a test can cut, block and mend.

async with open_cable(devnet.http_url) as cable:
    ...                 # the node talks to cable.url("http")
    await cable.cut()   # connections are reset, new ones refused
    cable.block()       # connections stay, nothing passes: a dead network
    await cable.mend()
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

CHUNK = 65_536


class Cable:
    """A TCP proxy. Made by ``open_cable``."""

    def __init__(self, host: str, port: int) -> None:
        self._far = (host, port)
        self._server: asyncio.Server | None = None
        self._port = 0
        self._open = asyncio.Event()
        self._links: set[asyncio.Task[None]] = set()

    def url(self, scheme: str) -> str:
        """Return the near end's address."""
        return f"{scheme}://127.0.0.1:{self._port}"

    async def mend(self) -> None:
        """Let everything pass, also what waits since it was blocked."""
        self._open.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port)
            self._port = self._server.sockets[0].getsockname()[1]

    def block(self) -> None:
        """Let nothing pass; whoever connects or sends gets no answer and no error."""
        self._open.clear()

    async def cut(self) -> None:
        """Reset every connection and refuse new ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        links = list(self._links)
        for link in links:
            link.cancel()
        if links:
            await asyncio.wait(links)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of ours: one of the server's would be reported when it is cancelled.
        link = asyncio.create_task(self._link(reader, writer))
        self._links.add(link)
        link.add_done_callback(self._links.discard)

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        try:
            await self._open.wait()
            far_reader, far_writer = await asyncio.open_connection(*self._far)
            ends.append(far_writer)
            pumps = [
                asyncio.create_task(self._pump(reader, far_writer)),
                asyncio.create_task(self._pump(far_reader, writer)),
            ]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
        except (OSError, asyncio.CancelledError):
            return
        finally:
            for end in ends:
                end.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                await self._open.wait()
                writer.write(data)
                await writer.drain()


@contextlib.asynccontextmanager
async def open_cable(url: str) -> AsyncIterator[Cable]:
    """Lay a cable to the server at *url*."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    cable = Cable(parts.hostname, parts.port)
    await cable.mend()
    try:
        yield cable
    finally:
        await cable.cut()
