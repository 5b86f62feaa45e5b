"""What tests with a peer of another make wait for on our side."""

from __future__ import annotations

from fondaco.p2p.network import Network, PeerInfo, PeerJoined
from fondaco.testing.until import until
from support.peers import PATIENCE, first


async def identified(network: Network, peer_id: str) -> PeerInfo:
    """Return what *network* knows of a peer once that has said who it is."""
    event = await first(
        network,
        lambda one: isinstance(one, PeerJoined) and one.peer.peer_id == peer_id,
    )
    assert isinstance(event, PeerJoined)
    return event.peer


async def sees_subscriber(network: Network, topic: str, peer_id: str) -> None:
    """Return when *network* knows that a peer listens to *topic*."""
    await until(
        lambda: any(peer.peer_id == peer_id and topic in peer.topics for peer in network.peers()),
        patience=PATIENCE,
    )
