"""One feed, a thousand subscribers: deliveries a second, and what others notice of it.

    this process           the API's server with a synthetic feed, on uvloop
    bench.fanout_readers   a process with 1,000 WebSocket connections that only counts bytes
    bench.fanout_caller    a process that calls mesh_getStats meanwhile

The floor is the same loop without WebSocket, JSON-RPC and feed: an asyncio server that
writes the same bytes to 1,000 plain TCP connections, read by the same process.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import sys
import time
from collections.abc import AsyncIterator, Sequence
from typing import cast

import uvloop

from bench.figures import Figure
from fondaco.api.declarations import Method, Registry, Subscription
from fondaco.api.feed import Event, EventFeed, FeedStream
from fondaco.api.frames import text_frame
from fondaco.api.limits import DEFAULT_LIMITS
from fondaco.api.subscriptions import Session
from fondaco.jsonrpc import NOTIFICATION_TAIL, notification_head
from fondaco.testing.api import MemoryLog, serve

SUBSCRIBERS = 1_000
RUNS = 5
FULL_SPEED_BATCHES = 60
"""Batches of one run as fast as the server can."""

PACE = 30
"""Batches a second of the paced run: 30,000 deliveries a second, the design's figure."""
PACED_SECONDS = 4

FIRST_SEQUENCE = 1_000_000
"""All sequences have as many digits, so every notification has the same length."""

EVENT = json.dumps(
    {
        "sequence": FIRST_SEQUENCE,
        "orderHash": "0x" + "ab" * 32,
        "signedOrder": {"of": "the usual size", "x": "y" * 1_050},
        "endState": "FILLED",
        "fillableTakerAssetAmount": "1" * 20,
        "contractEvents": None,
    }
).encode()
FRAME_PARTS = (
    notification_head("mesh_subscription", "0x" + "ab" * 16),
    b"[" + EVENT + b"]",
    NOTIFICATION_TAIL + b"\n",
)
FRAME = text_frame(FRAME_PARTS, sum(map(len, FRAME_PARTS)))


def measure() -> list[Figure]:
    """Measure everything; about a minute."""
    return uvloop.run(_measure())


async def _measure() -> list[Figure]:
    await _full_speed()
    await _floor()
    ours: list[float] = []
    floor: list[float] = []
    for _ in range(RUNS):
        ours.append(await _full_speed())
        floor.append(await _floor())
    reached, waits = await _paced(PACE)
    _, idle_waits = await _paced(0)
    return [
        Figure(
            name=f"fan-out to {SUBSCRIBERS:,} subscribers, as fast as it goes",
            value=statistics.median(ours),
            unit="deliveries/s",
            floor=statistics.median(floor),
            floor_name="bare TCP writes",
            target="at least 30,000",
            reached=statistics.median(ours) >= 30_000,
            spread=(min(ours), max(ours)),
        ),
        Figure(
            name=f"fan-out, {PACE} batches a second to {SUBSCRIBERS:,}",
            value=reached,
            unit="deliveries/s",
            target="30,000",
            # The last batch arrives a little after its time; hence not the full number.
            reached=reached >= 0.97 * PACE * SUBSCRIBERS,
        ),
        Figure(
            name="mesh_getStats meanwhile, slowest",
            value=max(waits),
            unit="ms",
            floor=max(idle_waits),
            floor_name="nothing else going on",
            target="at most 50",
            reached=max(waits) <= 50,
            spread=(min(waits), max(waits)),
        ),
        Figure(
            name="mesh_getStats meanwhile, median",
            value=statistics.median(waits),
            unit="ms",
            floor=statistics.median(idle_waits),
            floor_name="nothing else going on",
            spread=(min(waits), max(waits)),
        ),
    ]


async def _full_speed() -> float:
    """Return deliveries a second with a new batch whenever the last has been written."""
    async with _served() as (port, feed):
        readers = await _start_readers(port, FULL_SPEED_BATCHES, "websocket")
        await _subscribed(feed)
        started = time.perf_counter()
        for number in range(FULL_SPEED_BATCHES):
            _publish(feed, number)
            while feed.is_writing:  # noqa: ASYNC110 - giving way is what is measured
                await asyncio.sleep(0)
        await _finished(readers)
        return SUBSCRIBERS * FULL_SPEED_BATCHES / (time.perf_counter() - started)


