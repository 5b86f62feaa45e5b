"""The bytes of the Negentropy protocol, version 1: varints, bounds, ranges, fingerprints.

    message  = version (1 byte, 0x61)  range*
    range    = bound (upper)  varint(mode)  payload
    bound    = varint(encoded timestamp)  varint(prefix length)  prefix
    payload  = SKIP: nothing | FINGERPRINT: 16 bytes | ID_LIST: varint(count)  count * 32 bytes

Only upper bounds travel: a range begins where the one before it ended, the first at the
lowest item there can be. An encoded timestamp is 0 for infinity, else 1 + the distance
from the bound before it in the same message.

Source: the protocol document of github hoytech/negentropy, version 1.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterator
from typing import NamedTuple

from fondaco.errors import PeerError

VERSION = 0x61
"""First byte of a message: 0x60 + 1."""

VERSIONS = range(0x60, 0x70)
"""First bytes that announce some version of the protocol."""

ID_SIZE = 32
"""Bytes of an id. Ids are hashes of the records they name."""

FINGERPRINT_SIZE = 16
"""Bytes of a fingerprint: the front half of a SHA-256."""

MAX_VARINT_SIZE = 10
"""Bytes: 2**64 - 1 takes ten digits of seven bits."""

INFINITY = 2**64 - 1
"""The timestamp above that of any item; an item may have 0 to INFINITY - 1."""

SUM_MASK = 2**256 - 1
"""Sums of ids are taken modulo 2**256."""

Item = tuple[int, bytes]
"""Timestamp and id. Items are in sequence by timestamp, then by id as bytes."""


class MalformedMessage(PeerError):
    """A peer sent a reconciliation message that no correct encoder makes."""

    code = "MalformedReconciliation"


class Mode(enum.IntEnum):
    """What a range of a message says about itself."""

    SKIP = 0
    """Nothing more to do here."""

    FINGERPRINT = 1
    """The sender's items in this range have this fingerprint."""

    ID_LIST = 2
    """These are all of the sender's ids in this range."""


class Rules(enum.Enum):
    """Whose rules are followed where ours and the reference implementation's differ."""

    STRICT = "strict"
    """Refuse what no known encoder makes, and lose no item at a frame limit."""

    REFERENCE = "reference"
    """Read what the reference reads and close a full frame as it does, lost items
    included. For comparing bytes with its recorded dialogues, never with a peer."""


class Bound(NamedTuple):
    """A place between items: the items below it are those less than it.

    The prefix counts as if filled up with zero bytes. It need not be: a byte string
    sorts before its extensions, so (timestamp, prefix) compares with an item as it is.
    """

    timestamp: int
    prefix: bytes


LOWEST = Bound(0, b"")
"""Below every item."""

END = Bound(INFINITY, b"")
"""Above every item."""


class Range(NamedTuple):
    """One range of a message, from the upper bound of the one before it to ``upper``."""

    upper: Bound
    mode: Mode
    payload: bytes
    """Empty, the fingerprint, or the ids in one piece (a multiple of ID_SIZE)."""


def encode_varint(number: int) -> bytes:
    """Return *number* to the base 128, highest digit first, in the fewest bytes."""
    if number < 0x80:
        return bytes((number,))
    digits = [number & 0x7F]
    while number := number >> 7:
        digits.append(number & 0x7F | 0x80)
    return bytes(reversed(digits))


def fingerprint(total: int, count: int) -> bytes:
    """Return the fingerprint of *count* ids whose sum modulo 2**256 is *total*.

    An id is read as a little-endian number for the sum. Timestamps do not enter.
    """
    hashed = total.to_bytes(ID_SIZE, "little") + encode_varint(count)
    return hashlib.sha256(hashed).digest()[:FINGERPRINT_SIZE]


def bound_between(before: Item, after: Item) -> Bound:
    """Return the shortest bound above *before* and not above *after*, its successor."""
    if before[0] != after[0]:
        return Bound(after[0], b"")
    size = 0
    for mine, other in zip(before[1], after[1], strict=True):
        size += 1
        if mine != other:
            break
    return Bound(after[0], after[1][:size])


NOTHING_LEFT = b"\x00\x00\x01" + fingerprint(0, 0)
"""What the reference puts behind infinity when a list that reaches there fills its frame:
it closes the frame all the same, with the fingerprint of no items."""


