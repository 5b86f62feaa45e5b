"""Open the network, with whatever of it is there.

extra p2p installed --yes--> LinkedNetwork, its child kept alive by a task
       '-------------no---> AbsentNetwork, and the log says so
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
from collections.abc import AsyncIterator, Sequence
from importlib.metadata import version

from fondaco.clock import Clock
from fondaco.config import Config
from fondaco.identity.keys import IdentityKey
from fondaco.p2p import link
from fondaco.p2p.absent import AbsentNetwork
from fondaco.p2p.linked import LinkedNetwork
from fondaco.p2p.network import KnownPeer, Network

log = logging.getLogger(__name__)


LIBRARIES = ("libp2p", "trio")
"""What the extra p2p brings and the child needs."""


def is_installed(names: Sequence[str] = LIBRARIES) -> bool:
    """Return whether the extra ``p2p`` is installed, without importing it."""
    return all(importlib.util.find_spec(name) is not None for name in names)


@contextlib.asynccontextmanager
async def open_configured(
    config: Config,
    identity: IdentityKey,
    *,
    clock: Clock,
    seed: int,
    known_peers: Sequence[KnownPeer] = (),
) -> AsyncIterator[Network]:
    """Open the network that *config* describes; see ``open_network``."""
    if not config.enable_p2p:
        yield AbsentNetwork(identity.peer_id, known_peers)
        return
    async with open_network(
        identity,
        host=config.p2p_listen_addr,
        port=config.p2p_tcp_port,
        clock=clock,
        seed=seed,
        bootstrap=config.bootstrap_list if config.use_bootstrap_list else (),
        known_peers=known_peers,
        deny=config.p2p_deny,
        reach=link.Reach(
            relays=config.p2p_relays,
            serves_relay=config.serve_relay,
            mdns=config.enable_mdns,
            upnp=config.enable_upnp,
        ),
        verbosity=config.verbosity,
        log_json=config.log_json,
    ) as network:
        yield network


@contextlib.asynccontextmanager
async def open_network(
    identity: IdentityKey,
    *,
    host: str,
    port: int,
    clock: Clock,
    seed: int,
    bootstrap: Sequence[str] = (),
    known_peers: Sequence[KnownPeer] = (),
    deny: Sequence[str] = (),
    reach: link.Reach | None = None,
    verbosity: int = 4,
    log_json: bool = False,
    tuning: link.Tuning | None = None,
    libraries: Sequence[str] = LIBRARIES,
) -> AsyncIterator[Network]:
    """Open the network and close it afterwards. Returns before it listens: see ``ready``.

    Args:
        host: IP address to listen on; ``0.0.0.0`` for all.
        port: 0 takes a free one, and the same again after a restart of the child.
        seed: of the child's choices; unpredictable where strangers can connect.
        bootstrap: multiaddresses that end in ``/p2p/<peer>``, dialled for ever.
        known_peers: what ``Network.known_peers`` returned in an earlier life.
        deny: networks whose addresses are refused, such as ``192.0.2.0/24``.
        reach: relays, the local network, the router; None leaves them out.
    """
    if not is_installed(libraries):
        log.warning("peers are off: the extra p2p is not installed (fondaco[p2p])")
        yield AbsentNetwork(identity.peer_id, known_peers)
        return
    network = LinkedNetwork(
        link.Start(
            private_key=identity.export_for_libp2p(),
            agent=f"fondaco/{version('fondaco')}",
            host=host,
            port=port,
            verbosity=verbosity,
            log_json=log_json,
            seed=seed,
            deny=tuple(deny),
            reach=reach or link.Reach(),
            tuning=tuning or link.Tuning(),
        ),
        identity.peer_id,
        clock,
        wanted=bootstrap,
        known_peers=known_peers,
    )
    task = asyncio.create_task(network.run(), name="p2p process")
    try:
        yield network
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
