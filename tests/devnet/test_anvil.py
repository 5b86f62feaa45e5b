"""The real anvil: it starts, answers, and is gone afterwards."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from fondaco.devnet.anvil import Anvil, AnvilError, AnvilOptions, open_anvil
from fondaco.devnet.fetch import PartsStore
from support.sessions import processes_of_session

pytestmark = pytest.mark.chain


async def until_gone(session: int) -> None:
    """Return when the session has no process; a kill takes a moment to be done."""
    async with asyncio.timeout(10):
        # Nothing tells a process about the end of another one's child.
        while processes_of_session(session):  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_it_answers_for_its_chain(anvil: Anvil) -> None:
    assert await anvil.rpc.call("eth_chainId") == "0x539"
    accounts = await anvil.rpc.call("eth_accounts")
    assert accounts[0] == "0x5409ed021d9299bf6814279a6a1411a7e866a631"
    block = await anvil.rpc.call("eth_getBlockByNumber", "latest", False)
    assert int(block["gasLimit"], 16) == 3_000_000_000


async def test_it_listens_where_it_is_told_to(chain_parts: PartsStore) -> None:
    options = AnvilOptions(host="127.0.0.2")
    async with open_anvil(chain_parts.anvil(), options) as anvil:
        assert anvil.http_url.startswith("http://127.0.0.2:")
        assert await anvil.rpc.call("eth_chainId") == "0x539"


async def test_stopping_leaves_no_process(chain_parts: PartsStore) -> None:
    async with open_anvil(chain_parts.anvil()) as anvil:
        pid = anvil.pid
        assert len(processes_of_session(pid)) == 2, "anvil and its watcher"
    await until_gone(pid)


async def test_an_error_inside_leaves_no_process(chain_parts: PartsStore) -> None:
    with pytest.raises(RuntimeError, match="ours"):
        async with open_anvil(chain_parts.anvil()) as anvil:
            raise RuntimeError("ours")
    await until_gone(anvil.pid)


async def test_a_killed_parent_takes_the_chain_along(chain_parts: PartsStore) -> None:
    program = f"""
        import asyncio, pathlib
        from fondaco.devnet.anvil import open_anvil
        async def main():
            async with open_anvil(pathlib.Path({str(chain_parts.anvil())!r})) as anvil:
                print(anvil.pid, flush=True)
                await asyncio.Event().wait()
        asyncio.run(main())
    """
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(program), stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    assert pid in processes_of_session(pid)
    os.kill(parent.pid, signal.SIGKILL)
    await parent.wait()
    await until_gone(pid)


async def test_a_bad_option_is_told_with_the_programs_own_words(chain_parts: PartsStore) -> None:
    options = AnvilOptions(hardfork="no-such-fork")
    with pytest.raises(AnvilError, match="no-such-fork"):
        async with open_anvil(chain_parts.anvil(), options):
            pass


async def test_a_missing_program_is_named() -> None:
    with pytest.raises(AnvilError, match="no-anvil-here"):
        async with open_anvil(Path("/nowhere/no-anvil-here")):
            pass


async def test_no_mining_waits_to_be_told(chain_parts: PartsStore) -> None:
    async with open_anvil(chain_parts.anvil(), AnvilOptions(no_mining=True)) as anvil:
        sender = (await anvil.rpc.call("eth_accounts"))[0]
        await anvil.rpc.call("eth_sendTransaction", {"from": sender, "to": sender})
        assert await anvil.rpc.call("eth_blockNumber") == "0x0"
        await anvil.rpc.call("anvil_mine", 1)
        block = await anvil.rpc.call("eth_getBlockByNumber", "latest", False)
        assert block["number"] == "0x1"
        assert len(block["transactions"]) == 1
