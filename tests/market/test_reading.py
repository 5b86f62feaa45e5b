"""Fields are read, or named."""

from __future__ import annotations

import enum
from decimal import Decimal
from typing import Any

import pytest

from fondaco.market.errors import MalformedContract
from fondaco.market.money import Satoshi
from fondaco.market.reading import Section


class Colour(enum.Enum):
    RED = "Red"
    BLUE = "Blue"


@pytest.mark.parametrize("value", [None, [], "{}", 1])
def test_a_section_is_an_object(value: object) -> None:
    with pytest.raises(MalformedContract, match="expected an object"):
        Section(value)
    with pytest.raises(MalformedContract, match=r"^a\.b: expected an object"):
        Section({"a": {"b": value}}).section("a").section("b")


def test_what_is_not_given_has_a_default_where_there_is_one() -> None:
    section = Section({"text": None, "price": "", "inner": None})
    assert section.text("text", default="x") == "x"
    assert section.texts("missing") == []
    assert section.price("price", default=Satoshi(7)) == 7
    assert section.section("inner", default={"a": "1"}).text("a") == "1"
    assert [section.has(name) for name in ("text", "missing", "price")] == [False, False, True]
    for read in (section.text, section.price, section.section):
        with pytest.raises(MalformedContract, match="missing"):
            read("missing")


@pytest.mark.parametrize(
    ("value", "satoshi"),
    [
        (0, 0),
        (0.5, 50_000_000),
        (1e-8, 1),
        ("1e-8", 1),
        (Decimal("0.10"), 10_000_000),
        (21_000_000, 21_000_000 * 10**8),
    ],
)
def test_prices(value: object, satoshi: int) -> None:
    assert Section({"price": value}).price("price") == satoshi


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(True, id="true"),
        pytest.param(-1, id="negative"),
        pytest.param(10**40, id="long"),
        pytest.param(10**5_000, id="longer than Python prints"),
        pytest.param(float("nan"), id="nan"),
        pytest.param(float("inf"), id="inf"),
        pytest.param(Decimal("1e999999"), id="exponent bomb"),
        pytest.param("9" * 10_000, id="10,000 digits"),
        pytest.param([], id="list"),
        pytest.param({}, id="object"),
        pytest.param("", id="empty"),
    ],
)
def test_what_is_no_number(value: Any) -> None:
    section = Section({"n": value}, "Contract")
    with pytest.raises(MalformedContract, match=r"^Contract\.n: expected a number of bitcoin"):
        section.price("n")
    with pytest.raises(MalformedContract, match=r"^Contract\.n: expected a whole number from 0"):
        section.count("n", most=10**6)


def test_counts() -> None:
    section = Section({"a": 3, "b": "03", "c": 3.0, "d": "\u0663", "e": "1e3"})
    assert section.count("a", most=3) == section.count("b", most=3) == 3
    for name in "cde":
        with pytest.raises(MalformedContract):
            section.count(name, most=10_000)
    with pytest.raises(MalformedContract, match="from 0 to 2"):
        section.count("a", most=2)


def test_choices_are_listed() -> None:
    assert Section({"c": "Red"}).choice("c", Colour) is Colour.RED
    for value in ("red", None, 1, ["Red"], {"Red": 1}):
        with pytest.raises(MalformedContract, match="c: expected one of: Red, Blue"):
            Section({"c": value}).choice("c", Colour)


@pytest.mark.parametrize("value", ["a", [1], ["a", None], {"0": "a"}])
def test_what_is_no_list_of_strings(value: object) -> None:
    with pytest.raises(MalformedContract, match="a list of strings"):
        Section({"l": value}).texts("l")
