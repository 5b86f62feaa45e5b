"""Orders between real nodes: two that get many, ten that get some; how late, at what cost.

Every order is signed, funded, posted by ``mesh_addOrders``, checked on the chain by every
node, stored, and told to a subscriber of each: that is when the clock stops. The floor is
the same at the node that took the order in, where nothing travels.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from itertools import islice

import uvloop

from bench.crowd import Crowd, Spread, calls_of, open_crowd, percentile
from bench.figures import Figure
from bench.world import open_world, plain_orders
from fondaco.devnet.chain import Devnet
from fondaco.zeroex.order import SignedOrder

WARM_UP = 500
"""Orders before the first measurement, in calls of ten."""

PAIR_RATE = 500
"""Orders a second, sustained, between two nodes (the issue of the peers, section 4)."""
PAIR_CALLS = (10, 1)
"""Orders of one call then."""
PAIR_SECONDS = 12
PAIR_TARGET = 250.0
"""Milliseconds, of 99 orders in 100; of bursts too."""

BURST_RATE = 2_000
BURST_CALL = 50
BURSTS = 3
"""Each of a second, with a pause after it."""
BURST_PAUSE = 3.0

CROWD_SIZE = 10
CROWD_RATE = 50
"""Orders a second among ten nodes, one a call."""
CROWD_SECONDS = 15
CROWD_TARGET = 500.0

NEAR = 0.95
"""Of a rate that counts as reached: the last order is heard of after the last second."""


def measure() -> list[Figure]:
    """Return the figures of both; about a minute and a half."""
    return uvloop.run(_measure())


async def _measure() -> list[Figure]:
    bursts = BURSTS * BURST_RATE
    pair = len(PAIR_CALLS) * PAIR_RATE * PAIR_SECONDS
    wanted = 2 * WARM_UP + pair + bursts + 2 * CROWD_RATE * CROWD_SECONDS
    async with open_world() as (devnet, _):
        orders = iter(plain_orders(devnet, wanted))
        return [*await _pair(devnet, orders), *await _ten(devnet, orders)]


async def _pair(devnet: Devnet, orders: Iterator[SignedOrder]) -> list[Figure]:
    figures: list[Figure] = []
    async with open_crowd(devnet, 2) as crowd:
        await _warm_up(crowd, orders)
        for size in PAIR_CALLS:
            calls = calls_of(islice(orders, PAIR_RATE * PAIR_SECONDS), size)
            spread = await crowd.spread(calls, size / PAIR_RATE, makers=1)
            figures += _steady(f"two nodes, {PAIR_RATE} orders/s, {size} a call", spread)
        bursts: list[Spread] = []
        for _ in range(BURSTS):
            await asyncio.sleep(BURST_PAUSE)
            calls = calls_of(islice(orders, BURST_RATE), BURST_CALL)
            bursts.append(await crowd.spread(calls, BURST_CALL / BURST_RATE, makers=1))
    return [*figures, _burst(bursts), *_costs(f"two nodes, bursts of {BURST_RATE:,}/s", bursts)]


def _steady(name: str, spread: Spread) -> list[Figure]:
    return [
        Figure(
            name=f"{name}: sustained for {PAIR_SECONDS} s",
            value=spread.rate,
            unit="orders/s",
            target=f"{PAIR_RATE}",
            reached=spread.rate >= NEAR * PAIR_RATE,
        ),
        _latency(name, spread, PAIR_TARGET),
        *_costs(name, [spread]),
    ]


async def _ten(devnet: Devnet, orders: Iterator[SignedOrder]) -> list[Figure]:
    figures: list[Figure] = []
    async with open_crowd(devnet, CROWD_SIZE) as crowd:
        await _warm_up(crowd, orders)
        for makers, where in ((1, "all at one"), (CROWD_SIZE, "at each in turn")):
            calls = calls_of(islice(orders, CROWD_RATE * CROWD_SECONDS), 1)
            spread = await crowd.spread(calls, 1 / CROWD_RATE, makers)
            name = f"ten nodes, {CROWD_RATE} orders/s, {where}"
            figures += [_latency(name, spread, CROWD_TARGET), *_costs(name, [spread])]
    return figures


async def _warm_up(crowd: Crowd, orders: Iterator[SignedOrder]) -> None:
    await crowd.spread(calls_of(islice(orders, WARM_UP), 10), 0.05, makers=1)


def _latency(name: str, spread: Spread, target: float) -> Figure:
    late = percentile(spread.elsewhere, 0.99)
    return Figure(
        name=f"{name}: p99 (range: p50 to slowest)",
        value=late,
        unit="ms",
        floor=percentile(spread.at_home, 0.99),
        floor_name="at the node it was added to",
        target=f"under {target:g} ms",
        reached=late < target,
        spread=(percentile(spread.elsewhere, 0.5), spread.elsewhere[-1]),
    )


def _burst(bursts: Sequence[Spread]) -> Figure:
    late = sorted(percentile(burst.elsewhere, 0.99) for burst in bursts)
    home = sorted(percentile(burst.at_home, 0.99) for burst in bursts)
    median = late[len(late) // 2]
    return Figure(
        name=f"two nodes, bursts of {BURST_RATE:,} in a second: p99, median of {len(bursts)}",
        value=median,
        unit="ms",
        floor=home[len(home) // 2],
        floor_name="at the node it was added to",
        target=f"under {PAIR_TARGET:g} ms",
        reached=median < PAIR_TARGET,
        spread=(late[0], late[-1]),
    )


def _costs(name: str, spreads: Sequence[Spread]) -> list[Figure]:
    main = sum(spread.main_cpu for spread in spreads) / len(spreads)
    child = sum(spread.child_cpu for spread in spreads) / len(spreads)
    by_gossip = min(spread.by_gossip for spread in spreads)
    return [
        Figure(
            name=f"{name}: CPU per order and node",
            value=main + child,
            unit="ms",
            floor=child,
            floor_name="of it the p2p process",
        ),
        Figure(
            name=f"{name}: share that came by gossip",
            value=100 * by_gossip,
            unit="%",
            target="at least 99 %",
            reached=by_gossip >= 0.99,
        ),
    ]
