"""A real database whose disk can be full, slow or broken when a test says so."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa

from fondaco.errors import StorageError
from fondaco.store.database import Database, Snapshot, open_database

T = TypeVar("T")


class FragileDatabase(Database):
    """Passes everything on to a database of ``open_database``, unless it is told not to.

    Attributes:
        is_full: writes fail as they do on a full disk: SQLite refuses the first change,
            everything is rolled back.
        is_unreadable: reads fail.
        gate: writes wait here before they are handed on; set at first.
        waiting: how many do.
        writes: how many were handed on.
    """

    def __init__(self, inner: Database) -> None:
        self.path = inner.path
        self.is_full = False
        self.is_unreadable = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.waiting = 0
        self.writes = 0
        self._inner = inner

    async def write(self, work: Callable[[sa.Connection], T]) -> T:
        self.waiting += 1
        try:
            await self.gate.wait()
        finally:
            self.waiting -= 1
        self.writes += 1
        return await self._inner.write(_refusing(work) if self.is_full else work)

    async def read(self, work: Callable[[sa.Connection], T]) -> T:
        if self.is_unreadable:
            raise StorageError("the disk does not answer")
        return await self._inner.read(work)

    async def open_snapshot(self) -> Snapshot:
        return await self._inner.open_snapshot()

    @property
    def held_snapshots(self) -> int:
        """How many versions of the database are held open."""
        return len(self._inner._snapshots)

    @property
    def is_closed(self) -> bool:
        return self._inner.is_closed

    async def close(self) -> None:
        await self._inner.close()


def _refusing(work: Callable[[sa.Connection], T]) -> Callable[[sa.Connection], T]:
    def refused(connection: sa.Connection) -> T:
        connection.exec_driver_sql("PRAGMA query_only = ON")
        try:
            return work(connection)
        finally:
            connection.exec_driver_sql("PRAGMA query_only = OFF")

    return refused


@contextlib.asynccontextmanager
async def open_fragile_database(path: Path) -> AsyncIterator[FragileDatabase]:
    """Open the database in *path*; nothing is wrong with it at first."""
    async with open_database(path) as inner:
        yield FragileDatabase(inner)
