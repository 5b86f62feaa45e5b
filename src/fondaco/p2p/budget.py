"""How much a peer may send, open and try: counted here, decided from the table ``limits``.

bytes      Traffic.spend      seconds to wait before the next read: TCP slows the sender
messages   TokenBucket        the router drops what is over, and calls it flooding
streams    Streams.open       BudgetExceeded: reset the stream
sockets    Connections.open   BudgetExceeded: close the connection
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from typing import TypeVar

from fondaco.errors import PeerError, Verdict
from fondaco.p2p import limits

_Key = TypeVar("_Key")

RELAYED = "relay "
"""What stands before a relay's peer ID in place of an IP address, where there is one between."""


class BudgetExceeded(PeerError):
    """A stranger asks for more than its share. No offence: many may share an address."""

    code = "BudgetExceeded"
    verdict = Verdict.IGNORE

    def __init__(self, limit: str, allowed: float) -> None:
        super().__init__(f"{limit}: {allowed:g} allowed")
        self.limit = limit


class TokenBucket:
    """A rate with a burst. Full at the start. Time is in seconds and never goes back."""

    __slots__ = ("_at", "_tokens", "burst", "rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate = rate
        self.burst = burst
        self._tokens = burst
        self._at = now

    def take(self, amount: float, now: float) -> bool:
        """Take *amount* if it is there; else nothing."""
        self._refill(now)
        if self._tokens < amount:
            return False
        self._tokens -= amount
        return True

    def spend(self, amount: float, now: float) -> float:
        """Take *amount* in any case; return the seconds until the debt is paid, or 0.0."""
        self._refill(now)
        self._tokens -= amount
        return max(0.0, -self._tokens / self.rate)

    @property
    def level(self) -> float:
        """What was left after the last call; negative while in debt."""
        return self._tokens

    def level_at(self, now: float) -> float:
        """Return what can be taken at *now*."""
        self._refill(now)
        return self._tokens

    def _refill(self, now: float) -> None:
        if now > self._at:
            self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
            self._at = now


class Traffic:
    """Bytes read from each peer and from all."""

    def __init__(
        self,
        now: float,
        *,
        rate: float = limits.BYTES_PER_SECOND,
        burst: float = limits.BYTES_BURST,
        total_rate: float = limits.TOTAL_BYTES_PER_SECOND,
        total_burst: float = limits.TOTAL_BYTES_BURST,
    ) -> None:
        self._rate, self._burst = rate, burst
        self._all = TokenBucket(total_rate, total_burst, now)
        self._peers: dict[bytes, TokenBucket] = {}
        self.read: Counter[bytes] = Counter()
        """Bytes read from each peer that is connected."""

    def spend(self, peer: bytes, size: int, now: float) -> float:
        """Count *size* bytes read; return the seconds to wait before reading on."""
        bucket = self._peers.get(peer)
        if bucket is None:
            bucket = self._peers[peer] = TokenBucket(self._rate, self._burst, now)
        self.read[peer] += size
        own, shared = bucket.spend(size, now), self._all.spend(size, now)
        # Whoever has half of its burst left did not use up what is shared; it reads on.
        return own if bucket.level >= bucket.burst / 2 else max(own, shared)

    def forget(self, peer: bytes) -> None:
        """A peer has left."""
        self._peers.pop(peer, None)
        self.read.pop(peer, None)


class Connections:
    """Who is connected from where, and whether one more may be."""

    def __init__(
        self,
        *,
        most: int = limits.MAX_CONNECTIONS,
        per_peer: int = limits.MAX_CONNECTIONS_PER_PEER,
        per_address: int = limits.MAX_CONNECTIONS_PER_ADDRESS,
        kept: int = 0,
    ) -> None:
        """Of *most* places, the last *kept* are for those we dial: strangers who take all
        they can get must not keep us from the peers we want."""
        self._most, self._per_peer, self._per_address = most, per_peer, per_address
        self._most_with_strangers = most - kept
        self._peers: Counter[bytes] = Counter()
        self._addresses: Counter[str] = Counter()
        self._attempts: dict[str, TokenBucket] = {}

    def __len__(self) -> int:
        return self._peers.total()

    def attempt(self, address: str, now: float) -> None:
        """Somebody at the IP *address* opens a socket; nothing is known of it yet.

        Raises:
            BudgetExceeded: too many attempts, or no room; close the socket.
        """
        group = address_group(address)
        self._check_room(is_inbound=True)
        if group is None:
            return
        self._check_group(group)
        bucket = self._attempts.pop(group, None) or TokenBucket(
            limits.ADDRESS_ATTEMPTS_PER_SECOND, limits.ADDRESS_ATTEMPTS_BURST, now
        )
        self._attempts[group] = bucket  # at the end: the order is of the last attempt
        if len(self._attempts) > limits.MAX_COUNTED_ADDRESSES:
            del self._attempts[next(iter(self._attempts))]
        if not bucket.take(1, now):
            raise BudgetExceeded("attempts per second and address", bucket.rate)

    def open(self, peer: bytes, address: str, *, is_inbound: bool = False) -> None:
        """The peer has proved who it is; count its connection until ``close``.

        Raises:
            BudgetExceeded: nothing was counted; close the connection.
        """
        group = address_group(address)
        self._check_room(is_inbound=is_inbound)
        if self._peers[peer] >= self._per_peer:
            raise BudgetExceeded("connections per peer", self._per_peer)
        if group is not None:
            self._check_group(group)
            self._addresses[group] += 1
        self._peers[peer] += 1

    def close(self, peer: bytes, address: str) -> None:
        """A connection counted by ``open`` has ended."""
        count_down(self._peers, peer)
        group = address_group(address)
        if group is not None:
            count_down(self._addresses, group)

    def _check_room(self, *, is_inbound: bool) -> None:
        most = self._most_with_strangers if is_inbound else self._most
        if len(self) >= most:
            raise BudgetExceeded("connections", most)

    def _check_group(self, group: str) -> None:
        if group.startswith(RELAYED):
            if self._addresses[group] >= limits.MAX_CONNECTIONS_PER_RELAY:
                raise BudgetExceeded("connections per relay", limits.MAX_CONNECTIONS_PER_RELAY)
        elif self._addresses[group] >= self._per_address:
            raise BudgetExceeded("connections per address", self._per_address)


class Streams:
    """Inbound streams open at once, of each peer and in all."""

    def __init__(
        self, *, most: int = limits.MAX_STREAMS, per_peer: int = limits.MAX_STREAMS_PER_PEER
    ) -> None:
        self._most, self._per_peer = most, per_peer
        self._peers: Counter[bytes] = Counter()

    def __len__(self) -> int:
        return self._peers.total()

    def open(self, peer: bytes) -> None:
        """Count a stream until ``close``.

        Raises:
            BudgetExceeded: nothing was counted; reset the stream.
        """
        if self._peers[peer] >= self._per_peer:
            raise BudgetExceeded("streams per peer", self._per_peer)
        if len(self) >= self._most:
            raise BudgetExceeded("streams", self._most)
        self._peers[peer] += 1

    def close(self, peer: bytes) -> None:
        """A stream counted by ``open`` has ended."""
        count_down(self._peers, peer)


def address_group(address: str) -> str | None:
    """Return what one subscriber is known by: an IPv4 address, the /64 of an IPv6 one, or the
    relay it comes through.

    None where there is nothing to count: this machine itself, and what is none of these.
    """
    if address.startswith(RELAYED):
        return address
    ip = ip_behind(address)
    if ip is None or ip.is_loopback:
        return None
    if isinstance(ip, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((ip, 64), strict=False))
    return str(ip)


def ip_behind(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the IP address that *address* spells, without zone and IPv6 wrapping; or None."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        return ip.ipv4_mapped
    return ip


def count_down(counter: Counter[_Key], key: _Key) -> None:
    """Take one off a count that is left out of *counter* at none."""
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]
