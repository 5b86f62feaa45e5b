"""How connections are set up, and what errors of SQLite become."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from fondaco.errors import StorageError
from fondaco.store import limits
from fondaco.store.engine import ADVICE, make_engine, storage_error


def failure(code: int | None) -> sa.exc.DBAPIError:
    cause = sqlite3.OperationalError("what SQLite said")
    if code is not None:
        cause.sqlite_errorcode = code
    return sa.exc.OperationalError("COMMIT", None, cause)


@pytest.mark.parametrize("code", ADVICE)
def test_an_extended_code_gets_the_advice_of_its_primary_code(code: int) -> None:
    for extended in (code, code | 3 << 8):
        error = storage_error(failure(extended), Path("/data/x.sqlite"))
        assert isinstance(error, StorageError)
        assert str(error) == f"/data/x.sqlite: {ADVICE[code]} (what SQLite said)"


@pytest.mark.parametrize("code", [None, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT_UNIQUE])
def test_a_fault_of_ours_stays_what_it_is(code: int | None) -> None:
    fault = failure(code)
    assert storage_error(fault, Path("/data/x.sqlite")) is fault


@pytest.mark.parametrize(
    ("pragma", "value"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 1),
        ("foreign_keys", 1),
        ("page_size", limits.PAGE_BYTES),
        ("cache_size", -1234),
        ("mmap_size", limits.MMAP_BYTES),
        ("busy_timeout", limits.BUSY_TIMEOUT_MS),
        ("wal_autocheckpoint", limits.WAL_PAGES_MAX),
        ("secure_delete", 0),
        ("query_only", 1),
    ],
)
def test_every_connection_is_set_up(tmp_path: Path, pragma: str, value: object) -> None:
    engine = make_engine(
        tmp_path / "x.sqlite", begin="BEGIN", cache_kib=1234, connections=0, read_only=True
    )
    with engine.connect() as connection:
        assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value
    engine.dispose()
