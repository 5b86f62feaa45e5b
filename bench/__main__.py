"""``make bench``: run every benchmark, print a table, write JSON.

python -m bench                 all of them
python -m bench orders store    some of them
python -m bench --json          one JSON object on standard output, no table
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.figures import Figure, rows

NAMES = ("orders", "fillable", "chain", "store", "add_orders", "get_orders", "revalidate", "fanout")
"""One module of this folder each, in the sequence of ``docs/benchmarks.md``."""

RESULTS = Path(__file__).parent / "results" / "latest.json"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], metavar="NAME")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    console = Console(stderr=arguments.json)
    figures: dict[str, list[Figure]] = {}
    for name in arguments.names or NAMES:
        console.print(f"measuring {name} …", style="dim")
        figures[name] = importlib.import_module(f"bench.{name}").measure()
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    document = {
        "machine": machine,
        "figures": {name: [f.as_json() for f in found] for name, found in figures.items()},
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(document, indent=1))
    if arguments.json:
        json.dump(document, sys.stdout, indent=1)
        return
    table = Table(title=f"Fondaco on {machine}")
    for heading in ("figure", "measured", "range", "floor", "ratio", "target", ""):
        table.add_column(heading)
    for found in figures.values():
        for row in rows(found):
            table.add_row(*row)
    console.print(table)


if __name__ == "__main__":
    main()
