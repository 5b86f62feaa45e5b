"""``mesh_getOrders`` at 100,000 orders: does a page cost more the further back it is?"""

from __future__ import annotations

import statistics

from bench import book
from bench.figures import Figure

MOST = 1.25
"""Times the first page's latency that a later page may take: not growing, but for noise."""

CALL_FLOOR = "ms, an empty call"
FIRST_FLOOR = "ms, the first page"


def measure() -> list[Figure]:
    """Return the latency of first, middle and last pages, by number and by cursor."""
    times = book.run().milliseconds
    nothing = statistics.median(times["nothing"])
    last = book.ORDERS // book.PER_PAGE - 1
    by_page = {"page first": 0, "page middle": last // 2, "page last": last}
    figures = [
        _figure("first page of a new snapshot", times["new snapshot"], nothing, CALL_FLOOR),
    ]
    for name, number in by_page.items():
        figures.append(_page(f"page {number:,} of a snapshot", name, "page first", times, nothing))
    for where in ("first", "middle", "last"):
        label = f"by cursor, a pair by price, {where} page"
        figures.append(_page(label, f"cursor {where}", "cursor first", times, nothing))
    return figures


def _page(
    label: str, name: str, first: str, times: dict[str, list[float]], nothing: float
) -> Figure:
    if name == first:
        return _figure(label, times[name], nothing, CALL_FLOOR)
    return _figure(label, times[name], statistics.median(times[first]), FIRST_FLOOR, MOST)


def _figure(
    label: str, values: list[float], floor: float, floor_name: str, most: float | None = None
) -> Figure:
    value = statistics.median(values)
    return Figure(
        name=f"{label} ({book.PER_PAGE} orders)",
        value=value,
        unit="ms",
        floor=floor,
        floor_name=floor_name,
        target="" if most is None else f"at most {most:g} times the first page",
        reached=None if most is None else value <= most * floor,
        spread=(values[0], values[-1]),
    )
