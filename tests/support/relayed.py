"""Nodes that can reach each other through a relay and in no other way.

The hidden node and its guest deny each other's addresses, of this machine both.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence

from fondaco.p2p.link import Reach, Tuning
from fondaco.p2p.linked import LinkedNetwork
from fondaco.p2p.network import KnownPeer, PeerJoined
from support.peers import LONELY, counted, first, node

ECHO = "/test/echo/1"
SERVING = Reach(serves_relay=True)


async def echo(peer: str, payload: bytes) -> bytes:
    return payload


@contextlib.asynccontextmanager
async def hidden(
    relay: LinkedNetwork, name: str = "hidden", tuning: Tuning = LONELY
) -> AsyncIterator[LinkedNetwork]:
    """Open a node that nobody reaches but through *relay*."""
    reach = Reach(relays=(relay.addresses[0],))
    async with node(
        name, host="127.0.0.2", deny=["127.0.0.3"], tuning=tuning, reach=reach
    ) as network:
        await counted(network, lambda stats: stats.get("reservations") == 1)
        yield network


@contextlib.asynccontextmanager
async def guest(
    name: str = "guest",
    tuning: Tuning = LONELY,
    known_peers: Sequence[KnownPeer] = (),
) -> AsyncIterator[LinkedNetwork]:
    """Open a node that cannot reach any that is ``hidden``."""
    async with node(
        name, host="127.0.0.3", deny=["127.0.0.2"], tuning=tuning, known_peers=known_peers
    ) as network:
        yield network


def through(network: LinkedNetwork) -> str:
    """Return the address of a node behind a relay."""
    [address] = [one for one in network.addresses if "/p2p-circuit/" in one]
    return address


async def met(one: LinkedNetwork, other: LinkedNetwork) -> None:
    """Return when *one* knows that *other* answers ECHO."""
    await first(
        one,
        lambda event: (
            isinstance(event, PeerJoined)
            and event.peer.peer_id == other.peer_id
            and ECHO in event.peer.protocols
        ),
    )


def relay_between(one: LinkedNetwork, other: LinkedNetwork) -> str:
    [peer] = [peer for peer in one.peers() if peer.peer_id == other.peer_id]
    return peer.relay
