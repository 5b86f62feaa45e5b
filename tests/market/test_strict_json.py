"""JSON that has one meaning, and bounds."""

from __future__ import annotations

import contextlib
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.market.strict_json import UnreadableJson, decode_json
from fondaco.market.word_limits import MAX_DEPTH

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@given(VALUES)
def test_what_json_says_is_what_is_read(value: Any) -> None:
    text = json.dumps(value)
    with contextlib.suppress(UnreadableJson):  # nested too deep
        assert decode_json(text, limit=10**6) == value
        assert decode_json(text.encode(), limit=10**6) == value


@given(st.text(alphabet='{}[]",:1e.-\\u0"d8 \ud800tn', max_size=40) | st.binary(max_size=40))
def test_whatever_is_sent_is_a_value_or_an_error(text: str | bytes) -> None:
    with contextlib.suppress(UnreadableJson):
        decode_json(text, limit=1_000)


def test_a_number_with_a_point_is_exact() -> None:
    assert decode_json("0.10000000000000000001", limit=99) == Decimal("0.10000000000000000001")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "{",
        "NaN",
        "[Infinity]",
        "[1,]",
        "{'a': 1}",
        '"\\ud800"',
        '"\ud800"',
        b"\xff",
        b"\xef\xbb\xbf{}",
        "1e99999999999999999999",
        "1" * 5_000,
        '{"a": {"b": 1, "b": 1}}',
        '{"a": 1, "\\u0061": 2}',
        nested(MAX_DEPTH + 2),
        nested(100_000),
        '{"a":' * 100_000,
    ],
    ids=lambda text: repr(text[:24]),
)
def test_what_is_refused(text: str | bytes) -> None:
    with pytest.raises(UnreadableJson):
        decode_json(text, limit=10**6)


def test_depth_and_length_are_bounded_to_the_letter() -> None:
    assert decode_json(nested(MAX_DEPTH + 1), limit=99) is not None
    with pytest.raises(UnreadableJson, match=f"{MAX_DEPTH} objects"):
        decode_json(nested(MAX_DEPTH + 2), limit=99)
    assert decode_json('"\u00fc"', limit=4) == "\u00fc"
    for text in ('"\u00fc"', '"\u00fc"'.encode()):
        with pytest.raises(UnreadableJson, match="at most 3 bytes"):
            decode_json(text, limit=3)
