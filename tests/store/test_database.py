"""One writer, many readers, held snapshots: what is promised to callers."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from fondaco.errors import ConfigurationError, StorageError
from fondaco.store import limits, metadata
from fondaco.store.database import Database, TooManySnapshots, open_database


def put(key: str, value: str = "") -> Callable[[sa.Connection], None]:
    return lambda connection: metadata.put(connection, key, value)


def get(key: str) -> Callable[[sa.Connection], str | None]:
    return lambda connection: metadata.get(connection, key)


class Gate:
    """Work that stays in the writer until it is let through."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.let_through = threading.Event()

    def __call__(self, connection: sa.Connection) -> None:
        metadata.put(connection, "gate", "passed")
        self.entered.set()
        assert self.let_through.wait(20)

    async def is_entered(self) -> None:
        assert await asyncio.to_thread(self.entered.wait, 20)


# ---------------------------------------------------------------- writing


async def test_what_was_written_is_there_after_opening_again(path: Path) -> None:
    async with open_database(path) as database:
        await database.write(put("name", "one"))
        assert await database.read(get("name")) == "one"
    async with open_database(path) as database:
        assert await database.read(get("name")) == "one"


async def test_the_directory_is_for_its_owner_only(database: Database) -> None:
    assert database.path.parent.stat().st_mode & 0o777 == 0o700


async def test_an_error_takes_back_the_whole_transaction(database: Database) -> None:
    def work(connection: sa.Connection) -> None:
        metadata.put(connection, "half", "done")
        raise LookupError("changed my mind")

    with pytest.raises(LookupError, match="changed my mind"):
        await database.write(work)
    assert await database.read(get("half")) is None
    await database.write(put("half", "again"))
    assert await database.read(get("half")) == "again"


async def test_a_broken_constraint_is_not_blamed_on_the_disk(database: Database) -> None:
    def work(connection: sa.Connection) -> None:
        metadata.put(connection, "half", "done")
        connection.exec_driver_sql("INSERT INTO node_metadata VALUES ('half', 'twice')")

    with pytest.raises(sa.exc.IntegrityError):
        await database.write(work)
    assert await database.read(get("half")) is None


async def test_writes_are_committed_in_the_order_they_were_asked_for(database: Database) -> None:
    gate = Gate()
    blocked = asyncio.create_task(database.write(gate))
    await gate.is_entered()
    order: list[int] = []

    def note(number: int) -> Callable[[sa.Connection], None]:
        return lambda connection: order.append(number)

    queued = [asyncio.create_task(database.write(note(number))) for number in range(20)]
    gate.let_through.set()
    await asyncio.gather(blocked, *queued)
    assert order == list(range(20))


async def test_readers_do_not_wait_for_the_writer(database: Database) -> None:
    gate = Gate()
    writing = asyncio.create_task(database.write(gate))
    await gate.is_entered()
    assert await database.read(get("gate")) is None
    gate.let_through.set()
    await writing
    assert await database.read(get("gate")) == "passed"


async def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises(StorageError, match="read-only"):
        await database.read(put("from", "a reader"))
    assert await database.read(get("from")) is None


# ---------------------------------------------------------------- callers that go away


async def test_a_running_transaction_is_finished_without_its_caller(database: Database) -> None:
    gate = Gate()
    writing = asyncio.create_task(database.write(gate))
    await gate.is_entered()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    gate.let_through.set()
    await database.write(put("next"))
    assert await database.read(get("gate")) == "passed"


async def test_a_queued_transaction_is_done_without_its_caller(database: Database) -> None:
    gate = Gate()
    blocked = asyncio.create_task(database.write(gate))
    await gate.is_entered()
    queued = asyncio.create_task(database.write(put("queued", "yes")))
    await asyncio.sleep(0)  # let it take its place
    queued.cancel()
    with pytest.raises(asyncio.CancelledError):
        await queued
    gate.let_through.set()
    await blocked
    await database.write(put("next"))
    assert await database.read(get("queued")) == "yes"


