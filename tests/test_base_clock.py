"""Time in the spellings that clients read."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pytest

from fondaco.clock import NANOSECONDS, SystemClock, rfc3339, seconds, utc_midnight_ns

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
