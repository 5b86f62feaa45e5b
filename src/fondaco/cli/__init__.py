"""The command line: ``fondaco COMMAND``.

    run, demo, devnet, fetch    start something          starting.py
    stats, orders, explain      ask a running node       asking.py
    lab                         measure many nodes       laboratory.py
    docs, version               about this program       here

A command imports what it needs when it is called: ``fondaco --help`` must not wait for
a database and two HTTP libraries.
"""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Annotated

import typer

from fondaco.cli import asking, laboratory, starting

app = typer.Typer(
    name="fondaco",
    help="A peer-to-peer market node: signed 0x orders, shared without a server.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
starting.add_commands(app)
asking.add_commands(app)
laboratory.add_commands(app)


@app.command()
def version() -> None:
    """Print the version."""
    print(importlib.metadata.version("fondaco"))


@app.command()
def docs(
    check: Annotated[bool, typer.Option("--check", help="Only compare.")] = False,
    write: Annotated[bool, typer.Option("--write", help="Write what differs.")] = False,
    root: Annotated[Path, typer.Option(help="The repository.")] = Path(),
) -> None:
    """Compare or write the pages of docs/ that are printed from the code."""
    from fondaco.documentation import pages

    if check == write:
        raise typer.BadParameter("say --check or --write")
    stale = [
        (root / name, text)
        for name, text in pages().items()
        if not (root / name).is_file() or (root / name).read_text(encoding="utf-8") != text
    ]
    for path, text in stale:
        if write:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path}")
        else:
            print(f"{path} is not what the code says; run: fondaco docs --write")
    if check and stale:
        raise typer.Exit(1)


def main() -> None:
    """Run the command that the process was started with."""
    app()
