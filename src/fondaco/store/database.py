"""One SQLite file, one writer, many readers.

    write(work) --> queue --> writer thread:  BEGIN IMMEDIATE, work, COMMIT --> result
    read(work)  --> reader threads:           BEGIN, work, ROLLBACK         --> result
    open_snapshot() --> a connection whose read transaction stays open
    enough rows changed --> checkpoint thread: copies the write-ahead log back

*work* is a plain function of a SQLAlchemy connection. It runs in a thread and must
not touch what belongs to the event loop. Writes are committed in the order in which
they were asked for. What ``write`` has returned survives a kill of the process
(docs/decisions/0004-durability.md).

A caller that is cancelled while it waits stops waiting; its transaction does not
notice. It is committed or rolled back as a whole, and a failure nobody waits for any
more is logged.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from fondaco.errors import StorageError, Unavailable
from fondaco.store import limits
from fondaco.store.engine import make_engine, storage_error
from fondaco.store.lock import lock_file
from fondaco.store.migrate import migrate

T = TypeVar("T")

log = logging.getLogger(__name__)


class TooManySnapshots(Unavailable):
    """All snapshots are taken; one frees itself when its client is done or idle."""

    code = "TooManySnapshots"


class Snapshot:
    """The database as it was at one moment, for as long as this is open.

    Its reads wait for each other; a page of an answer is one read.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: sa.Connection | None = None
        self._turn = asyncio.Lock()

    async def read(self, work: Callable[[sa.Connection], T]) -> T:
        """Return what *work* finds at the moment of this snapshot.

        Raises:
            StorageError: the snapshot is closed, or the disk failed.
        """
        return await self._alone(self._read, work)

    async def close(self) -> None:
        """Let go of this version of the database; a second call does nothing."""
        if not self._database.is_closed:
            await self._alone(self._let_go)
        self._database._snapshots.discard(self)

    async def _alone(self, call: Callable[..., T], *arguments: object) -> T:
        async def in_turn() -> T:
            async with self._turn:
                return await self._database._in_reader(call, *arguments)

        # Shielded: the turn lasts as long as the thread, even if the caller goes away.
        return await asyncio.shield(asyncio.ensure_future(in_turn()))

    def _hold(self) -> None:
        self._connection = self._database._snapshot_engine.connect()
        # A deferred transaction begins with its first read; make that now.
        self._connection.execute(sa.text("SELECT 1 FROM alembic_version")).all()

    def _read(self, work: Callable[[sa.Connection], T]) -> T:
        if self._connection is None:
            raise StorageError("the snapshot is closed")
        return work(self._connection)

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class Database:
    """The node's store. Made by ``open_database``."""

    def __init__(self, path: Path, held: contextlib.ExitStack) -> None:
        """*held* is closed when no thread uses the file any more."""
        self.path = path
        self._held = held
        self._writer_engine = make_engine(
            path, begin="BEGIN IMMEDIATE", cache_kib=limits.WRITER_CACHE_KIB, connections=1
        )
        self._reader_engine = make_engine(
            path,
            begin="BEGIN",
            cache_kib=limits.READER_CACHE_KIB,
            connections=limits.READ_THREADS,
            read_only=True,
        )
        self._snapshot_engine = make_engine(
            path, begin="BEGIN", cache_kib=limits.SNAPSHOT_CACHE_KIB, connections=0, read_only=True
        )
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store-writer")
        self._readers = ThreadPoolExecutor(limits.READ_THREADS, thread_name_prefix="store-reader")
        self._checkpointer = ThreadPoolExecutor(1, thread_name_prefix="store-checkpoint")
        self._snapshots: set[Snapshot] = set()
        self._changes = 0
        self._closing: asyncio.Future[None] | None = None

    async def write(self, work: Callable[[sa.Connection], T]) -> T:
        """Run *work* in one transaction and commit it; return its result.

        Whatever *work* raises is raised here after everything was rolled back.

        Raises:
            StorageError: the disk is full or failing, or the database is closed;
                nothing was stored, and the text says what to do.
        """
        self._check_open()
        running = asyncio.get_running_loop().run_in_executor(
            self._writer, self._translated, self._transaction, work
        )
        try:
            # Shielded: a queued transaction is not withdrawn because its caller went away.
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            running.add_done_callback(_log_unawaited)
            raise

    async def read(self, work: Callable[[sa.Connection], T]) -> T:
        """Return what *work* finds in one consistent version of the database.

        Raises:
            StorageError: the disk failed, or the database is closed.
        """
        return await self._in_reader(self._read, work)

    async def open_snapshot(self) -> Snapshot:
        """Hold the present version of the database until the snapshot is closed.

        Raises:
            TooManySnapshots: SNAPSHOTS_MAX are open.
            StorageError: as for ``read``.
        """
        if len(self._snapshots) >= limits.SNAPSHOTS_MAX:
            raise TooManySnapshots(f"{limits.SNAPSHOTS_MAX} snapshots are open; try again later")
        snapshot = Snapshot(self)
        self._snapshots.add(snapshot)
        try:
            await snapshot._alone(snapshot._hold)
        except BaseException:
            await asyncio.shield(snapshot.close())
            raise
        return snapshot

    @property
    def is_closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._closing is not None

    async def close(self) -> None:
        """Finish what was accepted, then let go of the file. Refuses what comes later.

        May be called again: returns when all is done, whoever called first.
        """
        if self._closing is None:
            self._closing = asyncio.ensure_future(asyncio.to_thread(self._shut_down))
        await asyncio.shield(self._closing)

    def _check_open(self) -> None:
        if self.is_closed:
            raise StorageError("the database is closed")

    async def _in_reader(self, call: Callable[..., T], *arguments: object) -> T:
        self._check_open()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self._translated, call, *arguments)

    def _translated(self, call: Callable[..., T], *arguments: object) -> T:
        try:
            return call(*arguments)
        except sa.exc.DBAPIError as failure:
            raise storage_error(failure, self.path) from failure

    def _read(self, work: Callable[[sa.Connection], T]) -> T:
        with self._reader_engine.connect() as connection:
            return work(connection)

    def _transaction(self, work: Callable[[sa.Connection], T]) -> T:
        with self._writer_engine.connect() as connection:
            try:
                with connection.begin():
                    result = work(connection)
            except sa.exc.DBAPIError:
                # Whatever state the failure left is closed with its connection.
                connection.invalidate()
                raise
            self._count_changes(connection)
            return result

    def _count_changes(self, connection: sa.Connection) -> None:
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        changes = driver.total_changes
        # total_changes starts again at zero on a new connection.
        if not 0 <= changes - self._changes < limits.CHECKPOINT_AFTER_CHANGES:
            self._changes = changes
            self._checkpointer.submit(self._checkpoint)

    def _checkpoint(self) -> None:
        try:
            with self._snapshot_engine.connect() as connection:
                driver = connection.connection.driver_connection
                assert isinstance(driver, sqlite3.Connection)
                # PASSIVE never waits for a writer or a reader, nor makes them wait.
                driver.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except (sa.exc.DBAPIError, sqlite3.Error) as failure:
            # Not a loss: the log holds everything, and the next one copies it back.
            log.warning("write-ahead log not copied back: %s", failure)

    def _shut_down(self) -> None:
        self._writer.shutdown(wait=True)
        self._checkpointer.shutdown(wait=True)
        self._readers.shutdown(wait=True)
        for snapshot in self._snapshots:
            snapshot._let_go()
        for engine in (self._snapshot_engine, self._reader_engine, self._writer_engine):
            engine.dispose()
        self._held.close()


