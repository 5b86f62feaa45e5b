"""The rim: JSON-RPC's hex text on one side, bytes and integers on the other.

Strict on purpose: ``int("0x1_0", 16)`` is 16 and ``bytes.fromhex`` skips spaces, and
an endpoint that sends either is not one whose answer should be believed.
"""

from __future__ import annotations

import re

from fondaco.chain.errors import MalformedAnswer

_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,64}")


def quantity(value: object, name: str = "quantity") -> int:
    """Return the integer in *value*, hex text of at most 256 bits.

    Leading zeros are accepted: Parity and some gateways print them.

    Raises:
        MalformedAnswer: anything else; the text says *name*.
    """
    if not (isinstance(value, str) and _QUANTITY.fullmatch(value)):
        raise MalformedAnswer(f"{name} is not a hex quantity")
    return int(value, 16)


def data(value: object, name: str = "data", *, size: int | None = None) -> bytes:
    """Return the bytes in *value*, 0x-prefixed hex text, of *size* bytes where given.

    Raises:
        MalformedAnswer: anything else; the text says *name*.
    """
    if isinstance(value, str) and value[:2] == "0x":
        try:
            result = bytes.fromhex(value[2:])
        except ValueError:
            result = None
        # Spaces inside make the result shorter than the text promises.
        if result is not None and 2 * len(result) + 2 == len(value) and size in (None, len(result)):
            return result
    expected = "hex data" if size is None else f"{size} bytes of hex data"
    raise MalformedAnswer(f"{name} is not {expected}")


def encode_quantity(value: int) -> str:
    """Return *value* as JSON-RPC writes quantities: no leading zeros, ``0x0`` for zero."""
    return hex(value)


def encode_data(value: bytes) -> str:
    """Return *value* as 0x-prefixed lower-case hex."""
    return "0x" + value.hex()
