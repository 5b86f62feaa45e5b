"""The clients and the log that other tests rely on."""

from __future__ import annotations

import pytest

from fondaco.testing.api import Closed, MemoryLog, client_frame, connect, counting_bytes, serve
from support.api_words import Words, words_registry


def test_counted_bytes_differ() -> None:
    token_bytes = counting_bytes()
    assert [token_bytes(2), token_bytes(2)] == [b"\x00\x01", b"\x00\x02"]


@pytest.mark.parametrize(
    ("size", "start"),
    [
        (0, b"\x81\x80"),
        (125, b"\x81\xfd"),
        (126, b"\x81\xfe\x00\x7e"),
        (65_536, b"\x81\xff\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_frames_of_a_client(size: int, start: bytes) -> None:
    assert client_frame(b"x" * size) == start + bytes(4) + b"x" * size


async def test_a_client_keeps_notifications_for_later() -> None:
    async with serve(words_registry(Words())) as address, connect(address) as client:
        await client.call("mesh_subscribe", "heartbeat")
        await client.call("mesh_getStats")
        assert (await client.notification())["result"] == "tick"
        await client.socket.close()
        with pytest.raises(Closed):
            await client.receive()


async def test_the_log_in_memory() -> None:
    log = MemoryLog()
    assert await log.bounds() == (1, 0)
    assert list(log.append([b"a", b"b", b"c"])) == [1, 2, 3]
    assert await log.read_after(1, 1) == [(2, b"b")]
    log.prune(3)
    assert (await log.bounds(), await log.read_after(0, 9)) == ((3, 3), [(3, b"c")])
    assert list(log.append([])) == []