@contextlib.asynccontextmanager
async def open_database(path: Path) -> AsyncIterator[Database]:
    """Open the database in *path*, made or brought up to date first.

    The directory is made, readable by its owner only. One process may have it open:
    ``<path>.lock`` is held by ``flock``, which the kernel releases however the
    process ends.

    Raises:
        ConfigurationError: another node has it open, or a newer one wrote it.
        StorageError: the file cannot be opened, or is not a database.
    """
    held = contextlib.ExitStack()
    try:
        await asyncio.to_thread(_prepare, path, held)
    except BaseException:
        held.close()
        raise
    database = Database(path, held)
    try:
        yield database
    finally:
        await database.close()


def _prepare(path: Path, held: contextlib.ExitStack) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        held.enter_context(lock_file(path.with_name(path.name + ".lock")))
    except OSError as failure:
        raise StorageError(f"{path}: {failure.strerror}; check DATA_DIR's permissions") from failure
    engine = make_engine(
        path, begin="BEGIN IMMEDIATE", cache_kib=limits.READER_CACHE_KIB, connections=0
    )
    try:
        with engine.begin() as connection:
            migrate(connection)
    except sa.exc.DBAPIError as failure:
        raise storage_error(failure, path) from failure
    finally:
        engine.dispose()


def _log_unawaited(running: asyncio.Future[Any]) -> None:
    if not running.cancelled() and (failure := running.exception()) is not None:
        log.error("a write failed after its caller had gone: %s", failure, exc_info=failure)
