"""The demo's screen."""

from __future__ import annotations

import io
import re
from collections.abc import AsyncIterator
from typing import Any

from rich.console import Console

from fondaco.cli.showing import heading, show_book
from fondaco.devnet.live_table import LiveBook
from fondaco.devnet.order_events import OrderEvents
from fondaco.ready import ReadyInfo

LINES = heading(
    ReadyInfo(rpc="ws://127.0.0.1:1", http="http://127.0.0.1:1", peer_id="16Uiu2HA", pid=7),
    {"ethereum": "http://127.0.0.1:2", "chainId": 1337, "mnemonic": "one two three"},
)


def event(number: int, state: str) -> dict[str, Any]:
    order = {
        "makerAssetData": "0x",
        "makerAssetAmount": "1",
        "takerAssetData": "0x",
        "takerAssetAmount": "4",
    }
    return {
        "orderHash": f"0x{number:064x}",
        "signedOrder": order,
        "endState": state,
        "fillableTakerAssetAmount": "1",
    }


async def batches() -> AsyncIterator[OrderEvents]:
    yield OrderEvents(events=[event(1, "ADDED")], is_news=False)
    yield OrderEvents(events=[event(1, "FILLED"), event(2, "ADDED")], is_news=True)


async def shown(*, is_terminal: bool) -> str:
    file = io.StringIO()
    console = Console(file=file, force_terminal=is_terminal, width=100, height=30)
    await show_book(batches(), LiveBook({}), LINES, console)
    return file.getvalue()


async def test_the_table_is_drawn_in_place() -> None:
    text = await shown(is_terminal=True)
    assert "\x1b[2K" in text  # erase a line: the frame before
    last_frame = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text.rpartition("\x1b[2K")[2])
    for word in ("ws://127.0.0.1:1", "chain ID 1337", "one two three", "FILLED", "2 live orders"):
        assert word in last_frame


async def test_without_a_terminal_an_event_is_a_line() -> None:
    text = await shown(is_terminal=False)
    assert "\x1b" not in text
    lines = text.splitlines()
    assert lines[: len(LINES)] == LINES
    assert [line.split()[0] for line in lines[len(LINES) :]] == ["ADDED", "FILLED", "ADDED"]
    assert lines[-2].endswith("25% left")
