"""What a benchmark returns, and how it is shown."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Sequence


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured number beside what it is compared with."""

    name: str
    value: float
    unit: str
    floor: float | None = None
    """The same work done by the bare part underneath, in the same unit and run."""
    floor_name: str = ""
    target: str = ""
    """What ``docs/benchmarks.md`` asks for, in words."""
    reached: bool | None = None
    """None where the design names no target."""
    spread: tuple[float, float] | None = None
    """Lowest and highest of the runs that ``value`` is the median of."""

    @property
    def ratio(self) -> float | None:
        return None if not self.floor else self.value / self.floor

    def as_json(self) -> dict[str, object]:
        return {**dataclasses.asdict(self), "ratio": self.ratio}


def median_of(runs: int, measure: Callable[[], float]) -> tuple[float, tuple[float, float]]:
    """Return the median and the range of *runs* calls of *measure*, after one warm-up."""
    measure()
    values = sorted(measure() for _ in range(runs))
    return statistics.median(values), (values[0], values[-1])


def interleaved(
    runs: int, ours: Callable[[], float], floor: Callable[[], float]
) -> tuple[float, float, tuple[float, float]]:
    """Measure *ours* and *floor* in turn, so that a machine that drifts harms both alike.

    Returns:
        Median of ours, median of the floor, range of ours.
    """
    ours()
    floor()
    pairs = [(ours(), floor()) for _ in range(runs)]
    mine = sorted(pair[0] for pair in pairs)
    return (
        statistics.median(mine),
        statistics.median(pair[1] for pair in pairs),
        (mine[0], mine[-1]),
    )


def rows(figures: Sequence[Figure]) -> list[list[str]]:
    """Return the table: name, value, range, floor, ratio, target, verdict."""

    def number(value: float | None) -> str:
        if value is None:
            return ""
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"

    return [
        [
            figure.name,
            f"{number(figure.value)} {figure.unit}",
            ""
            if figure.spread is None
            else f"{number(figure.spread[0])} to {number(figure.spread[1])}",
            f"{number(figure.floor)} {figure.floor_name}".strip(),
            "" if figure.ratio is None else f"{figure.ratio:.2f}",
            figure.target,
            {True: "reached", False: "missed", None: ""}[figure.reached],
        ]
        for figure in figures
    ]
