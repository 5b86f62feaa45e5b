"""The node as its users get it: a process of its own, told what to do by its environment.

    settings = node_settings(ethereum_url=devnet.url, contracts=devnet.contracts)
    async with running_node(settings, data_dir=tmp_path / "node") as node:
        ...                                 # node.ready.rpc, node.ready.http
        await node.kill()                   # SIGKILL, as a power cut does it
        await node.restart()                # same port, same data directory

Standard output carries the one ready line, standard error the log; both are kept
and are part of every error raised here, so that a failed start can be read in the
test's own report.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

START_SECONDS = 90.0
"""How long a node may take to say that it is ready; CI shares two cores."""

STOP_SECONDS = 30.0
"""How long a node may take to end after a signal."""

LOG_LINES_SHOWN = 60
"""Lines of the log that an error repeats."""

FONDACO = (str(Path(sys.executable).parent / "fondaco"),)
"""The command that this environment's installation put beside its interpreter."""

LOG_LINE_LIMIT = 2**24
"""Bytes. A node that logs a whole message by mistake must fail a test, not hang it."""


class NodeProcessError(AssertionError):
    """The node did not start, ended early or would not stop; carries the end of its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeReady:
    """What a node says of itself once it serves."""

    rpc: str
    """``ws://host:port``."""

    http: str
    """``http://host:port``."""

    peer_id: str
    pid: int
    p2p: tuple[str, ...] = ()
    """Multiaddresses; empty where peers are off."""

    @property
    def address(self) -> str:
        """Return ``host:port`` of the WebSocket door, as ``RPC_ADDR`` wants it."""
        return urlsplit(self.rpc).netloc


def node_settings(
    *,
    ethereum_url: str,
    contracts: Mapping[str, object],
    chain_id: int = 1337,
    **more: str,
) -> dict[str, str]:
    """Return the environment of a node on a test chain.

    The polling interval and the daily budget are those of the original's own
    integration tests: five requests a second need more than 432,000 a day, and the
    start-up check asks for 50,000 on top. Peers are off, which saves a process; a test
    that wants them says ``ENABLE_P2P="true"`` and gets them on loopback.

    Args:
        contracts: the keys of ``CUSTOM_CONTRACT_ADDRESSES``.
        more: further settings by their environment name; they win.
    """
    return {
        "ETHEREUM_RPC_URL": ethereum_url,
        "ETHEREUM_CHAIN_ID": str(chain_id),
        "CUSTOM_CONTRACT_ADDRESSES": json.dumps(contracts),
        "RPC_ADDR": "127.0.0.1:0",
        "BLOCK_POLLING_INTERVAL": "200ms",
        "ETHEREUM_RPC_MAX_REQUESTS_PER_24_HR_UTC": "550000",
        "ENABLE_P2P": "false",
        "P2P_TCP_PORT": "0",
        "P2P_LISTEN_ADDR": "127.0.0.1",
    } | more


