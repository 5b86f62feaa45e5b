"""A network without peers: the extra ``p2p`` is not installed. Everything else works."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

from fondaco.errors import Verdict
from fondaco.p2p import limits
from fondaco.p2p.link import KnownPeer
from fondaco.p2p.network import GossipMessage, Handler, PeerEvent, PeerInfo, PeerLeft, RequestFailed
from fondaco.p2p.scores import Offence


class AbsentNetwork:
    """Nobody is there."""

    def __init__(self, peer_id: str, known_peers: Sequence[KnownPeer] = ()) -> None:
        self.peer_id = peer_id
        self._known_peers = list(known_peers)

    @property
    def is_available(self) -> bool:
        return False

    @property
    def child_pid(self) -> None:
        return None

    @property
    def addresses(self) -> tuple[str, ...]:
        return ()

    async def ready(self) -> tuple[str, ...]:
        return ()

    async def subscribe(self, topic: str) -> None:
        """Nobody speaks."""

    async def unsubscribe(self, topic: str) -> None:
        """Nobody speaks."""

    async def publish(self, topic: str, data: bytes) -> None:
        """Nobody listens."""

    async def messages(self) -> AsyncIterator[GossipMessage]:
        await asyncio.Event().wait()
        yield GossipMessage(topic="", message_id=b"", peer="", data=b"")

    def verdict(self, message_id: bytes, verdict: Verdict) -> None:
        """There is nothing to judge."""

    async def request(
        self,
        peer: str,
        protocol: str,
        payload: bytes,
        *,
        timeout: float = limits.REQUEST_TIMEOUT,  # noqa: ASYNC109
    ) -> bytes:
        raise RequestFailed("peers are off")

    async def request_lines(
        self,
        peer: str,
        protocol: str,
        line: bytes,
        *,
        timeout: float = limits.REQUEST_TIMEOUT,  # noqa: ASYNC109
    ) -> bytes:
        raise RequestFailed("peers are off")

    async def serve(self, protocol: str, handler: Handler) -> None:
        """Nobody asks."""

    async def serve_lines(self, protocol: str, handler: Handler) -> None:
        """Nobody asks."""

    def peers(self) -> list[PeerInfo]:
        return []

    async def events(self) -> AsyncIterator[PeerEvent]:
        await asyncio.Event().wait()
        yield PeerLeft("")

    async def add_peer(
        self,
        peer_id: str,
        addresses: Sequence[str],
        *,
        timeout: float = 60.0,  # noqa: ASYNC109
    ) -> None:
        raise RequestFailed("peers are off: install fondaco[p2p]")

    async def set_rendezvous(self, names: Sequence[str]) -> None:
        """There is nobody to meet."""

    def report(self, peer: str, offence: Offence, weight: float = 1.0) -> None:
        """There is nobody to report."""

    def reward(self, peer: str) -> None:
        """There is nobody to reward."""

    def known_peers(self) -> list[KnownPeer]:
        return self._known_peers

    def stats(self) -> Mapping[str, int]:
        return {}
