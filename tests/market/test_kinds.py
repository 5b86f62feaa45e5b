"""Kinds of values: both shapes of a client's habits, one of a peer's, and no way around."""

from __future__ import annotations

import enum
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.identity import names
from fondaco.market.fields import Kind, Misread
from fondaco.market.kinds import (
    ANY_GUID,
    ANYTHING,
    GUID,
    OBJECT,
    PRICE,
    PUBLIC_KEY,
    SWITCH,
    TEXT_SWITCH,
    TRUTH,
    WEB_ADDRESS,
    forgiven,
    line,
    numbered,
    octets,
    pattern,
    short_name,
    spell_price,
    text,
    whole,
)
from fondaco.market.money import COIN, MAX_MONEY, Satoshi
from support.contracts import SELLER

KEY = SELLER.public_key
HEX = SELLER.guid.hex()


class Side(enum.Enum):
    """Two of them."""

    LEFT = 1
    RIGHT = 2


READ: list[tuple[Kind[Any], object, object]] = [
    (text(5), "a\n\tb", "a\n\tb"),
    (text(5), " a ", " a "),
    (line(5), " abcde"[1:], "abcde"),
    (line(5), " ab ", "ab"),
    (line(5), "\u00fc\u4e2d", "\u00fc\u4e2d"),
    (pattern("[a-z]{2}|", "two"), " ab ", "ab"),
    (short_name(5), "abcdefgh", "abcde"),
    (short_name(5), "a\x00b\n", "ab"),
    (short_name(5), 7, ""),
    (forgiven(line(3)), "abcd", ""),
    (forgiven(line(3)), "abc", "abc"),
    (forgiven(line(3), "-"), ["abc"], "-"),
    (WEB_ADDRESS, "https://example.org/a.png", "https://example.org/a.png"),
    (WEB_ADDRESS, " example.org ", "http://example.org"),
    (whole(100), 7, 7),
    (whole(100), "7", 7),
    (whole(100), " 07 ", 7),
    (numbered(Side), 1, Side.LEFT),
    (numbered(Side), "2", Side.RIGHT),
    (TRUTH, True, True),
    (SWITCH, "True", True),
    (SWITCH, "False", False),
    (TEXT_SWITCH, 1, True),
    (PRICE, Decimal("0.5"), 50_000_000),
    (PRICE, "0.50", 50_000_000),
    (PRICE, 1, COIN),
    (GUID, HEX, SELLER.guid),
    (ANY_GUID, f" {HEX.upper()} ", SELLER.guid),
    (ANY_GUID, names.sin(SELLER.guid), SELLER.guid),
    (octets(2), "00ff", b"\x00\xff"),
    (PUBLIC_KEY, names.uncompressed(KEY).hex(), KEY),
    (OBJECT, {"a": 1}, {"a": 1}),
    (ANYTHING, [None], [None]),
]


@pytest.mark.parametrize(("kind", "given_value", "meant"), READ)
def test_read(kind: Kind[Any], given_value: object, meant: object) -> None:
    assert kind.read(given_value) == meant


REFUSED: list[tuple[Kind[Any], list[object]]] = [
    (text(5), ["abcdef", "a\x00", "\x1b", "\x85", 7, None, [], {}]),
    (text(5, least=1), [""]),
    (line(5), ["abcdef", "a\nb", "a\u2028b", "a\tb", 7]),
    (line(5, least=1), ["", "   "]),
    (pattern("[a-z]{2}|", "two"), ["abc", "A1", 7, None, []]),
    (
        WEB_ADDRESS,
        [
            "javascript:alert(1)",
            "javascript://example.org/%0aalert(1)",
            "data:text/html,x",
            "http://127.0.0.1/",
            "http://localhost/",
            "ftp://example.org/",
            "http://example.org/" + "a" * 3_000,
            7,
        ],
    ),
    (
        whole(100, least=1),
        [0, 101, -1, "0", "1.0", "1e2", "\u00b2", "", True, Decimal(1), "9" * 99],
    ),
    (numbered(Side), [0, 3, "x", True, None, [], 1.0]),
    (TRUTH, [1, 0, "true", None]),
    (PRICE, [-1, True, "NaN", "1e99", 10**40, Decimal("0.000000001"), [], 21_000_001]),
    (GUID, [HEX.upper(), HEX[:-1], f" {HEX}", names.sin(SELLER.guid), 7, ""]),
    (ANY_GUID, [HEX[:-1], HEX + "0", "Tf", 7, [], "1" * 5_000]),
    (octets(2), ["00FF", "00f", "00ff00", " 00ff", 7]),
    (PUBLIC_KEY, ["unknown", KEY.hex(), "04" + "00" * 64, "", 7]),
    (OBJECT, [[], "", None]),
]


@pytest.mark.parametrize(
    ("kind", "value"), [(kind, value) for kind, values in REFUSED for value in values]
)
def test_refused(kind: Kind[Any], value: object) -> None:
    with pytest.raises(Misread) as caught:
        kind.read(value)
    assert caught.value.path == ""
    assert caught.value.expected == kind.expected


ALL = [*(kind for kind, *_ in READ), *(kind for kind, _ in REFUSED)]


@given(st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text(), max_size=2))
def test_whatever_is_sent_is_read_or_refused(value: object) -> None:
    for kind in ALL:
        try:
            meant = kind.read(value)
        except Misread:
            continue
        assert kind.read(kind.spell(meant)) == meant


@pytest.mark.parametrize(
    ("kind", "value", "spelled"),
    [
        (SWITCH, True, True),
        (SWITCH, False, ""),
        (TEXT_SWITCH, True, "True"),
        (TEXT_SWITCH, False, ""),
        (numbered(Side), Side.RIGHT, 2),
        (GUID, SELLER.guid, HEX),
        (PRICE, Satoshi(50_000_000), Decimal("0.5")),
        (PRICE, Satoshi(0), 0),
        (PUBLIC_KEY, KEY, names.uncompressed(KEY).hex()),
    ],
)
def test_spelled(kind: Kind[Any], value: object, spelled: object) -> None:
    assert kind.spell(value) == spelled
    assert type(kind.spell(value)) is type(spelled)


@given(st.integers(0, MAX_MONEY).map(Satoshi))
def test_every_price_survives(amount: Satoshi) -> None:
    assert PRICE.read(spell_price(amount)) == amount
