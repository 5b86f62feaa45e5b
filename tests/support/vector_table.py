"""``docs/vectors.md``: every vector, how it fares, and which test follows it.

    .venv/bin/python tests/support/vector_table.py      writes the page

Printed from tests/vectors/coverage.toml and the vector files; tests/test_vectors.py holds
the table against the files, the tests and the page.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any, Literal

import msgspec

TESTS = Path(__file__).resolve().parents[1]
FOLDER = TESTS / "vectors"
PAGE = TESTS.parent / "docs" / "vectors.md"

NOT_VECTORS = {"_about"}
"""Keys that describe the file."""


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry of coverage.toml."""

    file: str
    key: str
    part: str = ""
    status: Literal["passes", "differs", "later"]
    shows: str = ""
    reason: str = ""
    tests: tuple[str, ...] = ()


def rows() -> list[Row]:
    """Return the table, in its sequence."""
    document = tomllib.loads((FOLDER / "coverage.toml").read_text())
    return msgspec.convert(document["vector"], list[Row])


def files() -> dict[str, dict[str, Any]]:
    """Return the vector files by name, without what describes them."""
    return {
        path.name: {
            key: value
            for key, value in json.loads(path.read_text()).items()
            if key not in NOT_VECTORS
        }
        for pattern in ("mesh_*.json", "openbazaar_*.json", "gpg_*.json")
        for path in sorted(FOLDER.glob(pattern))
    }


def found(row: Row) -> Any:
    """Return what *row* is about.

    Raises:
        LookupError: the file has no such key, or the key no such part.
    """
    value = files()[row.file][row.key]
    if not row.part:
        return value
    if row.part in value:
        return value[row.part]
    (case,) = [case for case in value.get("cases", ()) if case["note"] == row.part] or [None]
    if case is None:
        raise LookupError(f"{row.file}: {row.key} has no {row.part!r}")
    return [case]


def count(value: Any) -> int:
    """Return how many vectors *value* holds: the cases of its lists, or its own members."""
    if isinstance(value, list):
        return len(value)
    if not isinstance(value, dict):
        return 1
    if "cases" in value:
        return len(value["cases"])
    lists = [member for member in value.values() if isinstance(member, list | dict)]
    if lists:
        return sum(map(len, lists))
    return len(value.keys() - {"origin", "note", "source"})


WORDS = {"passes": "passes", "differs": "differs on purpose", "later": "later issue"}


def page() -> str:
    """Return docs/vectors.md."""
    parts = [_INTRODUCTION]
    table = rows()
    for name in files():
        mine = [row for row in table if row.file == name]
        parts.append(f"## {name}\n\n| vector | number | status | what is shown | tests |")
        parts.append("| --- | ---: | --- | --- | --- |")
        parts += [_line(row) for row in mine]
        parts.append("")
    return "\n".join(parts)


def _line(row: Row) -> str:
    name = f"`{row.key}`" + (f": {row.part}" if row.part else "")
    tests = "<br>".join(f"`{test}`" for test in row.tests)
    told = "; ".join(filter(None, (row.shows, row.reason)))
    return f"| {name} | {count(found(row))} | {WORDS[row.status]} | {told} | {tests} |"


_INTRODUCTION = """\
# Vectors

<!-- Printed by tests/support/vector_table.py from tests/vectors/coverage.toml; do not edit. -->

What the original did, as data: taken from the tests of 0x Mesh v6 to v11, recorded from the
real contracts and the real clients, or computed twice. The files lie in `tests/vectors/`.
Every one of them is in one of these tables with the tests that follow it; a row with a part
speaks for that part alone, the row without one for the rest. `tests/test_vectors.py` fails when
a vector is in no row, when a test named here does not exist or does not read the vector's file,
and when this page is not what the table says. The number counts cases, or entries where there
are no cases.
"""


def main() -> None:
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