async def _floor() -> float:
    """Return the same for bare connections and the same bytes."""
    transports: list[asyncio.Transport] = []

    class Accept(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            transports.append(cast(asyncio.Transport, transport))

    loop = asyncio.get_running_loop()
    server = await loop.create_server(Accept, "127.0.0.1", 0, backlog=1024)
    port = server.sockets[0].getsockname()[1]
    readers = await _start_readers(port, FULL_SPEED_BATCHES, "raw")
    while len(transports) < SUBSCRIBERS:  # noqa: ASYNC110 - accepted by the kernel, not yet here
        await asyncio.sleep(0.01)
    started = time.perf_counter()
    for _ in range(FULL_SPEED_BATCHES):
        for index, transport in enumerate(transports):
            transport.write(FRAME)
            if index % DEFAULT_LIMITS.deliveries_per_turn == 0:
                await asyncio.sleep(0)
    await _finished(readers)
    seconds = time.perf_counter() - started
    server.close()
    return SUBSCRIBERS * FULL_SPEED_BATCHES / seconds


async def _paced(pace: int) -> tuple[float, list[float]]:
    """Return deliveries a second at *pace* batches a second, and the waits of a caller."""
    batches = pace * PACED_SECONDS
    async with _served() as (port, feed):
        readers = await _start_readers(port, batches, "websocket")
        await _subscribed(feed)
        caller = await _start("bench.fanout_caller", str(port), str(PACED_SECONDS - 0.5))
        started = time.perf_counter()
        for number in range(batches):
            late_by = time.perf_counter() - started - number / pace
            await asyncio.sleep(max(0.0, -late_by))
            _publish(feed, number)
        if batches:
            await _finished(readers)
        seconds = time.perf_counter() - started
        waits: list[float] = json.loads(await _last_line(caller))
        if not batches:
            readers.kill()
            await readers.wait()
        return SUBSCRIBERS * batches / seconds, waits


@contextlib.asynccontextmanager
async def _served() -> AsyncIterator[tuple[int, EventFeed[None]]]:
    feed: EventFeed[None] = EventFeed(MemoryLog(), lambda _: None, last=FIRST_SEQUENCE - 1)

    async def orders(session: Session) -> FeedStream[None]:
        return await feed.open()

    async def get_stats(session: Session) -> dict[str, str]:
        return {"version": "bench"}

    registry = Registry()
    registry.add(
        Subscription(namespace="mesh", name="orders", handler=orders),
        Method(name="mesh_getStats", handler=get_stats),
    )
    ids = iter(range(1 << 124, 1 << 125))
    async with serve(registry, token_bytes=lambda size: next(ids).to_bytes(size, "big")) as address:
        yield address.port, feed


def _publish(feed: EventFeed[None], number: int) -> None:
    feed.publish([Event(sequence=FIRST_SEQUENCE + number, encoded=EVENT, value=None)])


async def _subscribed(feed: EventFeed[None]) -> None:
    while feed.subscriber_count < SUBSCRIBERS:  # noqa: ASYNC110 - the readers are elsewhere
        await asyncio.sleep(0.01)


async def _start_readers(port: int, batches: int, kind: str) -> asyncio.subprocess.Process:
    expected = max(1, batches * len(FRAME))
    arguments: Sequence[str] = (str(port), str(SUBSCRIBERS), str(expected), kind)
    readers = await _start("bench.fanout_readers", *arguments)
    assert readers.stdout is not None
    assert await readers.stdout.readline() == b"ready\n"
    return readers


async def _finished(readers: asyncio.subprocess.Process) -> None:
    result = json.loads(await _last_line(readers))
    assert result["left"] == 0, f"{result['left']} bytes too few or too many"


async def _start(module: str, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, stdout=asyncio.subprocess.PIPE
    )


async def _last_line(process: asyncio.subprocess.Process) -> bytes:
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.strip().splitlines()[-1]
