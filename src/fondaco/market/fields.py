"""Fields of JSON, declared once: how each is read, how it is spelled, what the docs say of it.

    class SendInboxMessage(Struct):
        recipient: Annotated[Guid, Wire("recipient", GUID)]
        subject:   Annotated[str, Wire("subject", line(MAX_SUBJECT))] = ""

    {"recipient": "67e5...", ...}  --read_fields-->  SendInboxMessage(...)
                                   <--spell_fields--

A field that is absent or null takes its default; one without a default is missed. What is not
declared is not looked at. A complaint names the path inside what was sent, ``notaries[3].guid``,
and what was expected there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import (
    Annotated,
    Any,
    Generic,
    NamedTuple,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)

Schema = Mapping[str, Any]
"""JSON Schema."""


class Misread(Exception):
    """A value that does not fit. Who opened the door says whose value it was."""

    def __init__(self, path: str, expected: str) -> None:
        super().__init__(f"{path}: expected {expected}")
        self.path = path
        self.expected = expected

    def below(self, step: str) -> Misread:
        """Return the same complaint, seen from what holds the value under *step*."""
        joint = "." if step and self.path and not self.path.startswith("[") else ""
        return Misread(f"{step}{joint}{self.path}", self.expected)


class Kind(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """One kind of value."""

    expected: str
    read: Callable[[Any], T]
    """Takes decoded JSON; raises Misread."""
    spell: Callable[[T], Any] = lambda value: value
    schema: Schema = {}
    blank_is_absent: bool = False
    """Whether "" stands for a value that was not given."""


class Wire(NamedTuple):
    """How a field of a struct travels. A name of "" stands for the whole object."""

    name: str
    kind: Kind[Any]


class Field(NamedTuple):
    """One declared field of a struct."""

    attribute: str
    wire: Wire
    is_required: bool
    default: Any


@cache
def fields_of(struct: type[msgspec.Struct]) -> tuple[Field, ...]:
    """Return the declared fields of *struct*, in its sequence.

    Raises:
        TypeError: a field has no Wire; our own bug.
    """
    hints = get_type_hints(struct, include_extras=True)
    return tuple(
        Field(
            attribute=one.name,
            wire=_wire(struct, hints[one.name]),
            is_required=one.required,
            default=None if one.required else _default(one),
        )
        for one in msgspec.structs.fields(struct)
    )


def read_fields(struct: type[S], value: object) -> S:
    """Return the *struct* in decoded JSON.

    Raises:
        Misread: names the first field that is missing or does not fit.
    """
    if not isinstance(value, dict):
        raise Misread("", "an object")
    return struct(**{field.attribute: read_field(field, value) for field in fields_of(struct)})


def read_field(field: Field, value: Mapping[str, Any]) -> Any:
    """Return one field of an object, or its default.

    Raises:
        Misread: it is missing, or does not fit.
    """
    name, kind = field.wire
    given = value.get(name) if name else value
    if given is None or (given == "" and kind.blank_is_absent):
        if field.is_required:
            raise Misread(name, kind.expected)
        return field.default
    try:
        return kind.read(given)
    except Misread as exc:
        raise exc.below(name) from None


def spell_fields(value: msgspec.Struct) -> dict[str, Any]:
    """Return the JSON of a struct; fields that are None are left out."""
    spelled: dict[str, Any] = {}
    for attribute, (name, kind), _, _ in fields_of(type(value)):
        member = getattr(value, attribute)
        if member is not None:
            # What is the whole object is no member of it.
            spelled |= {name: kind.spell(member)} if name else kind.spell(member)
    return spelled


def _wire(struct: type[msgspec.Struct], hint: Any) -> Wire:
    for extra in get_args(hint)[1:] if get_origin(hint) is Annotated else ():
        if isinstance(extra, Wire):
            return extra
    raise TypeError(f"a field of {struct.__name__} says nothing of its wire")


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default is not msgspec.NODEFAULT:
        return field.default
    assert field.default_factory is not msgspec.NODEFAULT
    return field.default_factory()


def listed(kind: Kind[T], most: int) -> Kind[tuple[T, ...]]:
    """A list of at most so many."""
    expected = f"a list of at most {most}"

    def read(value: object) -> tuple[T, ...]:
        if not isinstance(value, list) or len(value) > most:
            raise Misread("", expected)
        return tuple(_each(kind, value))

    return Kind(
        expected=expected,
        read=read,
        spell=lambda members: [kind.spell(member) for member in members],
        schema={"type": "array", "maxItems": most, "items": kind.schema},
        blank_is_absent=True,
    )


def _each(kind: Kind[T], values: list[Any]) -> Iterator[T]:
    for place, value in enumerate(values):
        try:
            yield kind.read(value)
        except Misread as exc:
            raise exc.below(f"[{place}]") from None


def inside(struct: type[S]) -> Kind[S]:
    """An object whose fields are those of *struct*."""
    return Kind(
        expected="an object",
        read=lambda value: read_fields(struct, value),
        spell=spell_fields,
        schema=object_schema(struct),
    )


def object_schema(struct: type[msgspec.Struct]) -> Schema:
    """Return the JSON Schema of the object that *struct* is read from."""
    fields = fields_of(struct)
    whole = [field.wire.kind.schema for field in fields if not field.wire.name]
    members = [field for field in fields if field.wire.name]
    if whole and not members:
        return whole[0]
    own = {
        "type": "object",
        "properties": {field.wire.name: field.wire.kind.schema for field in members},
        "required": [field.wire.name for field in members if field.is_required],
    }
    return {"allOf": [*whole, own]} if whole else own
