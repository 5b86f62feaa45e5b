"""What a benchmark returns, and how it is shown."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence


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


HEADINGS = ("figure", "measured", "range", "floor", "ratio", "target", "")
"""Of the columns of ``row``."""


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


async def taking_turns(
    runs: int, measures: Mapping[str, Callable[[], Awaitable[float]]]
) -> dict[str, list[float]]:
    """Measure all of *measures* in turn, *runs* times after one warm-up; values ascending."""
    values: dict[str, list[float]] = {name: [] for name in measures}
    for run in range(runs + 1):
        for name, measure in measures.items():
            value = await measure()
            if run:
                values[name].append(value)
    return {name: sorted(found) for name, found in values.items()}


def row(figure: Mapping[str, object]) -> list[str]:
    """Return a line of the table from a figure's JSON form, in the sequence of HEADINGS."""
    spread = figure["spread"]
    is_reached = figure["reached"]
    return [
        str(figure["name"]),
        f"{_number(figure['value'])} {figure['unit']}".strip(),
        " to ".join(map(_number, spread)) if isinstance(spread, Sequence) else "",
        f"{_number(figure['floor'])} {figure['floor_name']}".strip(),
        _number(figure["ratio"], places=2),
        str(figure["target"]),
        "" if is_reached is None else "reached" if is_reached else "missed",
    ]


def _number(value: object, places: int = 0) -> str:
    if not isinstance(value, int | float):
        return ""
    if places:
        return f"{value:.{places}f}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"
