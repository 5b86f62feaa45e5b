"""The oracle itself: what it holds, and what it refuses."""

from __future__ import annotations

import pytest

from fondaco.p2p.idset import IdSet
from fondaco.p2p.negentropy import Initiator, Responder
from fondaco.p2p.negentropy_wire import INFINITY, Bound, Item
from fondaco.testing.reconciliation import ItemList, converse

LOW, HIGH = b"\x01" * 32, b"\xfe" * 32


def test_items_are_in_sequence() -> None:
    items = ItemList([(2, LOW), (1, HIGH), (1, LOW)])
    assert [items.item(index) for index in range(3)] == [(1, LOW), (1, HIGH), (2, LOW)]
    assert items.lower_bound(Bound(1, b"\x02")) == 1
    assert items.lower_bound(Bound(2, b"")) == 2
    assert items.packed(0, 2) == LOW + HIGH
    assert items.prefix_sum(2) == int.from_bytes(b"\xff" * 32, "little")
    assert items.missing({LOW, HIGH}, 1, 2) == [LOW]


@pytest.mark.parametrize(
    "items", [[(1, LOW), (1, LOW)], [(INFINITY, LOW)], [(-1, LOW)], [(1, LOW[1:])]]
)
def test_what_is_no_set_of_items(items: list[Item]) -> None:
    with pytest.raises(ValueError, match=r"twice|not an item"):
        ItemList(items)


def test_a_dialogue_without_end_is_noticed() -> None:
    class Endless(Responder):
        def receive(self, message: bytes) -> bytes:
            return b"\x61\x00\x00\x01" + bytes(16)

    with pytest.raises(AssertionError, match="no end"):
        converse(Initiator(IdSet([LOW])), Endless(IdSet()), most=5)
