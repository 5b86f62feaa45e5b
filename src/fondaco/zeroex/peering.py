"""What the token orders ask of the network. ``p2p.network.Network`` satisfies both.

GossipNetwork   publish, subscribe, messages, verdict: topics and bytes
SyncNetwork     request, serve, and the same for lines; who is there
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from fondaco.errors import Verdict
from fondaco.p2p.network import GossipMessage, Handler, PeerEvent, PeerInfo
from fondaco.p2p.scores import Offence


class GossipNetwork(Protocol):
    """What gossip needs."""

    async def publish(self, topic: str, data: bytes) -> None:
        """Send to everybody on *topic*. Waits while the way out is full."""

    async def subscribe(self, topic: str) -> None: ...

    async def unsubscribe(self, topic: str) -> None: ...

    async def set_rendezvous(self, names: Sequence[str]) -> None:
        """Meet peers under these names and under no others."""

    def messages(self) -> AsyncIterator[GossipMessage]:
        """Yield what comes on subscribed topics. What is not taken waits, within bounds."""

    def verdict(self, message_id: bytes, verdict: Verdict) -> None:
        """Say what is to be done with a message. Due for every one."""


class SyncNetwork(Protocol):
    """What order sync needs."""

    def peers(self) -> Sequence[PeerInfo]:
        """Return who is connected now."""

    def events(self) -> AsyncIterator[PeerEvent]:
        """Yield who comes and goes, those that are there first."""

    async def request(
        self,
        peer: str,
        protocol: str,
        payload: bytes,
        *,
        timeout: float,  # noqa: ASYNC109 - the network keeps the time
    ) -> bytes:
        """Ask *peer*; return its answer.

        Raises:
            Unavailable: it has gone, is late, or closed the stream.
        """

    async def request_lines(
        self,
        peer: str,
        protocol: str,
        line: bytes,
        *,
        timeout: float,  # noqa: ASYNC109 - the network keeps the time
    ) -> bytes:
        """Ask *peer* in one line; return the one it answers. Neither has its line feed.

        Raises:
            Unavailable: as ``request``.
        """

    async def serve(self, protocol: str, handler: Handler) -> None:
        """Answer what peers ask on *protocol*."""

    async def serve_lines(self, protocol: str, handler: Handler) -> None:
        """Answer line by line what peers ask on *protocol*."""

    def report(self, peer: str, offence: Offence, weight: float = 1.0) -> None:
        """Count an offence *weight* times against *peer*."""

    def reward(self, peer: str) -> None:
        """Raise the score of *peer* a little."""
