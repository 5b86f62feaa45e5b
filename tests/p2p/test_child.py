"""The process at the other end of the link: what it is told, and that it ends."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fondaco.p2p import link
from fondaco.p2p.child import PASSED_ON, start_child
from support.peers import PATIENCE, QUICK, key_of


def make_start(port: int = 0) -> link.Start:
    return link.Start(
        private_key=key_of("child").export_for_libp2p(),
        agent="fondaco/test",
        host="127.0.0.1",
        port=port,
        verbosity=3,
        log_json=False,
        seed=1,
        tuning=QUICK,
    )


def shown_to_all(pid: int, name: str) -> bytes:
    return Path(f"/proc/{pid}/{name}").read_bytes()


async def read_all(frames: AsyncIterator[list[link.ToMain]]) -> None:
    async for _ in frames:
        pass


def is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def test_the_key_is_in_neither_the_command_line_nor_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FONDACO_RPC_TOKEN", "a-token-of-the-main-process")
    child = await start_child()
    try:
        child.put(make_start())
        async with asyncio.timeout(PATIENCE):
            [*frames] = await anext(aiter(child.frames()))
        assert frames[0].peer == key_of("child").peer_id  # type: ignore[union-attr]
        command, environment = (
            shown_to_all(child.pid, "cmdline"),
            shown_to_all(child.pid, "environ"),
        )
        for secret in (key_of("child").export_for_libp2p().encode(), b"a-token-of"):
            assert secret not in command + environment
        names = {one.partition(b"=")[0].decode() for one in environment.split(b"\0") if one}
        assert names <= PASSED_ON | {"LC_CTYPE"}
    finally:
        await child.stop()


async def test_it_ends_with_the_link_and_has_no_use_for_nonsense() -> None:
    for first in (b"", b"\0\0\0\x01\xc1", link.encode(link.Subscribe("t"))):
        child = await start_child()
        child._writer.write(first)
        async with asyncio.timeout(PATIENCE):
            await child.stop()
        assert not is_there(child.pid)


async def test_ctrl_c_is_the_main_process_s_affair() -> None:
    child = await start_child()
    try:
        child.put(make_start())
        frames = aiter(child.frames())
        async with asyncio.timeout(PATIENCE):
            await anext(frames)
            os.kill(child.pid, signal.SIGINT)
            await anext(frames)  # it goes on counting
    finally:
        await child.stop()


async def test_one_that_does_not_end_is_killed() -> None:
    child = await start_child(stop_patience=0.1)
    os.kill(child.pid, signal.SIGSTOP)
    async with asyncio.timeout(PATIENCE):
        await child.stop()
    assert not is_there(child.pid)


async def test_one_that_says_nothing_is_given_up() -> None:
    child = await start_child(silence=0.5)
    try:
        child.put(make_start())
        frames = aiter(child.frames())
        await anext(frames)
        os.kill(child.pid, signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            await read_all(frames)
    finally:
        await child.kill()
