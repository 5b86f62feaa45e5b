from __future__ import annotations

import random

import pytest

from fondaco.chain.errors import MalformedAnswer
from fondaco.chain.limits import CALL_GAS, MAX_DEPLOYLESS_READS, READ_GAS
from fondaco.chain.multiread import (
    CALLER,
    DEPLOYLESS_RESERVE,
    OVERRIDE_RESERVE,
    PROGRAM_ADDRESS,
    PROGRAM_SIZE,
    Read,
    decode,
    deployless_program,
    encode_deployless,
    encode_override,
    encode_reads,
    override_program,
)

MEASURED = bytes.fromhex(
    "3680600060003780804390526020018042905260200160005b82811015604f5780518060f81c9060581c60208483"
    "85601501846207a120fa3d602014028451028452500160150190602001906018565b5081900390f3"
)
"""The program of reference/evm.md, section 4.2, which was fuzzed against DevUtils."""


def test_without_the_gas_check_it_is_the_measured_program() -> None:
    assert len(MEASURED) == 86
    assert override_program(reserve=None) == MEASURED


def jump_targets(program: bytes) -> tuple[set[int], set[int]]:
    """Return where JUMPDESTs stand, and what is pushed right before jumps."""
    places, targets, pushed, at = set(), set(), -1, 0
    while at < len(program):
        opcode = program[at]
        if 0x60 <= opcode <= 0x7F:
            size = opcode - 0x5F
            pushed = int.from_bytes(program[at + 1 : at + 1 + size], "big")
            at += size
        elif opcode in (0x56, 0x57):
            targets.add(pushed)
        elif opcode == 0x5B:
            places.add(at)
        at += 1
    return places, targets


@pytest.mark.parametrize(
    "program", [override_program(), deployless_program(), override_program(None)]
)
def test_every_jump_lands(program: bytes) -> None:
    places, targets = jump_targets(program)
    assert targets == places
    assert len(places) == 2


def test_the_deployless_form_knows_its_own_length() -> None:
    program = deployless_program()
    assert len(program) == PROGRAM_SIZE
    assert program[:2] == bytes([0x60, PROGRAM_SIZE])


def test_what_is_kept_back_is_enough() -> None:
    # EIP-150 keeps a 64th, EIP-2929 charges 2,600 for a cold account.
    assert OVERRIDE_RESERVE * 63 // 64 - 2_600 > READ_GAS
    deposit = 200 * 32 * (MAX_DEPLOYLESS_READS + 2)
    assert DEPLOYLESS_RESERVE - deposit > OVERRIDE_RESERVE
    assert CALL_GAS > DEPLOYLESS_RESERVE


def test_reads_on_the_wire() -> None:
    reads = [Read(b"\x11" * 20, b"ab"), Read(b"\x22" * 20, b"")]
    assert encode_reads(reads) == b"\x02" + b"\x11" * 20 + b"ab" + b"\x00" + b"\x22" * 20
    transaction, override = encode_override(reads)
    to = "0x" + PROGRAM_ADDRESS.hex()
    assert transaction == {
        "from": "0x" + CALLER.hex(),
        "to": to,
        "gas": hex(CALL_GAS),
        "data": "0x" + encode_reads(reads).hex(),
    }
    assert override == {to: {"code": "0x" + override_program().hex()}}
    transaction, nothing = encode_deployless(reads)
    assert nothing is None
    assert "to" not in transaction
    assert transaction["data"] == "0x" + (deployless_program() + encode_reads(reads)).hex()


@pytest.mark.parametrize("read", [Read(b"\x11" * 19, b""), Read(b"\x11" * 20, bytes(256))])
def test_a_read_that_would_shift_its_neighbours_is_our_bug(read: Read) -> None:
    with pytest.raises(ValueError, match="20 bytes"):
        encode_reads([Read(b"\x11" * 20, b""), read])


def test_answers() -> None:
    chance = random.Random(1)
    words = [chance.randrange(2**256) for _ in range(50)]
    answer = b"".join(value.to_bytes(32, "big") for value in [5, 1_578_052_800, *words])
    decoded = decode(answer, 50)
    assert (decoded.block_number, decoded.timestamp, decoded.words) == (5, 1_578_052_800, words)
    assert decode(answer[:-320], 50).words == words[:40]
    assert decode(answer[:64], 50).words == []


@pytest.mark.parametrize("size", [0, 31, 32, 63, 65, 95, 64 + 32 * 4])
def test_an_answer_of_a_wrong_length_is_refused(size: int) -> None:
    with pytest.raises(MalformedAnswer, match=f"batch of 3 reads was answered with {size} bytes"):
        decode(bytes(size), 3)
