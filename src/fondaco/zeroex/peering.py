"""What the token orders ask of the network. ``p2p.network`` satisfies it.

    publish, subscribe, messages, verdict      gossip: topics and bytes
    request, serve                             one question, one answer, on a stream
    request_line, serve_lines                  the same for protocols made of JSON lines
    peers, report                              who is there, and who deserves what

Nothing here knows what the bytes mean.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Protocol

from fondaco.errors import Verdict
from fondaco.p2p.scores import Offence

Handler = Callable[[str, bytes], Awaitable[bytes]]
"""Takes a peer ID and a request, returns the answer. A ``PeerError`` it raises closes the
stream and counts against the peer; any other ``NodeError`` only closes the stream."""


class GossipMessage(Protocol):
    """A message on a topic that waits for a verdict."""

    @property
    def topic(self) -> str: ...

    @property
    def message_id(self) -> bytes: ...

    @property
    def peer(self) -> str:
        """Who passed it on, which need not be its author."""

    @property
    def data(self) -> bytes: ...


class Peer(Protocol):
    """A peer that is connected."""

    @property
    def peer_id(self) -> str: ...

    @property
    def is_outbound(self) -> bool:
        """Whether it was us who dialled."""


class GossipNetwork(Protocol):
    """What gossip needs."""

    async def publish(self, topic: str, data: bytes) -> None:
        """Send to everybody on *topic*. Waits while the way out is full.

        Raises:
            Unavailable: the message is lost.
        """

    async def subscribe(self, topic: str) -> None: ...

    async def unsubscribe(self, topic: str) -> None: ...

    def messages(self) -> AsyncIterator[GossipMessage]:
        """Yield what comes on subscribed topics. What is not taken waits, within bounds."""

    async def verdict(self, message_id: bytes, verdict: Verdict) -> None:
        """Say what is to be done with a message. Due for every one."""

    def report(self, peer: str, offence: Offence, weight: float = 1.0) -> None:
        """Count an offence *weight* times against *peer*."""


class SyncNetwork(Protocol):
    """What order sync needs."""

    def peers(self) -> Sequence[Peer]:
        """Return who is connected now."""

    async def peers_changed(self) -> None:
        """Return when somebody has come or gone since the last return."""

    async def request(  # the p2p process keeps the time
        self,
        peer: str,
        protocol: str,
        payload: bytes,
        *,
        timeout: float,  # noqa: ASYNC109
    ) -> bytes:
        """Ask *peer*; return its answer.

        Raises:
            Unavailable: it has gone, is late, or closed the stream; its ``code`` is
                ``ProtocolNotSpoken`` where the peer does not know *protocol*.
        """

    async def request_line(
        self,
        peer: str,
        protocol: str,
        line: bytes,
        *,
        timeout: float,  # noqa: ASYNC109
    ) -> bytes:
        """Ask *peer* in one line; return the one it answers. Neither has its line feed.

        Raises:
            Unavailable: as ``request``.
        """

    def serve(self, protocol: str, handler: Handler) -> None:
        """Answer what peers ask on *protocol*."""

    def serve_lines(self, protocol: str, handler: Handler) -> None:
        """Answer line by line what peers ask on *protocol*."""

    def report(self, peer: str, offence: Offence, weight: float = 1.0) -> None:
        """Count an offence *weight* times against *peer*."""


NOT_SPOKEN = "ProtocolNotSpoken"
"""``code`` of the ``Unavailable`` that says that a peer does not know a protocol."""
