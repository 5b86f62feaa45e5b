from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.p2p import limits
from fondaco.p2p.framing import Framing, LengthFraming, LineFraming, MalformedFrame, framing

VECTORS = [
    pytest.param("00", [b""], False, id="empty"),
    pytest.param("0161", [b"a"], False, id="one byte"),
    pytest.param("0161 026263", [b"a", b"bc"], False, id="two"),
    pytest.param("8001" + "61" * 128, [b"a" * 128], False, id="length of two bytes"),
    pytest.param("610a", [b"a"], True, id="line"),
    pytest.param("610a 62630a", [b"a", b"bc"], True, id="two lines"),
]


def take(framed: Framing) -> list[bytes]:
    found = []
    while (message := framed.next()) is not None:
        found.append(message)
    return found


@pytest.mark.parametrize(("wire", "messages", "is_lines"), VECTORS)
def test_round_trip_in_any_split(wire: str, messages: list[bytes], is_lines: bool) -> None:
    data = bytes.fromhex(wire)
    assert b"".join(map(framing(is_lines=is_lines).encode, messages)) == data
    for cut in range(len(data) + 1):
        framed = framing(is_lines=is_lines)
        framed.feed(data[:cut])
        found = take(framed)
        framed.feed(data[cut:])
        assert found + take(framed) == messages


def test_blank_lines_and_carriage_returns_do_not_count() -> None:
    framed = LineFraming()
    framed.feed(b"\n\r\n{}\r\n\n")
    assert take(framed) == [b"{}"]


@pytest.mark.parametrize(
    ("framed", "data"),
    [
        pytest.param(LengthFraming(), b"\xff\xff\xff\xff\x01", id="endless length"),
        pytest.param(LengthFraming(10), b"\x0b", id="one too many"),
        pytest.param(LineFraming(10), b"x" * 11, id="endless line"),
        pytest.param(LineFraming(10), b"x" * 11 + b"\n", id="long line"),
    ],
)
def test_too_much_is_refused_before_it_has_come(framed: Framing, data: bytes) -> None:
    framed.feed(data)
    with pytest.raises(MalformedFrame):
        framed.next()


def test_our_own_messages_are_checked_too() -> None:
    with pytest.raises(ValueError, match="bytes"):
        LengthFraming().encode(bytes(limits.MAX_STREAM_FRAME + 1))
    with pytest.raises(ValueError, match="no line"):
        LineFraming().encode(b"a\nb")


@given(st.binary(max_size=100), st.booleans())
def test_any_bytes_are_messages_or_malformed(data: bytes, is_lines: bool) -> None:
    framed = LineFraming(50) if is_lines else LengthFraming(50)
    framed.feed(data)
    try:
        found = take(framed)
    except MalformedFrame:
        return
    assert sum(map(len, found)) <= len(data)


def test_a_long_line_in_small_pieces_takes_linear_time() -> None:
    framed = LineFraming()
    chance = random.Random(1)
    line = chance.randbytes(200_000).replace(b"\n", b"x")
    for at in range(0, len(line), 10):
        framed.feed(line[at : at + 10])
        assert framed.next() is None
    framed.feed(b"\n")
    assert framed.next() == line.strip()
