"""Folding, and one text inside another; nothing is lost on the way."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fondaco.market.errors import MalformedClearSign
from fondaco.market.pgp_layout import (
    BEGIN_MESSAGE,
    BEGIN_SIGNATURE,
    COLUMNS,
    END_SIGNATURE,
    fold,
    split_appendix,
    take_apart,
    unfold,
)

# Many blanks and dashes: what folding could lose, and what clear-signing changes.
TEXTS = st.text(st.sampled_from(' \t\n\r-"\\aF\u00e9\u2028\U0001f6b2'), max_size=300)
OBJECTS = st.dictionaries(
    TEXTS, TEXTS | st.integers(-(2**53), 2**53) | st.lists(TEXTS, max_size=3), max_size=4
)

SIGNED = f"""\
{BEGIN_MESSAGE}
Hash: SHA512

one
- - two
- {BEGIN_SIGNATURE}
three
{BEGIN_SIGNATURE}
Version: GnuPG v1

AAAA
=AAAA
{END_SIGNATURE}
"""


@given(OBJECTS)
@example({"a": " " * 300})
@example({"a": "x" * 45 + "  - " * 60})
@example({" " * 60: "\\" * 51 + " " * 60})
def test_folding_loses_nothing(value: dict[str, Any]) -> None:
    folded = fold(value)
    assert unfold(folded) == value
    for line in folded.split("\n"):
        assert len(line) <= COLUMNS
        assert line == line.rstrip()
    assert folded.isascii()


@given(OBJECTS)
def test_what_line_ends_carry_makes_no_difference(value: dict[str, Any]) -> None:
    folded = fold(value)
    for end in (" \n", "\t\n", "\r\n", " \t \r\n", "\n\n"):
        assert unfold(folded.replace("\n", end)) == value


def test_the_folding_of_the_original_is_read() -> None:
    # As Python 2 printed it, cut every 52 columns: a line can end with a blank, and be empty.
    text = (
        '{\n"item_title": "Bicycle of my grandmother, us\ned", \n"item_price": 0.5, \n\n"a": []\n}'
    )
    assert unfold(text)["item_title"] == "Bicycle of my grandmother, used"


def test_a_blank_where_the_original_cut_is_lost_whether_it_is_still_there_or_not() -> None:
    kept, stripped = '{"a": "one \ntwo"}', '{"a": "one\ntwo"}'
    assert unfold(kept) == unfold(stripped) == {"a": "onetwo"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        '{"a": 1',
        "{}{}",
        '{"a": NaN}',
        "[" * 100_000,
        '{"a":' * 9_999,
        '{"a": "\\ud800"}',
    ],
    ids=["empty", "list", "null", "cut", "two", "NaN", "deep", "deep objects", "surrogate"],
)
def test_what_is_no_object(text: str) -> None:
    with pytest.raises(MalformedClearSign, match="a JSON object"):
        unfold(text)


def test_a_signed_text_is_taken_apart() -> None:
    block = take_apart(SIGNED)
    assert block.body == f"one\n- two\n{BEGIN_SIGNATURE}\nthree"
    assert block.signature == SIGNED[SIGNED.index(f"\n{BEGIN_SIGNATURE}") + 1 :]
    assert take_apart(SIGNED.replace("\n", " \r\n")).body == block.body
    assert take_apart(SIGNED + "\n\n") == block
    assert take_apart(SIGNED.replace("Hash: SHA512\n", "")) == block
    assert take_apart(SIGNED.replace("one", "- -")).body.startswith("-\n")
    assert take_apart(SIGNED.replace("one", "- ")).body.startswith("\n- two")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "as the first line"),
        ("junk\n" + SIGNED, "as the first line"),
        ("\n" + SIGNED, "as the first line"),
        (SIGNED + "junk\n", "as the last line"),
        (SIGNED + SIGNED, "as the last line"),
        (SIGNED.replace(END_SIGNATURE, ""), "as the last line"),
        (SIGNED.replace(f"\n{BEGIN_SIGNATURE}", ""), "one -----BEGIN PGP SIGNATURE"),
        (SIGNED.replace(f"- {BEGIN_SIGNATURE}", BEGIN_SIGNATURE), "one -----BEGIN PGP SIGNATURE"),
        (SIGNED.replace("\n\none", "\none"), "before the signed text"),
        (SIGNED.replace("Hash: SHA512", "Charset: latin1"), "no header"),
        (SIGNED.replace("Hash: SHA512", "Hash: SHA512\nYou owe: 100 XBT"), "no header"),
        (SIGNED.replace("v1\n\n", "v1\n"), "before the signature"),
        (SIGNED.replace("Version: GnuPG v1", "one two"), "Version or Comment"),
        (SIGNED.replace("one", "-one"), "a dash and a blank"),
        (SIGNED.replace("one", BEGIN_MESSAGE), "a dash and a blank"),
    ],
)
def test_what_is_no_single_signed_text(text: str, expected: str) -> None:
    with pytest.raises(MalformedClearSign, match=expected):
        take_apart(text)


def test_what_was_added_to_a_signed_text() -> None:
    assert split_appendix(SIGNED + "\n{}\n") == (SIGNED, "\n{}\n")
    assert split_appendix(SIGNED.rstrip()) == (SIGNED, "")
    assert split_appendix("{}") == (None, "{}")
    with pytest.raises(MalformedClearSign, match="of the text inside"):
        split_appendix(BEGIN_MESSAGE)


def test_an_end_mark_in_a_note_ends_nothing() -> None:
    inner = SIGNED.replace("one", f"- {END_SIGNATURE}")
    assert split_appendix(inner + '{"Buyer": 1}') == (inner, '{"Buyer": 1}')


@given(st.text(st.sampled_from("-a \n\r"), max_size=40) | st.text(max_size=40))
def test_any_text_is_taken_apart_or_refused(text: str) -> None:
    for whole in (text, SIGNED.replace("one", text), SIGNED + text, text + SIGNED):
        try:
            block = take_apart(whole)
        except MalformedClearSign:
            continue
        assert block.signature.startswith(BEGIN_SIGNATURE)
        assert block.signature.endswith(f"{END_SIGNATURE}\n")
