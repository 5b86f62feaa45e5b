"""Addresses of nodes and links, and what each node must not dial."""

from __future__ import annotations

import ipaddress
from random import Random

import pytest

from fondaco.lab.addresses import (
    ALL_NODES,
    MOST_NODES,
    denied,
    link_address,
    multiaddress,
    node_address,
)
from fondaco.lab.topology import Link, connect


def test_every_node_and_link_has_its_own_loopback_address() -> None:
    links = [Link(a, b) for a in range(MOST_NODES) for b in range(MOST_NODES) if a != b]
    texts = [node_address(node) for node in range(MOST_NODES)] + [*map(link_address, links)]
    assert len(set(texts)) == len(texts)
    assert all(ipaddress.ip_address(text).is_loopback for text in texts)


def refuses(networks: tuple[str, ...], address: str) -> bool:
    return any(ipaddress.ip_address(address) in ipaddress.ip_network(one) for one in networks)


def test_with_proxies_all_nodes_are_denied_and_no_link_is() -> None:
    links = connect(9, 3, Random(1))
    deny = denied(4, 9, links, has_proxies=True)
    assert deny == (ALL_NODES,)
    assert all(refuses(deny, node_address(node)) for node in range(MOST_NODES))
    assert not any(refuses(deny, link_address(link)) for link in links)


@pytest.mark.parametrize("node", range(9))
def test_without_proxies_only_neighbours_may_be_dialled(node: int) -> None:
    links = connect(9, 3, Random(1))
    deny = denied(node, 9, links, has_proxies=False)
    neighbours = {end for link in links if node in link for end in link} - {node}
    allowed = {other for other in range(9) if not refuses(deny, node_address(other))}
    assert allowed - {node} == neighbours
    assert not refuses(deny, "127.0.0.1"), "from where nodes of this machine dial"


def test_addresses_are_spelt_for_peers() -> None:
    assert multiaddress("127.2.0.1", 4_001) == "/ip4/127.2.0.1/tcp/4001"
