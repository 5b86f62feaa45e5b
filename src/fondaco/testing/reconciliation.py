"""The slow oracle of set reconciliation, and a line between its two roles."""

from __future__ import annotations

import bisect
import dataclasses
import itertools
from collections.abc import Iterable, Iterator

from fondaco.p2p.negentropy import Initiator, Responder
from fondaco.p2p.negentropy_wire import INFINITY, SUM_MASK, Bound, Item


class ItemList:
    """A ``negentropy.Store`` of items with any timestamps that is too simple to be wrong.

    Raises:
        ValueError: an item twice, an id of another size than 32 bytes, or the timestamp
            that stands for infinity.
    """

    def __init__(self, items: Iterable[Item]) -> None:
        self._items = sorted(items)
        if len(set(self._items)) < len(self._items):
            raise ValueError("the same item twice")
        for timestamp, one in self._items:
            if len(one) != 32 or not 0 <= timestamp < INFINITY:
                raise ValueError(f"not an item: {timestamp}, {one.hex()}")
        numbers = (int.from_bytes(one, "little") for _, one in self._items)
        self._sums = [0, *itertools.accumulate(numbers)]

    def __len__(self) -> int:
        return len(self._items)

    def item(self, index: int) -> Item:
        return self._items[index]

    def lower_bound(self, bound: Bound) -> int:
        return bisect.bisect_left(self._items, tuple(bound))

    def prefix_sum(self, index: int) -> int:
        return self._sums[index] & SUM_MASK

    def packed(self, start: int, stop: int) -> bytes:
        return b"".join(self.iterate(start, stop))

    def iterate(self, start: int, stop: int) -> Iterator[bytes]:
        return (one for _, one in self._items[start:stop])

    def missing(self, ids: set[bytes], start: int, stop: int) -> list[bytes]:
        return sorted(ids - set(self.iterate(start, stop)))


@dataclasses.dataclass(slots=True)
class Exchange:
    """What a whole dialogue came to."""

    have: set[bytes] = dataclasses.field(default_factory=set)
    need: set[bytes] = dataclasses.field(default_factory=set)
    up: list[bytes] = dataclasses.field(default_factory=list)
    """Messages of the initiator."""
    down: list[bytes] = dataclasses.field(default_factory=list)
    """Messages of the responder."""

    @property
    def rounds(self) -> int:
        return len(self.down)

    @property
    def size(self) -> int:
        """Bytes, both ways."""
        return sum(map(len, self.up)) + sum(map(len, self.down))


def converse(initiator: Initiator, responder: Responder, *, most: int = 100_000) -> Exchange:
    """Carry messages between the two until the initiator is done.

    Raises:
        AssertionError: it is not after *most* rounds.
    """
    exchange = Exchange()
    message: bytes | None = initiator.start()
    while message is not None:
        exchange.up.append(message)
        exchange.down.append(responder.receive(message))
        if exchange.rounds > most:
            raise AssertionError(f"no end after {most} rounds")
        step = initiator.receive(exchange.down[-1])
        exchange.have.update(step.have)
        exchange.need.update(step.need)
        message = step.reply
    return exchange
