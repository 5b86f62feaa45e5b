"""One text per value, and nothing but that text is read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.market import canonical
from fondaco.market.errors import ContractTooLarge, MalformedListing, MarketRefusal

SAFE = 2**53 - 1
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-SAFE, SAFE) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=20,
)


def decode(text: bytes, limit: int = 100_000) -> dict[str, Any]:
    return canonical.decode(text, limit=limit, refuse=MalformedListing, field="listing")


def test_the_sample_of_the_specification() -> None:
    # RFC 8785, section 3.2.2 and 3.2.3, but for the numbers that 64 bits of mantissa need.
    value = {
        "numbers": [333333333.3333333, 4.5, 2e-3, 1e-27],
        "string": '\u20ac$\u000f\nA\'B"\\\\"/',
        "literals": [None, True, False],
    }
    assert canonical.encode(value) == (
        b'{"literals":[null,true,false],"numbers":[333333333.3333333,4.5,0.002,1e-27],'
        b'"string":"\xe2\x82\xac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )


def test_names_are_sorted_as_utf16() -> None:
    names = ["\ufb33", "\U0001f600", "\u20ac", "\u00f6", "1", "\r", "\u0080"]
    text = canonical.encode(dict.fromkeys(names)).decode()
    order = sorted(names, key=lambda name: name.encode("utf-16-be"))
    assert list(decode(text.encode())) == order


@given(st.dictionaries(st.text(max_size=6), VALUES, max_size=5))
def test_round_trip(value: dict[str, Any]) -> None:
    assert decode(canonical.encode(value)) == value


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="cut"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"null", id="null"),
        pytest.param(b"{} ", id="blank after"),
        pytest.param(b'{"a": 1}', id="blank inside"),
        pytest.param(b'{"b":1,"a":1}', id="other order"),
        pytest.param(b'{"a":1,"a":1}', id="a name twice"),
        pytest.param(b'{"a":1.0}', id="a whole number with a point"),
        pytest.param(b'{"a":-0}', id="minus zero"),
        pytest.param(b'{"a":9007199254740993}', id="more than 53 bits"),
        pytest.param(b'{"a":' + b"9" * 5_000 + b"}", id="5,000 digits"),
        pytest.param(b'{"a":1e400}', id="infinite"),
        pytest.param(b'{"a":"\\u0041"}', id="an escape that is not needed"),
        pytest.param(b'{"a":"\\ud800"}', id="half a character"),
        pytest.param(b'{"a":"\xff"}', id="not UTF-8"),
        pytest.param(b'\xef\xbb\xbf{"a":1}', id="byte order mark"),
        pytest.param(b'{"a":' * 20_000 + b"1" + b"}" * 20_000, id="20,000 levels"),
        pytest.param(b"[" * 100_000, id="100,000 levels"),
    ],
)
def test_other_spellings_are_refused(text: bytes) -> None:
    with pytest.raises(MalformedListing) as caught:
        decode(text, 300_000)
    assert caught.value.field == "listing"


def test_a_long_text_is_not_looked_at() -> None:
    with pytest.raises(ContractTooLarge, match="at most 10 bytes, not 11"):
        decode(b"[" * 11, limit=10)


@given(st.binary(max_size=60) | st.text(max_size=30).map(str.encode))
def test_any_bytes_are_canonical_or_refused(text: bytes) -> None:
    try:
        value = decode(text)
    except MarketRefusal:
        return
    assert canonical.encode(value) == text
