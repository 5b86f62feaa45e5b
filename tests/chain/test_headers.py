from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fondaco.chain.errors import MalformedAnswer
from fondaco.chain.headers import (
    BlockEvent,
    BlockEventKind,
    Header,
    HeaderChain,
    RetainedBlock,
    decode_header,
    halves,
    is_gap_too_large,
    sub_block_ranges,
)
from fondaco.chain.logs import Log

UNITS = json.loads((Path(__file__).parents[1] / "vectors/mesh_vectors.json").read_bytes())[
    "block_watcher_units"
]
WIRE: dict[str, Any] = {
    "number": "0x5",
    "hash": "0x" + "05" * 32,
    "parentHash": "0x" + "04" * 32,
    "timestamp": "0x5e0c8d40",
    "baseFeePerGas": "0x7",
    "withdrawals": [],
}


def header(number: int, branch: int = 0) -> Header:
    """Block *number*; branches share their blocks up to number 10 * branch - 1 or so."""

    def name(at: int) -> bytes:
        return bytes([at, branch]) * 16

    return Header(
        number=number, hash=name(number), parent_hash=name(number - 1), timestamp=1000 + number
    )


def block(number: int, branch: int = 0, *, parent: bytes | None = None) -> RetainedBlock:
    own = header(number, branch)
    if parent is not None:
        own = Header(number=number, hash=own.hash, parent_hash=parent, timestamp=own.timestamp)
    log = Log(
        address=b"\xaa" * 20,
        topics=(),
        data=b"",
        block_number=number,
        block_hash=own.hash,
        transaction_hash=bytes(32),
        transaction_index=0,
        log_index=0,
    )
    return RetainedBlock(header=own, logs=(log,))


def short(events: tuple[BlockEvent, ...]) -> list[str]:
    sign = {BlockEventKind.ADDED: "+", BlockEventKind.REMOVED: "-"}
    return [f"{sign[event.kind]}{event.header.number}" for event in events]


def chain_of(*numbers: int, retention: int = 10) -> HeaderChain:
    return HeaderChain(retention, [block(number) for number in numbers])


def test_a_header_is_read_and_its_other_members_are_skipped() -> None:
    read = decode_header(json.dumps(WIRE).encode())
    assert read == Header(
        number=5, hash=b"\x05" * 32, parent_hash=b"\x04" * 32, timestamp=0x5E0C8D40
    )
    assert decode_header(b"null") is None


@pytest.mark.parametrize(
    ("field", "value"),
    [("number", None), ("number", 5), ("hash", "0x05"), ("parentHash", None), ("timestamp", "")],
)
def test_a_spoiled_header_is_refused(field: str, value: object) -> None:
    with pytest.raises(MalformedAnswer):
        decode_header(json.dumps(WIRE | {field: value}).encode())


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b"<html>", b"[" * 100_000])
def test_what_is_no_header_is_refused(text: bytes) -> None:
    with pytest.raises(MalformedAnswer):
        decode_header(text)


@pytest.mark.parametrize("case", UNITS["getSubBlockRanges"]["cases"], ids=str)
def test_ranges_of_mesh(case: dict[str, Any]) -> None:
    size = UNITS["getSubBlockRanges"]["rangeSize"]
    ranges = sub_block_ranges(case["from"], case["to"], size)
    assert [list(bounds) for bounds in ranges] == case["ranges"]


def test_an_empty_range_has_no_parts() -> None:
    assert sub_block_ranges(5, 4, 60) == []


def test_halves_meet() -> None:
    assert halves(10, 20) == ((10, 15), (16, 20))
    assert halves(16, 20) == ((16, 18), (19, 20))
    assert halves(7, 8) == ((7, 7), (8, 8))


@pytest.mark.parametrize("case", UNITS["fastSync"], ids=str)
def test_gap_rule_of_mesh(case: dict[str, Any]) -> None:
    assert is_gap_too_large(case["lastStored"], case["tip"]) is (case["storedAfter"] == [])


def test_the_next_block_is_complete_by_itself() -> None:
    chain = chain_of(5, 6)
    assert chain.wanted_parent([header(7)]) is None
    adopted = chain.adopt([block(7)])
    assert short(adopted.events) == ["+7"]
    assert not adopted.is_detached
    assert chain.head == header(7)


def test_a_branch_asks_for_parents_until_it_meets_the_stack() -> None:
    chain = chain_of(5, 6, 7)
    branch = [header(8, 1), header(7, 1)]
    assert chain.wanted_parent(branch[:1]) == header(7, 1).hash
    assert chain.wanted_parent(branch) == header(6, 1).hash
    fork = block(6, 1, parent=header(5).hash)
    assert chain.wanted_parent([*branch, fork.header]) is None
    adopted = chain.adopt([fork, block(7, 1), block(8, 1)])
    assert short(adopted.events) == ["-7", "-6", "+6", "+7", "+8"]
    assert not adopted.is_detached
    assert [log.removed for event in adopted.events for log in event.logs] == [
        *(True, True),
        *(False, False, False),
    ]


def test_a_branch_below_the_stack_is_taken_as_it_is_and_said_to_be_detached() -> None:
    chain = chain_of(5, 6)
    assert chain.wanted_parent([header(6, 1), header(5, 1)]) is None
    adopted = chain.adopt([block(5, 1), block(6, 1)])
    assert short(adopted.events) == ["-6", "-5", "+5", "+6"]
    assert adopted.is_detached


def test_a_branch_that_replaces_the_whole_stack_but_shares_its_parent_is_not_detached() -> None:
    chain = chain_of(5, 6)
    adopted = chain.adopt([block(5, 1, parent=header(4).hash), block(6, 1)])
    assert short(adopted.events) == ["-6", "-5", "+5", "+6"]
    assert not adopted.is_detached


def test_the_first_block_of_all_is_not_detached() -> None:
    chain = HeaderChain(10)
    assert chain.head is None
    assert chain.wanted_parent([header(5)]) is None
    assert not chain.adopt([block(5)]).is_detached


def test_the_stack_is_bounded() -> None:
    chain = chain_of(1, 2, 3, retention=3)
    chain.adopt([block(4)])
    assert [item.header.number for item in chain.blocks] == [2, 3, 4]


def test_a_retreat_removes_from_the_top() -> None:
    chain = chain_of(5, 6, 7)
    assert short(chain.retreat_to(header(5).hash)) == ["-7", "-6"]
    assert chain.head == header(5)
    with pytest.raises(ValueError, match="not on the stack"):
        chain.retreat_to(header(9).hash)


def test_stored_blocks_with_a_hole_are_used_above_it_only() -> None:
    assert chain_of(1, 2, 5, 6).blocks == (block(5), block(6))
    assert HeaderChain(10, [block(1), block(2, 1)]).blocks == (block(2, 1),)


def test_a_reset_forgets_without_events() -> None:
    chain = chain_of(5, 6)
    chain.reset(block(9))
    assert chain.blocks == (block(9),)
    chain.reset()
    assert chain.head is None


def test_a_stack_needs_room_for_one_block() -> None:
    with pytest.raises(ValueError, match="no blocks"):
        HeaderChain(0)
