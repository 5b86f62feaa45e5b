"""A whole node inside the test's own process: real sockets, real chain, real files.

    async with node_in_process(settings, data_dir=tmp_path / "node") as node:
        async with open_socket(node.rpc) as client: ...

It starts in a twentieth of the time that a process takes (``support.node_process``);
what it cannot show is being killed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from fondaco import node
from fondaco.clock import Clock, SystemClock
from fondaco.config import load
from fondaco.ready import ReadyInfo

START_SECONDS = 30.0
"""How long a node may take until its doors are open."""


@contextlib.asynccontextmanager
async def node_in_process(
    settings: Mapping[str, str], *, data_dir: Path, clock: Clock | None = None
) -> AsyncIterator[ReadyInfo]:
    """Run a node until the block ends, in an orderly way.

    Args:
        settings: environment of the node, see ``node_process.node_settings``.
        data_dir: kept, so that another node may go on from it.
        clock: the system's, unless a test moves it.

    Raises:
        ExceptionGroup, NodeError: whatever ended the node before it was told to.
    """
    config = load(None, {**settings, "DATA_DIR": str(data_dir)}, {})
    ready: asyncio.Future[ReadyInfo] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(
        node.run(config, clock=clock or SystemClock(), on_ready=ready.set_result), name="node"
    )
    try:
        async with asyncio.timeout(START_SECONDS):
            await asyncio.wait((running, ready), return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        yield ready.result()
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
