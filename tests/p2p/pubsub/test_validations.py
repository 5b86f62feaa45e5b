"""Messages that wait for a verdict."""

from __future__ import annotations

from fondaco.p2p.pubsub.neighbour import Neighbour, Protocol
from fondaco.p2p.pubsub.parameters import Parameters
from fondaco.p2p.pubsub.rpc import Message
from fondaco.p2p.pubsub.validations import Validations


def neighbour(peer: bytes = b"p") -> Neighbour:
    return Neighbour(
        peer,
        0.0,
        protocol=Protocol.GOSSIPSUB_11,
        is_outbound=False,
        address=None,
        parameters=Parameters(),
    )


def message(number: int) -> Message:
    return Message(sender=b"s", data=b"d", seqno=b"%d" % number, topic="t")


def test_a_message_waits_until_it_is_taken() -> None:
    validations, first = Validations(), neighbour()
    validations.add(message(1), b"encoded", first, 0.0)
    waiting = validations.get(b"s1")
    assert waiting is not None
    assert (waiting.topic, waiting.author, waiting.encoded) == ("t", b"s", b"encoded")
    assert list(waiting.bearers) == [b"p"]
    assert first.validating == 1
    assert validations.take(b"s1") is waiting
    assert validations.take(b"s1") is None
    assert first.validating == 0


def test_who_brought_it_is_counted_down_though_it_came_anew() -> None:
    validations, first, anew = Validations(), neighbour(), neighbour()
    validations.add(message(1), b"encoded", first, 0.0)
    validations.take(b"s1")
    assert (first.validating, anew.validating) == (0, 0)


def test_number_and_bytes_are_bounded() -> None:
    few = Validations(most=2)
    for number in range(2):
        assert not few.is_full
        few.add(message(number), b"x", neighbour(), 0.0)
    assert few.is_full
    few.take(b"s0")
    assert not few.is_full
    small = Validations(max_bytes=10)
    small.add(message(1), b"x" * 10, neighbour(), 0.0)
    assert small.is_full


def test_what_waits_too_long_is_found_oldest_first() -> None:
    validations = Validations(patience=60.0)
    for number in range(4):
        validations.add(message(number), b"x", neighbour(), 10.0 * number)
    assert validations.overdue(59.9) == []
    assert validations.overdue(75.0) == [b"s0", b"s1"]
    assert len(validations) == 4
