"""One life of the p2p process: started, spoken to over its link, and ended."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sys
from collections.abc import AsyncIterator

from fondaco.p2p import limits
from fondaco.p2p.link import ToChild, ToMain, encode, in_main

log = logging.getLogger(__name__)

MODULE = "fondaco.p2p.process"

READ_SIZE = 256 * 1024
"""Bytes read from the link at once."""

PASSED_ON = frozenset(
    {"PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV"}
    | {"LD_LIBRARY_PATH", "PYTHONHASHSEED", "COVERAGE_PROCESS_START", "SYSTEMROOT"}
)
"""Names of the environment that the child gets. The others may hold tokens and endpoints,
which it has no use for, or switches of the library (LIBP2P_DEBUG, PY_YAMUX_…)."""


class Child:
    """The process and our end of its link."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        silence: float,
        stop_patience: float,
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._silence = silence
        self._stop_patience = stop_patience
        writer.transport.set_write_buffer_limits(high=limits.LINK_QUEUE_BYTES)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def queued_bytes(self) -> int:
        """Bytes that wait for the child."""
        return self._writer.transport.get_write_buffer_size()

    def put(self, frame: ToChild) -> None:
        """Send *frame* whatever waits already: for what is bounded by other means."""
        self._writer.write(encode(frame))

    async def send(self, frame: ToChild) -> None:
        """Send *frame*; wait while the child does not read. One that has died takes all."""
        self.put(frame)
        with contextlib.suppress(ConnectionError):
            await self._writer.drain()

    async def frames(self) -> AsyncIterator[list[ToMain]]:
        """Yield what the child sends, as many frames as come at once, until it ends.

        Raises:
            BrokenLink: it sends what is none of it.
            TimeoutError: it has not said a word for so long that it must be frozen.
        """
        decoder = in_main()
        patience = limits.START_PATIENCE
        while True:
            try:
                data = await self._hear(patience)
            except ConnectionError:
                return
            if not data:
                return
            if frames := decoder.feed(data):
                patience = self._silence
                yield frames

    async def _hear(self, patience: float) -> bytes:
        """Return what the child sends next; ``b""`` at its end.

        Raises:
            TimeoutError: it was silent for *patience* seconds, and then for a moment more.
                If it was this process that stood still, the child is heard in that moment.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                return await self._reader.read(READ_SIZE)
        async with asyncio.timeout(min(patience, limits.LAST_PATIENCE)):
            return await self._reader.read(READ_SIZE)

    async def stop(self) -> None:
        """Close the link and wait for the process to end; kill it where it does not."""
        self._writer.close()
        try:
            async with asyncio.timeout(self._stop_patience):
                await self._process.wait()
        except TimeoutError:
            log.warning("the p2p process does not end; it is killed")
            await self.kill()

    async def kill(self) -> None:
        """End the process at once."""
        self._writer.close()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()


async def start_child(
    *,
    silence: float = limits.SILENCE_PATIENCE,
    stop_patience: float = limits.STOP_PATIENCE,
) -> Child:
    """Start the process. It waits for its first frame.

    Args:
        silence: seconds without a word after which it counts as frozen.
        stop_patience: seconds it has for ending by itself.
    """
    ours, theirs = socket.socketpair()
    with contextlib.closing(theirs):
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                MODULE,
                str(theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env={name: value for name, value in os.environ.items() if name in PASSED_ON},
            )
        except BaseException:
            ours.close()
            raise
    reader, writer = await asyncio.open_connection(sock=ours)
    return Child(process, reader, writer, silence=silence, stop_patience=stop_patience)
