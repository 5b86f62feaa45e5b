"""What travels on ``/fondaco/reconcile/1`` and ``/fondaco/orders/1``.

    /fondaco/reconcile/1    MessagePack maps, the kind under "type"
      greet   {chain, deployments, filters}            --> greeted {chain, deployments, filters}
      compare {chain, exchange, version, filters, message}  --> compared {message} | declined
      offer   {chain, exchange, version, filters, ids}      --> taken {refused}    | declined

    /fondaco/orders/1
      {ids}                                            --> {handled, frame}

``message`` is a message of Negentropy v1, ``ids`` are order hashes in one piece. ``frame``
is zlib data: the orders of the first *handled* ids as JSON, one a line, without those
that are gone; before compression it has at most FRAME_SIZE bytes, or one order.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec

from fondaco.errors import InvalidParameter, PeerError
from fondaco.p2p.limits import MAX_RECONCILE_MESSAGE
from fondaco.zeroex.limits import (
    FRAME_SIZE,
    MAX_ASKED_IDS,
    MAX_FILTER_SIZE,
    MAX_FILTERS,
    MAX_OFFERED_IDS,
    MAX_ORDER_SIZE,
)
from fondaco.zeroex.order import ProtocolVersion
from fondaco.zeroex.scopes import Scope, scope_of

RECONCILE_PROTOCOL = "/fondaco/reconcile/1"
ORDERS_PROTOCOL = "/fondaco/orders/1"

ID_SIZE = 32
"""Bytes of an order hash."""

LARGEST_FRAME = FRAME_SIZE + max(MAX_ORDER_SIZE.values())
"""Bytes of an uncompressed frame that is read."""

COMPRESSION = 1
"""zlib level. Orders shrink to a third; higher levels cost ten times as much for a tenth."""

MAX_DETAIL = 256
"""Characters of a peer's reason that are kept."""

_T = TypeVar("_T")


