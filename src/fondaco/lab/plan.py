"""Which order is posted to which node, and when. Pure.

A plan is made from a seed before anything runs, so that a run can be repeated.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from fondaco.lab.chance import Chance

TICK = 0.05
"""Seconds: the orders of a rate that fall into one tick are posted together at its end."""

MOST_AT_ONCE = 100
"""Orders in one call. A node answers when the last of them is stored, so that larger calls
would only tell us later."""


class Posting(NamedTuple):
    """One call of ``mesh_addOrders``."""

    at: float
    """Seconds after the start of posting."""
    node: int
    orders: tuple[int, ...]
    """Indices of the orders."""


def make_plan(orders: int, nodes: int, rate: float | None, chance: Chance) -> tuple[Posting, ...]:
    """Return the calls that bring each order to one node drawn at random.

    Args:
        orders, nodes: how many there are.
        rate: orders a second over all nodes; None posts all at once.
    """
    due: dict[tuple[float, int], list[int]] = {}
    for index in range(orders):
        at = 0.0 if rate is None else (index / rate // TICK + 1) * TICK
        due.setdefault((at, chance.randrange(nodes)), []).append(index)
    return tuple(
        Posting(at, node, tuple(some))
        for (at, node), found in due.items()
        for some in _parted(found)
    )


def by_node(plan: Iterable[Posting]) -> dict[int, list[Posting]]:
    """Return the calls of each node that has any, in their sequence."""
    calls: dict[int, list[Posting]] = {}
    for posting in plan:
        calls.setdefault(posting.node, []).append(posting)
    return calls


def _parted(indices: list[int]) -> list[list[int]]:
    return [indices[at : at + MOST_AT_ONCE] for at in range(0, len(indices), MOST_AT_ONCE)]
