"""Bitcoin and satoshi: exact, bounded, one spelling."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.market.money import MAX_MONEY, Satoshi, read_bitcoin, spell_bitcoin


@pytest.mark.parametrize(
    ("text", "satoshi"),
    [
        ("0", 0),
        ("0.5", 50_000_000),
        (".5", 50_000_000),
        ("00.50", 50_000_000),
        ("1e-8", 1),
        ("1E-08", 1),
        ("0.00000001", 1),
        ("2.1E+7", MAX_MONEY),
        ("21000000.00000000", MAX_MONEY),
        ("0e-99", 0),
        ("0.50000000000000000000000000", 50_000_000),
    ],
)
def test_numbers_of_bitcoin(text: str, satoshi: int) -> None:
    assert read_bitcoin(text) == satoshi


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param(".", id="only a point"),
        pytest.param("5.", id="nothing after the point"),
        pytest.param("-1", id="negative"),
        pytest.param("-0", id="minus zero"),
        pytest.param("+1", id="plus"),
        pytest.param(" 1", id="blank"),
        pytest.param("1\n", id="newline"),
        pytest.param("1_0", id="underscore"),
        pytest.param("1,5", id="comma"),
        pytest.param("\u0663", id="arabic three"),
        pytest.param("NaN", id="not a number"),
        pytest.param("Infinity", id="infinite"),
        pytest.param("0x10", id="hexadecimal"),
        pytest.param("0.000000001", id="nine places"),
        pytest.param("1e-9", id="nine places, exponent"),
        pytest.param("21000000.00000001", id="over the supply"),
        pytest.param("1e99", id="much over the supply"),
        pytest.param("1e999999999", id="exponent bomb"),
        pytest.param("0." + "5" * 40, id="too many digits"),
    ],
)
def test_what_is_no_price(text: str) -> None:
    assert read_bitcoin(text) is None


@given(st.integers(0, MAX_MONEY))
def test_an_amount_has_one_spelling(amount: int) -> None:
    text = spell_bitcoin(Satoshi(amount))
    assert read_bitcoin(text) == amount
    assert Fraction(text) * 10**8 == amount
    assert "." not in text or text[-1] not in "0."


@given(st.text("0123456789.eE+-_ ", max_size=40) | st.floats().map(repr) | st.text(max_size=8))
def test_any_text_agrees_with_exact_arithmetic(text: str) -> None:
    amount = read_bitcoin(text)
    if amount is not None:
        assert Fraction(text) * 10**8 == amount
        assert 0 <= amount <= MAX_MONEY
