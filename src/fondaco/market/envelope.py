"""The envelopes of ``/ws``, both ways. Source: OpenBazaar, all versions.

    client -> {"id": 42, "command": "query_orders", "params": {"merchant": 1, "page": 0}}
    server <- {"id": 843536, "result": {"type": "myorders", ...}}

The ids have nothing to do with each other: a client must send one, which nobody reads, and ours
are random numbers. An answer is known by its ``type``. Whatever cannot be read is answered with
``{"type": "error", "code", "field", "message"}`` and never by closing: the original's web client
loads its page anew when that happens, and would send the same again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from fondaco.errors import NodeError
from fondaco.market.errors import MalformedRequest
from fondaco.market.quirks import strip_angular
from fondaco.market.strict_json import UnreadableJson, decode_json
from fondaco.market.word_limits import MAX_FRAME, MAX_FRAME_ID

# What was an exact number when it came goes out as one.
encode = msgspec.json.Encoder(decimal_format="number").encode
"""Return the JSON text of what is sent to clients, or to peers in their words."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What a client wants. Its parameters are not looked at yet."""

    command: str
    params: dict[str, Any]
    """Decoded JSON without AngularJS' marks; numbers with a point are ``Decimal``."""
    size: int
    """Bytes of the whole message."""


class Result(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """What a client is sent. The tag of each kind is its ``type``."""


class Failure(Result, frozen=True, kw_only=True, tag="error"):
    """Answers what is not done."""

    code: str
    """Stable, for programs."""
    field: str
    """Path of what is wrong: a parameter, ``command`` or ``params``; "" for the whole."""
    message: str
    """For people."""


def decode_request(text: str | bytes) -> Request:
    """Return the request in a message of a client.

    Raises:
        MalformedRequest: it is none; names what is wrong.
    """
    try:
        envelope = decode_json(text, limit=MAX_FRAME)
    except UnreadableJson as exc:
        raise MalformedRequest("", str(exc)) from None
    if not isinstance(envelope, dict):
        raise MalformedRequest("", "an object with id, command and params")
    if "id" not in envelope:
        raise MalformedRequest("id", "a number, though nobody reads it")
    command, params = envelope.get("command"), envelope.get("params")
    if not isinstance(command, str):
        raise MalformedRequest("command", "the name of a command")
    if not isinstance(params, dict):
        raise MalformedRequest("params", "an object, {} where there is nothing to say")
    size = len(text.encode()) if isinstance(text, str) else len(text)
    return Request(command=command, params=strip_angular(params), size=size)


def encode_frame(frame_id: int, result: Result | Mapping[str, Any]) -> bytes:
    """Return a message to a client.

    Args:
        frame_id: random, 0 .. MAX_FRAME_ID.
        result: one of ours, or a message of a peer as ``peer_messages.forwarded`` spells it.

    Raises:
        ValueError: it could not be sent; our own bug.
    """
    if not 0 <= frame_id <= MAX_FRAME_ID:
        raise ValueError(f"id {frame_id} of a message")
    if isinstance(result, Mapping) and not isinstance(result.get("type"), str):
        # The web client reads result.type of everything that comes.
        raise ValueError("a message without a type")
    return encode({"id": frame_id, "result": result})


def failure(error: NodeError) -> Failure:
    """Return what a client is told of *error*.

    A fault that nobody gave a code of its own is ours, and its text is for the log alone.
    """
    if error.code == NodeError.code:
        return Failure(code=error.code, field="", message="internal error")
    field = getattr(error, "field", "")
    return Failure(
        code=error.code, field=field if isinstance(field, str) else "", message=str(error)
    )
