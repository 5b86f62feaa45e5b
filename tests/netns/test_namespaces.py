"""The namespaces themselves: real packets are held up, lost and cut; nothing stays behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from support.namespaces import NoPlaces, Places, command_in, open_places

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("namespaces")]

PATIENCE = 30.0
"""Seconds that nothing should take."""

ECHO = """
import socket
with socket.create_server(("0.0.0.0", 7)) as door:
    print("open", flush=True)
    while True:
        line, _ = door.accept()
        with line:
            while data := line.recv(65536):
                line.sendall(data)
"""

CALL = """
import socket, sys, time
host, size = sys.argv[1], int(sys.argv[2])
with socket.create_connection((host, 7), timeout=20) as line:
    begun = time.monotonic()
    line.sendall(b"x")
    line.recv(1)
    print(time.monotonic() - begun)
    left = size
    line.sendall(bytes(size))
    while left:
        left -= len(line.recv(65536))
"""


async def until_so(question: Callable[[], Awaitable[bool]]) -> None:
    """Wait until *question* is answered with yes."""
    async with asyncio.timeout(PATIENCE):
        while True:
            if await question():
                return
            await asyncio.sleep(0.02)


def is_running(pid: int) -> bool:
    """Whether there is such a process; one that nobody has waited for has ended too."""
    with contextlib.suppress(OSError):
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    return False


async def listing(*words: str) -> str:
    process = await asyncio.create_subprocess_exec("ip", *words, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    return output.decode()


@contextlib.asynccontextmanager
async def echo_at(places: Places, number: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """Answer at a place whatever is sent there."""
    process = await asyncio.create_subprocess_exec(
        *command_in(places[number], sys.executable, "-c", ECHO), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"open\n"
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


async def call(places: Places, number: int, host: str, size: int = 1) -> float | None:
    """Send *size* bytes from a place to *host* and back; return the seconds that the first
    byte took, None where nothing came back."""
    process = await asyncio.create_subprocess_exec(
        *command_in(places[number], sys.executable, "-c", CALL, host, str(size)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    output, _ = await process.communicate()
    return None if process.returncode else float(output)


async def test_packets_take_their_time_and_some_are_lost() -> None:
    async with open_places(2, delay=0.05, loss=0.1, seed=1) as places, echo_at(places, 0):
        seconds = await call(places, 1, places[0].peer_address, size=200_000)
        assert seconds is not None
        assert seconds >= 0.1, "there and back"
        counts = (await places.report()).counts
        assert counts.bytes > 2 * 200_000
        sent = counts.packets + counts.lost
        assert 0.05 < counts.lost / sent < 0.2


async def test_the_way_to_the_test_is_not_the_cable() -> None:
    async with open_places(2, delay=0.05, loss=1.0, seed=1) as places, echo_at(places, 0):
        assert await call(places, 1, places[0].door_address) is not None
        assert (await places.report()).counts.packets == 0


async def test_a_cut_stops_packets_and_a_mended_cable_brings_them() -> None:
    async with open_places(3, delay=0.0, loss=0.0, seed=1) as places, echo_at(places, 0):
        await places.cut([0, 1], [2])
        calling = asyncio.create_task(call(places, 2, places[0].peer_address))

        async def has_cut() -> bool:
            return bool((await places.report()).counts.cut)

        await until_so(has_cut)
        assert await call(places, 1, places[0].peer_address) is not None
        assert not calling.done()
        await places.mend()
        assert await calling is not None, "TCP has sent again what was cut off"


async def test_nothing_stays_behind() -> None:
    async with open_places(2, delay=0.0, loss=0.0, seed=1) as places, echo_at(places, 0) as echo:
        name = places[0].namespace
        link = f": fd{name.split('-')[1]}"
        assert name in await listing("netns", "list")
        assert (await listing("-o", "link")).count(link) == 3, "a bridge and two lines to it"
        assert echo.returncode is None
    assert name not in await listing("netns", "list")
    assert link not in await listing("-o", "link")


async def test_what_is_unsent_keeps_nothing_either() -> None:
    """A socket whose packets nobody acknowledges lives on in the kernel."""
    async with open_places(2, delay=0.0, loss=0.0, seed=1) as places, echo_at(places, 0):
        link = f": fd{places[0].namespace.split('-')[1]}"
        calling = asyncio.create_task(call(places, 1, places[0].peer_address, size=2**30))

        async def has_begun() -> bool:
            # Nobody reads what comes back: once all buffers are full no more is carried, and
            # how much they hold is the kernel's choice.
            return (await places.report()).counts.bytes > 50_000

        await until_so(has_begun)
        await places.cut([0], [1])
    assert link not in await listing("-o", "link")
    assert await calling is None, "it was killed"


KILLED = textwrap.dedent("""
    import asyncio, os, signal, sys
    from support.namespaces import command_in, open_places
    async def main():
        async with open_places(1, delay=0.0, loss=0.0, seed=1) as places:
            sleeper = await asyncio.create_subprocess_exec(
                *command_in(places[0], "sleep", "600"), start_new_session=True)
            print(places[0].namespace, sleeper.pid, flush=True)
            await asyncio.Event().wait()
    asyncio.run(main())
""")
"""A test that is killed, and has started a process which nobody will end."""


async def test_nothing_stays_behind_a_test_that_was_killed() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        KILLED,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert process.stdout is not None
    namespace, sleeper = (await process.stdout.readline()).decode().split()
    process.kill()
    assert await process.wait() == -signal.SIGKILL

    async def is_gone() -> bool:
        return namespace not in await listing("netns", "list") and not is_running(int(sleeper))

    await until_so(is_gone)


async def test_what_a_killed_cable_left_is_removed_by_the_next() -> None:
    stale = await asyncio.create_subprocess_exec("true")
    await stale.wait()
    await listing("netns", "add", f"fondaco-{stale.pid}-0")
    await listing("link", "add", f"fd{stale.pid}br", "type", "bridge")
    async with open_places(1, delay=0.0, loss=0.0, seed=1) as places:
        names = await listing("netns", "list")
        assert places[0].namespace in names
        assert f"fondaco-{stale.pid}-" not in names
        assert f"fd{stale.pid}br" not in await listing("-o", "link")


async def test_two_cables_do_not_meet() -> None:
    async with (
        open_places(1, delay=0.0, loss=0.0, seed=1) as some,
        open_places(1, delay=0.0, loss=0.0, seed=1) as others,
    ):
        assert some.laid.host_address != others.laid.host_address
        assert some[0].namespace != others[0].namespace


async def test_a_machine_that_cannot_have_any_says_why() -> None:
    with pytest.raises(NoPlaces, match="Expected `int` >= 1"):
        async with open_places(0, delay=0.0, loss=0.0, seed=1):
            pass  # pragma: no cover - it must not open
