"""What the rest of the node sees of the network: messages, requests, peers.

    gossip   publish --> topic --> messages() --> verdict(message_id, …)
    request  request(peer, protocol) --> peer's serve(protocol) handler --> answer
    peers    add_peer, peers(), events(); report and reward change scores

Three things keep to this protocol: ``linked.LinkedNetwork`` (a child process with libp2p,
see ``open_network``), ``absent.AbsentNetwork`` (no peers, because the extra ``p2p`` is not
installed or not wanted) and ``fondaco.testing.network.MemoryNetwork``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from fondaco.errors import Unavailable, Verdict
from fondaco.p2p import limits
from fondaco.p2p.link import KnownPeer
from fondaco.p2p.scores import Offence

__all__ = [
    "GossipMessage",
    "Handler",
    "KnownPeer",
    "Network",
    "PeerEvent",
    "PeerInfo",
    "PeerJoined",
    "PeerLeft",
    "RequestFailed",
]


class GossipMessage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A message of a subscribed topic. Its author's signature holds; what it says is open."""

    topic: str
    message_id: bytes
    peer: str
    """Who passed it on."""
    data: bytes


class PeerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A connected peer."""

    peer_id: str
    addresses: tuple[str, ...]
    """Where it says it can be reached; empty until it has said so."""
    since_ns: int
    """Unix time of the connection, nanoseconds."""
    is_outbound: bool
    """Whether we dialled it."""
    score: float
    topics: tuple[str, ...]
    agent: str
    protocols: tuple[str, ...]
    relay: str = ""
    """The peer ID of the relay between us; empty where there is none."""


class PeerJoined(msgspec.Struct, frozen=True):
    """A peer has said which protocols it speaks (``PeerInfo.protocols``): it can be asked."""

    peer: PeerInfo


class PeerLeft(msgspec.Struct, frozen=True):
    """The last connection to a peer has ended."""

    peer_id: str


PeerEvent = PeerJoined | PeerLeft

Handler = Callable[[str, bytes], Awaitable[bytes]]
"""Answers a request: takes the peer's ID and the payload. A PeerError with verdict REJECT
closes the stream and lowers the peer's score; any other error only closes the stream."""


class RequestFailed(Unavailable):
    """A peer did not answer: not connected, does not speak the protocol, or too late."""

    code = "RequestFailed"


class Network(Protocol):
    """The network. Where there is none (``is_available``), calls do nothing or fail at once."""

    @property
    def peer_id(self) -> str:
        """Our own name."""

    @property
    def is_available(self) -> bool:
        """Whether there can be peers at all."""

    @property
    def child_pid(self) -> int | None:
        """Process ID of the p2p process; None while, or where, there is none."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where we listen, with our peer ID; empty while we do not."""

    async def ready(self) -> tuple[str, ...]:
        """Return ``addresses`` as soon as we listen.

        Raises:
            ConfigurationError: the port is taken, or the address is not of this machine.
        """

    # --- gossip

    async def subscribe(self, topic: str) -> None:
        """Receive the messages of *topic* from now on, also after a restart of the child."""

    async def unsubscribe(self, topic: str) -> None:
        """Receive them no more."""

    async def publish(self, topic: str, data: bytes) -> None:
        """Send *data* to everybody; waits while the queues are full.

        Raises:
            ValueError: it is empty or over limits.MAX_DATA_SIZE; our own bug.
        """

    def messages(self) -> AsyncIterator[GossipMessage]:
        """Yield messages of all topics; for one reader. Each needs a ``verdict``: a peer is
        read no further while limits.MAX_PEER_UNJUDGED of its messages have none."""

    def verdict(self, message_id: bytes, verdict: Verdict) -> None:
        """Say what to do with a message. Without a word for 60 s it counts as IGNORE."""

    # --- requests

    async def request(
        self,
        peer: str,
        protocol: str,
        payload: bytes,
        *,
        timeout: float = limits.REQUEST_TIMEOUT,  # noqa: ASYNC109
    ) -> bytes:
        """Ask *peer* on a stream that stays open; at most limits.MAX_STREAM_FRAME both ways.

        Raises:
            RequestFailed: there is no answer.
        """

    async def request_lines(
        self,
        peer: str,
        protocol: str,
        line: bytes,
        *,
        timeout: float = limits.REQUEST_TIMEOUT,  # noqa: ASYNC109
    ) -> bytes:
        """As ``request`` on a protocol of lines: one without its newline for another."""

    async def serve(self, protocol: str, handler: Handler) -> None:
        """Answer requests of peers from now on."""

    async def serve_lines(self, protocol: str, handler: Handler) -> None:
        """As ``serve`` on a protocol of lines."""

    # --- peers

    def peers(self) -> list[PeerInfo]:
        """Return who is connected."""

    def events(self) -> AsyncIterator[PeerEvent]:
        """Yield who joins and leaves from now on, the connected ones first as joined.
        ``peers`` is the truth: of a reader that is too slow the oldest events are lost."""

    async def add_peer(
        self,
        peer_id: str,
        addresses: Sequence[str],
        *,
        timeout: float = 60.0,  # noqa: ASYNC109
    ) -> None:
        """Connect to a peer and stay connected; lifts its ban.

        Raises:
            RequestFailed: not within *timeout* seconds; it is tried on all the same.
        """

    async def set_rendezvous(self, names: Sequence[str]) -> None:
        """Look for peers under these names from now on, and let them find us there."""

    def report(self, peer: str, offence: Offence, weight: float = 1.0) -> None:
        """Lower a peer's score; it is disconnected and banned where that is enough."""

    def reward(self, peer: str) -> None:
        """Raise a peer's score a little."""

    def known_peers(self) -> list[KnownPeer]:
        """Return the peers worth storing for the next start."""

    def stats(self) -> Mapping[str, int]:
        """Return counters and levels by name: queues, drops, bytes, bans, restarts."""
