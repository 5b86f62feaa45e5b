"""Who has a place at this relay, who is connected through it, and whether one more may be.

RESERVE --> reserve      --> a place for an hour, until the peer disconnects
CONNECT --> open_circuit --> a connection to a peer with a place, for an hour and 256 MiB
"""

from __future__ import annotations

from collections import Counter

from fondaco.errors import PeerError, Verdict
from fondaco.p2p import limits
from fondaco.p2p.budget import TokenBucket, address_group, count_down
from fondaco.p2p.relay_messages import Status


class RelayRefusal(PeerError):
    """A relay says no. No offence: it has its limits, and peers do not know them."""

    code = "RelayRefusal"
    verdict = Verdict.IGNORE

    def __init__(self, status: int, why: str) -> None:
        super().__init__(f"{why} ({status})")
        self.status = status


class _Place:
    """A reservation."""

    def __init__(self, group: str | None, until: float) -> None:
        self.group = group
        self.until = until


class RelayTable:
    """The reservations and circuits of a relay. Time is in seconds and never goes back."""

    def __init__(
        self,
        *,
        reservations: int = limits.MAX_RESERVATIONS,
        circuits: int = limits.MAX_CIRCUITS,
    ) -> None:
        self._most_places, self._most_circuits = reservations, circuits
        self._places: dict[bytes, _Place] = {}
        self._groups: Counter[str] = Counter()
        self._circuits: Counter[tuple[bytes, bytes]] = Counter()
        self._sources: Counter[bytes] = Counter()
        self._targets: Counter[bytes] = Counter()
        self._attempts: dict[bytes, TokenBucket] = {}

    @property
    def reservations(self) -> int:
        """Reservations held, ended ones too until somebody needs their place."""
        return len(self._places)

    @property
    def circuits(self) -> int:
        """Connections carried."""
        return self._circuits.total()

    def reserve(self, peer: bytes, address: str, now: float) -> float:
        """Give *peer* at the IP *address* a place, or more time; return until when.

        Raises:
            RelayRefusal: there is none.
        """
        group = address_group(address)
        if (held := self._places.get(peer)) is not None:
            held.until = now + limits.RESERVATION_SECONDS
            return held.until
        self._drop_ended(now)
        if len(self._places) >= self._most_places:
            raise RelayRefusal(Status.RESERVATION_REFUSED, "all places are taken")
        if group is not None:
            if self._groups[group] >= limits.MAX_RESERVATIONS_PER_ADDRESS:
                raise RelayRefusal(Status.RESERVATION_REFUSED, "too many peers at one address")
            self._groups[group] += 1
        until = now + limits.RESERVATION_SECONDS
        self._places[peer] = _Place(group, until)
        return until

    def open_circuit(self, source: bytes, target: bytes, now: float) -> None:
        """Count a connection of *source* to *target* until ``close_circuit``.

        Raises:
            RelayRefusal: nothing was counted.
        """
        bucket = self._attempts.get(source)
        if bucket is None:
            bucket = self._attempts[source] = TokenBucket(
                limits.CIRCUIT_ATTEMPTS_PER_SECOND, limits.CIRCUIT_ATTEMPTS_BURST, now
            )
        if not bucket.take(1, now):
            raise RelayRefusal(Status.RESOURCE_LIMIT_EXCEEDED, "too many attempts")
        place = self._places.get(target)
        if place is None or place.until <= now:
            raise RelayRefusal(Status.NO_RESERVATION, "no such peer here")
        if source == target:
            raise RelayRefusal(Status.PERMISSION_DENIED, "a connection to oneself")
        if (
            self.circuits >= self._most_circuits
            or self._sources[source] >= limits.MAX_CIRCUITS_PER_SOURCE
            or self._targets[target] >= limits.MAX_CIRCUITS_PER_TARGET
        ):
            raise RelayRefusal(Status.RESOURCE_LIMIT_EXCEEDED, "too many connections")
        self._circuits[source, target] += 1
        self._sources[source] += 1
        self._targets[target] += 1

    def close_circuit(self, source: bytes, target: bytes) -> None:
        """A connection counted by ``open_circuit`` has ended."""
        count_down(self._circuits, (source, target))
        count_down(self._sources, source)
        count_down(self._targets, target)

    def forget(self, peer: bytes) -> None:
        """A peer has left; its place is free. Its circuits are closed one by one."""
        self._attempts.pop(peer, None)
        if (place := self._places.pop(peer, None)) is not None and place.group is not None:
            count_down(self._groups, place.group)

    def _drop_ended(self, now: float) -> None:
        for peer in [peer for peer, place in self._places.items() if place.until <= now]:
            place = self._places.pop(peer)
            if place.group is not None:
                count_down(self._groups, place.group)
