"""Percentiles by nearest rank: always a value that was measured. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """How a set of values is spread; every field None where there were no values."""

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    most: float | None = None


def spread(values: Iterable[float]) -> Spread:
    """Return the percentiles of *values*."""
    ranked = sorted(values)
    if not ranked:
        return Spread()
    return Spread(
        p50=percentile(ranked, 50), p95=percentile(ranked, 95), p99=percentile(ranked, 99),
        most=ranked[-1],
    )  # fmt: skip


def percentile(ranked: list[float], per_cent: int) -> float:
    """Return the smallest of *ranked*, ascending, that *per_cent* of them do not exceed.

    Raises:
        ValueError: there are none, or *per_cent* is not in 1 … 100.
    """
    if not ranked or not 1 <= per_cent <= 100:
        raise ValueError(f"percentile {per_cent} of {len(ranked)} values")
    return ranked[math.ceil(len(ranked) * per_cent / 100) - 1]
