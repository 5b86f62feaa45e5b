"""100,000 orders fetched from a peer by a node that has none, beside the same by its API."""

from __future__ import annotations

from bench import book
from bench.figures import Figure

TARGET = 30.0
"""Seconds (issue of the peers, section 4)."""

MEMORY_TARGET = 400
"""MB of the main process with 100,000 orders (DESIGN.md, section 6)."""


def measure() -> list[Figure]:
    """Return how long it takes, what it costs, and what travels."""
    run = book.run()
    arrival, orders = run.arrival, book.ORDERS
    each = 1e3 / orders
    return [
        Figure(
            name=f"{orders:,} orders from a peer, fetched, validated and stored",
            value=arrival.seconds,
            unit="s",
            floor=orders / run.overall_rate,
            floor_name="the same by mesh_addOrders",
            target=f"under {TARGET:g} s",
            reached=arrival.seconds < TARGET,
        ),
        Figure(name="until both agree that they hold the same", value=arrival.agreed, unit="s"),
        Figure(
            name="an order on the wire, compressed",
            value=arrival.order_bytes / orders,
            unit="bytes",
            floor=run.order_size,
            floor_name="as JSON",
        ),
        Figure(
            name="finding out what is missing, both ways",
            value=arrival.reconcile_bytes / orders,
            unit="bytes/order",
            floor=32,
            floor_name="its id",
        ),
        Figure(
            name="CPU of the newcomer: main process",
            value=arrival.main_cpu * each,
            unit="ms/order",
        ),
        Figure(
            name="CPU of the newcomer: p2p process",
            value=arrival.child_cpu * each,
            unit="ms/order",
        ),
        Figure(name="CPU of the giver", value=arrival.giver_cpu * each, unit="ms/order"),
        Figure(
            name=f"peak memory of the newcomer with {orders:,} orders",
            value=arrival.peak_memory_mb,
            unit="MB",
            target=f"under {MEMORY_TARGET} MB",
            reached=arrival.peak_memory_mb < MEMORY_TARGET,
        ),
    ]
