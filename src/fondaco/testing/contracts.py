"""Small contracts for tests, written opcode by opcode. The listing is the source.

    LOOPING        eats all gas, whatever is asked: a poison token
    REVERTING      reverts, whatever is asked: a broken token
    answering(x)   answers x, whatever is asked: a token with odd answers
    accepting(m)   a signer's contract that accepts every signature with the magic value
                   m, until it is told to refuse: ``setRefusing(bool)``

A listing has one instruction a word; ``name:`` marks a place (a JUMPDEST is put
there), ``@name`` pushes its address, ``0x…`` pushes these bytes. Pure.
"""

from __future__ import annotations

from tiny_keccak import keccak256

WALLET_MAGIC = bytes.fromhex("b0671381")
"""What ``isValidSignature(bytes32,bytes)`` of a Wallet (type 4) answers, v2.1 and v3.
Source: bytes4(keccak256("isValidWalletSignature(bytes32,address,bytes)"))."""

VALIDATOR_V2_MAGIC = bytes.fromhex("42b38674")
"""What a v2.1 Validator (type 5) answers to ``isValidSignature(bytes32,address,bytes)``.
Source: bytes4(keccak256("isValidValidatorSignature(address,bytes32,address,bytes)"))."""

EIP1271_MAGIC = bytes.fromhex("20c13b0b")
"""What a v3 Validator (type 5) or EIP-1271 wallet (type 7) answers to
``isValidSignature(bytes,bytes)``; v3's ``EIP1271_MAGIC_VALUE()``."""

SET_REFUSING = "setRefusing(bool)"
"""Signature of the switch of ``accepting``."""

_ON_ERC1155 = bytes.fromhex("f23a6e61")
_ON_ERC1155_BATCH = bytes.fromhex("bc197c81")
"""Selectors of ERC-1155's receiver hooks, which answer with themselves."""

_SET_REFUSING_SELECTOR = keccak256(SET_REFUSING.encode())[:4]

OPCODES = {
    "EQ": 0x14,
    "ISZERO": 0x15,
    "SHL": 0x1B,
    "SHR": 0x1C,
    "CALLDATALOAD": 0x35,
    "CODECOPY": 0x39,
    "MSTORE": 0x52,
    "SLOAD": 0x54,
    "SSTORE": 0x55,
    "JUMP": 0x56,
    "JUMPI": 0x57,
    "STOP": 0x00,
    "DUP1": 0x80,
    "RETURN": 0xF3,
    "REVERT": 0xFD,
}
"""The few that are used here. Source: yellow paper, appendix H."""

JUMPDEST = 0x5B


def assemble(listing: str) -> bytes:
    """Return the bytecode of *listing*.

    Raises:
        ValueError: an unknown word, or a place named twice or not at all.
    """
    code, places, uses = bytearray(), {}, []
    for word in listing.split():
        if word.endswith(":"):
            if word[:-1] in places:
                raise ValueError(f"{word} twice")
            places[word[:-1]] = len(code)
            code.append(JUMPDEST)
        elif word.startswith("@"):
            uses.append((len(code) + 1, word[1:]))
            code += _push(b"\0")
        elif word.startswith("0x"):
            code += _push(bytes.fromhex(word[2:]))
        elif word in OPCODES:
            code.append(OPCODES[word])
        else:
            raise ValueError(f"unknown word {word}")
    for position, name in uses:
        if name not in places:
            raise ValueError(f"no place {name}")
        # One byte: no contract here is longer than 255.
        code[position] = places[name]
    return bytes(code)


def _push(value: bytes) -> bytes:
    # PUSH1 is 0x60, PUSH32 is 0x7f.
    return bytes([0x5F + len(value)]) + value


def creation(runtime: bytes, *, constructor: str = "") -> bytes:
    """Return creation code that stores *runtime* as the contract's code.

    Args:
        constructor: a listing that is run first.
    """
    first = assemble(constructor)
    size = len(runtime).to_bytes(2, "big").hex()
    # copy the runtime, which lies behind this program, to memory 0 and return it
    tail = "0x{size} DUP1 0x{offset:02x} 0x00 CODECOPY 0x00 RETURN"
    length = len(assemble(tail.format(size=size, offset=0)))
    return first + assemble(tail.format(size=size, offset=len(first) + length)) + runtime


LOOPING = creation(assemble("again: @again JUMP"))
"""Creation code of a contract whose code never ends."""

REVERTING = creation(assemble("0x00 DUP1 REVERT"))
"""Creation code of a contract that reverts without a reason."""


def answering(answer: bytes) -> bytes:
    """Return creation code of a contract that answers *answer* to everything.

    Args:
        answer: at most 32 bytes; fewer make an answer shorter than a word.
    """
    padded = answer.ljust(32, b"\0").hex()
    # memory[0] = answer; return its first bytes
    return creation(assemble(f"0x{padded} 0x00 MSTORE 0x{len(answer):02x} 0x00 RETURN"))


def accepting(magic: bytes) -> bytes:
    """Return creation code of a contract that takes every signature for good.

    It answers *magic*, padded to a word, to any call but ``setRefusing(bool)``, which
    anybody may send; while that is true, it answers zeros. It takes ERC1155 tokens,
    and can hold and approve any like an account (anvil sends for it).

    Args:
        magic: 4 bytes, the answer that means "valid".
    """
    switch = _SET_REFUSING_SELECTOR.hex()
    runtime = assemble(
        f"""
        0x00 CALLDATALOAD 0xe0 SHR
        DUP1 0x{_ON_ERC1155.hex()} EQ @receive JUMPI
        DUP1 0x{_ON_ERC1155_BATCH.hex()} EQ @receive JUMPI
        0x{switch} EQ @switch JUMPI
        0x00 SLOAD @refuse JUMPI
        0x{magic.hex()} 0xe0 SHL 0x00 MSTORE
        0x20 0x00 RETURN
        refuse: 0x20 0x00 RETURN
        receive: 0xe0 SHL 0x00 MSTORE 0x20 0x00 RETURN
        switch: 0x04 CALLDATALOAD 0x00 SSTORE STOP
        """
    )
    return creation(runtime)
