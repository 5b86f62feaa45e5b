"""One JSON text per value: RFC 8785 going out, and nothing else coming in.

What is signed is text. If a value had two spellings, a signed thing would have two texts and two
keys, and a stranger could make the second from the first.
"""

from __future__ import annotations

from typing import Any

import msgspec
import rfc8785

from fondaco.market.errors import ContractTooLarge, MarketRefusal


def encode(value: Any) -> bytes:
    """Return the RFC 8785 text of *value*.

    Raises:
        ValueError: *value* contains what JSON cannot say alike everywhere; our own bug.
    """
    return rfc8785.dumps(value)


def decode(
    text: bytes, *, limit: int, refuse: type[MarketRefusal], field: str = ""
) -> dict[str, Any]:
    """Return the JSON object in *text*, which must be its RFC 8785 text to the byte.

    Args:
        limit: bytes of the longest text that is looked at.
        refuse: the kind of error that says whose text it was.
        field: named in the error.

    Raises:
        ContractTooLarge: *text* is longer than *limit*.
        MarketRefusal: as *refuse*: it is no object, or not in its canonical form.
    """
    if len(text) > limit:
        raise ContractTooLarge(len(text), limit)
    try:
        value = msgspec.json.decode(text, type=dict[str, Any])
        is_canonical = rfc8785.dumps(value) == text
    # msgspec's errors and rfc8785's are ValueErrors; RecursionError: "[[[[..."
    except (ValueError, RecursionError):
        is_canonical = False
    if not is_canonical:
        raise refuse(field, "a JSON object in its canonical form (RFC 8785)")
    return value
