"""``fondaco lab``: many nodes on this machine, and how orders reach them all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fondaco.cli.lifetime import run_until_signal
from fondaco.errors import ConfigurationError
from fondaco.spellings import read_duration

if TYPE_CHECKING:
    from fondaco.lab.figures import Report

SECONDS_BETWEEN_LINES = 2.0
"""Of progress where standard error is no terminal."""

COLUMNS = {
    "node": "node",
    "peers": "peers",
    "posted": "posted",
    "held": "held",
    "gossip": "by_gossip",
    "sync": "by_sync",
    "p50 ms": "p50_ms",
    "p99 ms": "p99_ms",
    "bytes in": "bytes_in",
    "CPU ms": "cpu_ms_per_order",
    "MB": "memory_mb",
}
"""Of the table of nodes: headings, and the figures of a node below them."""

Nodes = Annotated[int, typer.Argument(metavar="N", help="How many nodes to start.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Orders = Annotated[int, typer.Option(help="Orders to post.")]
Rate = Annotated[
    float | None, typer.Option(help="Orders a second, over all nodes; unset, all at once.")
]
Latency = Annotated[
    str, typer.Option(metavar="DURATION", help="Of every link, one way, such as 50ms.")
]
Loss = Annotated[
    float, typer.Option(help="Share of TCP segments lost on every link, such as 0.02.")
]
Degree = Annotated[
    int | None, typer.Option(help="Neighbours of a node at most; unset, 6.", show_default=False)
]
Partition = Annotated[
    str, typer.Option(metavar="DURATION", help="Part the nodes in two halves so long, say 60s.")
]
Gossip = Annotated[
    bool, typer.Option(" /--no-gossip", help="Spread by order sync alone.", show_default=False)
]
OrderSync = Annotated[
    bool, typer.Option(" /--no-order-sync", help="Spread by gossip alone.", show_default=False)
]
Seed = Annotated[int, typer.Option(help="Of links, orders, and who is posted what and when.")]
Folder = Annotated[
    Path | None,
    typer.Option(help="Keep the nodes' logs and data in this new folder.", show_default=False),
]


def add_commands(app: typer.Typer) -> None:
    """Hang the command of this module into *app*."""
    app.command()(lab)


def lab(
    nodes: Nodes,
    as_json: Json = False,
    orders: Orders = 1_000,
    rate: Rate = None,
    latency: Latency = "0",
    loss: Loss = 0.0,
    degree: Degree = None,
    partition: Partition = "0",
    gossip: Gossip = True,
    order_sync: OrderSync = True,
    seed: Seed = 1,
    folder: Folder = None,
) -> None:
    """Start N nodes on one local chain, post orders, and measure how they spread."""

    async def work() -> None:
        from fondaco.clock import SystemClock
        from fondaco.lab.experiment import Experiment, perform

        experiment = Experiment(
            nodes=nodes,
            orders=orders,
            rate=rate,
            degree=degree,
            latency=seconds_of("--latency", latency),
            loss=loss,
            partition=seconds_of("--partition", partition),
            has_gossip=gossip,
            has_order_sync=order_sync,
            seed=seed,
        )
        _check_folder(folder)
        clock = SystemClock()
        with ProgressLine(clock.monotonic) as progress:
            report = await perform(experiment, clock=clock, progress=progress.show, folder=folder)
        print_report(report, as_json)

    raise typer.Exit(run_until_signal(work))


class ProgressLine:
    """How far it is, on standard error: one line that changes, or a line now and then."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._status = self._console.status("") if self._console.is_terminal else None
        self._monotonic = monotonic
        self._last = ""
        self._not_before = 0.0

    def __enter__(self) -> ProgressLine:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(self, *reason: object) -> None:
        if self._status is not None:
            self._status.stop()

    def show(self, line: str) -> None:
        """Show *line* unless another was shown a moment ago."""
        if self._status is not None:
            self._status.update(line)
        elif line != self._last and self._monotonic() >= self._not_before:
            self._console.print(line)
            self._last = line
            self._not_before = self._monotonic() + SECONDS_BETWEEN_LINES


def seconds_of(flag: str, text: str) -> float:
    """Return the seconds that *text* spells.

    Raises:
        ConfigurationError: it spells none.
    """
    try:
        return read_duration(text)
    except ValueError:
        raise ConfigurationError(
            flag, f"{text!r} is not a duration", "write it like 50ms or 1m30s"
        ) from None


def _check_folder(folder: Path | None) -> None:
    if folder is not None and folder.exists() and any(folder.iterdir()):
        raise ConfigurationError("--folder", f"{folder} is not empty", "name a new one")


def print_report(report: Report, as_json: bool) -> None:
    """Print *report* on standard output: one line of JSON, or two tables."""
    import msgspec
    from rich.console import Console
    from rich.table import Table

    if as_json:
        print(msgspec.json.encode(report).decode(), flush=True)
        return
    console = Console(highlight=False)
    totals = Table(show_header=False, box=None)
    for name, value in msgspec.structs.asdict(report).items():
        if name != "per_node":
            totals.add_row(name.replace("_", " "), as_text(value))
    console.print(totals)
    rows = Table(box=None, padding=(0, 1, 0, 0))
    for title in COLUMNS:
        rows.add_column(title, justify="left" if title == "node" else "right", no_wrap=True)
    for node in report.per_node:
        rows.add_row(*(as_text(getattr(node, name)) for name in COLUMNS.values()))
    console.print(rows)


def as_text(value: object) -> str:
    """Return a figure as people read it."""
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.4g}" if abs(value) < 1_000 else f"{value:,.0f}"
        case int():
            return f"{value:,}"
    return str(value)
