"""Structs are read from JSON by what their fields declare, and complaints name the place."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest

from fondaco.market.fields import (
    Field,
    Kind,
    Misread,
    Wire,
    fields_of,
    inside,
    listed,
    object_schema,
    read_field,
    read_fields,
    spell_fields,
)
from fondaco.market.kinds import line, whole


class Inner(msgspec.Struct, frozen=True, kw_only=True):
    """A thing in a list."""

    number: Annotated[int, Wire("no", whole(9))]


class Outer(msgspec.Struct, frozen=True, kw_only=True):
    """A thing with a list."""

    name: Annotated[str, Wire("theName", line(5))]
    inner: Annotated[tuple[Inner, ...], Wire("inners", listed(inside(Inner), 2))] = ()
    page: Annotated[int, Wire("page", whole(9))] = 0
    maybe: Annotated[int | None, Wire("maybe", whole(9))] = None


class Whole(msgspec.Struct, frozen=True, kw_only=True):
    """Its parameters are the thing itself."""

    thing: Annotated[Outer, Wire("", inside(Outer))]


class Beside(msgspec.Struct, frozen=True, kw_only=True):
    """A thing whose fields stand among others."""

    thing: Annotated[Inner, Wire("", inside(Inner))]
    more: Annotated[str, Wire("more", line(5))] = ""


class Undeclared(msgspec.Struct, frozen=True, kw_only=True):
    """Says nothing of its wire."""

    name: str


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """Its default is made anew each time."""

    names: Annotated[list[str], Wire("names", Kind(expected="a list", read=list))] = msgspec.field(
        default_factory=list
    )


FULL = {"theName": "abc", "inners": [{"no": 1}, {"no": "2"}], "page": "7", "maybe": 3}
OUTER = Outer(name="abc", inner=(Inner(number=1), Inner(number=2)), page=7, maybe=3)


def test_what_is_declared_is_read_and_nothing_else() -> None:
    assert read_fields(Outer, {**FULL, "type": "x", "other": {}}) == OUTER
    assert read_fields(Outer, {"theName": "abc"}) == Outer(name="abc")
    assert read_fields(Whole, FULL) == Whole(thing=OUTER)
    assert read_fields(Beside, {"no": 1, "more": "x"}) == Beside(thing=Inner(number=1), more="x")
    assert read_fields(Made, {}) == Made()


def test_what_is_spelled_is_read() -> None:
    for value in (OUTER, Whole(thing=OUTER), Beside(thing=Inner(number=1), more="x")):
        assert read_fields(type(value), spell_fields(value)) == value
    assert spell_fields(Beside(thing=Inner(number=1))) == {"no": 1, "more": ""}
    assert "maybe" not in spell_fields(Outer(name="abc"))


@pytest.mark.parametrize(
    ("change", "same_as"),
    [
        ({"page": None}, {}),
        ({"page": ""}, {}),
        ({"maybe": ""}, {}),
        ({"inners": ""}, {}),
        ({"inners": []}, {}),
    ],
)
def test_what_is_not_given_takes_its_default(
    change: dict[str, Any], same_as: dict[str, Any]
) -> None:
    assert read_fields(Outer, {"theName": "a"} | change) == read_fields(
        Outer, {"theName": "a"} | same_as
    )


@pytest.mark.parametrize(
    ("value", "path", "expected"),
    [
        ([], "", "an object"),
        (None, "", "an object"),
        ({}, "theName", "one line of at most 5 characters"),
        (FULL | {"theName": None}, "theName", "one line of at most 5 characters"),
        (FULL | {"theName": 7}, "theName", "one line of at most 5 characters"),
        (FULL | {"page": 10}, "page", "a whole number from 0 to 9"),
        (FULL | {"inners": {}}, "inners", "a list of at most 2"),
        (FULL | {"inners": [1, 2, 3]}, "inners", "a list of at most 2"),
        (FULL | {"inners": [{"no": 1}, 7]}, "inners[1]", "an object"),
        (FULL | {"inners": [{"no": 1}, {}]}, "inners[1].no", "a whole number from 0 to 9"),
        (FULL | {"inners": [{"no": -1}]}, "inners[0].no", "a whole number from 0 to 9"),
    ],
)
def test_a_complaint_names_the_place(value: Any, path: str, expected: str) -> None:
    for struct in (Outer, Whole):
        with pytest.raises(Misread) as caught:
            read_fields(struct, value)
        assert (caught.value.path, caught.value.expected) == (path, expected)


def test_one_field_alone() -> None:
    name, _, page, _ = fields_of(Outer)
    assert isinstance(name, Field)
    assert (name.attribute, name.wire.name, name.is_required) == ("name", "theName", True)
    assert (page.is_required, page.default) == (False, 0)
    assert read_field(page, {"page": 5}) == 5
    with pytest.raises(Misread):
        read_field(name, {})


def test_a_field_without_wire_is_our_own_bug() -> None:
    with pytest.raises(TypeError, match="Undeclared"):
        fields_of(Undeclared)


def test_the_schema_says_the_same() -> None:
    schema = object_schema(Outer)
    assert schema["required"] == ["theName"]
    assert list(schema["properties"]) == ["theName", "inners", "page", "maybe"]
    assert schema["properties"]["inners"]["items"]["required"] == ["no"]
    assert object_schema(Whole) == schema
    assert [list(part["properties"]) for part in object_schema(Beside)["allOf"]] == [
        ["no"],
        ["more"],
    ]