class MalformedSync(PeerError):
    """A request or an answer is not of its protocol."""

    code = "MalformedSync"


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a node trades: both sides of a greeting have it."""

    chain: int
    deployments: Mapping[int, bytes]
    """Protocol version to the 20 bytes of its exchange."""
    filters: Sequence[str]
    """JSON schemas; orders that satisfy any of them are wanted."""


class Greet(Terms, frozen=True, kw_only=True, tag="greet", tag_field="type"):
    """Asks what the other side trades, and says it."""


class Greeted(Terms, frozen=True, kw_only=True, tag="greeted", tag_field="type"):
    """The answer."""


class _Scoped(msgspec.Struct, frozen=True, kw_only=True):
    chain: int
    exchange: bytes
    version: int
    filters: Sequence[str]


class Compare(_Scoped, frozen=True, kw_only=True, tag="compare", tag_field="type"):
    """One message of a reconciliation over the orders that satisfy all *filters*."""

    message: bytes


class Compared(msgspec.Struct, frozen=True, kw_only=True, tag="compared", tag_field="type"):
    """The message that answers it."""

    message: bytes


class Offer(_Scoped, frozen=True, kw_only=True, tag="offer", tag_field="type"):
    """Orders that the other side lacks, as a reconciliation has shown."""

    ids: bytes


class Taken(msgspec.Struct, frozen=True, kw_only=True, tag="taken", tag_field="type"):
    """It will ask for what it wants of them."""

    refused: bytes
    """Which of the ids it has looked at before and refused: a bit for each, the first id's
    the lowest of the first byte; zero bytes at the end may be left out."""


class Declined(msgspec.Struct, frozen=True, kw_only=True, tag="declined", tag_field="type"):
    """It does not compare this, now or ever. No offence on either side."""

    reason: str
    """``OtherChain`` or ``FilterRefused``."""
    detail: str = ""


class AskOrders(msgspec.Struct, frozen=True, kw_only=True):
    """Asks for orders."""

    ids: bytes


class OrdersFrame(msgspec.Struct, frozen=True, kw_only=True):
    """Some of them."""

    handled: int
    """How many of the ids, from the first on, are dealt with."""
    frame: bytes


Request = Greet | Compare | Offer
Answer = Greeted | Compared | Taken | Declined

encode = msgspec.msgpack.Encoder().encode
_request: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
_answer: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)
_ask = msgspec.msgpack.Decoder(AskOrders)
_frame = msgspec.msgpack.Decoder(OrdersFrame)


def decode_request(payload: bytes) -> Request:
    """Raises: MalformedSync."""
    request = _decoded(_request, payload)
    match request:
        case Greet():
            _check_terms(request)
        case Compare(message=message) if len(message) > MAX_RECONCILE_MESSAGE:
            raise MalformedSync(f"reconciliation message of {len(message)} bytes")
        case Offer(ids=ids):
            _check_ids(ids, MAX_OFFERED_IDS)
    return request


def decode_answer(payload: bytes) -> Answer:
    """Raises: MalformedSync."""
    answer = _decoded(_answer, payload)
    match answer:
        case Greeted():
            _check_terms(answer)
        case Taken(refused=refused) if len(refused) > (MAX_OFFERED_IDS + 7) // 8:
            raise MalformedSync("more refused than offered")
        case Declined():
            return msgspec.structs.replace(
                answer, reason=answer.reason[:MAX_DETAIL], detail=answer.detail[:MAX_DETAIL]
            )
    return answer


def decode_ask(payload: bytes) -> list[bytes]:
    """Return the ids asked for.

    Raises:
        MalformedSync: none, too many, or no ids.
    """
    return ids_of(_decoded(_ask, payload).ids, MAX_ASKED_IDS)


def ids_of(packed: bytes, most: int) -> list[bytes]:
    """Return the ids in *packed*.

    Raises:
        MalformedSync: none, more than *most*, or one cut off.
    """
    _check_ids(packed, most)
    return [packed[at : at + ID_SIZE] for at in range(0, len(packed), ID_SIZE)]


def scope_in(request: Compare | Offer) -> Scope:
    """Return the scope a request is about. Whether we serve it is not looked at.

    Raises:
        InvalidParameter: a version or a filter that is none.
    """
    try:
        version = ProtocolVersion(request.version)
    except ValueError:
        raise InvalidParameter("version", "2 or 3") from None
    return scope_of(version, request.filters)


def marks(chosen: Sequence[bool]) -> bytes:
    """Return a bit for each of *chosen*, the first one's the lowest of the first byte."""
    bits = sum(1 << place for place, is_chosen in enumerate(chosen) if is_chosen)
    return bits.to_bytes((bits.bit_length() + 7) // 8, "little")


def marked(bits: bytes, ids: Sequence[bytes]) -> list[bytes]:
    """Return those of *ids* whose bit is set in *bits*, as ``marks`` makes them."""
    number = int.from_bytes(bits, "little")
    return [one for place, one in enumerate(ids) if number >> place & 1]


def pack_frame(bodies: Sequence[bytes]) -> bytes:
    """Return orders as a frame. See ``fitting`` for how many go into one."""
    return zlib.compress(b"\n".join(bodies), COMPRESSION)


def fitting(sizes: Sequence[int]) -> int:
    """Return how many orders of these *sizes*, from the first on, one frame takes."""
    total = 0
    for count, size in enumerate(sizes):
        total += size + 1
        if count and total > FRAME_SIZE:
            return count
    return len(sizes)


def decode_frame(payload: bytes, asked: int) -> tuple[int, list[bytes]]:
    """Return how many ids are dealt with, and the orders, unread.

    Args:
        payload: the peer's answer.
        asked: number of ids it was asked for.

    Raises:
        MalformedSync: none or more than that, more orders than ids, or a frame that is no
            zlib data or too large.
    """
    answer = _decoded(_frame, payload)
    if not 0 < answer.handled <= asked:
        raise MalformedSync(f"{answer.handled} of {asked} ids dealt with")
    bodies = [body for body in _inflated(answer.frame).split(b"\n") if body]
    if len(bodies) > answer.handled:
        raise MalformedSync(f"{len(bodies)} orders for {answer.handled} ids")
    return answer.handled, bodies


def _inflated(data: bytes) -> bytes:
    stream = zlib.decompressobj()
    try:
        # Bounded while it is unpacked: 256 KiB may be asked to become 256 MiB.
        text = stream.decompress(data, LARGEST_FRAME + 1)
    except zlib.error as fault:
        raise MalformedSync(f"frame: {fault}") from None
    if len(text) > LARGEST_FRAME or not stream.eof or stream.unused_data:
        raise MalformedSync("a frame too large, cut off, or with more behind it")
    return text


def _check_ids(packed: bytes, most: int) -> None:
    if not packed or len(packed) % ID_SIZE or len(packed) > most * ID_SIZE:
        raise MalformedSync(f"ids of {len(packed)} bytes")


def _check_terms(terms: Terms) -> None:
    if len(terms.filters) > MAX_FILTERS or len(terms.deployments) > len(ProtocolVersion):
        raise MalformedSync("too many filters or deployments")
    if any(len(text) > MAX_FILTER_SIZE for text in terms.filters):
        raise MalformedSync("a filter too large")


def _decoded(decoder: msgspec.msgpack.Decoder[_T], payload: bytes) -> _T:
    try:
        return decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        raise MalformedSync(str(fault)) from None
