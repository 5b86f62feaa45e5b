"""What was acknowledged is there: after kill -9, and on a disk that gives up."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from fondaco.store import eventlog, metadata
from fondaco.store.database import open_database
from store.writer_process import BATCH_SIZES, TOPIC, subject_of

WRITER = Path(__file__).with_name("writer_process.py")


def start(path: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(WRITER), str(path), *arguments], stdout=subprocess.PIPE, text=True
    )


def kill_after(process: subprocess.Popen[str], acknowledgements: int) -> list[str]:
    """Return every acknowledgement that left the process before it was killed."""
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(acknowledgements)]
    process.kill()
    lines += process.stdout.readlines()
    process.stdout.close()
    assert process.wait(30) == -9
    return [line for line in lines if line.endswith("\n")]


def everything(connection: sa.Connection) -> list[tuple[int, bytes]]:
    events = eventlog.read_after(connection, TOPIC, 0, 10**9)
    last = metadata.get(connection, "last")
    assert last == (str(events[-1].sequence) if events else None), "half a transaction"
    return [(event.sequence, event.subject) for event in events]


async def test_what_was_acknowledged_survives_kill_9(path: Path) -> None:
    acknowledged: list[range] = []
    for kill_at in (1, 3, 10, 26, 60):
        for line in kill_after(start(path, "until-killed"), kill_at):
            first, last = map(int, line.split())
            assert not acknowledged or first > acknowledged[-1][-1], "a sequence was repeated"
            acknowledged.append(range(first, last + 1))
        async with open_database(path) as database:
            found = await database.read(everything)
        assert found == [(n, subject_of(n)) for n in range(1, len(found) + 1)]
        assert len(found) >= acknowledged[-1][-1]
    assert len(acknowledged) >= 100
    # One transaction may have been committed and not acknowledged at each kill; no more.
    assert len(found) - sum(map(len, acknowledged)) <= 5 * max(BATCH_SIZES)


@pytest.mark.parametrize("largest", [1_000_000, 3_000_000])
async def test_a_failing_disk_takes_back_no_more_than_it_refused(path: Path, largest: int) -> None:
    with start(path, "until-refused", str(largest)) as process:
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    *lines, refusal = output.splitlines()
    assert refusal.startswith("refused ")
    assert "the disk failed" in refusal or "the disk is full" in refusal
    async with open_database(path) as database:
        found = await database.read(everything)
    assert found == [(n, subject_of(n)) for n in range(1, int(lines[-1].split()[1]) + 1)]
