"""The demo on the screen: a live table on a terminal, one line per event elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live

if TYPE_CHECKING:
    from fondaco.devnet.live_table import LiveBook
    from fondaco.devnet.order_events import OrderEvents
    from fondaco.ready import ReadyInfo


def heading(ready: ReadyInfo, chain: Mapping[str, object]) -> list[str]:
    """Return the lines that tell where to connect.

    Args:
        chain: as ``Devnet.describe`` returns it.
    """
    return [
        f"JSON-RPC  {ready.rpc} (WebSocket)  {ready.http} (POST)",
        f"chain     {chain['ethereum']} (chain ID {chain['chainId']})",
        f"mnemonic  {chain['mnemonic']}",
        "stop with Ctrl-C",
    ]


async def show_book(
    batches: AsyncIterator[OrderEvents],
    book: LiveBook,
    lines: Sequence[str],
    console: Console,
    *,
    happened: Sequence[str] = (),
) -> None:
    """Show *book* as *batches* change it, until they end.

    Args:
        happened: lines below the heading of the table; looked at for each frame.
    """
    if not console.is_terminal:
        for line in lines:
            console.print(line, soft_wrap=True, highlight=False)
        async for batch in batches:
            for row in book.apply(batch.events, is_news=batch.is_news):
                console.print(book.describe(row), soft_wrap=True, highlight=False)
        return
    with Live(console=console, auto_refresh=False, screen=False) as live:
        live.update(book.render([*lines, *happened], console.height), refresh=True)
        async for batch in batches:
            book.apply(batch.events, is_news=batch.is_news)
            live.update(book.render([*lines, *happened], console.height), refresh=True)
