"""What a long cable does to packets: it holds them up, loses some, and can be cut.

packet --> to a place of ours? --> cut in between? --> lost? --> room? --> waits --> due

Pure: the host says what time it is, and chance comes from a seeded generator. Every packet
takes equally long, so that none overtakes another.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

IPV4_HEADER = 20
"""Bytes of the shortest IPv4 header. Source: RFC 791."""


class Chance(Protocol):
    """``random.Random`` satisfies it."""

    def random(self) -> float: ...


class Counts(msgspec.Struct, kw_only=True):
    """What became of packets."""

    packets: int = 0
    """Delivered."""
    bytes: int = 0
    """Of those, headers included."""
    lost: int = 0
    """By chance."""
    cut: int = 0
    """Sent to a place on the other side of a cut."""
    crowded_out: int = 0
    """For want of room: more is under way than this machine can carry."""
    astray: int = 0
    """No IPv4, or to nobody here."""


class Wire:
    """A cable from each place to each other place."""

    def __init__(
        self,
        places: Mapping[bytes, int],
        *,
        delay: float,
        loss: float,
        chance: Chance,
        room: int,
    ) -> None:
        """Lay it.

        Args:
            places: the place behind each IPv4 address (4 bytes).
            delay: seconds from one place to another, one way.
            loss: share of the packets that get lost, from 0 to 1.
            chance: decides which.
            room: packets under way at once.
        """
        self._places = places
        self._delay = delay
        self._loss = loss
        self._chance = chance
        self._room = room
        self._under_way: collections.deque[tuple[float, int, bytes]] = collections.deque()
        self._sides: dict[int, int] = {}
        self.counts = Counts()

    def cut(self, sides: Sequence[Iterable[int]]) -> None:
        """Let nothing pass between *sides* from now on; what is under way still arrives.

        A place on no side reaches, and is reached by, only others on none.
        """
        self._sides = {place: side for side, some in enumerate(sides, 1) for place in some}

    def mend(self) -> None:
        """Let everything pass again."""
        self._sides = {}

    def send(self, packet: bytes, now: float) -> None:
        """Take a packet from the place that it names as its source."""
        if len(packet) < IPV4_HEADER or packet[0] >> 4 != 4:
            self.counts.astray += 1
            return
        source, target = self._places.get(packet[12:16]), self._places.get(packet[16:20])
        if source is None or target is None:
            self.counts.astray += 1
        elif self._sides.get(source) != self._sides.get(target):
            self.counts.cut += 1
        elif self._chance.random() < self._loss:
            self.counts.lost += 1
        elif len(self._under_way) >= self._room:
            self.counts.crowded_out += 1
        else:
            self._under_way.append((now + self._delay, target, packet))

    def due(self, now: float) -> list[tuple[int, bytes]]:
        """Return what has arrived by *now*, each packet with its place."""
        arrived = []
        while self._under_way and self._under_way[0][0] <= now:
            _, target, packet = self._under_way.popleft()
            self.counts.packets += 1
            self.counts.bytes += len(packet)
            arrived.append((target, packet))
        return arrived

    @property
    def next_at(self) -> float | None:
        """When the next packet arrives; None while none is under way."""
        return self._under_way[0][0] if self._under_way else None
