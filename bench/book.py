"""A node filled with 100,000 orders through its API, asked for pages of them, then copied.

Filling takes half a minute, so it is done once a run: ``add_orders`` reports how it went,
``get_orders`` and ``sync`` what came after.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import aiohttp
import uvloop

from bench.figures import taking_turns
from bench.newcomer import Arrival, arrive
from bench.world import PEERS, RunningNode, add_call, open_node, open_world, plain_orders, post
from fondaco.zeroex.order import SignedOrder

BATCH = 500
"""Orders of one call."""

ORDERS = 100_000
"""New orders of one run; the store grows to this."""

CLIENTS = 2
"""Calls under way at once, as two makers would have."""

STRETCHES = 5
"""Equal parts of the run, whose rates say whether it slows down as the store grows."""

PER_PAGE = 100
"""Orders on a page, as the clients of 0x Mesh ask for."""

CURSOR_STEP = 1_000
"""Orders a page while going to the middle and the end of a list: the most there is."""

READINGS = 100
"""Of each page, in turn with the others."""


@dataclass(frozen=True, kw_only=True)
class BookRun:
    """What was measured."""

    rates: list[float]
    """Orders/s of each stretch."""
    overall_rate: float
    """Orders/s over all."""
    memory_mb: float
    """Of the node, when it was full."""
    peak_memory_mb: float
    sample: list[SignedOrder]
    """Some of the orders, for the floor."""
    order_size: float
    """Bytes of an order in a request, on the average."""
    milliseconds: dict[str, list[float]]
    """Of each kind of page in ``get_orders``, ascending."""
    arrival: Arrival
    """Of a node that fetched all of it from this one."""


@functools.cache
def run() -> BookRun:
    """Fill a node, read and copy it; the result of the first call is kept."""
    return uvloop.run(_run())


async def _run() -> BookRun:
    async with open_world() as (devnet, _):
        orders = plain_orders(devnet, ORDERS)
        requests = [add_call(orders[i : i + BATCH]) for i in range(0, ORDERS, BATCH)]
        async with open_node(devnet, **PEERS) as node, aiohttp.ClientSession() as session:
            started, finished = await _fill(session, node, requests)
            memory, peak = node.memory_mb(), node.peak_memory_mb()
            milliseconds = await taking_turns(READINGS, await _pages(session, node.http, orders[0]))
            arrival = await arrive(devnet, session, node, ORDERS)
    marks = [
        started,
        *(finished[(i + 1) * len(finished) // STRETCHES - 1] for i in range(STRETCHES)),
    ]
    return BookRun(
        rates=[ORDERS / STRETCHES / (b - a) for a, b in itertools.pairwise(marks)],
        overall_rate=ORDERS / (finished[-1] - started),
        memory_mb=memory,
        peak_memory_mb=peak,
        sample=orders[:2_000],
        order_size=sum(map(len, requests)) / ORDERS,
        milliseconds=milliseconds,
        arrival=arrival,
    )


async def _fill(
    session: aiohttp.ClientSession, node: RunningNode, requests: Sequence[bytes]
) -> tuple[float, list[float]]:
    """Send *requests*; return when that began and when each was answered, ascending."""
    queue = list(requests)[::-1]
    finished: list[float] = []

    async def client() -> None:
        while queue:
            result = await post(session, node.http, queue.pop())
            assert len(result["accepted"]) == BATCH, result["rejected"][:1]
            finished.append(time.perf_counter())

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return started, finished


async def _pages(
    session: aiohttp.ClientSession, url: str, order: SignedOrder
) -> dict[str, Callable[[], Awaitable[float]]]:
    """Return how to measure each kind of page, in milliseconds."""
    snapshot = (await post(session, url, _request(0, PER_PAGE, "")))["snapshotID"]
    last = ORDERS // PER_PAGE - 1
    pair = {
        "makerAssetData": f"0x{order.maker_asset_data.hex()}",
        "takerAssetData": f"0x{order.taker_asset_data.hex()}",
    }
    search = {"filter": pair, "sort": "price", "limit": PER_PAGE}
    cursors = await _cursors(session, url, search)
    requests = {
        "nothing": _call("rpc_modules"),
        "new snapshot": _request(0, PER_PAGE, ""),
        "page first": _request(0, PER_PAGE, snapshot),
        "page middle": _request(last // 2, PER_PAGE, snapshot),
        "page last": _request(last, PER_PAGE, snapshot),
        "cursor first": _request(search),
        "cursor middle": _request(search | {"after": cursors[len(cursors) // 2]}),
        "cursor last": _request(search | {"after": cursors[-1]}),
    }
    return {
        name: functools.partial(_milliseconds, session, url, request, name)
        for name, request in requests.items()
    }


async def _cursors(
    session: aiohttp.ClientSession, url: str, search: dict[str, object]
) -> list[str]:
    """Walk through all of *search*; return the cursors of a page each CURSOR_STEP orders.

    The last of them leaves one whole page.
    """
    cursors: list[str] = []
    size = CURSOR_STEP
    after: str | None = None
    while True:
        query = search | {"limit": size} | ({"after": after} if after else {})
        page = await post(session, url, _request(query))
        if page["after"] is None:
            # Once more over the last stretch, up to one page before its end.
            rest = len(page["ordersInfos"]) - PER_PAGE
            query = search | {"limit": rest} | ({"after": after} if after else {})
            cursors.append((await post(session, url, _request(query)))["after"])
            return cursors
        after = page["after"]
        cursors.append(page["after"])


async def _milliseconds(
    session: aiohttp.ClientSession, url: str, request: bytes, name: str
) -> float:
    started = time.perf_counter()
    result = await post(session, url, request)
    seconds = time.perf_counter() - started
    assert name == "nothing" or len(result["ordersInfos"]) == PER_PAGE, name
    return seconds * 1_000


def _request(*params: object) -> bytes:
    return _call("mesh_getOrders", *params)


def _call(method: str, *params: object) -> bytes:
    call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return json.dumps(call).encode()
