"""A database that fails when a test says so, and then leaves everything as it was."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fondaco.errors import StorageError
from fondaco.store import metadata
from fondaco.testing.database import FragileDatabase, open_fragile_database
from fondaco.testing.until import until


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[FragileDatabase]:
    async with open_fragile_database(tmp_path / "node.sqlite") as opened:
        yield opened


async def put(database: FragileDatabase, value: str) -> None:
    await database.write(lambda connection: metadata.put(connection, "key", value))


async def get(database: FragileDatabase) -> str | None:
    return await database.read(lambda connection: metadata.get(connection, "key"))


async def test_it_is_a_real_database(database: FragileDatabase) -> None:
    await put(database, "a")
    assert await get(database) == "a"
    assert database.writes == 1


async def test_a_full_disk_stores_nothing_and_recovers(database: FragileDatabase) -> None:
    await put(database, "before")
    database.is_full = True
    with pytest.raises(StorageError):
        await put(database, "lost")
    assert await get(database) == "before"
    database.is_full = False
    await put(database, "after")
    assert await get(database) == "after"


async def test_reads_fail_on_demand(database: FragileDatabase) -> None:
    database.is_unreadable = True
    with pytest.raises(StorageError):
        await get(database)


async def test_writes_wait_at_the_gate(database: FragileDatabase) -> None:
    database.gate.clear()
    task = asyncio.create_task(put(database, "late"))
    await until(lambda: database.waiting == 1)
    assert await get(database) is None
    database.gate.set()
    await task
    assert await get(database) == "late"


async def test_closing_it_closes_what_is_inside(database: FragileDatabase) -> None:
    await database.close()
    assert database.is_closed
    with pytest.raises(StorageError):
        await put(database, "never")
