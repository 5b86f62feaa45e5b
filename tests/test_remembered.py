"""The RPC budget on disk: written each minute and at the end; a full disk stops nobody."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from fondaco import remembered
from fondaco.chain.budget import BudgetSnapshot, RpcBudget
from fondaco.store import metadata
from fondaco.testing.clock import FakeClock
from fondaco.testing.database import FragileDatabase, open_fragile_database
from fondaco.testing.ethereum import ample_budget
from fondaco.testing.until import until


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[FragileDatabase]:
    async with open_fragile_database(tmp_path / "node.sqlite") as opened:
        yield opened


@contextlib.asynccontextmanager
async def kept(
    budget: RpcBudget, database: FragileDatabase, clock: FakeClock
) -> AsyncIterator[None]:
    keeping = asyncio.create_task(remembered.keep_budget(budget, database, clock))
    await clock.until_sleeping()
    yield
    assert not keeping.done()
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping


async def sent(database: FragileDatabase) -> int | None:
    text = await database.read(lambda connection: metadata.get(connection, remembered.BUDGET_KEY))
    return None if text is None else msgspec.json.decode(text, type=BudgetSnapshot).sent_today


def spend(budget: RpcBudget, clock: FakeClock) -> None:
    budget.reserve(clock.now_ns(), clock.monotonic(), 1.0)


async def test_it_is_written_every_minute_and_at_the_end(database: FragileDatabase) -> None:
    clock = FakeClock()
    budget = ample_budget(clock)
    async with kept(budget, database, clock):
        spend(budget, clock)
        assert await sent(database) is None
        await clock.advance(remembered.INTERVAL)
        await until(lambda: database.writes == 1)
        await clock.until_sleeping()
        assert await sent(database) == 1
        spend(budget, clock)
    assert await sent(database) == 2


async def test_a_full_disk_is_no_reason_to_stop(
    database: FragileDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    clock = FakeClock()
    budget = ample_budget(clock)
    with caplog.at_level(logging.WARNING, logger="fondaco.node"):
        async with kept(budget, database, clock):
            database.is_full = True
            await clock.advance(remembered.INTERVAL)
            await until(lambda: database.writes == 1)
            await clock.until_sleeping()
            assert "ethereum.budget is not saved" in caplog.text
            database.is_full = False
            spend(budget, clock)
            await clock.advance(remembered.INTERVAL)
            await until(lambda: database.writes == 2)
            await clock.until_sleeping()
            assert await sent(database) == 1
            database.is_full = True  # and it ends in an orderly way all the same
    assert await sent(database) == 1
