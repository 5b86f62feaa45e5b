from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import trio
import trio.testing

from fondaco.p2p import limits, link
from fondaco.p2p.host.linkend import LinkEnd


@contextlib.asynccontextmanager
async def pair() -> AsyncIterator[tuple[LinkEnd, trio.SocketStream]]:
    ours, theirs = (
        trio.SocketStream(trio.socket.from_stdlib_socket(one)) for one in socket.socketpair()
    )
    async with ours, theirs:
        yield LinkEnd(ours), theirs


def run(scene: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        with trio.fail_after(20):
            await scene()

    trio.run(bounded)


def test_what_came_with_the_first_frame_is_there_for_the_next_reader() -> None:
    async def scene() -> None:
        async with pair() as (end, far):
            await far.send_all(link.encode(link.Subscribe("a")) + link.encode(link.Subscribe("b")))
            assert await end.receive() == link.Subscribe("a")
            assert await end.receive() == link.Subscribe("b")
            await far.aclose()
            assert await end.receive() is None

    run(scene)


def test_nonsense_breaks_the_link() -> None:
    async def scene() -> None:
        async with pair() as (end, far):
            await far.send_all(b"\xff\xff\xff\xff")
            with pytest.raises(link.BrokenLink):
                await end.receive()

    run(scene)


def test_senders_wait_for_room_and_frames_keep_their_sequence() -> None:
    async def scene() -> None:
        async with pair() as (end, far):
            size = 100_000
            count = 10 * limits.LINK_QUEUE_BYTES // size
            sent = 0

            async def send() -> None:
                nonlocal sent
                for number in range(count):
                    await end.send(link.Response(number, bytes(size)))
                    sent += 1

            async with trio.open_nursery() as nursery:
                nursery.start_soon(end.write)
                nursery.start_soon(send)
                await trio.testing.wait_all_tasks_blocked()
                assert sent < count
                assert end.queued_bytes <= limits.LINK_QUEUE_BYTES + 2 * size
                decoder = link.in_main()
                numbers: list[int] = []
                while len(numbers) < count:
                    for frame in decoder.feed(await far.receive_some(65_536)):
                        assert isinstance(frame, link.Response)
                        numbers.append(frame.number)
                assert numbers == list(range(count))
                await end.flush()
                nursery.cancel_scope.cancel()

    run(scene)


def test_writing_ends_when_the_main_process_has_gone() -> None:
    async def scene() -> None:
        async with pair() as (end, far):
            await far.aclose()
            end.put(link.Published(1))
            await end.write()

    run(scene)
