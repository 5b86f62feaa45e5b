"""Nodes far from each other on one machine: a network namespace each, a long cable between.

    async with open_places(5, delay=0.05, loss=0.02, seed=1) as places:
        command_in(places[0], "ls")         # how a program is run there
        await places.cut([0, 1], [2, 3, 4]) # nothing passes between these
        await places.mend()
        (await places.report()).counts

Needs root, Linux and iproute2. How it is laid is drawn in ``wire_process``, which does the
work and removes everything whatever happens to us.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec

from support.wire_process import Laid, Order, Place, Plan, Report

PATIENCE = 60.0
"""Seconds for the cable to be laid, to answer, and to be removed."""


class NoPlaces(AssertionError):
    """The namespaces could not be made, or their process ended; the text says why."""


class Places:
    """The namespaces and their cable. Made by ``open_places``."""

    def __init__(self, laid: Laid, process: asyncio.subprocess.Process) -> None:
        self.laid = laid
        self._process = process
        self._one = asyncio.Lock()

    def __getitem__(self, number: int) -> Place:
        return self.laid.places[number]

    def __len__(self) -> int:
        return len(self.laid.places)

    async def cut(self, *sides: Sequence[int]) -> Report:
        """Let nothing pass between *sides*."""
        return await self._ask(Order(cut=tuple(tuple(side) for side in sides)))

    async def mend(self) -> Report:
        """Let everything pass again."""
        return await self._ask(Order(cut=()))

    async def report(self) -> Report:
        """Return what has gone over the cable."""
        return await self._ask(Order())

    async def _ask(self, order: Order) -> Report:
        assert self._process.stdin is not None
        async with self._one:
            self._process.stdin.write(msgspec.json.encode(order) + b"\n")
            return msgspec.json.decode(await _line(self._process), type=Report)


def command_in(place: Place, *command: str) -> tuple[str, ...]:
    """Return *command* as it is run at a place."""
    return ("ip", "netns", "exec", place.namespace, *command)


@contextlib.asynccontextmanager
async def open_places(count: int, *, delay: float, loss: float, seed: int) -> AsyncIterator[Places]:
    """Make *count* places with a cable between them; remove them when the block ends.

    Args:
        delay: seconds from one to another, one way: an answer takes twice as long.
        loss: share of the packets that get lost, from 0 to 1.
        seed: of the generator that chooses these.

    Raises:
        NoPlaces: this machine or this user cannot have any.
    """
    plan = Plan(places=count, delay=delay, loss=loss, seed=seed)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "support.wire_process",
        msgspec.json.encode(plan).decode(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        # Ctrl-C at the terminal is for the tests; what we lay is removed after their nodes.
        start_new_session=True,
    )
    assert process.stdin is not None
    try:
        laid = msgspec.json.decode(await _line(process), type=Laid)
        yield Places(laid, process)
    finally:
        process.stdin.close()
        async with asyncio.timeout(PATIENCE):
            await process.wait()


async def _line(process: asyncio.subprocess.Process) -> bytes:
    """Raises: NoPlaces."""
    assert process.stdout is not None
    assert process.stderr is not None
    async with asyncio.timeout(PATIENCE):
        line = await process.stdout.readline()
        if not line:
            raise NoPlaces((await process.stderr.read()).decode(errors="replace").strip())
    return line
