"""Varints, bounds, fingerprints and ranges: recorded bytes both ways, and spoiled ones."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.errors import Verdict
from fondaco.p2p.negentropy_wire import (
    END,
    INFINITY,
    NOTHING_LEFT,
    VERSION,
    Bound,
    MalformedMessage,
    Mode,
    Range,
    RangeWriter,
    Rules,
    bound_between,
    encode_varint,
    fingerprint,
    read_ranges,
    read_version,
)

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "negentropy_vectors.json").read_text()
)
ID = bytes(range(32))


def ranges(text: str, rules: Rules = Rules.STRICT) -> list[Range]:
    return list(read_ranges(bytes((VERSION,)) + bytes.fromhex(text), rules))


@pytest.mark.parametrize(("number", "encoded"), VECTORS["varints"])
def test_recorded_varints(number: str, encoded: str) -> None:
    assert encode_varint(int(number)).hex() == encoded
    if 0 < int(number) <= INFINITY:
        # Read back as the timestamp of a bound, one above it.
        expected = min(int(number) - 1, INFINITY)
        assert ranges(encoded + "0000") == [Range(Bound(expected, b""), Mode.SKIP, b"")]


@pytest.mark.parametrize("vector", VECTORS["fingerprints"], ids=lambda v: str(v["name"]))
def test_recorded_fingerprints(vector: dict[str, Any]) -> None:
    ids = [bytes.fromhex(text) for text in vector["ids"]]
    total = sum(int.from_bytes(one, "little") for one in ids) % 2**256
    assert total.to_bytes(32, "little").hex() == vector["sum_le"]
    assert vector["sum_le"] + encode_varint(len(ids)).hex() == vector["hashed_bytes"]
    assert fingerprint(total, len(ids)).hex() == vector["fingerprint"]


@pytest.mark.parametrize(
    ("before", "after", "bound"),
    [
        ((1, b"\xff" * 32), (2, b"\x00" * 32), Bound(2, b"")),
        ((5, b"\x10" * 32), (5, b"\x20" * 32), Bound(5, b"\x20")),
        ((5, b"\x10" * 32), (5, b"\x10" * 31 + b"\x11"), Bound(5, b"\x10" * 31 + b"\x11")),
        ((0, b"\x00" * 32), (0, b"\x00\x01" + b"\x00" * 30), Bound(0, b"\x00\x01")),
    ],
)
def test_shortest_bound_stands_between_its_items(
    before: tuple[int, bytes], after: tuple[int, bytes], bound: Bound
) -> None:
    assert bound_between(before, after) == bound
    assert before < bound <= after


BOUNDS = st.lists(
    st.builds(Bound, st.integers(0, INFINITY - 1), st.binary(max_size=32)), max_size=8
).map(sorted)
PAYLOADS = st.one_of(
    st.just((Mode.SKIP, b"")),
    st.tuples(st.just(Mode.FINGERPRINT), st.binary(min_size=16, max_size=16)),
    st.tuples(st.just(Mode.ID_LIST), st.integers(0, 3).map(lambda n: ID * n)),
)


@given(BOUNDS, st.lists(PAYLOADS, min_size=9, max_size=9), st.booleans())
def test_what_is_written_is_read(
    bounds: list[Bound], payloads: list[tuple[Mode, bytes]], is_closed: bool
) -> None:
    told = [
        Range(bound, *payload)
        for bound, payload in zip(bounds + [END] * is_closed, payloads, strict=False)
    ]
    writer = RangeWriter()
    message = bytes((VERSION,)) + b"".join(writer.encode(*one) for one in told)
    assert list(read_ranges(message)) == told
    assert list(read_ranges(message, Rules.REFERENCE)) == told


@given(st.binary(max_size=200), st.sampled_from(Rules))
def test_random_bytes_are_read_or_refused(noise: bytes, rules: Rules) -> None:
    try:
        read_version(noise)
        found = list(read_ranges(noise, rules))
    except MalformedMessage:
        return
    assert sum(3 + len(one.payload) for one in found) <= len(noise)


def test_the_sender_of_a_malformed_message_is_to_blame() -> None:
    assert MalformedMessage.verdict is Verdict.REJECT


@pytest.mark.parametrize(
    "spoiled",
    [
        "80",  # a number without an end
        "ff" * 10,
        "81808080808080808080000000",  # eleven digits
        "8280808080808080808000"[:20] + "0000",  # ten digits, over 2**64 - 1
        "00",  # no prefix length
        "0121" + "00" * 33 + "00",  # a prefix of 33 bytes
        "0102aa",  # a prefix cut short
        "000003",  # an unknown mode
        "000001" + "00" * 15,  # a fingerprint cut short
        "00000202" + "11" * 33,  # an id list cut short
    ],
)
@pytest.mark.parametrize("rules", Rules)
def test_refused_by_all_rules(spoiled: str, rules: Rules) -> None:
    with pytest.raises(MalformedMessage):
        ranges(spoiled, rules)


@pytest.mark.parametrize(
    "odd",
    [
        "80000000",  # a number with a leading zero digit
        "00008000",
        "0000000000",  # a range behind infinity: cut short for strict readers only
        "00000000000000",
        "0001aa00",  # infinity with a prefix
        "81ffffffffffffffff7f000002000000",  # bounds whose sum is over 2**64 - 1
        "0101800001011000",  # a prefix that goes back
    ],
)
def test_refused_by_the_strict_rules(odd: str) -> None:
    with pytest.raises(MalformedMessage):
        ranges(odd)


@pytest.mark.parametrize(
    "odd", ["80000000", "00008000", "000000000000", "0001aa00", "0101800001011000"]
)
def test_read_by_the_rules_of_the_reference(odd: str) -> None:
    assert ranges(odd, Rules.REFERENCE)


@pytest.mark.parametrize("same", ["010000010000", "0101aa000101aa00", "01010000010000"])
def test_equal_bounds_are_allowed(same: str) -> None:
    """The last pair is equal too: prefixes count as filled up with zero bytes."""
    assert len(ranges(same)) == 2


def test_what_may_stand_behind_infinity() -> None:
    full = "00000201" + "11" * 32
    assert len(ranges(full + NOTHING_LEFT.hex())) == 1
    for wrong in (NOTHING_LEFT.hex() * 2, NOTHING_LEFT.hex()[:-2], "00000200"):
        with pytest.raises(MalformedMessage):
            ranges(full + wrong)


@pytest.mark.parametrize("first", ["", "00", "5f", "70", "ff"])
def test_no_version_of_the_protocol(first: str) -> None:
    with pytest.raises(MalformedMessage):
        read_version(bytes.fromhex(first))


def test_a_count_is_not_believed() -> None:
    message = bytes((VERSION, 0, 0, 2)) + encode_varint(2**58) + b"\x11" * 64
    tracemalloc.start()
    try:
        with pytest.raises(MalformedMessage):
            list(read_ranges(message))
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
