"""What the demo shows of order events."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from fondaco.devnet.live_table import ROWS_KEPT, LiveBook, token_names
from fondaco.zeroex import asset_data
from fondaco.zeroex.order import Address

SILK, VOYAGES = Address(b"\x01" * 20), Address(b"\x02" * 20)
WARES = Address(b"\x03" * 20)
NAMES = {bytes(SILK): "SLK", bytes(VOYAGES): "VOY", bytes(WARES): "WARES"}

ONE = 10**18


def event(
    number: int,
    state: str = "ADDED",
    *,
    gives: tuple[asset_data.MemberAsset, int] = (asset_data.Erc20(SILK), 3 * ONE),
    wants: tuple[asset_data.MemberAsset, int] = (asset_data.Erc721(VOYAGES, 7), 1),
    left: int = 1,
    **more: Any,
) -> dict[str, Any]:
    order = {
        "makerAssetData": "0x" + asset_data.encode(gives[0]).hex(),
        "makerAssetAmount": str(gives[1]),
        "takerAssetData": "0x" + asset_data.encode(wants[0]).hex(),
        "takerAssetAmount": str(wants[1]),
        **more,
    }
    return {
        "orderHash": f"0x{number:064x}",
        "signedOrder": order,
        "endState": state,
        "fillableTakerAssetAmount": str(left),
    }


def shown(book: LiveBook, height: int = 40) -> str:
    console = Console(file=io.StringIO(), width=140, force_terminal=False)
    console.print(book.render(["JSON-RPC at ws://127.0.0.1:1"], height))
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_tokens_have_the_names_of_the_local_chain() -> None:
    assert token_names({"erc20 SLK": b"s", "weth9": b"w", "exchange": b"x"}) == {
        b"s": "SLK",
        b"w": "WETH",
    }


def test_an_order_is_a_row() -> None:
    book = LiveBook(NAMES)
    (row,) = book.apply([event(1, chainId=1337)])
    assert (row.version, row.gives, row.wants, row.left) == ("v3", "3 SLK", "VOY #7", "100%")
    text = shown(book)
    for word in ("JSON-RPC at ws://127.0.0.1:1", "3 SLK", "VOY #7", "1 live orders", "ADDED 1"):
        assert word in text


def test_later_events_change_the_row() -> None:
    book = LiveBook(NAMES)
    order: dict[str, Any] = {"wants": (asset_data.Erc20(SILK), 4 * ONE)}
    book.apply([event(1, left=4 * ONE, **order), event(2)])
    (row,) = book.apply([event(1, "FILLED", left=ONE, **order)])
    assert (row.left, row.version) == ("25%", "v2")
    assert list(book.rows) == [event(2)["orderHash"], event(1)["orderHash"]]
    book.apply([event(1, "CANCELLED", left=0)])
    assert "1 live orders" in shown(book)
    assert book.counts == {"ADDED": 2, "FILLED": 1, "CANCELLED": 1}
    assert book.describe(row).startswith("FILLED ")


def test_every_kind_of_asset_has_a_description() -> None:
    book = LiveBook(NAMES)
    basket = asset_data.basket(
        (2 * ONE, asset_data.Erc20(SILK)), (1, asset_data.Erc721(VOYAGES, 9))
    )
    bridge = asset_data.Erc20Bridge(SILK, VOYAGES, b"")
    condition = asset_data.StaticCall(SILK, b"", bytes(32))
    wares = asset_data.Erc1155(WARES, (2**255 + 2**128, 123456), (1, 1), b"")
    (first, second) = book.apply(
        [event(1, gives=(basket, 2), wants=(bridge, ONE)), event(2, gives=(wares, 5),
         wants=(condition, 1))]
    )  # fmt: skip
    assert (first.gives, first.wants) == ("4 SLK + VOY #9", "1 SLK (bridge)")
    assert (second.gives, second.wants) == ("5 x WARES #1,#..23456", "a condition")


def test_what_cannot_be_read_is_a_question_mark() -> None:
    broken = event(1)
    broken["signedOrder"]["makerAssetData"] = "0x"
    broken["signedOrder"]["takerAssetData"] = "zz"
    (row,) = LiveBook({}).apply([broken])
    assert (row.gives, row.wants) == ("?", "?")


def test_stored_orders_are_no_news() -> None:
    book = LiveBook(NAMES)
    book.apply([event(1)], is_news=False)
    assert book.counts == {}
    assert len(book.rows) == 1


def test_the_table_fits_and_does_not_grow_without_end() -> None:
    book = LiveBook(NAMES)
    book.apply([event(number) for number in range(ROWS_KEPT + 50)])
    assert len(book.rows) == ROWS_KEPT
    assert shown(book, height=20).count("\n") <= 20
    assert "..." not in shown(book, height=1)
