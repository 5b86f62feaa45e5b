"""Real nodes for tests: each a network with a p2p process of its own, on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from fondaco.clock import SystemClock
from fondaco.errors import Verdict
from fondaco.identity.keys import IdentityKey
from fondaco.p2p.link import Tuning
from fondaco.p2p.linked import LinkedNetwork
from fondaco.p2p.network import GossipMessage, Network, PeerEvent, PeerJoined, PeerLeft
from fondaco.p2p.opening import open_network

PATIENCE = 20.0
"""Seconds that nothing should take, on a machine that others use too."""

QUICK = Tuning(
    ping_interval=0.5,
    ping_timeout=1.0,
    handshake_timeout=2.0,
    handler_seconds=2.0,
    first_dial_backoff=0.2,
    longest_dial_backoff=0.5,
    longest_wanted_backoff=0.5,
    stats_interval=0.1,
)
"""Seconds of the node's patience with others, shortened."""


LONELY = msgspec.structs.replace(QUICK, wanted_connections=0)
"""And it makes no acquaintances of its own: for tests in which the wiring matters."""


def key_of(name: str) -> IdentityKey:
    """Return the identity of the node called *name*."""
    return IdentityKey(hashlib.sha256(name.encode()).digest())


@contextlib.asynccontextmanager
async def node(name: str, **settings: Any) -> AsyncIterator[LinkedNetwork]:
    """Open a node that listens; ``settings`` as of ``open_network``."""
    options: dict[str, Any] = {"host": "127.0.0.1", "port": 0, "tuning": QUICK, "verbosity": 3}
    options |= settings
    async with open_network(key_of(name), clock=SystemClock(), seed=7, **options) as network:
        assert isinstance(network, LinkedNetwork)
        async with asyncio.timeout(2 * PATIENCE):
            await network.ready()
        yield network


async def connect(one: Network, other: Network) -> None:
    """Let *one* dial *other*; returns when both know what the other speaks."""
    place = other.addresses[0].partition("/p2p/")[0]
    await one.add_peer(other.peer_id, [place], timeout=PATIENCE)
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(_identified(one, other), _identified(other, one))


async def _identified(one: Network, other: Network) -> None:
    await first(
        one, lambda event: isinstance(event, PeerJoined) and event.peer.peer_id == other.peer_id
    )


async def first(network: Network, wanted: Callable[[PeerEvent], bool]) -> PeerEvent:
    """Return the first event that is *wanted*."""
    async with asyncio.timeout(PATIENCE), contextlib.aclosing(network.events()) as events:  # type: ignore[type-var]
        async for event in events:
            if wanted(event):
                return event
    raise AssertionError("events have ended")


async def gone(network: Network, peer_id: str) -> None:
    """Return when the network has noticed that a peer has left."""
    if any(peer.peer_id == peer_id for peer in network.peers()):
        await first(network, lambda event: event == PeerLeft(peer_id))


async def counted(
    network: LinkedNetwork, wanted: Callable[[Mapping[str, int]], bool]
) -> Mapping[str, int]:
    """Return the child's counters as soon as they are what is *wanted*."""
    async with asyncio.timeout(PATIENCE):
        while not wanted(network.stats()):
            await network.counters_changed()
    return network.stats()


async def read(
    network: Network, count: int, verdict: Verdict = Verdict.ACCEPT
) -> list[GossipMessage]:
    """Read and judge *count* messages."""
    found: list[GossipMessage] = []
    async with asyncio.timeout(PATIENCE):
        async for message in network.messages():
            network.verdict(message.message_id, verdict)
            found.append(message)
            if len(found) == count:
                break
    return found


def memory_of(pid: int) -> int:
    """Return the resident bytes of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024
