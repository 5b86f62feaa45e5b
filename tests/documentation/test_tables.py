"""Tables in Markdown, and constants with what stands beside them."""

from __future__ import annotations

import enum

import msgspec

from fondaco.documentation.tables import (
    Constant,
    constants,
    first_sentence,
    limits_table,
    one_line,
    sections,
    shown,
    table,
)
from fondaco.p2p import limits as p2p_limits
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


def test_constants_under_the_titles_of_their_module() -> None:
    found = sections(p2p_limits)
    assert list(found)[:2] == ["gossip: one RPC", "gossip: one peer"]
    assert found["gossip: one RPC"][0].name == "MAX_RPC_SIZE"
    assert [one for listed in found.values() for one in listed] == constants(p2p_limits)
    # Without titles everything stands under none.
    assert sections(limits) == {"": constants(limits)}


def test_values_as_people_write_them() -> None:
    values = [1_000, 0.5, 2**63 - 1, (1, 2_000), {2: 8_192, 3: 16_000}, "text"]
    assert [shown(value) for value in values] == [
        *("1,000", "0.5", "2^63 - 1", "1, 2,000", "v2: 8,192, v3: 16,000", "text")
    ]
    constant = Constant(name="MOST", value=2_000, text="Bytes.")
    assert limits_table([constant]).splitlines()[2] == "| `MOST` | 2,000 | Bytes. |"


def test_sentences() -> None:
    assert first_sentence("One\nline. Two.\n\nMore.") == "One line."
    assert first_sentence("No stop") == "No stop"
    assert first_sentence(None) == ""
    assert one_line("a\n  b ") == "a b"
