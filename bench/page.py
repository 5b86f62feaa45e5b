"""The last figures, kept as JSON and shown in ``docs/benchmarks.md``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.figures import HEADINGS, row

RESULTS = Path(__file__).parent / "results"
LATEST = RESULTS / "latest.json"
"""The last run, of whatever it was asked to measure."""
COMPLETE = RESULTS / "complete.json"
"""The last run of everything: what the page shows, so that its figures belong together."""

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
BEGIN = "<!-- figures: written by `python -m bench --page` -->\n"
END = "<!-- end of figures -->\n"


def keep(document: Mapping[str, Any], *, is_complete: bool) -> None:
    """Write *document* where ``write`` and the curious find it."""
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(document, indent=1)
    LATEST.write_text(text)
    if is_complete:
        COMPLETE.write_text(text)


def write() -> None:
    """Put the last complete run's figures into the page."""
    if not COMPLETE.is_file():
        sys.exit("no complete run yet: python -m bench")
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    table = render(json.loads(COMPLETE.read_text()))
    PAGE.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}")


def render(document: Mapping[str, Any]) -> str:
    """Return the page's part that holds the figures of *document*."""
    lines = [
        f"Measured on {document['date']}: {document['machine']}, "
        f"{document['seconds']} s for all of it; load average before it began: {document['load']}.",
        "",
        "| | " + " | ".join(HEADINGS) + " |",
        "|---" * (len(HEADINGS) + 1) + "|",
    ]
    for name, figures in document["figures"].items():
        lines += [f"| `{name}` | {' | '.join(row(figure))} |" for figure in figures]
    missed = [
        figure
        for figures in document["figures"].values()
        for figure in figures
        if figure["reached"] is False
    ]
    lines += ["", "Every target was reached." if not missed else "Targets missed in this run:", ""]
    for figure in missed:
        name, measured, _, _, _, target, _ = row(figure)
        lines.append(f"- {name}: {measured}, asked for: {target}")
    return "\n".join(lines).rstrip() + "\n"
