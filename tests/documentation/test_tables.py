"""Tables in Markdown, and constants with what stands beside them."""

from __future__ import annotations

import enum

import msgspec

from fondaco.documentation.tables import (
    Constant,
    constants,
    first_sentence,
    one_line,
    table,
)
from fondaco.store import limits


class Sizes(msgspec.Struct, kw_only=True):
    """Fields with defaults."""

    plain: int = 1
    told: int = 2
    """Bytes. The reason
    has two lines."""


class Colour(enum.Enum):
    RED = "r"
    """Stop."""
    GREEN = "g"


def test_a_table() -> None:
    assert table(("a", "b"), [("1", "x|y")]) == "| a | b |\n| --- | --- |\n| 1 | x\\|y |"


def test_fields_of_a_struct_with_their_defaults() -> None:
    assert constants(Sizes) == [
        Constant(name="told", value=2, text="Bytes. The reason has two lines.")
    ]


def test_members_of_an_enum() -> None:
    assert constants(Colour) == [Constant(name="RED", value=Colour.RED, text="Stop.")]


def test_constants_of_a_module() -> None:
    found = {constant.name: constant.value for constant in constants(limits)}
    assert found["READ_THREADS"] == limits.READ_THREADS
    # A value that is computed is shown as it is.
    assert found["WAL_BYTES_KEPT"] == limits.WAL_PAGES_MAX * limits.PAGE_BYTES
    assert len(found) == len([name for name in vars(limits) if name.isupper()])


def test_sentences() -> None:
    assert first_sentence("One\nline. Two.\n\nMore.") == "One line."
    assert first_sentence("No stop") == "No stop"
    assert first_sentence(None) == ""
    assert one_line("a\n  b ") == "a b"
