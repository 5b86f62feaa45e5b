"""Who is linked with whom: a connected random graph, and how it is cut in two. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TypeVar

from fondaco.lab.chance import Chance

_Thing = TypeVar("_Thing")

USUAL_DEGREE = 6
"""Neighbours of a node where nobody says otherwise: the mesh degree of GossipSub."""


class Link(NamedTuple):
    """Two nodes that talk; the first one dials."""

    dialler: int
    target: int


def least_degree(nodes: int) -> int:
    """Return how many neighbours a node must have at least for all to be connected."""
    return 1 if nodes == 2 else 2


def connect(nodes: int, degree: int, chance: Chance) -> tuple[Link, ...]:
    """Return the links of a connected graph in which no node has more than *degree*.

    A ring through all nodes in a random sequence, and then random links while there are
    two nodes with room that are not linked. Nearly all nodes end up with *degree*.

    Raises:
        ValueError: fewer than two nodes, or *degree* not in least_degree … nodes - 1.
    """
    if nodes < 2 or not least_degree(nodes) <= degree < nodes:
        raise ValueError(f"{nodes} nodes with {degree} neighbours each")
    ring = shuffled(range(nodes), chance)
    links = {_sorted(one, other) for one, other in zip(ring, ring[1:] + ring[:1], strict=True)}
    degrees = [0] * nodes
    for link in links:
        degrees[link[0]] += 1
        degrees[link[1]] += 1
    pairs = [(one, other) for one in range(nodes) for other in range(one + 1, nodes)]
    for one, other in shuffled(pairs, chance):
        if (one, other) not in links and degrees[one] < degree and degrees[other] < degree:
            links.add((one, other))
            degrees[one] += 1
            degrees[other] += 1
    # Who dials is drawn too: no node shall be dialled only, or dial only.
    return tuple(
        Link(*pair) if chance.random() < 0.5 else Link(*reversed(pair)) for pair in sorted(links)
    )


def halves(nodes: int, chance: Chance) -> frozenset[int]:
    """Return one half of the nodes, drawn at random, for a partition."""
    return frozenset(shuffled(range(nodes), chance)[: nodes // 2])


def degrees(links: tuple[Link, ...], nodes: int) -> list[int]:
    """Return how many neighbours each node has."""
    counts = [0] * nodes
    for link in links:
        for end in link:
            counts[end] += 1
    return counts


def shuffled(things: Iterable[_Thing], chance: Chance) -> list[_Thing]:
    """Return *things* in a random sequence."""
    pile = list(things)
    for last in range(len(pile) - 1, 0, -1):
        other = chance.randrange(last + 1)
        pile[last], pile[other] = pile[other], pile[last]
    return pile


def _sorted(one: int, other: int) -> tuple[int, int]:
    return (one, other) if one < other else (other, one)
