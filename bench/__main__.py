"""``make bench``: run every benchmark, print a table, write JSON.

python -m bench                 all of them, about six minutes
python -m bench orders store    some of them
python -m bench --json          one JSON object on standard output, no table
python -m bench --page          the last figures into docs/benchmarks.md; measures nothing
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import json
import os
import platform
import sys
import time

from rich import box
from rich.console import Console
from rich.table import Table

from bench import page
from bench.figures import HEADINGS, Figure, row

NAMES = (
    *("orders", "fillable", "chain", "store"),
    *("add_orders", "get_orders", "revalidate", "fanout"),
    *("router", "reconcile", "gossip", "sync"),
)
"""One module of this folder each, in the sequence of ``docs/benchmarks.md``."""

MIN_WIDTH = 120
"""Columns of the table where the terminal is narrower, or there is none."""

NAME_WIDTH = 36
"""Columns for what was measured; the others are narrow enough."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], metavar="NAME")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument(
        "--page", action="store_true", help="put the last figures of all into docs/benchmarks.md"
    )
    arguments = parser.parse_args()
    if arguments.page:
        page.write()
        return
    console = Console(stderr=arguments.json, width=max(Console().width, MIN_WIDTH))
    started = time.perf_counter()
    load = os.getloadavg()[0]
    figures: dict[str, list[Figure]] = {}
    for name in arguments.names or NAMES:
        console.print(f"measuring {name} …", style="dim")
        figures[name] = importlib.import_module(f"bench.{name}").measure()
    document = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": (
            f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
        ),
        "load": round(load, 1),
        "seconds": round(time.perf_counter() - started),
        "figures": {name: [f.as_json() for f in found] for name, found in figures.items()},
    }
    page.keep(document, is_complete=not arguments.names)
    if arguments.json:
        json.dump(document, sys.stdout, indent=1)
        return
    console.print(_table(figures, f"Fondaco on {document['machine']}"))


def _table(figures: dict[str, list[Figure]], title: str) -> Table:
    table = Table(title=title, box=box.HORIZONTALS, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(HEADINGS[0], width=NAME_WIDTH)
    for heading in HEADINGS[1:]:
        table.add_column(heading, no_wrap=heading in ("ratio", ""))
    for found in figures.values():
        for figure in found:
            table.add_row(*row(figure.as_json()))
        table.add_section()
    return table


if __name__ == "__main__":
    main()
