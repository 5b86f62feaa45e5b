"""``mesh_addOrders`` end to end: JSON in, checked on the chain, committed, answered."""

from __future__ import annotations

import statistics
import time

from bench import book
from bench.figures import Figure
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.order import SignedOrder
from fondaco.zeroex.signatures import recover_is_valid

TARGET = 5_000
"""Orders a second (DESIGN.md, section 6)."""

MEMORY_TARGET = 400
"""MB of the main process with 100,000 orders (DESIGN.md, section 6)."""


def measure() -> list[Figure]:
    """Return the rate of new orders and what they cost in memory."""
    run = book.run()
    return [
        Figure(
            name=f"mesh_addOrders, {book.BATCH} a call, {book.CLIENTS} calls at once",
            value=statistics.median(run.rates),
            unit="orders/s",
            floor=_bare_recover(run.sample),
            floor_name="recover/s, one core",
            target=f"at least {TARGET:,}",
            # What counts is the whole run, not its better half.
            reached=run.overall_rate >= TARGET,
            spread=(min(run.rates), max(run.rates)),
        ),
        Figure(
            name=f"memory of the node with {book.ORDERS:,} orders, and its peak",
            value=run.memory_mb,
            unit="MB",
            target=f"under {MEMORY_TARGET} MB",
            reached=run.peak_memory_mb < MEMORY_TARGET,
            spread=(run.memory_mb, run.peak_memory_mb),
        ),
    ]


def _bare_recover(orders: list[SignedOrder]) -> float:
    pairs = [(order_hash(order), order) for order in orders]
    started = time.perf_counter()
    for pair in pairs:
        recover_is_valid(*pair)
    return len(pairs) / (time.perf_counter() - started)
