"""The nodes of a laboratory, each a process of its own, ended with the lab however it ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from fondaco.devnet.lifeline import end_watcher, hold_lifeline, tied
from fondaco.errors import NodeError

STARTS_AT_ONCE = 4
"""Nodes that start at the same time: each imports for some seconds, and more would only take
turns."""

START_SECONDS = 120.0
"""How long a node may take to say that it is ready."""

STOP_SECONDS = 30.0
"""How long the nodes get to end in order, together."""

LOG_LINES_SHOWN = 12
"""Last lines of a node's log in the text of an error."""

LOG_NAME = "node.log"
"""Name of a node's log in its folder."""

COMMAND = (sys.executable, "-m", "fondaco", "run", "--json")


class FleetError(NodeError):
    """A node did not start. The text carries the end of its log."""

    code = "NodeNotStarted"


class _Ready(msgspec.Struct):
    """The line that a node prints when it is ready."""

    rpc: str
    peerID: str
    pid: int


class RunningNode(msgspec.Struct, frozen=True, kw_only=True):
    """A node that is ready."""

    name: str
    rpc: str
    peer_id: str
    pid: int
    folder: Path


class _Node:
    """One node's process."""

    def __init__(self, name: str, folder: Path, settings: Mapping[str, str]) -> None:
        self.name = name
        self.folder = folder
        self._settings = settings
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, lifeline: int) -> RunningNode:
        """Raises: FleetError."""
        self.folder.mkdir(parents=True)
        # No setting of the caller's own shell, and no fondaco.toml, may reach the node.
        inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        with (self.folder / LOG_NAME).open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *tied(COMMAND, self.name),
                env={**inherited, **self._settings, "DATA_DIR": str(self.folder / "data")},
                cwd=self.folder,
                stdin=lifeline,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                # Ctrl-C at the terminal is for us, and we end the nodes in turn.
                start_new_session=True,
            )
        try:
            async with asyncio.timeout(START_SECONDS):
                ready = msgspec.json.decode(await _first_line(self._process), type=_Ready)
        except TimeoutError:
            raise self._error(f"is not ready after {START_SECONDS:.0f} s") from None
        except msgspec.MsgspecError:
            raise self._error("ended before it was ready") from None
        return RunningNode(
            name=self.name,
            rpc=ready.rpc,
            peer_id=ready.peerID,
            pid=ready.pid,
            folder=self.folder,
        )

    async def stop(self) -> None:
        """End it in order, or else by force; return when it is gone."""
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await process.wait()
        end_watcher(process.pid)
        await process.wait()

    def _error(self, problem: str) -> FleetError:
        try:
            lines = (self.folder / LOG_NAME).read_text("utf-8", "replace").splitlines()
        except OSError:
            lines = []
        tail = "\n".join(lines[-LOG_LINES_SHOWN:]) or "(nothing)"
        return FleetError(f"{self.name} {problem}; its log ends: {tail}")


async def _first_line(process: asyncio.subprocess.Process) -> bytes:
    """Return what *process* printed first; ``b""`` when it has ended instead, though a child
    of its own may still hold its output open."""
    assert process.stdout is not None
    reading = asyncio.ensure_future(process.stdout.readline())
    ending = asyncio.ensure_future(process.wait())
    try:
        await asyncio.wait((reading, ending), return_when=asyncio.FIRST_COMPLETED)
        return reading.result() if reading.done() else b""
    finally:
        reading.cancel()
        ending.cancel()


@contextlib.asynccontextmanager
async def open_fleet(
    settings: Sequence[Mapping[str, str]],
    folder: Path,
    *,
    progress: Callable[[str], None] = lambda line: None,
) -> AsyncIterator[list[RunningNode]]:
    """Run a node for each of *settings* until the block ends.

    Args:
        settings: environment of each node; DATA_DIR is added.
        folder: gets a folder for each node, ``n01`` and so on, with its log and data.

    Raises:
        ExceptionGroup: with a FleetError.
    """
    width = max(2, len(str(len(settings))))
    nodes = [
        _Node(name, folder / name, given)
        for name, given in ((f"n{i + 1:0{width}}", given) for i, given in enumerate(settings))
    ]
    gate = asyncio.Semaphore(STARTS_AT_ONCE)
    started = 0

    async def start(node: _Node) -> RunningNode:
        nonlocal started
        async with gate:
            running = await node.start(lifeline)
        started += 1
        progress(f"nodes: {started} of {len(nodes)} are ready")
        return running

    with hold_lifeline() as lifeline:
        try:
            async with asyncio.TaskGroup() as tasks:
                starting = [tasks.create_task(start(node)) for node in nodes]
            yield [task.result() for task in starting]
        finally:
            progress("stopping the nodes")
            await asyncio.gather(*(node.stop() for node in nodes))
