"""Time in the spellings that clients read."""

from __future__ import annotations

import asyncio
import datetime
import json
from pathlib import Path

import pytest

from fondaco.clock import (
    NANOSECONDS,
    SystemClock,
    rfc3339,
    seconds,
    until_set,
    utc_midnight_ns,
)
from fondaco.testing.clock import FakeClock

VECTORS = json.loads((Path(__file__).parent / "vectors" / "mesh_vectors.json").read_text())


@pytest.mark.parametrize(
    ("now_ns", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_577_836_800 * NANOSECONDS, "2020-01-01T00:00:00Z"),
        (1_577_836_800_500_000_000, "2020-01-01T00:00:00.5Z"),
        (1_577_836_800_000_000_001, "2020-01-01T00:00:00.000000001Z"),
    ],
)
def test_rfc3339(now_ns: int, text: str) -> None:
    assert rfc3339(now_ns) == text


def test_seconds_are_rounded_down() -> None:
    assert seconds(2 * NANOSECONDS - 1) == 1


@pytest.mark.parametrize("case", VECTORS["utc_midnight"]["cases"], ids=lambda case: case["in"])
def test_midnight(case: dict[str, str]) -> None:
    moment = datetime.datetime.fromisoformat(case["in"])
    assert rfc3339(utc_midnight_ns(int(moment.timestamp()) * NANOSECONDS)) == case["out"]


async def test_the_system_clock_goes_forward() -> None:
    clock = SystemClock()
    before, before_ns = clock.monotonic(), clock.now_ns()
    await clock.sleep(0)
    await clock.sleep(-1)
    assert clock.monotonic() >= before
    assert clock.now_ns() >= before_ns > 1_600_000_000 * NANOSECONDS


async def test_waiting_for_an_event_ends_with_it_or_with_the_time() -> None:
    clock, event = FakeClock(), asyncio.Event()
    waiting = asyncio.create_task(until_set(event, clock, 5.0))
    await clock.until_sleeping()
    await clock.advance(4.9)
    assert not waiting.done()
    await clock.advance(0.1)
    await waiting
    waiting = asyncio.create_task(until_set(event, clock, 5.0))
    await clock.until_sleeping()
    event.set()
    await waiting


async def test_there_is_nothing_to_wait_for_after_the_event_or_without_time() -> None:
    clock, event = FakeClock(), asyncio.Event()
    await until_set(event, clock, 0.0)
    event.set()
    await until_set(event, clock, 1e9)
