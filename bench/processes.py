"""What processes of this machine use, and waiting for them without using it up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

NANOSECONDS = 1_000_000_000

STEP = 0.01
"""Seconds between two looks: ``fondaco.testing.until`` looks all the time, and would take a
core away from what is measured."""


def cpu_seconds(pid: int) -> float:
    """Return the seconds of a core that all threads of *pid* that live have used."""
    spent = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        spent += int((thread / "schedstat").read_text().split()[0])
    return spent / NANOSECONDS


def child_of(pid: int) -> int:
    """Return the process ID of the only direct child of *pid*."""
    found = [int(place.name) for place in Path("/proc").glob("[0-9]*") if _parent(place) == pid]
    if len(found) != 1:
        raise RuntimeError(f"process {pid} has {len(found)} children, not one")
    return found[0]


def _parent(place: Path) -> int:
    try:
        # The name, in parentheses, may hold anything.
        return int((place / "stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def memory_mb(pid: int, which: str = "VmRSS:") -> float:
    """Return the resident memory of *pid*; with ``VmHWM:`` the most it ever was."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(which):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"no memory figure for process {pid}")


async def until(holds: Callable[[], bool], *, patience: float) -> None:
    """Return once *holds* does.

    Raises:
        TimeoutError: it does not within *patience* seconds.
    """
    async with asyncio.timeout(patience):
        while not holds():  # noqa: ASYNC110 - what is waited for happens in other processes
            await asyncio.sleep(STEP)


async def ask_until(
    ask: Callable[[], Awaitable[T]],
    wanted: Callable[[T], bool],
    *,
    patience: float,
    step: float = 5 * STEP,
) -> T:
    """Ask every *step* seconds; return the first answer that is *wanted*.

    Raises:
        TimeoutError: none is within *patience* seconds.
    """
    async with asyncio.timeout(patience):
        while not wanted(answer := await ask()):  # noqa: ASYNC110 - as above
            await asyncio.sleep(step)
    return answer
