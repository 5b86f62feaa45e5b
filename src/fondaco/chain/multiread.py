"""Many contract reads in one ``eth_call``, at one block.

An order needs a handful of words: filled, cancelled, balance, allowance. Asking the
chain word by word costs a request each; asking 0x's DevUtils costs 40,000 gas an
order, and one poisoned order spoils all others. So a tiny program, given as bytes in
the request, makes the reads inside the EVM and returns the words:

    input:   for each read  length of calldata (1 byte), target (20), calldata
    output:  block number, block timestamp, then one word for each read

A read that fails, or answers with anything but 32 bytes, counts as 0, as in DevUtils.
Each read gets at most ``READ_GAS``, and the program stops early, with fewer words,
rather than start a read for which so much is no longer left. So a token that burns
all it gets harms only itself: its neighbours are never read with too little gas and
taken for 0, they are asked for again.

The program travels in one of two ways:

* *state override*: the third parameter of ``eth_call`` puts it at an address for the
  length of the call, and the reads are the calldata. Geth, Erigon, Reth, Nethermind
  and anvil can do it.
* *deployless*: program and reads together are sent as the init code of a contract
  creation, and the words come back as the code of the "contract". Any node can do
  it, but the answer may have 24,576 bytes and the question 49,152.

Source of the idea and measurements: reference/evm.md, section 4.2. Its program of 86
bytes is this one without the check of the gas that is left.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from fondaco.chain.errors import MalformedAnswer
from fondaco.chain.limits import CALL_GAS, READ_GAS

MAX_CALLDATA_SIZE = 255
"""Bytes; the length of a read's calldata is written in one byte."""

READ_OVERHEAD = 21
"""Bytes a read takes beside its calldata: length and target."""

HEAD_SIZE = 64
"""Bytes before the words of an answer: block number and timestamp."""

CALLER = bytes.fromhex("07f96aa816c1f244cbc6ef114bb2b023ba54a2eb")
"""The ``from`` of our calls, that of 0x Mesh v8 and later: nobody's account, so that
no contract treats it in a special way."""

PROGRAM_ADDRESS = bytes.fromhex("f0da00c0f0da00c0f0da00c0f0da00c0f0da00c0")
"""Where the override puts the program. Made up: nobody can have its key, so no real
contract or balance is hidden by it."""

OVERRIDE_RESERVE = 530_000
"""Gas that must be left before a read is started: READ_GAS, the 64th part that EIP-150
keeps back, the cold access of EIP-2929 and the few steps to the end."""

DEPLOYLESS_RESERVE = 5_500_000
"""The same, and 200 gas for each of 24,576 bytes of returned "code"."""


class Read(NamedTuple):
    """One view call whose answer is a single word."""

    target: bytes
    """20 bytes: the contract."""
    data: bytes
    """Calldata; at most MAX_CALLDATA_SIZE bytes."""


class MultiRead(msgspec.Struct, frozen=True, kw_only=True):
    """The answers to a batch of reads, all taken at the same block."""

    block_number: int
    """NUMBER as the program saw it; on some rollups that of the chain below."""
    timestamp: int
    """Unix seconds of the block read at."""
    words: list[int]
    """One uint256 a read, in their order; 0 where a read failed or was not one word.
    Fewer than were asked for when the call ran short of gas (``decode``)."""


# Opcodes used, by their names in the Yellow Paper.
_ADD, _MUL, _SUB, _LT, _GT, _EQ, _ISZERO, _AND, _SHR = 1, 2, 3, 0x10, 0x11, 0x14, 0x15, 0x16, 0x1C
_CALLDATASIZE, _CALLDATACOPY, _CODESIZE, _CODECOPY, _RETURNDATASIZE = 0x36, 0x37, 0x38, 0x39, 0x3D
_TIMESTAMP, _NUMBER, _POP, _MLOAD, _MSTORE = 0x42, 0x43, 0x50, 0x51, 0x52
_JUMP, _JUMPI, _GAS, _JUMPDEST, _RETURN, _STATICCALL = 0x56, 0x57, 0x5A, 0x5B, 0xF3, 0xFA
_SWAP1 = 0x90


def _dup(depth: int) -> int:
    """Return the opcode that copies the stack item at *depth*; 1 is the top."""
    return 0x7F + depth


