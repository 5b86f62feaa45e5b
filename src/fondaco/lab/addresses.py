"""Where the nodes of a laboratory are, so that they cannot get around its links. Pure.

    127.2.0.<n>      node n listens for peers here
    127.3.<a>.<b>    the link from a to b: a dials it, and b is dialled from it

Peers tell each other where they listen, and would dial one another past the links. So each
node denies (``P2P_DENY``) what it has no link to: with proxies on the links all addresses
of nodes; without them those of nodes that are not its neighbours. Linux answers for all of
127.0.0.0/8 without being asked to.
"""

from __future__ import annotations

from collections.abc import Iterable

from fondaco.lab.topology import Link

MOST_NODES = 50
"""Nodes of one laboratory; each takes 250 MB and a share of the cores."""

ALL_NODES = "127.2.0.0/24"
"""Network of the addresses of nodes."""


def node_address(node: int) -> str:
    """Return the IP address at which *node*, counted from 0, listens for peers."""
    return f"127.2.0.{node + 1}"


def link_address(link: Link) -> str:
    """Return the IP address of the proxy on *link*."""
    return f"127.3.{link.dialler + 1}.{link.target + 1}"


def denied(node: int, nodes: int, links: Iterable[Link], *, has_proxies: bool) -> tuple[str, ...]:
    """Return the networks that *node* of *nodes* must deny."""
    if has_proxies:
        return (ALL_NODES,)
    allowed = {end for link in links if node in link for end in link}
    return tuple(f"{node_address(other)}/32" for other in range(nodes) if other not in allowed)


def multiaddress(host: str, port: int) -> str:
    """Return ``/ip4/host/tcp/port``."""
    return f"/ip4/{host}/tcp/{port}"
