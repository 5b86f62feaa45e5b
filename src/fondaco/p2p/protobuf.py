"""Protobuf as this floor reads and writes it: strictly, without descriptors or copies.

    tag varint (number << 3 | wire type)   0 varint   2 length and bytes   1, 5 eight, four bytes

Groups are refused; no protocol of libp2p has any. Source: the protobuf encoding guide.
"""

from __future__ import annotations

from collections.abc import Iterable

from fondaco.errors import PeerError


class MalformedProtobuf(PeerError):
    """Bytes that are no protobuf message, or not the one that belongs there."""

    code = "MalformedProtobuf"


Field = tuple[int, int | bytes]
"""Number and value: an int of wire type 0, else bytes."""


def fields(raw: bytes) -> list[Field]:
    """Cut a protobuf message into its fields, in their order.

    Raises:
        MalformedProtobuf: it is cut short, or not protobuf.
    """
    found: list[Field] = []
    at, end = 0, len(raw)
    try:
        while at < end:
            tag = raw[at]
            at += 1
            if tag > 0x7F:
                tag, at = _varint(raw, at - 1)
            kind = tag & 7
            if kind == 2:
                size = raw[at]
                at += 1
                if size > 0x7F:
                    size, at = _varint(raw, at - 1)
                stop = at + size
                if stop > end:
                    raise MalformedProtobuf("field cut short")
                found.append((tag >> 3, raw[at:stop]))
                at = stop
            elif kind == 0:
                number, at = _varint(raw, at)
                found.append((tag >> 3, number))
            elif kind == 1 or kind == 5:
                stop = at + (8 if kind == 1 else 4)
                if stop > end:
                    raise MalformedProtobuf("field cut short")
                found.append((tag >> 3, raw[at:stop]))
                at = stop
            else:
                raise MalformedProtobuf(f"field of wire type {kind}")
            if tag < 8:
                raise MalformedProtobuf("field number 0")
    except IndexError:
        raise MalformedProtobuf("field cut short") from None
    return found


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    """Return the number at *at* and where it ends; IndexError where it is cut."""
    number = shift = 0
    while True:
        byte = raw[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            if number >> 64:
                raise MalformedProtobuf("number over 64 bits")
            return number, at
        shift += 7
        if shift > 63:
            raise MalformedProtobuf("number over ten bytes")


def as_bytes(value: int | bytes) -> bytes:
    """Return a value that must be bytes.

    Raises:
        MalformedProtobuf: it is a number.
    """
    if isinstance(value, int):
        raise MalformedProtobuf("a number where bytes belong")
    return value


def as_int(value: int | bytes) -> int:
    """Return a value that must be a number.

    Raises:
        MalformedProtobuf: it is bytes.
    """
    if not isinstance(value, int):
        raise MalformedProtobuf("bytes where a number belongs")
    return value


def last_bytes(found: Iterable[Field], wanted: int) -> bytes:
    """Return what the last field of a number holds, ``b""`` where there is none.

    Raises:
        MalformedProtobuf: one of that number is a number.
    """
    value = b""
    for number, each in found:
        if number == wanted:
            value = as_bytes(each)
    return value


def last_int(found: Iterable[Field], wanted: int) -> int:
    """Return the last field of a number, 0 where there is none.

    Raises:
        MalformedProtobuf: one of that number is none.
    """
    value = 0
    for number, each in found:
        if number == wanted:
            value = as_int(each)
    return value


def field(number: int, raw: bytes) -> bytes:
    """Return *raw* as the length-delimited field *number*, below 16."""
    size = len(raw)
    if size < 0x80:
        return bytes((number << 3 | 2, size)) + raw
    return bytes((number << 3 | 2,)) + encode_varint(size) + raw


def encode_varint(number: int) -> bytes:
    """Return *number*, not negative, in groups of seven bits, low ones first."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def number_field(number: int, value: int) -> bytes:
    """Return *value*, not negative, as the varint field *number*, below 16."""
    return bytes((number << 3,)) + encode_varint(value)
