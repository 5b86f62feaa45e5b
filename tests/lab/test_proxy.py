"""Links: bytes come out in their sequence, late, and not at all while one is cut."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from random import Random

import pytest

from fondaco.clock import SystemClock
from fondaco.lab.addresses import link_address
from fondaco.lab.proxy import Proxy, Quality, open_links, open_proxy
from fondaco.lab.topology import Link
from fondaco.testing.clock import FakeClock

HOST = "127.3.9.8"
PERFECT = Quality()
PATIENCE = 20.0
"""Seconds; only a failing test waits so long."""

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Target:
    """Whoever is behind the link."""

    def __init__(self) -> None:
        self.arrived: asyncio.Queue[Stream] = asyncio.Queue()
        self.port = 0

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.arrived.put((reader, writer))


@contextlib.asynccontextmanager
async def target_at(host: str = "127.0.0.1") -> AsyncIterator[Target]:
    target = Target()
    async with await asyncio.start_server(target.take, host, 0) as server:
        target.port = server.sockets[0].getsockname()[1]
        yield target
        while not target.arrived.empty():
            target.arrived.get_nowait()[1].close()


class Line:
    """A link, its target, and a connection over it: *near* dials, *far* is dialled."""

    def __init__(self, proxy: Proxy, target: Target) -> None:
        self.proxy = proxy
        self.target = target
        self._open: list[asyncio.StreamWriter] = []

    async def dial(self) -> Stream:
        near = await asyncio.open_connection(HOST, self.proxy.port)
        self._open.append(near[1])
        return near

    async def connect(self) -> tuple[Stream, Stream]:
        near = await self.dial()
        async with asyncio.timeout(PATIENCE):
            far = await self.target.arrived.get()
        self._open.append(far[1])
        return near, far

    def close(self) -> None:
        for writer in self._open:
            writer.transport.abort()


@contextlib.asynccontextmanager
async def line(quality: Quality = PERFECT, clock: FakeClock | None = None) -> AsyncIterator[Line]:
    async with (
        target_at() as target,
        open_proxy(
            HOST,
            ("127.0.0.1", target.port),
            quality=quality,
            clock=clock or SystemClock(),
            chance=Random(1),
        ) as proxy,
    ):
        one = Line(proxy, target)
        try:
            yield one
        finally:
            one.close()


async def read(stream: Stream, count: int) -> bytes:
    async with asyncio.timeout(PATIENCE):
        return await stream[0].readexactly(count)


async def ended(stream: Stream) -> bool:
    """Whether the stream ends, in order or not."""
    async with asyncio.timeout(PATIENCE):
        try:
            return await stream[0].read() == b""
        except ConnectionResetError:
            return True


async def test_bytes_pass_both_ways_in_their_sequence() -> None:
    async with line() as one:
        near, far = await one.connect()
        sent = Random(2).randbytes(2_000_000)
        near[1].write(sent)
        far[1].write(b"back")
        assert await read(far, len(sent)) == sent
        assert await read(near, 4) == b"back"
        assert one.proxy.carried == len(sent) + 4
        assert one.proxy.address == f"/ip4/{HOST}/tcp/{one.proxy.port}"


async def test_the_target_sees_the_address_of_the_link() -> None:
    async with line() as one:
        _, far = await one.connect()
        assert far[1].get_extra_info("peername")[0] == HOST


async def test_the_end_of_one_direction_leaves_the_other_open() -> None:
    async with line() as one:
        near, far = await one.connect()
        near[1].write(b"last words")
        near[1].write_eof()
        async with asyncio.timeout(PATIENCE):
            assert await far[0].read() == b"last words"
        far[1].write(b"answer")
        far[1].write_eof()
        async with asyncio.timeout(PATIENCE):
            assert await near[0].read() == b"answer"


async def test_nothing_comes_out_before_the_latency() -> None:
    clock = FakeClock()
    async with line(Quality(latency=0.05), clock) as one:
        near, far = await one.connect()
        near[1].write(b"one")
        await clock.until_sleeping(1)
        await clock.advance(0.049)
        assert one.proxy.carried == 0
        await clock.advance(0.001)
        assert await read(far, 3) == b"one"
        far[1].write(b"two")
        await clock.until_sleeping(1)
        await clock.advance(0.05)
        assert await read(near, 3) == b"two"


async def test_a_loss_holds_up_what_is_behind_it() -> None:
    clock = FakeClock()
    async with line(Quality(latency=0.01, loss=0.999), clock) as one:
        near, far = await one.connect()
        near[1].write(b"lost")
        await clock.until_sleeping(1)
        await clock.advance(0.2)
        assert one.proxy.carried == 0
        await clock.advance(60.0)
        assert await read(far, 4) == b"lost"


async def test_a_cut_ends_what_is_there_and_what_comes_until_it_is_mended() -> None:
    async with line() as one:
        near, far = await one.connect()
        one.proxy.cut()
        assert await ended(near)
        assert await ended(far)
        assert await ended(await one.dial())
        assert one.target.arrived.empty()
        one.proxy.mend()
        again, behind = await one.connect()
        again[1].write(b"whole")
        assert await read(behind, 5) == b"whole"


@pytest.mark.parametrize("end", [0, 1])
async def test_when_one_end_breaks_the_other_learns_of_it(end: int) -> None:
    async with line() as one:
        ends = await one.connect()
        ends[end][1].transport.abort()
        assert await ended(ends[1 - end])


async def test_a_target_that_is_not_there_ends_the_connection() -> None:
    async with open_proxy(
        HOST, ("127.0.0.1", 1), quality=Quality(), clock=SystemClock(), chance=Random(1)
    ) as proxy:
        near = await asyncio.open_connection(HOST, proxy.port)
        assert await ended(near)
        near[1].close()


async def test_a_partition_cuts_the_links_between_its_sides_and_no_others() -> None:
    links = [Link(0, 1), Link(1, 2), Link(2, 0)]
    async with contextlib.AsyncExitStack() as stack:
        targets = [await stack.enter_async_context(target_at()) for _ in range(3)]
        network = await stack.enter_async_context(
            open_links(
                links,
                [("127.0.0.1", target.port) for target in targets],
                quality=Quality(),
                clock=SystemClock(),
                chance_of=lambda link: Random(0),
            )
        )

        async def is_open(link: Link) -> bool:
            address = network.address(link).split("/")
            assert address[2] == link_address(link)
            near = await asyncio.open_connection(address[2], int(address[4]))
            arriving = asyncio.ensure_future(targets[link.target].arrived.get())
            ending = asyncio.ensure_future(ended(near))
            await asyncio.wait({arriving, ending}, return_when=asyncio.FIRST_COMPLETED)
            has_arrived = arriving.done()
            near[1].transport.abort()
            arriving.cancel()
            await asyncio.wait({ending})
            if has_arrived:
                arriving.result()[1].transport.abort()
            return has_arrived

        assert network.cut({0}) == 2
        assert [await is_open(link) for link in links] == [False, True, False]
        network.mend()
        assert [await is_open(link) for link in links] == [True, True, True]
