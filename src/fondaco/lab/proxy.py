"""The links of a laboratory: TCP proxies that pass bytes on late, and can be cut.

a --dials--> 127.3.a.b (proxy) --dials from 127.3.a.b--> b
                 each direction: LinkModel says when bytes come out
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

import msgspec

from fondaco.clock import Clock
from fondaco.lab.addresses import link_address, multiaddress
from fondaco.lab.chance import Chance
from fondaco.lab.linkmodel import LinkModel
from fondaco.lab.topology import Link

CHUNK_SIZE = 64 * 1024
"""Bytes read at once."""

CHUNKS_UNDERWAY = 1_024
"""Chunks of one direction that are on their way; for more the sender has to wait."""


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """What a link is like."""

    latency: float = 0.0
    """Seconds, one way."""
    loss: float = 0.0
    """Share of TCP segments that have to be sent again."""


class Proxy:
    """One link. Made by ``open_proxy``."""

    def __init__(
        self,
        host: str,
        target: tuple[str, int],
        quality: Quality,
        clock: Clock,
        chance: Chance,
    ) -> None:
        self._host = host
        self._target = target
        self._quality = quality
        self._clock = clock
        self._chance = chance
        self._running: set[asyncio.Task[None]] = set()
        self.is_cut = False
        self.port = 0
        self.carried = 0
        """Bytes that have come out, both ways."""

    @property
    def address(self) -> str:
        """The multiaddress to dial, without a peer ID."""
        return multiaddress(self._host, self.port)

    def cut(self) -> None:
        """End all connections, and every new one, until ``mend``."""
        self.is_cut = True
        for task in self._running:
            task.cancel()

    def mend(self) -> None:
        """Let connections through again."""
        self.is_cut = False

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end."""
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            if not self.is_cut:
                await self._carry(reader, writer)
        except asyncio.CancelledError:
            if not self.is_cut:
                raise
        finally:
            self._running.discard(task)
            self._end(writer)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = self._target
        try:
            onward = await asyncio.open_connection(host, port, local_addr=(self._host, 0))
        except OSError:
            return
        far_reader, far_writer = onward
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pump(reader, far_writer))
                tasks.create_task(self._pump(far_reader, writer))
        except* OSError:
            pass  # one end is gone; so is the connection
        finally:
            self._end(far_writer)

    def _end(self, writer: asyncio.StreamWriter) -> None:
        if self.is_cut:
            writer.transport.abort()
        else:
            writer.close()  # when what is in it has left

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        underway: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(CHUNKS_UNDERWAY)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._take(reader, underway))
            tasks.create_task(self._give(underway, writer))

    async def _take(
        self, reader: asyncio.StreamReader, underway: asyncio.Queue[tuple[float, bytes]]
    ) -> None:
        model = LinkModel(self._quality.latency, self._quality.loss, self._chance)
        data = b"begin"
        while data:
            data = await reader.read(CHUNK_SIZE)
            await underway.put((model.due(self._clock.monotonic(), len(data)), data))

    async def _give(
        self, underway: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter
    ) -> None:
        while True:
            due, data = await underway.get()
            if (wait := due - self._clock.monotonic()) > 0:
                await self._clock.sleep(wait)
            if not data:
                writer.write_eof()
                return
            writer.write(data)
            self.carried += len(data)
            await writer.drain()


@contextlib.asynccontextmanager
async def open_proxy(
    host: str, target: tuple[str, int], *, quality: Quality, clock: Clock, chance: Chance
) -> AsyncIterator[Proxy]:
    """Let connections to a free port of *host* through to *target*.

    Args:
        host: also the address from which *target* is dialled.
    """
    proxy = Proxy(host, target, quality, clock, chance)
    server = await asyncio.start_server(proxy.carry, host, 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.cut()
        await server.wait_closed()


class Links:
    """The proxies of a laboratory. Made by ``open_links``."""

    def __init__(self, proxies: Mapping[Link, Proxy]) -> None:
        self._proxies = proxies

    def address(self, link: Link) -> str:
        """Return where the dialler of *link* finds its target."""
        return self._proxies[link].address

    def cut(self, side: Iterable[int]) -> int:
        """Cut every link between a node of *side* and one that is not; return how many."""
        inside = set(side)
        crossing = [link for link in self._proxies if len(inside.intersection(link)) == 1]
        for link in crossing:
            self._proxies[link].cut()
        return len(crossing)

    def mend(self) -> None:
        """Mend all links."""
        for proxy in self._proxies.values():
            proxy.mend()


@contextlib.asynccontextmanager
async def open_links(
    links: Sequence[Link],
    doors: Sequence[tuple[str, int]],
    *,
    quality: Quality,
    clock: Clock,
    chance_of: Callable[[Link], Chance],
) -> AsyncIterator[Links]:
    """Put a proxy on every link.

    Args:
        doors: host and port at which each node listens for peers.
        chance_of: returns the generator of one link's losses.
    """
    async with contextlib.AsyncExitStack() as stack:
        proxies = {
            link: await stack.enter_async_context(
                open_proxy(
                    link_address(link),
                    doors[link.target],
                    quality=quality,
                    clock=clock,
                    chance=chance_of(link),
                )
            )
            for link in links
        }
        yield Links(proxies)