class NodeProcess:
    """One node over its restarts. Made by ``running_node``, which also ends it."""

    def __init__(
        self,
        settings: Mapping[str, str],
        *,
        data_dir: Path,
        command: Sequence[str] = FONDACO,
    ) -> None:
        self.data_dir = data_dir
        self.log: list[str] = []
        """Lines of standard error, over all runs."""

        self.output: list[str] = []
        """Lines of standard output, over all runs."""

        self._settings = {**settings, "DATA_DIR": str(data_dir)}
        self._command = (*command, "run", "--json")
        self._process: asyncio.subprocess.Process | None = None
        self._readers: list[asyncio.Task[None]] = []
        self._news = asyncio.Condition()
        self._ready: NodeReady | None = None

    @property
    def ready(self) -> NodeReady:
        """Return what the current run said when it was ready (of a stopped node: the last)."""
        if self._ready is None:
            raise NodeProcessError("this node was never started")
        return self._ready

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self) -> NodeReady:
        """Start the process and wait for its ready line.

        Raises:
            NodeProcessError: it ended or stayed silent instead.
        """
        if self.is_running:
            raise NodeProcessError("this node is running already")
        # No fondaco.toml and no setting of the caller's own shell may reach the node.
        self.data_dir.mkdir(parents=True, exist_ok=True)
        inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        first = len(self.output)
        process = await asyncio.create_subprocess_exec(
            *self._command,
            env={**inherited, **self._settings},
            cwd=self.data_dir,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=LOG_LINE_LIMIT,
        )
        self._process = process
        assert process.stdout is not None
        assert process.stderr is not None
        self._readers = [
            asyncio.create_task(self._keep(process.stdout, self.output)),
            asyncio.create_task(self._keep(process.stderr, self.log)),
        ]
        try:
            async with asyncio.timeout(START_SECONDS), self._news:
                await self._news.wait_for(lambda: len(self.output) > first or self._has_ended)
        except TimeoutError:
            await self.kill()
            raise self._error(f"not ready within {START_SECONDS:.0f} s") from None
        if len(self.output) == first:
            raise self._error(f"ended before it was ready, with code {await process.wait()}")
        self._ready = self._read_ready_line(self.output[first])
        return self._ready

    async def stop(self, sign: signal.Signals = signal.SIGINT) -> int:
        """Send *sign*, wait for the end and return the exit code (negative: the signal).

        Raises:
            NodeProcessError: it is still there after STOP_SECONDS; it was then killed.
        """
        if self._process is None:
            raise NodeProcessError("this node was never started")
        if self.is_running:
            self._process.send_signal(sign)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                code = await self._process.wait()
                await asyncio.gather(*self._readers)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
            for reader in self._readers:
                reader.cancel()
            raise self._error(f"still running {STOP_SECONDS:.0f} s after {sign.name}") from None
        return code

    async def kill(self) -> int:
        """End the process with SIGKILL: nothing it still holds in memory is saved."""
        return await self.stop(signal.SIGKILL)

    @contextlib.contextmanager
    def suspended(self) -> Iterator[None]:
        """Stop the process with SIGSTOP for a while: connections stay, nothing is answered.

        This is what a peer sees of a machine that sleeps or a network that has died.
        """
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    async def restart(self, sign: signal.Signals = signal.SIGINT) -> NodeReady:
        """Stop the node unless it has ended, and start it on the same port and data."""
        if self.is_running:
            await self.stop(sign)
        self._settings["RPC_ADDR"] = self.ready.address
        return await self.start()

    async def wait_for_log(self, fragment: str, *, seconds: float = STOP_SECONDS) -> str:
        """Return the first line of the log that holds *fragment*, waiting for it.

        Raises:
            NodeProcessError: the node ended or *seconds* passed without such a line.
        """

        def found() -> str | None:
            return next((line for line in self.log if fragment in line), None)

        try:
            async with asyncio.timeout(seconds), self._news:
                await self._news.wait_for(lambda: found() is not None or self._has_ended)
        except TimeoutError:
            raise self._error(f"no log line with {fragment!r} in {seconds:.0f} s") from None
        line = found()
        if line is None:
            raise self._error(f"ended without a log line with {fragment!r}")
        return line

    @property
    def _has_ended(self) -> bool:
        return self._process is not None and all(reader.done() for reader in self._readers)

    async def _keep(self, stream: asyncio.StreamReader, lines: list[str]) -> None:
        try:
            async for line in stream:
                async with self._news:
                    lines.append(line.decode("utf-8", "replace").rstrip("\n"))
                    self._news.notify_all()
        finally:
            # The last word may be the end itself; whoever waits must look again.
            asyncio.get_running_loop().call_soon(asyncio.ensure_future, self._tell())

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    def _read_ready_line(self, line: str) -> NodeReady:
        try:
            fields = json.loads(line)
            assert fields["ready"] is True
            return NodeReady(
                rpc=fields["rpc"],
                http=fields["http"],
                peer_id=fields["peerID"],
                pid=fields["pid"],
                p2p=tuple(fields.get("p2p", ())),
            )
        except (ValueError, TypeError, KeyError, AssertionError) as exc:
            raise self._error(f"not a ready line: {line!r}") from exc

    def _error(self, problem: str) -> NodeProcessError:
        tail = "\n".join(self.log[-LOG_LINES_SHOWN:]) or "(empty)"
        return NodeProcessError(f"node: {problem}\nits log ends:\n{tail}")


@contextlib.asynccontextmanager
async def running_node(
    settings: Mapping[str, str],
    *,
    data_dir: Path,
    command: Sequence[str] = FONDACO,
) -> AsyncIterator[NodeProcess]:
    """Start a node, hand it over, and leave no process behind.

    Args:
        settings: environment of the node, see ``node_settings``; ``DATA_DIR`` is added.
        data_dir: made if missing; the process also runs in it.
        command: what to call instead of the installed ``fondaco``.
    """
    node = NodeProcess(settings, data_dir=data_dir, command=command)
    try:
        await node.start()
        yield node
    finally:
        if node.is_running:
            await node.stop()
