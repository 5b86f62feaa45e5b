"""Chance as an argument: what this package asks of a seeded generator. Pure."""

from __future__ import annotations

from typing import Protocol


class Chance(Protocol):
    """``random.Random`` satisfies it."""

    def random(self) -> float:
        """Return a number from 0 to 1, without 1."""

    def randrange(self, stop: int, /) -> int:
        """Return a whole number from 0 to *stop*, without *stop*."""
