"""The query language at the rim: one spelling, and every bad value named."""

from __future__ import annotations

import base64
import itertools
import random
from fractions import Fraction

import pytest

from fondaco.errors import InvalidParameter
from fondaco.testing.orders import make_order
from fondaco.zeroex.order import Address, Amount, OrderHash, ProtocolVersion
from fondaco.zeroex.query import (
    OrderFilter,
    Position,
    Query,
    Sort,
    decode_cursor,
    encode_cursor,
    parse_filter,
    parse_query,
    price_key,
)

ADDRESS = "0x" + "aB" * 20
HASH = "0x" + "cd" * 32


def test_nothing_named_is_everything_by_hash() -> None:
    assert parse_query({}) == Query(
        filter=OrderFilter(), sort=Sort.HASH, is_descending=False, limit=100, after=None
    )


def test_everything_named() -> None:
    options = {
        "filter": {
            "makerAddress": ADDRESS,
            "takerAddress": ADDRESS.lower(),
            "senderAddress": ADDRESS,
            "feeRecipientAddress": ADDRESS,
            "exchangeAddress": ADDRESS,
            "makerAssetData": "0x1234",
            "takerAssetData": "0x",
            "protocolVersion": 3,
            "orderHashes": [HASH],
            "minExpirationTimeSeconds": "0",
            "maxExpirationTimeSeconds": str(2**256 - 1),
        },
        "sort": "-price",
        "limit": 1000,
        "after": None,
    }
    address = Address(bytes.fromhex(ADDRESS[2:]))
    assert parse_query(options) == Query(
        filter=OrderFilter(
            maker_address=address,
            taker_address=address,
            sender_address=address,
            fee_recipient_address=address,
            exchange_address=address,
            maker_asset_data=b"\x12\x34",
            taker_asset_data=b"",
            protocol_version=ProtocolVersion.V3,
            order_hashes=frozenset({OrderHash(b"\xcd" * 32)}),
            min_expiration=0,
            max_expiration=2**256 - 1,
        ),
        sort=Sort.PRICE,
        is_descending=True,
        limit=1000,
    )


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ([], "options"),
        ("hash", "options"),
        (None, "options"),
        ({"Filter": {}}, "Filter"),
        ({"filter": []}, "filter"),
        ({"filter": None}, "filter"),
        ({"filter": {"maker": ADDRESS}}, "filter.maker"),
        ({"filter": {"makerAddress": ADDRESS[2:]}}, "filter.makerAddress"),
        ({"filter": {"makerAddress": ADDRESS + "00"}}, "filter.makerAddress"),
        ({"filter": {"makerAddress": ADDRESS + "\n"}}, "filter.makerAddress"),
        ({"filter": {"makerAddress": None}}, "filter.makerAddress"),
        ({"filter": {"takerAddress": 1}}, "filter.takerAddress"),
        ({"filter": {"senderAddress": "0X" + ADDRESS[2:]}}, "filter.senderAddress"),
        ({"filter": {"feeRecipientAddress": ["0x"]}}, "filter.feeRecipientAddress"),
        ({"filter": {"exchangeAddress": "0x" + "g" * 40}}, "filter.exchangeAddress"),
        ({"filter": {"makerAssetData": "0x1"}}, "filter.makerAssetData"),
        ({"filter": {"makerAssetData": ""}}, "filter.makerAssetData"),
        ({"filter": {"takerAssetData": "0x12 34"}}, "filter.takerAssetData"),
        ({"filter": {"protocolVersion": 4}}, "filter.protocolVersion"),
        ({"filter": {"protocolVersion": "3"}}, "filter.protocolVersion"),
        ({"filter": {"protocolVersion": 3.0}}, "filter.protocolVersion"),
        ({"filter": {"protocolVersion": True}}, "filter.protocolVersion"),
        ({"filter": {"orderHashes": HASH}}, "filter.orderHashes"),
        ({"filter": {"orderHashes": [HASH] * 1001}}, "filter.orderHashes"),
        ({"filter": {"orderHashes": [HASH, HASH[:-2]]}}, "filter.orderHashes[1]"),
        ({"filter": {"minExpirationTimeSeconds": 1}}, "filter.minExpirationTimeSeconds"),
        ({"filter": {"minExpirationTimeSeconds": "01"}}, "filter.minExpirationTimeSeconds"),
        ({"filter": {"minExpirationTimeSeconds": "²"}}, "filter.minExpirationTimeSeconds"),
        ({"filter": {"maxExpirationTimeSeconds": "-1"}}, "filter.maxExpirationTimeSeconds"),
        ({"filter": {"maxExpirationTimeSeconds": "1" * 79}}, "filter.maxExpirationTimeSeconds"),
        ({"sort": "Price"}, "sort"),
        ({"sort": "--price"}, "sort"),
        ({"sort": "+price"}, "sort"),
        ({"sort": None}, "sort"),
        ({"sort": ["price"]}, "sort"),
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"limit": "10"}, "limit"),
        ({"limit": 10.0}, "limit"),
        ({"limit": True}, "limit"),
        ({"after": 5}, "after"),
        ({"after": ""}, "after"),
        ({"after": "ä" * 44}, "after"),
    ],
)
def test_a_bad_value_is_named(options: object, field: str) -> None:
    with pytest.raises(InvalidParameter) as refusal:
        parse_query(options)
    assert refusal.value.field == field
    assert refusal.value.expected


