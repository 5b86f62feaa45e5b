"""JSON of strangers and clients: one meaning, and no surprise for whoever walks through it.

Every JSON text has a length, a depth and one value per name, or it is refused. A name that stands
twice in an object would mean one thing to us and another to the next reader.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec

from fondaco.market.word_limits import MAX_DEPTH


class UnreadableJson(Exception):
    """Text that is not taken. The error's text says what would have been."""


# Decimals are exact: as a float, a price could change between the screen and its signature.
_decode = msgspec.json.Decoder(float_hook=Decimal).decode


def decode_json(text: str | bytes, *, limit: int) -> Any:
    """Return the value of *text*; numbers with a point or an exponent as ``Decimal``.

    Takes about 5 ms for a megabyte: what may be longer belongs into a thread.

    Args:
        limit: bytes of the longest text that is looked at.

    Raises:
        UnreadableJson: too long, no UTF-8, no JSON, a name twice in one object, or more than
            MAX_DEPTH objects and lists inside each other.
    """
    if len(text) > limit:  # never more characters than bytes
        raise UnreadableJson(f"at most {limit} bytes")
    try:
        raw = text.encode() if isinstance(text, str) else text
        if len(raw) > limit:
            raise UnreadableJson(f"at most {limit} bytes")
        value = _decode(raw)
        _check_depth(value)
        # msgspec keeps the last of two and does not say so.
        json.loads(raw, object_pairs_hook=_look_for_twins, parse_int=len, parse_float=len)
    # ArithmeticError: an exponent beyond decimal's own. RecursionError: "[[[[..."
    except (ValueError, ArithmeticError, RecursionError):
        raise UnreadableJson("JSON in UTF-8") from None
    return value


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        inner: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                inner += one.values()
            elif isinstance(one, list):
                inner += one
        level = [one for one in inner if isinstance(one, dict | list)]
        if not level:
            return
    raise UnreadableJson(f"at most {MAX_DEPTH} objects and lists inside each other")


def _look_for_twins(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) != len(pairs):
        raise UnreadableJson("each name once in an object")
