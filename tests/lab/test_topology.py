"""Who is linked with whom."""

from __future__ import annotations

from random import Random

import pytest

from fondaco.lab import topology
from fondaco.lab.topology import Link, connect, degrees, halves, shuffled


def reached(links: tuple[Link, ...], start: int) -> set[int]:
    """The nodes that can be reached from *start*, by the naive way."""
    found = {start}
    while True:
        more = {end for link in links if found.intersection(link) for end in link}
        if more <= found:
            return found
        found |= more


@pytest.mark.parametrize("nodes", [2, 3, 4, 7, 10, 25, 50])
@pytest.mark.parametrize("degree", [1, 2, 3, 6, 9])
@pytest.mark.parametrize("seed", range(5))
def test_everybody_is_connected_within_the_degree(nodes: int, degree: int, seed: int) -> None:
    if not topology.least_degree(nodes) <= degree < nodes:
        with pytest.raises(ValueError, match="neighbours"):
            connect(nodes, degree, Random(seed))
        return
    links = connect(nodes, degree, Random(seed))
    assert reached(links, 0) == set(range(nodes))
    assert max(degrees(links, nodes)) <= degree
    pairs = {frozenset(link) for link in links}
    assert len(pairs) == len(links)
    assert all(len(pair) == 2 for pair in pairs)


@pytest.mark.parametrize("seed", range(20))
def test_nearly_all_have_the_full_degree(seed: int) -> None:
    assert sum(degrees(connect(50, 6, Random(seed)), 50)) >= 0.95 * 6 * 50


def test_the_same_seed_links_the_same_nodes() -> None:
    assert connect(12, 4, Random(7)) == connect(12, 4, Random(7))
    assert connect(12, 4, Random(7)) != connect(12, 4, Random(8))


def test_two_nodes_have_one_link() -> None:
    (link,) = connect(2, 1, Random(1))
    assert set(link) == {0, 1}


def test_some_nodes_dial_and_some_are_dialled() -> None:
    links = connect(20, 6, Random(3))
    ascending = sum(link.dialler < link.target for link in links)
    assert 0.2 * len(links) < ascending < 0.8 * len(links)


@pytest.mark.parametrize(("nodes", "size"), [(2, 1), (5, 2), (10, 5)])
def test_a_half_is_half(nodes: int, size: int) -> None:
    side = halves(nodes, Random(5))
    assert len(side) == size
    assert side < set(range(nodes))
    assert side == halves(nodes, Random(5))


def test_a_shuffle_keeps_everything_and_reaches_every_sequence() -> None:
    chance = Random(11)
    found = {tuple(shuffled("abc", chance)) for _ in range(200)}
    assert len(found) == 6
    assert all(sorted(one) == list("abc") for one in found)
