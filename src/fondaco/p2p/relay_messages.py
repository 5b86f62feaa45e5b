"""What peers, relays and peers behind them say to each other: circuit relay v2 on the wire.

    HopMessage   1 type {0 RESERVE, 1 CONNECT, 2 STATUS}  2 peer {1 id}
                 3 reservation {1 expire, 2 addrs*, 3 voucher}  4 limit  5 status
    StopMessage  1 type {0 CONNECT, 1 STATUS}  2 peer {1 id}  3 limit  4 status
    Limit        1 duration (seconds)  2 data (bytes)

Each is preceded by its length as a varint. Unknown fields are skipped.
Source: libp2p specification ``relay/circuit-v2.md``.
"""

from __future__ import annotations

import enum
from typing import TypeVar

import msgspec

from fondaco.p2p import limits
from fondaco.p2p.protobuf import (
    MalformedProtobuf,
    as_bytes,
    as_int,
    field,
    fields,
    last_bytes,
    last_int,
    number_field,
)

HOP = "/libp2p/circuit/relay/0.2.0/hop"
"""Spoken by a relay: to reserve a place there, and to be connected to a peer that has."""

STOP = "/libp2p/circuit/relay/0.2.0/stop"
"""Spoken by a peer that can be behind a relay: the relay brings it a connection."""


class HopKind(enum.IntEnum):
    """Types of a HopMessage."""

    RESERVE = 0
    CONNECT = 1
    STATUS = 2


class StopKind(enum.IntEnum):
    """Types of a StopMessage."""

    CONNECT = 0
    STATUS = 1


class Status(enum.IntEnum):
    """How a question was answered."""

    OK = 100
    RESERVATION_REFUSED = 200
    RESOURCE_LIMIT_EXCEEDED = 201
    PERMISSION_DENIED = 202
    CONNECTION_FAILED = 203
    NO_RESERVATION = 204
    MALFORMED_MESSAGE = 400
    UNEXPECTED_MESSAGE = 401


class Limit(msgspec.Struct, frozen=True):
    """How long and how much a relay carries for one connection; 0 is without end."""

    seconds: int = 0
    size: int = 0
    """Bytes, both directions together."""


class Reservation(msgspec.Struct, frozen=True):
    """A place at a relay."""

    expires_at: int
    """Unix seconds."""
    addresses: tuple[bytes, ...] = ()
    """The relay's own, binary, with its peer ID and without ``/p2p-circuit``."""
    voucher: bytes = b""
    """The relay's signature on it, which nobody asks for so far."""


class HopMessage(msgspec.Struct, frozen=True, kw_only=True):
    """To or from a relay. What is absent is empty, 0 or None."""

    kind: HopKind
    peer: bytes = b""
    reservation: Reservation | None = None
    limit: Limit | None = None
    status: int = 0


class StopMessage(msgspec.Struct, frozen=True, kw_only=True):
    """Between a relay and a peer that has a reservation there."""

    kind: StopKind
    peer: bytes = b""
    limit: Limit | None = None
    status: int = 0


def decode_hop(raw: bytes) -> HopMessage:
    """Read a HopMessage.

    Raises:
        MalformedProtobuf: it is none.
    """
    kind: HopKind | None = None
    peer, status = b"", 0
    reservation: Reservation | None = None
    limit: Limit | None = None
    for number, value in fields(raw):
        if number == 1:
            kind = _kind(HopKind, as_int(value))
        elif number == 2:
            peer = _peer(as_bytes(value))
        elif number == 3:
            reservation = _reservation(as_bytes(value))
        elif number == 4:
            limit = _limit(as_bytes(value))
        elif number == 5:
            status = as_int(value)
    if kind is None:
        raise MalformedProtobuf("message to a relay without a type")
    return HopMessage(kind=kind, peer=peer, reservation=reservation, limit=limit, status=status)


def decode_stop(raw: bytes) -> StopMessage:
    """Read a StopMessage.

    Raises:
        MalformedProtobuf: it is none.
    """
    kind: StopKind | None = None
    peer, status = b"", 0
    limit: Limit | None = None
    for number, value in fields(raw):
        if number == 1:
            kind = _kind(StopKind, as_int(value))
        elif number == 2:
            peer = _peer(as_bytes(value))
        elif number == 3:
            limit = _limit(as_bytes(value))
        elif number == 4:
            status = as_int(value)
    if kind is None:
        raise MalformedProtobuf("message of a relay without a type")
    return StopMessage(kind=kind, peer=peer, limit=limit, status=status)


_Kind = TypeVar("_Kind", HopKind, StopKind)


def _kind(kinds: type[_Kind], number: int) -> _Kind:
    try:
        return kinds(number)
    except ValueError:
        raise MalformedProtobuf(f"message of type {number}") from None


def _peer(raw: bytes) -> bytes:
    peer = last_bytes(fields(raw), 1)
    if len(peer) > limits.MAX_NAME_SIZE:
        raise MalformedProtobuf("endless peer ID")
    return peer


def _limit(raw: bytes) -> Limit:
    found = fields(raw)
    return Limit(last_int(found, 1), last_int(found, 2))


def _reservation(raw: bytes) -> Reservation:
    found = fields(raw)
    addresses = tuple(as_bytes(value) for number, value in found if number == 2)
    return Reservation(last_int(found, 1), addresses, last_bytes(found, 3))


def encode_hop(message: HopMessage) -> bytes:
    """Return *message* without the length before it."""
    raw = number_field(1, message.kind)
    if message.peer:
        raw += field(2, field(1, message.peer))
    if message.reservation is not None:
        raw += field(3, _encode_reservation(message.reservation))
    if message.limit is not None:
        raw += field(4, _encode_limit(message.limit))
    if message.status:
        raw += number_field(5, message.status)
    return raw


def encode_stop(message: StopMessage) -> bytes:
    """Return *message* without the length before it."""
    raw = number_field(1, message.kind)
    if message.peer:
        raw += field(2, field(1, message.peer))
    if message.limit is not None:
        raw += field(3, _encode_limit(message.limit))
    if message.status:
        raw += number_field(4, message.status)
    return raw


def _encode_limit(limit: Limit) -> bytes:
    return number_field(1, limit.seconds) + number_field(2, limit.size)


def _encode_reservation(one: Reservation) -> bytes:
    raw = number_field(1, one.expires_at) + b"".join(field(2, each) for each in one.addresses)
    return raw + field(3, one.voucher) if one.voucher else raw


VOUCHER_DOMAIN = "libp2p-relay-rsvp"
"""Domain of a relay's signature on a reservation."""

VOUCHER_TYPE = b"\x03\x02"
"""Payload type of the signed envelope around a voucher."""


def encode_voucher(relay: bytes, peer: bytes, expires_at: int) -> bytes:
    """Return what a relay signs: {1 relay, 2 peer, 3 expiration}."""
    return field(1, relay) + field(2, peer) + number_field(3, expires_at)
