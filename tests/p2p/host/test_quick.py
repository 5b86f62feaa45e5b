"""Locks that give way only where they must, and sockets that are read ahead."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator

import pytest
import trio
import trio.testing
from libp2p.io.exceptions import ConnectionClosedError
from libp2p.io.trio import TrioTCPStream

from fondaco.p2p.host import quick
from fondaco.p2p.host.quick import READ_AHEAD, TURN_EVERY, Lock


def test_a_free_lock_is_taken_at_once_and_gives_others_a_turn_now_and_then() -> None:
    async def main() -> list[int]:
        lock, turns = Lock(), 0
        turns_before: list[int] = []

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(other)
            for _ in range(3 * TURN_EVERY):
                turns_before.append(turns)
                async with lock:
                    pass
            nursery.cancel_scope.cancel()
        return turns_before

    before = trio.run(main)
    assert before[: TURN_EVERY - 1] == [0] * (TURN_EVERY - 1)
    # Who of two runs first is drawn by lot, so the second turn is the first sure one.
    assert before[-1] in (1, 2)


def test_a_lock_is_handed_on_in_sequence_and_never_held_twice() -> None:
    async def main() -> list[int]:
        lock, entered, inside = Lock(), list[int](), 0

        async def use(number: int) -> None:
            nonlocal inside
            async with lock:
                inside += 1
                assert inside == 1
                entered.append(number)
                for _ in range(3):
                    await trio.lowlevel.checkpoint()
                inside -= 1

        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(use, number)
        async with lock:
            entered.append(10)
        return entered

    assert sorted(trio.run(main)) == list(range(11))


def test_who_gives_up_waiting_does_not_take_the_lock_along() -> None:
    async def main() -> bool:
        lock = Lock()
        scope = trio.CancelScope()

        async def wait() -> None:
            with scope:
                async with lock:
                    raise AssertionError("cancelled before it was free")

        async with trio.open_nursery() as nursery, lock:
            with trio.move_on_after(0):
                async with lock:
                    raise AssertionError("held twice")
            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
        with trio.fail_after(1):
            async with lock:
                return True

    assert trio.run(main)


def test_an_error_inside_frees_the_lock() -> None:
    async def main() -> bool:
        lock = Lock()
        with contextlib.suppress(KeyError):
            async with lock:
                raise KeyError
        with trio.fail_after(1):
            async with lock:
                return True

    assert trio.run(main)


@contextlib.asynccontextmanager
async def _pair() -> AsyncIterator[tuple[TrioTCPStream, trio.SocketStream]]:
    """Yield our end of a TCP connection, made quick, and a peer's bare one."""
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        theirs = await trio.open_tcp_stream("127.0.0.1", listener.socket.getsockname()[1])
        ours = TrioTCPStream(await listener.accept())
    quick.quicken_socket(ours)
    async with theirs, ours.stream:
        yield ours, theirs


def test_what_came_with_a_short_read_is_there_for_the_next() -> None:
    async def main() -> None:
        async with _pair() as (ours, theirs):
            sent = bytes(range(256)) * 40
            await theirs.send_all(sent)
            got = b""
            sizes = itertools.cycle((2, 100, READ_AHEAD, 3 * READ_AHEAD, 1))
            while len(got) < len(sent):
                size = next(sizes)
                piece = await quick.read(ours, size)
                assert 0 < len(piece) <= size
                got += piece
            assert got == sent
            await theirs.send_all(b"abcdef")
            assert await quick.read(ours, 2) == b"ab"
            with trio.fail_after(1):  # nothing more comes: this is from what is here
                assert await quick.read(ours) == b"cdef"
            await theirs.aclose()
            assert await quick.read(ours, 10) == b""
            assert await quick.read(ours) == b""

    trio.run(main)


def test_a_broken_connection_is_told_after_what_is_here() -> None:
    async def main() -> None:
        async with _pair() as (ours, theirs):
            await theirs.send_all(b"last words")
            assert await quick.read(ours, 4) == b"last"
            # Closed with our bytes unread: a reset.
            await ours.stream.send_all(b"not read")
            await theirs.socket.recv(1)
            await theirs.aclose()
            assert await quick.read(ours, 100) == b" words"
            with pytest.raises(ConnectionClosedError):
                await quick.read(ours, 1)

    trio.run(main)
