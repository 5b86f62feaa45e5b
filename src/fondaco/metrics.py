"""What a part of the node can be measured by: declared once, read when somebody asks.

    chain, p2p, zeroex: metrics.py --Metric----> docs/metrics.md
                                   --samples---> api/metrics.py --> /metrics
                                   --troubles--> api/health.py  --> /health

A floor declares its metrics in one table and reads their values from counters it keeps
anyway. Nothing is counted twice and nothing is kept here.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

import msgspec


class Kind(enum.Enum):
    """How the values of a metric move. The value is the word of the text formats."""

    COUNTER = "counter"
    """Rises only, from 0 when the node starts. Its name ends in ``_total``."""
    GAUGE = "gauge"
    """A level: rises and falls."""


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """One metric, as the world knows it."""

    name: str
    """In full: ``fondaco_orders_added_total``. A unit stands before ``_total``."""
    kind: Kind
    text: str
    """What is counted, in one line that ends in a full stop."""
    labels: tuple[str, ...] = ()
    """Names of what its samples are told apart by."""


class Family:
    """Declares the metrics of one part of the node, whose names begin alike."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def gauge(self, name: str, text: str, *labels: str) -> Metric:
        """Return a level."""
        return Metric(name=self._prefix + name, kind=Kind.GAUGE, text=text, labels=labels)

    def counter(self, name: str, text: str, *labels: str) -> Metric:
        """Return a counter; ``_total`` is put behind *name*."""
        full = f"{self._prefix}{name}_total"
        return Metric(name=full, kind=Kind.COUNTER, text=text, labels=labels)


class Sample(NamedTuple):
    """The value of a metric at this moment."""

    metric: Metric
    value: float
    labels: tuple[str, ...] = ()
    """One for each of the metric's labels, in their sequence."""


class Source(Protocol):
    """A part of the node that can be measured."""

    @property
    def metrics(self) -> Sequence[Metric]:
        """Everything it has. Each has samples at any time, if only zeros."""

    def samples(self) -> Iterable[Sample]:
        """Yield the values of this moment. It must not wait."""

    def troubles(self) -> Sequence[str]:
        """Return what keeps it from its work at this moment, a sentence each."""
