"""How much one peer may ask of a node of the DHT."""

from __future__ import annotations

from fondaco.identity.names import Guid
from fondaco.market import dht_limits
from fondaco.p2p.budget import TokenBucket


class Quota:
    """Requests of each peer, and new records of each. Times are in seconds."""

    def __init__(self) -> None:
        self._peers: dict[Guid, tuple[TokenBucket, TokenBucket]] = {}
        """In the order in which they were last heard of."""

    def __len__(self) -> int:
        return len(self._peers)

    def may_ask(self, peer: Guid, now: float) -> bool:
        """Count a request; say whether to answer it."""
        return self._buckets(peer, now)[0].take(1, now)

    def may_bring(self, peer: Guid, now: float) -> bool:
        """Count a record that has to be verified; say whether to do so."""
        return self._buckets(peer, now)[1].take(1, now)

    def _buckets(self, peer: Guid, now: float) -> tuple[TokenBucket, TokenBucket]:
        buckets = self._peers.pop(peer, None) or (
            TokenBucket(dht_limits.REQUESTS_PER_SECOND, dht_limits.REQUESTS_BURST, now),
            TokenBucket(dht_limits.RECORDS_PER_SECOND, dht_limits.RECORDS_BURST, now),
        )
        self._peers[peer] = buckets
        if len(self._peers) > dht_limits.MAX_COUNTED_PEERS:
            del self._peers[next(iter(self._peers))]
        return buckets
