"""A database of its own for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from fondaco.store import limits
from fondaco.store.database import Database, open_database
from fondaco.store.engine import make_engine
from fondaco.store.migrate import migrate


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "fondaco.sqlite"


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    async with open_database(path) as opened:
        yield opened


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sa.Connection]:
    """A transaction on a migrated database, rolled back at the end."""
    engine = make_engine(
        tmp_path / "own.sqlite", begin="BEGIN", cache_kib=limits.READER_CACHE_KIB, connections=0
    )
    with engine.connect() as opened, opened.begin() as transaction:
        migrate(opened)
        yield opened
        transaction.rollback()
    engine.dispose()
