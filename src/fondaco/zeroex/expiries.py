"""Sets of orders that are mostly of one, and orders by the second they expire in."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import msgspec

from fondaco.zeroex.order import OrderHash

HEAP_SLACK = 1024
"""Stale expirations tolerated before the heaps are rebuilt: a stranger who adds and
removes orders must not make them grow."""


class OrderGroup(msgspec.Struct, gc=False):
    """The orders under one key: one hash, or several once there is a second.

    Most keys have one order. A set costs 200 bytes more than the hash itself, which is
    half of what an order may cost here. Left out of garbage collection, as it can be in
    no cycle: 16 bytes less, and no walk over 300,000 of them.
    """

    key: bytes
    members: OrderHash | set[OrderHash]

    def add(self, member: OrderHash) -> None:
        """Add *member*; adding it twice changes nothing."""
        if isinstance(self.members, set):
            self.members.add(member)
        elif self.members != member:
            self.members = {self.members, member}

    def discard(self, member: OrderHash) -> bool:
        """Remove *member*; return whether nothing is left."""
        if isinstance(self.members, set):
            self.members.discard(member)
            return not self.members
        return self.members == member

    def __iter__(self) -> Iterator[OrderHash]:
        if isinstance(self.members, set):
            return iter(self.members)
        return iter((self.members,))


class Expiries:
    """Orders by expiration second, and which seconds block time has passed."""

    def __init__(self) -> None:
        self._buckets: dict[int, OrderGroup] = {}
        self._ahead: list[int] = []
        """Heap of expirations not passed; may hold stale ones."""
        self._behind: list[int] = []
        """Heap of negated expirations that were passed; may hold stale ones."""
        self._passed: set[int] = set()

    def add(self, expiration: int, order_hash: OrderHash) -> None:
        """Watch an order that expires at *expiration* (unix seconds, any size)."""
        bucket = self._buckets.get(expiration)
        if bucket is not None and expiration not in self._passed:
            bucket.add(order_hash)
            return
        if bucket is not None:
            # Given out already; the newcomer must be given out too.
            self._passed.discard(expiration)
            bucket.add(order_hash)
        else:
            self._buckets[expiration] = OrderGroup(b"", order_hash)
        heapq.heappush(self._ahead, expiration)
        self._compact()

    def discard(self, expiration: int, order_hash: OrderHash) -> None:
        """Stop watching it; both as given to ``add``."""
        bucket = self._buckets.get(expiration)
        if bucket is not None and bucket.discard(order_hash):
            del self._buckets[expiration]
            self._passed.discard(expiration)

    def pass_until(self, timestamp: int) -> list[OrderHash]:
        """Return every order with expiration <= *timestamp* not returned yet, ascending."""
        found: list[OrderHash] = []
        while self._ahead and self._ahead[0] <= timestamp:
            expiration = heapq.heappop(self._ahead)
            if expiration in self._buckets and expiration not in self._passed:
                self._passed.add(expiration)
                heapq.heappush(self._behind, -expiration)
                found += sorted(self._buckets[expiration])
        return found

    def return_to(self, timestamp: int) -> list[OrderHash]:
        """Take back what was returned with expiration > *timestamp*; return it, ascending."""
        expirations: list[int] = []
        while self._behind and -self._behind[0] > timestamp:
            expiration = -heapq.heappop(self._behind)
            if expiration in self._passed:
                self._passed.discard(expiration)
                heapq.heappush(self._ahead, expiration)
                expirations.append(expiration)
        return [
            order_hash
            for expiration in reversed(expirations)
            for order_hash in sorted(self._buckets[expiration])
        ]

    def _compact(self) -> None:
        if len(self._ahead) + len(self._behind) > 2 * len(self._buckets) + HEAP_SLACK:
            self._ahead = [at for at in self._buckets if at not in self._passed]
            self._behind = [-at for at in self._passed]
            heapq.heapify(self._ahead)
            heapq.heapify(self._behind)