def test_a_long_unknown_name_is_cut() -> None:
    with pytest.raises(InvalidParameter) as refusal:
        parse_filter({"x" * 100_000: 1})
    assert len(str(refusal.value)) < 500


# ---------------------------------------------------------------- cursors

POSITIONS = [
    (Sort.HASH, Position(b"", OrderHash(b"\xff" * 32))),
    (Sort.EXPIRATION, Position(b"\x7f" + b"\xff" * 7, OrderHash(bytes(32)))),
    (Sort.PRICE, Position(b"\xfe" * 64, OrderHash(b"\x3f" * 32))),
]


@pytest.mark.parametrize(("sort", "position"), POSITIONS)
@pytest.mark.parametrize("is_descending", [False, True])
def test_a_cursor_is_what_it_was(sort: Sort, position: Position, is_descending: bool) -> None:
    text = encode_cursor(position, sort, is_descending)
    assert decode_cursor(text, sort, is_descending) == position
    assert all(c.isalnum() or c in "-_" for c in text)
    options = {"sort": ("-" if is_descending else "") + sort.value, "after": text}
    assert parse_query(options).after == position


@pytest.mark.parametrize(("sort", "position"), POSITIONS)
def test_a_cursor_serves_its_own_sort_only(sort: Sort, position: Position) -> None:
    text = encode_cursor(position, sort, False)
    for other in Sort:
        for is_descending in (False, True):
            if (other, is_descending) != (sort, False):
                with pytest.raises(InvalidParameter, match="after"):
                    decode_cursor(text, other, is_descending)


@pytest.mark.parametrize(("sort", "position"), POSITIONS)
def test_a_spoiled_cursor_is_refused(sort: Sort, position: Position) -> None:
    text = encode_cursor(position, sort, False)
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    spoiled = [
        *(text[:-1], text + "A", text[1:], text + "=", " " + text[1:], text[:-1] + "+"),
        base64.urlsafe_b64encode(b"x" + raw[1:]).rstrip(b"=").decode(),
        # The same bytes with a bit set that nobody reads, where there is one.
        *([] if len(raw) % 3 == 0 else [text[:-1] + chr(ord(text[-1]) + 1)]),
    ]
    for bad in spoiled:
        with pytest.raises(InvalidParameter, match="after"):
            decode_cursor(bad, sort, False)


def test_no_text_breaks_the_decoder() -> None:
    chance = random.Random(7)
    alphabet = "ABCabc012-_+/= \n\0é"
    for _ in range(3_000):
        text = "".join(chance.choices(alphabet, k=chance.choice((0, 1, 43, 44, 55, 130))))
        with pytest.raises(InvalidParameter, match="after"):
            decode_cursor(text, chance.choice(list(Sort)), chance.random() < 0.5)


# ---------------------------------------------------------------- prices


def test_prices_sort_as_fractions_do() -> None:
    chance = random.Random(3)
    amounts = [1, 2, 3, 2**255, 2**256 - 1] + [chance.getrandbits(100) + 1 for _ in range(30)]
    orders = [
        make_order(
            maker_asset_amount=Amount(maker), taker_asset_amount=Amount(taker), signature=b""
        )
        for maker in amounts
        for taker in [0, *amounts]
    ]
    by_key = sorted(orders, key=price_key)
    prices = [Fraction(o.taker_asset_amount, o.maker_asset_amount) for o in by_key]
    for below, above in itertools.pairwise(prices):
        assert below <= above or below - above < Fraction(1, 2**256)
    assert {len(price_key(order)) for order in orders} == {64}


def test_the_price_of_nothing_is_the_highest() -> None:
    nothing = make_order(maker_asset_amount=Amount(0), signature=b"")
    dear = make_order(
        maker_asset_amount=Amount(1), taker_asset_amount=Amount(2**256 - 1), signature=b""
    )
    assert price_key(nothing) > price_key(dear)