def _push(value: int) -> bytes:
    """Return code that pushes *value* in as few bytes as it takes.

    PUSH0 is not used: the program shall run on chains that stayed before Shanghai.
    """
    size = max(1, (value.bit_length() + 7) // 8)
    return bytes([0x5F + size]) + value.to_bytes(size, "big")


def _append_word(opcode: int) -> bytes:
    """Return code that writes what *opcode* gives at `out` and moves `out` on."""
    return bytes([_dup(1), opcode, _SWAP1, _MSTORE]) + _push(32) + bytes([_ADD])


def _setup(copy_input: bytes) -> bytes:
    """Return the code before the loop. Stack after it, top first: in, out, size."""
    return (
        copy_input  # size; the reads lie in memory from 0 to size
        + bytes([_dup(1)])  # out = size: the words go after the reads
        + _append_word(_NUMBER)
        + _append_word(_TIMESTAMP)
        + _push(0)  # in = 0
    )


def _loop(start: int, reserve: int | None) -> bytes:
    """Return the loop and the end, to be placed at *start*; see the module's text."""
    guard = b"" if reserve is None else _push(reserve) + bytes([_GAS, _GT, _AND])
    body = (
        bytes([_dup(1), _MLOAD, _dup(1)]) + _push(248)  # the read's first word
        + bytes([_SHR, _SWAP1]) + _push(88)  # length
        # STATICCALL takes the lower 160 bits, so the length above them does no harm.
        + bytes([_SHR]) + _push(32)  # address, length, in, out, size
        + bytes([_dup(5), _dup(4), _dup(6)]) + _push(READ_OVERHEAD)
        + bytes([_ADD, _dup(5)]) + _push(READ_GAS)
        + bytes([_STATICCALL, _RETURNDATASIZE]) + _push(32)
        + bytes([_EQ, _MUL])  # 1 when the call went well and gave one word, else 0
        + bytes([_dup(5), _MLOAD, _MUL, _dup(5), _MSTORE])  # the word, or 0
        + bytes([_POP, _ADD]) + _push(READ_OVERHEAD) + bytes([_ADD])  # in += 21 + length
        + bytes([_SWAP1]) + _push(32) + bytes([_ADD, _SWAP1])  # out += 32
        + _push(start) + bytes([_JUMP])
    )  # fmt: skip
    test = bytes([_JUMPDEST, _dup(3), _dup(2), _LT]) + guard + bytes([_ISZERO])
    end = start + len(test) + len(_push(start)) + 1 + len(body)
    finish = bytes([_JUMPDEST, _POP, _dup(2), _SWAP1, _SUB, _SWAP1, _RETURN])
    return test + _push(end) + bytes([_JUMPI]) + body + finish


def override_program(reserve: int | None = OVERRIDE_RESERVE) -> bytes:
    """Return the program that takes its reads from the calldata.

    Args:
        reserve: gas that must be left to start a read; None leaves the check out.
    """
    copy_input = bytes([_CALLDATASIZE, _dup(1)]) + _push(0) + _push(0) + bytes([_CALLDATACOPY])
    setup = _setup(copy_input)
    return setup + _loop(len(setup), reserve)


def deployless_program(reserve: int | None = DEPLOYLESS_RESERVE) -> bytes:
    """Return the program that takes its reads from the bytes that follow it as code."""
    own_size = 0
    program = b""
    # Its own length stands inside it; the second round knows it.
    for _ in range(2):
        copy_input = (
            _push(own_size) + bytes([_CODESIZE, _SUB, _dup(1)])
            + _push(own_size) + _push(0) + bytes([_CODECOPY])
        )  # fmt: skip
        setup = _setup(copy_input)
        program = setup + _loop(len(setup), reserve)
        own_size = len(program)
    return program


_OVERRIDE = "0x" + override_program().hex()
_DEPLOYLESS = deployless_program()

PROGRAM_SIZE = len(_DEPLOYLESS)
"""Bytes the deployless form puts before the reads."""


def encode_reads(reads: Sequence[Read]) -> bytes:
    """Return *reads* as the program takes them.

    Raises:
        ValueError: a target is not 20 bytes or a calldata over MAX_CALLDATA_SIZE; our
            own bug, and one that would shift every read after it.
    """
    parts: list[bytes] = []
    for target, data in reads:
        if len(target) != 20 or len(data) > MAX_CALLDATA_SIZE:
            raise ValueError("a read needs a target of 20 bytes and at most 255 of calldata")
        parts += (_LENGTHS[len(data)], target, data)
    return b"".join(parts)


_LENGTHS = [bytes([length]) for length in range(MAX_CALLDATA_SIZE + 1)]


def encode_override(reads: Sequence[Read]) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """Return the transaction and the state override of an ``eth_call`` for *reads*."""
    to = "0x" + PROGRAM_ADDRESS.hex()
    return _transaction(encode_reads(reads)) | {"to": to}, {to: {"code": _OVERRIDE}}


def encode_deployless(reads: Sequence[Read]) -> tuple[dict[str, str], None]:
    """Return the transaction of an ``eth_call`` for *reads*; it needs no override."""
    return _transaction(_DEPLOYLESS + encode_reads(reads)), None


def _transaction(data: bytes) -> dict[str, str]:
    return {"from": "0x" + CALLER.hex(), "gas": hex(CALL_GAS), "data": "0x" + data.hex()}


def decode(answer: bytes, count: int) -> MultiRead:
    """Return what the program answered to *count* reads.

    There are fewer words than reads when the call's gas ran low: ask again for the
    rest, from ``len(words)`` on.

    Raises:
        MalformedAnswer: not whole words, no block number, or more words than reads.
    """
    size = len(answer) - HEAD_SIZE
    if size < 0 or size % 32 or size > 32 * count:
        raise MalformedAnswer(f"a batch of {count} reads was answered with {len(answer)} bytes")
    from_bytes = int.from_bytes  # looked up once: this loop is the cost of a read
    return MultiRead(
        block_number=int.from_bytes(answer[:32], "big"),
        timestamp=int.from_bytes(answer[32:64], "big"),
        words=[from_bytes(word) for (word,) in struct.iter_unpack("32s", answer[HEAD_SIZE:])],
    )