class RangeWriter:
    """Encode the ranges of one message one after another.

    The ranges must be encoded in the sequence in which they are sent: each timestamp is
    the distance from the one before it.
    """

    def __init__(self) -> None:
        self._timestamp = 0

    def encode(self, upper: Bound, mode: Mode, payload: bytes = b"") -> bytes:
        """Return a range. *payload* of an id list is the ids in one piece."""
        timestamp, prefix = upper
        if timestamp == self._timestamp != INFINITY:
            distance = b"\x01"
        elif timestamp == INFINITY:
            distance = b"\x00"
        else:
            distance = encode_varint(1 + timestamp - self._timestamp)
        self._timestamp = timestamp
        front = distance + bytes((len(prefix),)) + prefix + bytes((mode,))
        if mode is Mode.ID_LIST:
            return front + encode_varint(len(payload) // ID_SIZE) + payload
        return front + payload


def read_version(message: bytes) -> int:
    """Return the first byte of *message*.

    Raises:
        MalformedMessage: there is none, or it announces no version at all.
    """
    if not message:
        raise MalformedMessage("empty message")
    if message[0] not in VERSIONS:
        raise MalformedMessage(f"version byte {message[0]:#04x}")
    return message[0]


def read_ranges(message: bytes, rules: Rules = Rules.STRICT) -> Iterator[Range]:
    """Yield the ranges behind the version byte of *message* as they are read.

    Nothing is allocated on the word of the sender: a count is compared with the bytes
    that are there first.

    Raises:
        MalformedMessage: cut short, an unknown mode, a prefix over 32 bytes, a number
            over 2**64 - 1; by ``Rules.STRICT`` also a number with leading zero digits,
            bounds that do not ascend, and anything but NOTHING_LEFT behind infinity.
    """
    reader = _Reader(message, rules)
    reader.position = 1
    size = len(message)
    above = LOWEST
    while reader.position < size:
        if above.timestamp == INFINITY and rules is Rules.STRICT:
            if message[reader.position :] != NOTHING_LEFT:
                raise MalformedMessage("range behind infinity")
            return
        upper = reader.bound(above)
        mode = reader.varint()
        if mode == Mode.FINGERPRINT:
            yield Range(upper, Mode.FINGERPRINT, reader.take(FINGERPRINT_SIZE))
        elif mode == Mode.SKIP:
            yield Range(upper, Mode.SKIP, b"")
        elif mode == Mode.ID_LIST:
            yield Range(upper, Mode.ID_LIST, reader.take(reader.varint() * ID_SIZE))
        else:
            raise MalformedMessage(f"unknown mode {mode}")
        above = upper


class _Reader:
    """A position in a message that only goes forward."""

    def __init__(self, message: bytes, rules: Rules) -> None:
        self._message = message
        self._is_strict = rules is Rules.STRICT
        self.position = 0

    def take(self, size: int) -> bytes:
        start, self.position = self.position, self.position + size
        if self.position > len(self._message):
            raise MalformedMessage("message ends early")
        return self._message[start : self.position]

    def varint(self) -> int:
        message, start = self._message, self.position
        number = 0
        for position in range(start, min(start + MAX_VARINT_SIZE, len(message))):
            digit = message[position]
            number = number << 7 | digit & 0x7F
            if digit < 0x80:
                break
        else:
            raise MalformedMessage("number without an end")
        if number > INFINITY:
            raise MalformedMessage("number over 2**64 - 1")
        if self._is_strict and position > start and message[start] == 0x80:
            raise MalformedMessage("number with leading zeros")
        self.position = position + 1
        return number

    def bound(self, above: Bound) -> Bound:
        """Read the bound that follows *above*."""
        encoded = self.varint()
        size = self.varint()
        if size > ID_SIZE:
            raise MalformedMessage(f"prefix of {size} bytes")
        prefix = self.take(size)
        timestamp = INFINITY if encoded == 0 else min(above.timestamp + encoded - 1, INFINITY)
        bound = Bound(timestamp, prefix)
        if self._is_strict:
            if timestamp == INFINITY and (encoded or size):
                raise MalformedMessage("infinity written as something else")
            if bound < above and _filled(bound) < _filled(above):
                raise MalformedMessage("bounds do not ascend")
        return bound


def _filled(bound: Bound) -> Bound:
    return Bound(bound.timestamp, bound.prefix.ljust(ID_SIZE, b"\x00"))
