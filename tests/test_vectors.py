"""The table of all vectors is complete, names tests that exist, and is the page in docs/."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from support.vector_table import PAGE, TESTS, WORDS, Row, count, files, found, page, rows

ROWS = rows()
EVERY_ROW = pytest.mark.parametrize(
    "row", ROWS, ids=lambda row: f"{row.file.split('_')[1]} {row.key} {row.part}".strip()
)

LATER = {
    "order_hash_v4",
    "round_robin_sharing_v6",
    "ip_from_multiaddr",
    "pubsub_rate_validator",
    "multisig_compressed_2_of_3",
    "multisig_uncompressed_2_of_3",
}
"""Keys that other issues deal with; parts of a key may be later as well (protocol v4)."""


@cache
def functions(path: Path) -> frozenset[str]:
    return frozenset(
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def sources(path: Path) -> Iterator[str]:
    """The text of a test file, and of the support modules it imports."""
    text = path.read_text()
    yield text
    for module in sorted((TESTS / "support").glob("*.py")):
        if f"from support.{module.stem} import" in text:
            yield module.read_text()


def test_every_vector_is_in_the_table() -> None:
    listed = {(row.file, row.key) for row in ROWS}
    there = {(name, key) for name, document in files().items() for key in document}
    assert listed == there


def test_a_key_is_told_whole_or_part_by_part() -> None:
    for name, document in files().items():
        for key, value in document.items():
            mine = [row for row in ROWS if (row.file, row.key) == (name, key)]
            whole = [row for row in mine if not row.part]
            assert len(whole) <= 1, f"{name}: {key} is told twice"
            assert len({row.part for row in mine}) == len(mine), f"{name}: {key}"
            if not whole:
                assert {row.part for row in mine} == set(value), f"{name}: {key} is told in part"


@EVERY_ROW
def test_a_row_is_about_something_and_says_what(row: Row) -> None:
    assert count(found(row)) > 0
    if row.status == "passes":
        assert row.shows
        assert row.tests
        assert not row.reason
    else:
        assert row.reason
        assert bool(row.tests) is (row.status == "differs")


@EVERY_ROW
def test_its_tests_exist_and_read_the_vector(row: Row) -> None:
    for name in row.tests:
        file, _, function = name.partition("::")
        path = TESTS / file
        assert path.is_file(), name
        assert function in functions(path), name
        assert function.startswith("test_"), name
        if row.status == "passes":
            assert any(f'"{row.key}"' in text for text in sources(path)), (
                f"{file} does not speak of {row.key}"
            )


def test_only_what_was_agreed_is_left_for_later() -> None:
    later = [row for row in ROWS if row.status == "later"]
    assert {row.key for row in later if not row.part} == LATER
    assert {row.reason for row in later if row.part} == {"protocol v4"}


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "run: .venv/bin/python tests/support/vector_table.py"
    assert all(f"| {word} |" in page() for word in WORDS.values())
