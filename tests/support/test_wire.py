"""The cable between namespaces, packet by packet and without any clock."""

from __future__ import annotations

import random

import pytest

from support.wire import Wire

ANN, BOB, CAT = (bytes((10, 201, 0, number)) for number in (1, 2, 3))
PLACES = {ANN: 0, BOB: 1, CAT: 2}


def packet(source: bytes, target: bytes, text: bytes = b"") -> bytes:
    """Return an IPv4 packet as far as a cable reads it."""
    return b"\x45" + bytes(11) + source + target + text


def lay(*, delay: float = 0.05, loss: float = 0.0, room: int = 1_000, seed: int = 1) -> Wire:
    return Wire(PLACES, delay=delay, loss=loss, chance=random.Random(seed), room=room)


def test_a_packet_arrives_whole_when_its_time_has_come() -> None:
    wire = lay()
    sent = packet(ANN, BOB, b"hello")
    wire.send(sent, now=1.0)
    assert wire.next_at == 1.05
    assert wire.due(now=1.049) == []
    assert wire.due(now=1.05) == [(1, sent)]
    assert wire.next_at is None
    assert (wire.counts.packets, wire.counts.bytes) == (1, len(sent))


def test_none_overtakes_another() -> None:
    wire = lay()
    sent = [packet(ANN, (BOB, CAT)[number % 2], b"%d" % number) for number in range(20)]
    for number, one in enumerate(sent):
        wire.send(one, now=number / 100)
    assert [one for _, one in wire.due(now=0.1)] == sent[:6]
    assert [one for _, one in wire.due(now=9.0)] == sent[6:]


def test_as_many_are_lost_as_was_asked_for_and_the_same_ones_each_time() -> None:
    def arrivals(seed: int) -> list[bytes]:
        wire = lay(loss=0.02, seed=seed, room=10_000)
        for number in range(10_000):
            wire.send(packet(ANN, BOB, b"%d" % number), now=0.0)
        arrived = [one for _, one in wire.due(now=1.0)]
        assert len(arrived) + wire.counts.lost == 10_000
        return arrived

    first = arrivals(seed=1)
    assert 9_750 < len(first) < 9_850
    assert arrivals(seed=1) == first
    assert arrivals(seed=2) != first


def test_a_cut_parts_the_sides_and_nobody_else() -> None:
    wire = lay()
    wire.send(packet(ANN, BOB, b"under way"), now=0.0)
    wire.cut([[0], [1, 2]])
    wire.send(packet(ANN, BOB), now=0.0)
    wire.send(packet(CAT, ANN), now=0.0)
    wire.send(packet(CAT, BOB, b"same side"), now=0.0)
    assert [one[20:] for _, one in wire.due(now=1.0)] == [b"under way", b"same side"]
    assert wire.counts.cut == 2
    wire.mend()
    wire.send(packet(ANN, BOB, b"again"), now=2.0)
    assert [one[20:] for _, one in wire.due(now=3.0)] == [b"again"]


def test_more_than_there_is_room_for_is_dropped() -> None:
    wire = lay(room=3)
    for _ in range(5):
        wire.send(packet(ANN, BOB), now=0.0)
    assert wire.counts.crowded_out == 2
    assert len(wire.due(now=1.0)) == 3
    wire.send(packet(ANN, BOB), now=2.0)
    assert wire.counts.crowded_out == 2


@pytest.mark.parametrize(
    "stray",
    [
        b"",
        packet(ANN, BOB)[:19],
        b"\x60" + packet(ANN, BOB)[1:],
        packet(ANN, bytes((10, 201, 0, 255))),
        packet(bytes((192, 0, 2, 1)), BOB),
    ],
    ids=["empty", "short", "IPv6", "to nobody", "from nobody"],
)
def test_what_is_not_for_a_place_of_ours_goes_nowhere(stray: bytes) -> None:
    wire = lay()
    wire.send(stray, now=0.0)
    assert wire.due(now=1.0) == []
    assert wire.counts.astray == 1
