"""Solidity ABI encoding of calls, from the signature a reader of the contract knows.

    encode_call("approve(address,uint256)", spender, 5)

Addresses, ``bytes`` and ``bytesN`` are Python bytes, numbers are int, arrays and
tuples are sequences. Only what the 0x contracts use is known. Speed does not matter
here; the node's own hot path has its codecs in ``zeroex``. Pure.

Source: Solidity, Contract ABI Specification.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from tiny_keccak import keccak256

WORD = 32


class AbiTypeError(ValueError):
    """A value does not fit its ABI type: our own bug."""


def selector(signature: str) -> bytes:
    """Return the 4 bytes that choose a function, e.g. of ``transfer(address,uint256)``."""
    return _selector(signature)


@functools.cache
def _selector(signature: str) -> bytes:
    return keccak256(signature.encode())[:4]


def encode_call(signature: str, *arguments: object) -> bytes:
    """Return the call data for a function.

    Args:
        signature: name and types without spaces; tuples are written out.
        arguments: one for each type.
    """
    return selector(signature) + encode_arguments(signature, *arguments)


def encode_arguments(signature: str, *arguments: object) -> bytes:
    """Return the arguments alone, as a constructor takes them after its bytecode."""
    return _encode_sequence(_types(signature), arguments)


@functools.cache
def _types(signature: str) -> tuple[str, ...]:
    """Split the types inside the outer parentheses; tuples stay whole."""
    inner = signature[signature.index("(") + 1 : signature.rindex(")")]
    parts, depth, start = [], 0, 0
    for position, letter in enumerate(inner):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append(inner[start:position])
            start = position + 1
    return (*parts, inner[start:]) if inner else ()


def _is_dynamic(kind: str) -> bool:
    if kind.endswith("[]") or kind in ("bytes", "string"):
        return True
    return kind.startswith("(") and any(map(_is_dynamic, _types(kind)))


def _encode_sequence(kinds: Sequence[str], values: Sequence[object]) -> bytes:
    if len(kinds) != len(values):
        raise AbiTypeError(f"{len(values)} values for the types {', '.join(kinds)}")
    encoded = [_encode(kind, value) for kind, value in zip(kinds, values, strict=True)]
    dynamic = [_is_dynamic(kind) for kind in kinds]
    head_size = sum(WORD if far else len(data) for far, data in zip(dynamic, encoded, strict=True))
    head, tail = bytearray(), bytearray()
    for far, data in zip(dynamic, encoded, strict=True):
        if far:
            head += _word(head_size + len(tail))
            tail += data
        else:
            head += data
    return bytes(head + tail)


def _encode(kind: str, value: object) -> bytes:
    match value:
        case str() if kind == "string":
            return _encode("bytes", value.encode())
        case bool() if kind == "bool":
            return _word(int(value))
        case int() if kind in ("uint8", "uint256") and not isinstance(value, bool):
            return _word(value)
        case bytes() if kind == "address" and len(value) == 20:
            return value.rjust(WORD, b"\0")
        case bytes() if kind == "bytes":
            return _word(len(value)) + value + bytes(-len(value) % WORD)
        case bytes() if kind == f"bytes{len(value)}" and len(value) <= WORD:
            return value.ljust(WORD, b"\0")
        case list() | tuple() if kind.endswith("[]"):
            return _word(len(value)) + _encode_sequence([kind[:-2]] * len(value), value)
        case tuple() if kind.startswith("("):
            return _encode_sequence(_types(kind), value)
    raise AbiTypeError(f"{value!r} is no {kind}")


def _word(value: int) -> bytes:
    try:
        return value.to_bytes(WORD, "big")
    except OverflowError as exc:
        raise AbiTypeError(f"{value} does not fit a word") from exc
