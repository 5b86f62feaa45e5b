"""What peers say where they meet: the rendezvous protocol of libp2p on the wire.

    Message  1 type {0 REGISTER, 1 its answer, 2 UNREGISTER, 3 DISCOVER, 4 its answer}
             2 register {1 namespace, 2 signed peer record, 3 ttl}
             3 register answer {1 status, 2 text, 3 ttl}
             4 unregister {1 namespace}    5 discover {1 namespace, 2 limit, 3 cookie}
             6 discover answer {1 register*, 2 cookie, 3 status, 4 text}

Each is preceded by its length as a varint; a ttl is in seconds. Unknown fields are skipped.
Source: libp2p specification ``rendezvous/README.md``, revision 3. (The library's module has
an older one, without signed records.)
"""

from __future__ import annotations

import enum
import hashlib

import msgspec

from fondaco.p2p import limits
from fondaco.p2p.protobuf import (
    Field,
    MalformedProtobuf,
    as_bytes,
    as_int,
    field,
    fields,
    last_bytes,
    last_int,
    number_field,
)

PROTOCOL = "/rendezvous/1.0.0"

HASHED = "sha256/"
"""What stands before the hash that replaces a name over MAX_NAMESPACE_SIZE."""


class Answer(enum.IntEnum):
    """How a question was answered (``ResponseStatus``)."""

    OK = 0
    INVALID_NAMESPACE = 100
    INVALID_RECORD = 101
    INVALID_TTL = 102
    INVALID_COOKIE = 103
    NOT_AUTHORIZED = 200
    INTERNAL_ERROR = 300
    UNAVAILABLE = 400


class Register(msgspec.Struct, frozen=True):
    """A peer wants to be found, or can be."""

    namespace: str
    record: bytes
    """The peer's signed record: who and where it is."""
    seconds: int = 0
    """How long; 0 leaves it to the other side."""


class Registered(msgspec.Struct, frozen=True):
    """Answers a Register."""

    status: int
    text: str = ""
    seconds: int = 0


class Unregister(msgspec.Struct, frozen=True):
    """The sender does not want to be found any more. Has no answer."""

    namespace: str


class Discover(msgspec.Struct, frozen=True):
    """Who is registered?"""

    namespace: str
    """Empty for all."""
    limit: int = 0
    """Registrations in the answer; 0 leaves it to the other side."""
    cookie: bytes = b""
    """Of an earlier answer: only later registrations are wanted."""


class Discovered(msgspec.Struct, frozen=True):
    """Answers a Discover."""

    registrations: tuple[Register, ...] = ()
    cookie: bytes = b""
    status: int = 0
    text: str = ""


Message = Register | Registered | Unregister | Discover | Discovered

_NUMBERS: dict[int, tuple[int, type]] = {
    0: (2, Register),
    1: (3, Registered),
    2: (4, Unregister),
    3: (5, Discover),
    4: (6, Discovered),
}
"""Type -> the field it is in, and what is there."""


def namespace_of(name: str) -> str:
    """Return *name*, or what stands for it where it is too long for a namespace."""
    raw = name.encode()
    if len(raw) <= limits.MAX_NAMESPACE_SIZE:
        return name
    return HASHED + hashlib.sha256(raw).hexdigest()


def decode_message(raw: bytes) -> Message:
    """Read one message.

    Raises:
        MalformedProtobuf: it is none, or of a type that is not spoken here.
    """
    kind: int | None = None
    parts: dict[int, bytes] = {}
    for number, value in fields(raw):
        if number == 1:
            kind = as_int(value)
        elif 2 <= number <= 6:
            parts[number] = as_bytes(value)
    if kind not in _NUMBERS:
        raise MalformedProtobuf(f"rendezvous message of type {kind}")
    place, expected = _NUMBERS[kind]
    if place not in parts:
        raise MalformedProtobuf("rendezvous message without its contents")
    found = fields(parts[place])
    if expected is Register:
        return _register(found)
    if expected is Registered:
        return _registered(found)
    if expected is Unregister:
        return Unregister(_text(last_bytes(found, 1)))
    if expected is Discover:
        return Discover(
            _text(last_bytes(found, 1)), last_int(found, 2), _cookie(last_bytes(found, 3))
        )
    return _discovered(found)


def _register(found: list[Field]) -> Register:
    record = last_bytes(found, 2)
    if len(record) > limits.MAX_PEER_RECORD_SIZE:
        raise MalformedProtobuf("endless peer record")
    return Register(_text(last_bytes(found, 1)), record, last_int(found, 3))


def _registered(found: list[Field]) -> Registered:
    return Registered(last_int(found, 1), _text(last_bytes(found, 2)), last_int(found, 3))


def _discovered(found: list[Field]) -> Discovered:
    rows = [as_bytes(value) for number, value in found if number == 1]
    if len(rows) > limits.MAX_DISCOVERED:
        raise MalformedProtobuf(f"{len(rows)} registrations, more than were asked for")
    return Discovered(
        tuple(_register(fields(row)) for row in rows),
        _cookie(last_bytes(found, 2)),
        last_int(found, 3),
        _text(last_bytes(found, 4)),
    )


def _cookie(raw: bytes) -> bytes:
    if len(raw) > limits.MAX_NAME_SIZE:
        raise MalformedProtobuf("endless cookie")
    return raw


def _text(raw: bytes) -> str:
    if len(raw) > limits.MAX_TOPIC_SIZE:
        raise MalformedProtobuf(f"text of {len(raw)} bytes")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise MalformedProtobuf("text that is not UTF-8") from None


def encode_message(message: Message) -> bytes:
    """Return *message* without the length before it."""
    match message:
        case Register():
            kind, raw = 0, _encode_register(message)
        case Registered():
            kind = 1
            raw = (
                number_field(1, message.status)
                + field(2, message.text.encode())
                + number_field(3, message.seconds)
            )
        case Unregister():
            kind, raw = 2, field(1, message.namespace.encode())
        case Discover():
            kind, raw = 3, field(1, message.namespace.encode()) + number_field(2, message.limit)
            if message.cookie:
                raw += field(3, message.cookie)
        case Discovered():
            kind = 4
            raw = (
                b"".join(field(1, _encode_register(one)) for one in message.registrations)
                + field(2, message.cookie)
                + number_field(3, message.status)
                + field(4, message.text.encode())
            )
    return number_field(1, kind) + field(kind + 2, raw)


def _encode_register(one: Register) -> bytes:
    raw = field(1, one.namespace.encode()) + field(2, one.record)
    return raw + number_field(3, one.seconds) if one.seconds else raw
