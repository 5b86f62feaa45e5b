from __future__ import annotations

import random

import pytest

from fondaco.errors import Verdict
from fondaco.p2p.protobuf import (
    MalformedProtobuf,
    as_bytes,
    as_int,
    encode_varint,
    field,
    fields,
    last_bytes,
    last_int,
    number_field,
)


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        # The two examples of the encoding guide, and the fixed sizes.
        ("089601", [(1, 150)]),
        ("120774657374696e67", [(2, b"testing")]),
        ("0d01020304", [(1, b"\x01\x02\x03\x04")]),
        ("110102030405060708", [(2, bytes(range(1, 9)))]),
        ("0800 0801", [(1, 0), (1, 1)]),
        ("08 ffffffffffffffffff01", [(1, 2**64 - 1)]),
        ("", []),
    ],
)
def test_fields_by_hand(wire: str, expected: list[tuple[int, int | bytes]]) -> None:
    assert fields(bytes.fromhex(wire)) == expected


@pytest.mark.parametrize(
    "wire", ["08", "0a02 61", "0b", "00 00", "79 00", "08 ffffffffffffffffff02", "7d 0000"]
)
def test_what_is_no_message(wire: str) -> None:
    with pytest.raises(MalformedProtobuf) as caught:
        fields(bytes.fromhex(wire))
    assert caught.value.verdict is Verdict.REJECT


def test_a_field_of_the_other_kind_is_refused() -> None:
    assert (as_bytes(b"a"), as_int(1)) == (b"a", 1)
    with pytest.raises(MalformedProtobuf):
        as_bytes(1)
    with pytest.raises(MalformedProtobuf):
        as_int(b"a")


def test_what_is_written_is_read() -> None:
    chance = random.Random(3)
    for _ in range(300):
        expected: list[tuple[int, int | bytes]] = []
        raw = b""
        for _ in range(chance.randrange(6)):
            number = chance.randrange(1, 16)
            value = chance.getrandbits(chance.randrange(1, 65))
            data = chance.randbytes(chance.choice([0, 1, 127, 128, 20_000]))
            expected += [(number, value), (number, data)]
            raw += number_field(number, value) + field(number, data)
        assert fields(raw) == expected


def test_random_bytes_are_fields_or_malformed() -> None:
    chance = random.Random(5)
    for _ in range(3_000):
        try:
            found = fields(chance.randbytes(chance.randrange(40)))
        except MalformedProtobuf:
            continue
        assert all(number > 0 for number, _ in found)


def test_varints_are_the_shortest() -> None:
    for number in (0, 1, 127, 128, 16_383, 16_384, 2**64 - 1):
        raw = encode_varint(number)
        assert len(raw) == max(1, (number.bit_length() + 6) // 7)
        assert fields(b"\x08" + raw) == [(1, number)]


def test_the_last_of_a_number_counts() -> None:
    found = fields(field(1, b"a") + number_field(2, 7) + field(1, b"b") + number_field(2, 8))
    assert (last_bytes(found, 1), last_int(found, 2)) == (b"b", 8)
    assert (last_bytes(found, 3), last_int(found, 3)) == (b"", 0)
    with pytest.raises(MalformedProtobuf):
        last_bytes(found, 2)
    with pytest.raises(MalformedProtobuf):
        last_int(found, 1)
