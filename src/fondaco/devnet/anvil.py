"""One anvil process: started, awaited, stopped, and never left behind (``lifeline``).

anvil picks a free port itself and names it in its first lines of output.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from fondaco.devnet.lifeline import end_watcher, hold_lifeline, tied
from fondaco.devnet.rpc import DevnetRpc, DevnetUnavailable, open_rpc
from fondaco.errors import NodeError

MNEMONIC = "concert load couple harbor equip island argue ramp clarify fence smart topic"
"""The public test mnemonic of 0x: its account 0 deployed the known addresses of chain 1337."""

CHAIN_ID = 1337

GAS_LIMIT = 3_000_000_000
"""Gas a block. anvil's 30 million end an eth_call of 700 DevUtils orders."""

HARDFORK = "prague"
"""The newest rules without a gas cap per transaction (Osaka has one of 2**24)."""

START_TIMEOUT = 30.0
"""Seconds until the first answer. 0.1 s is usual; a loaded CI machine needs more."""

STOP_TIMEOUT = 5.0
"""Seconds for anvil to end by itself."""

OUTPUT_KEPT = 40
"""Last lines of anvil's output, for error messages."""

_LISTENING = re.compile(rb"Listening on (\S+:\d+)")


class AnvilError(NodeError):
    """anvil did not start, or ended. The text carries its last output."""

    code = "AnvilFailed"


class AnvilOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How anvil is started."""

    chain_id: int = CHAIN_ID
    mnemonic: str = MNEMONIC
    accounts: int = 10
    gas_limit: int = GAS_LIMIT
    hardfork: str = HARDFORK
    host: str = "127.0.0.1"
    """Where to listen. Whoever reaches it can spend what is on the chain."""
    port: int = 0
    """0: any free one."""
    load_state: Path | None = None
    """State file of an earlier chain."""
    timestamp: int | None = None
    """Unix seconds of the genesis block; None is now."""
    block_time: float | None = None
    """Seconds between blocks; None mines a block with each transaction."""
    no_mining: bool = False
    """Mine only when told to."""

    def arguments(self) -> list[str]:
        """Return the command line, without the program."""
        words = ["--host", self.host, "--port", str(self.port)]
        words += ["--chain-id", str(self.chain_id), "--mnemonic", self.mnemonic]
        words += ["--accounts", str(self.accounts), "--hardfork", self.hardfork]
        words += ["--gas-limit", str(self.gas_limit), "--gas-price", "0", "--base-fee", "0"]
        # Blocks keep the sequence in which their transactions came, as a test wrote them.
        words += ["--order", "fifo"]
        if self.load_state is not None:
            words += ["--load-state", str(self.load_state)]
        if self.timestamp is not None:
            words += ["--timestamp", str(self.timestamp)]
        if self.block_time is not None:
            words += ["--block-time", f"{self.block_time:g}"]
        if self.no_mining:
            words.append("--no-mining")
        return words


class Anvil:
    """A running anvil."""

    def __init__(self, address: str, pid: int, options: AnvilOptions, rpc: DevnetRpc) -> None:
        self.http_url = f"http://{address}"
        self.ws_url = f"ws://{address}"
        self.pid = pid
        self.options = options
        self.rpc = rpc
        """A client of this chain, open as long as the chain is."""


@contextlib.asynccontextmanager
async def open_anvil(program: Path, options: AnvilOptions | None = None) -> AsyncIterator[Anvil]:
    """Run *program* until the block ends; it answers JSON-RPC from the start of it.

    Raises:
        AnvilError: it could not be started or gave no answer in START_TIMEOUT.
    """
    options = AnvilOptions() if options is None else options
    with hold_lifeline() as lifeline:
        process = await _spawn(program, options, lifeline)
        try:
            async with _answering(process, options) as anvil:
                yield anvil
        finally:
            await _stop(process)


@contextlib.asynccontextmanager
async def _answering(
    process: asyncio.subprocess.Process, options: AnvilOptions
) -> AsyncIterator[Anvil]:
    output: collections.deque[bytes] = collections.deque(maxlen=OUTPUT_KEPT)
    address = await _await_address(process, output)
    draining = asyncio.create_task(_drain(process.stdout, output), name="anvil output")
    try:
        async with open_rpc(f"http://{address}") as rpc:
            await _await_answer(rpc, options.chain_id, output)
            yield Anvil(address, process.pid, options, rpc)
    finally:
        draining.cancel()
        await asyncio.wait([draining])


async def _spawn(program: Path, options: AnvilOptions, lifeline: int) -> asyncio.subprocess.Process:
    command = tied([str(program), *options.arguments()], "anvil")
    try:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=lifeline,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            # A group of its own: Ctrl-C at the terminal is for us, and we end it in turn.
            start_new_session=True,
        )
    except OSError as exc:
        raise AnvilError(f"{program} cannot be started: {exc}") from exc


async def _await_address(
    process: asyncio.subprocess.Process, output: collections.deque[bytes]
) -> str:
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_TIMEOUT):
            async for line in process.stdout:
                output.append(line)
                if match := _LISTENING.search(line):
                    return match[1].decode()
            status = await process.wait()
    except TimeoutError as exc:
        raise AnvilError(f"anvil named no port in {START_TIMEOUT:g} s: {_tail(output)}") from exc
    raise AnvilError(f"anvil ended with status {status}: {_tail(output)}")


async def _await_answer(rpc: DevnetRpc, chain_id: int, output: collections.deque[bytes]) -> None:
    try:
        answer = await rpc.call("eth_chainId")
        # One line a request would cost anvil and us more than the requests themselves.
        await rpc.call("anvil_setLoggingEnabled", False)
    except DevnetUnavailable as exc:
        raise AnvilError(f"anvil does not answer: {exc}; {_tail(output)}") from exc
    if answer != hex(chain_id):
        raise AnvilError(f"anvil answers for chain {answer}, not {chain_id:#x}")


async def _drain(stream: asyncio.StreamReader | None, output: collections.deque[bytes]) -> None:
    """Keep reading: a full pipe would stop anvil."""
    assert stream is not None
    # In chunks, since a reader of lines gives up at a very long one.
    while chunk := await stream.read(65_536):
        output.extend(chunk.splitlines(keepends=True))


async def _stop(process: asyncio.subprocess.Process) -> None:
    """End anvil and its watcher; return when both are gone."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_TIMEOUT):
                await process.wait()
    if sys.platform == "win32" and process.returncode is None:
        process.kill()
    end_watcher(process.pid)
    await process.wait()


def _tail(output: collections.deque[bytes]) -> str:
    return b"".join(output).decode("utf-8", "replace").strip() or "no output"
