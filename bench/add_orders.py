"""``mesh_addOrders`` end to end: JSON in, checked on the chain, committed, answered."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time

import aiohttp

from bench.figures import Figure
from bench.world import add_call, open_node, open_world, plain_orders, post
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.order import SignedOrder
from fondaco.zeroex.signatures import recover_is_valid

BATCH = 500
"""Orders of one call."""

ORDERS = 100_000
"""New orders of one run; the store grows to this."""

CLIENTS = 2
"""Calls under way at once, as two makers would have."""

TARGET = 5_000
"""Orders a second (DESIGN.md, section 6)."""


def measure() -> list[Figure]:
    """Return the rate of new orders and what they cost in memory; about a minute."""
    return asyncio.run(_measure())


async def _measure() -> list[Figure]:
    async with open_world() as (devnet, _):
        orders = plain_orders(devnet, ORDERS)
        requests = [add_call(orders[i : i + BATCH]) for i in range(0, ORDERS, BATCH)]
        async with open_node(devnet) as node, aiohttp.ClientSession() as session:
            queue = list(enumerate(requests))[::-1]
            finished: list[float] = []

            async def client() -> None:
                while queue:
                    _, request = queue.pop()
                    result = await post(session, node.http, request)
                    assert len(result["accepted"]) == BATCH, result["rejected"][:1]
                    finished.append(time.perf_counter())

            started = time.perf_counter()
            await asyncio.gather(*(client() for _ in range(CLIENTS)))
            seconds = time.perf_counter() - started
            memory = node.memory_mb()
    floor = _bare_recover(orders[:2_000])
    # The rate over five equal stretches says whether it falls as the store grows.
    marks = [started, *(finished[(i + 1) * len(finished) // 5 - 1] for i in range(5))]
    stretches = [ORDERS / 5 / (b - a) for a, b in itertools.pairwise(marks)]
    return [
        Figure(
            name=f"mesh_addOrders, {BATCH} a call, {CLIENTS} calls at once",
            value=statistics.median(stretches),
            unit="orders/s",
            floor=floor,
            floor_name="recover/s, one core",
            target=f"at least {TARGET:,}",
            reached=ORDERS / seconds >= TARGET,
            spread=(min(stretches), max(stretches)),
        ),
        Figure(
            name=f"memory of the node with {ORDERS:,} orders",
            value=memory,
            unit="MB",
        ),
    ]


def _bare_recover(orders: list[SignedOrder]) -> float:
    pairs = [(order_hash(order), order) for order in orders]
    started = time.perf_counter()
    for pair in pairs:
        recover_is_valid(*pair)
    return len(pairs) / (time.perf_counter() - started)