async def test_a_failure_nobody_waits_for_is_logged(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()

    def work(connection: sa.Connection) -> None:
        gate(connection)
        raise LookupError("nobody hears me")

    writing = asyncio.create_task(database.write(work))
    await gate.is_entered()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    with caplog.at_level(logging.ERROR, logger="fondaco.store"):
        gate.let_through.set()
        await database.write(put("next"))
    assert "nobody hears me" in caplog.text
    assert await database.read(get("gate")) is None


async def test_closing_finishes_what_was_accepted(path: Path) -> None:
    gate = Gate()
    async with open_database(path) as database:
        blocked = asyncio.create_task(database.write(gate))
        await gate.is_entered()
        queued = asyncio.create_task(database.write(put("queued", "yes")))
        await asyncio.sleep(0)
        closing = asyncio.create_task(database.close())
        await asyncio.sleep(0)
        with pytest.raises(StorageError, match="closed"):
            await database.write(put("late"))
        with pytest.raises(StorageError, match="closed"):
            await database.read(get("late"))
        gate.let_through.set()
        await asyncio.gather(blocked, queued, closing)
    async with open_database(path) as database:
        assert await database.read(get("queued")) == "yes"
        assert await database.read(get("late")) is None


async def test_the_file_is_not_let_go_while_a_transaction_runs(path: Path) -> None:
    gate = Gate()
    async with open_database(path) as database:
        blocked = asyncio.create_task(database.write(gate))
        await gate.is_entered()
        closing = asyncio.create_task(database.close())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        with pytest.raises(ConfigurationError, match="in use"):
            async with open_database(path):
                raise AssertionError("opened")
        gate.let_through.set()
        await blocked
    async with open_database(path) as database:
        assert await database.read(get("gate")) == "passed"


# ---------------------------------------------------------------- a disk that refuses


def fill(connection: sa.Connection) -> None:
    metadata.put(connection, "small", "stored with it")
    metadata.put(connection, "big", "x" * 10_000_000)


async def test_a_full_disk_stores_nothing_and_says_what_to_do(database: Database) -> None:
    def limit(connection: sa.Connection) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count = 100")

    await database.write(limit)
    with pytest.raises(StorageError, match=r"disk is full: free some space"):
        await database.write(fill)
    assert await database.read(get("small")) is None
    # The limit belonged to the connection that failed, and went with it.
    await database.write(fill)
    assert await database.read(get("small")) == "stored with it"


async def test_a_read_only_file_is_named(database: Database) -> None:
    def forbid(connection: sa.Connection) -> None:
        connection.exec_driver_sql("PRAGMA query_only = ON")

    await database.write(forbid)
    with pytest.raises(StorageError, match=r"fondaco\.sqlite: the database is read-only"):
        await database.write(put("some"))


HOLIDAY = b"these are my holiday pictures" * 1000


def make_file(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)


async def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    make_file(path, HOLIDAY)
    with pytest.raises(StorageError, match="not a database"):
        async with open_database(path):
            raise AssertionError("opened")
    assert await asyncio.to_thread(path.read_bytes) == HOLIDAY


async def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    with pytest.raises(StorageError, match=r"file/fondaco\.sqlite: .*; check"):
        async with open_database(tmp_path / "file" / "fondaco.sqlite"):
            raise AssertionError("opened")


# ---------------------------------------------------------------- snapshots


async def test_a_snapshot_does_not_change(database: Database) -> None:
    await database.write(put("state", "old"))
    snapshot = await database.open_snapshot()
    await database.write(put("state", "new"))
    assert await snapshot.read(get("state")) == "old"
    assert await database.read(get("state")) == "new"
    await snapshot.close()


async def test_a_closed_snapshot_says_so(database: Database) -> None:
    snapshot = await database.open_snapshot()
    await snapshot.close()
    await snapshot.close()
    with pytest.raises(StorageError, match="snapshot is closed"):
        await snapshot.read(get("state"))


async def test_the_number_of_snapshots_is_bounded(database: Database) -> None:
    held = [await database.open_snapshot() for _ in range(limits.SNAPSHOTS_MAX)]
    with pytest.raises(TooManySnapshots, match="try again later"):
        await database.open_snapshot()
    await held[0].close()
    again = await database.open_snapshot()
    assert await again.read(get("state")) is None


async def test_a_snapshot_survives_a_caller_that_goes_away(database: Database) -> None:
    await database.write(put("state", "old"))
    snapshot = await database.open_snapshot()
    entered, let_through = threading.Event(), threading.Event()

    def slow(connection: sa.Connection) -> None:
        entered.set()
        assert let_through.wait(20)

    reading = asyncio.create_task(snapshot.read(slow))
    assert await asyncio.to_thread(entered.wait, 20)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    next_read = asyncio.create_task(snapshot.read(get("state")))
    await asyncio.sleep(0)
    assert not next_read.done(), "two threads use one connection"
    let_through.set()
    assert await next_read == "old"
    await snapshot.close()


async def test_an_open_snapshot_does_not_hinder_closing(path: Path) -> None:
    async with open_database(path) as database:
        snapshot = await database.open_snapshot()
    await snapshot.close()
    with pytest.raises(StorageError, match="closed"):
        await snapshot.read(get("state"))


# ---------------------------------------------------------------- the write-ahead log


def size(path: Path) -> int:
    return path.stat().st_size


async def test_the_log_is_copied_back_while_the_node_runs(path: Path) -> None:
    def write_much(connection: sa.Connection) -> None:
        for number in range(limits.CHECKPOINT_AFTER_CHANGES + 1):
            metadata.put(connection, f"key {number}", "x" * 100)

    async with open_database(path) as database:
        before = size(path)
        await database.write(write_much)
        await database.write(put("one more"))
        await asyncio.to_thread(database._checkpointer.shutdown)
        assert size(path) > before + 500_000
