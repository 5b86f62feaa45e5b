"""SQLAlchemy engines on one SQLite file, and what SQLite's errors mean for an operator."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.pool import NullPool, QueuePool

from fondaco.errors import StorageError
from fondaco.store import limits

ADVICE = {
    sqlite3.SQLITE_FULL: "the disk is full: free some space or move DATA_DIR",
    sqlite3.SQLITE_IOERR: "the disk failed: look at the system log and check the file system",
    sqlite3.SQLITE_READONLY: "the database is read-only: check the owner and mode of DATA_DIR",
    sqlite3.SQLITE_CANTOPEN: "the database cannot be opened: check the permissions of DATA_DIR",
    sqlite3.SQLITE_PERM: "access was denied: check the permissions of DATA_DIR",
    sqlite3.SQLITE_BUSY: "another program holds the database locked: close it",
    sqlite3.SQLITE_LOCKED: "another program holds the database locked: close it",
    sqlite3.SQLITE_CORRUPT: "the database is damaged: restore a backup of DATA_DIR",
    sqlite3.SQLITE_NOTADB: "the file is not a database: restore a backup or move it away",
    sqlite3.SQLITE_NOMEM: "memory ran out: give the process more",
}
"""What to do about SQLite's primary result codes (sqlite.org/rescode.html)."""


def make_engine(
    path: Path, *, begin: str, cache_kib: int, connections: int, read_only: bool = False
) -> sa.Engine:
    """Return an engine whose transactions start with *begin*.

    Args:
        connections: kept open for use again; 0 opens one each time and closes it.
    """
    pool: dict[str, Any] = {"poolclass": NullPool}
    if connections:
        pool = {"poolclass": QueuePool, "pool_size": connections, "max_overflow": 0}
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        connect_args={"check_same_thread": False, "timeout": limits.BUSY_TIMEOUT_MS / 1000},
        **pool,
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, record: object) -> None:
        # The driver would start transactions by its own rules; we say BEGIN ourselves.
        connection.isolation_level = None
        for pragma in (
            f"page_size = {limits.PAGE_BYTES}",
            "journal_mode = WAL",
            "synchronous = NORMAL",
            "foreign_keys = ON",
            f"cache_size = -{cache_kib}",
            f"mmap_size = {limits.MMAP_BYTES}",
            "temp_store = MEMORY",
            # What is deleted here was public; overwriting it doubles the work.
            "secure_delete = OFF",
            f"wal_autocheckpoint = {limits.WAL_PAGES_MAX}",
            f"journal_size_limit = {limits.WAL_BYTES_KEPT}",
            f"query_only = {'ON' if read_only else 'OFF'}",
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def start(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def storage_error(failure: sa.exc.DBAPIError, path: Path) -> Exception:
    """Return what *failure* should be raised as.

    A ``StorageError`` with advice where the disk or the file is to blame; *failure*
    itself where a statement or a constraint is, which is a fault of ours.
    """
    code = getattr(failure.orig, "sqlite_errorcode", None)
    # The low byte is the primary code; the rest says where it happened.
    advice = None if code is None else ADVICE.get(code & 0xFF)
    if advice is None:
        return failure
    return StorageError(f"{path}: {advice} ({failure.orig})")
