"""Clients that mean harm, or behave as if. Each gets a defined result; nobody else notices.

"Nobody else" is a healthy client that is connected before, and must be answered after.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator

import pytest

from fondaco.api.declarations import Registry, Subscription
from fondaco.api.feed import Event, EventFeed, FeedStream
from fondaco.api.limits import MIB, Limits
from fondaco.api.server import Address
from fondaco.api.subscriptions import Session
from fondaco.testing.api import (
    PATIENCE,
    Client,
    Closed,
    MemoryLog,
    RawClient,
    client_frame,
    connect,
    connect_raw,
    post,
    serve,
    turns,
)
from support.api_words import Words, words_registry


@contextlib.asynccontextmanager
async def under_attack(
    limits: Limits = Limits(),  # noqa: B008 - a frozen value
    registry: Registry | None = None,
) -> AsyncIterator[Address]:
    """A server, and a healthy client that must still be served in the end."""
    async with serve(registry or words_registry(Words()), limits=limits) as address:
        async with connect(address) as healthy:
            assert await healthy.call("mesh_getStats")
            yield address
            assert await healthy.call("mesh_getStats")
        status, _ = await post(address, b'{"id":1,"method":"mesh_getStats"}')
        assert status == 200


def big_call(size: int) -> bytes:
    """Return an addOrders call of exactly *size* bytes."""
    empty = b'{"id":1,"method":"mesh_addOrders","params":[[""]]}'
    return empty.replace(b'""', b'"%b"' % (b"x" * (size - len(empty))))


async def test_the_largest_message_is_served() -> None:
    async with under_attack() as address, connect(address) as client:
        await client.send(big_call(5 * MIB))
        assert (await client.receive())["result"]["count"] == 1
        assert (await post(address, big_call(5 * MIB)))[0] == 200


async def test_a_message_too_large_closes_with_1009() -> None:
    async with under_attack() as address, connect(address) as client:
        with contextlib.suppress(ConnectionError):  # it may be refused while it is sent
            await client.send(big_call(5 * MIB + 1))
        with pytest.raises(Closed) as closed:
            await client.receive()
        assert closed.value.code == 1009


async def test_a_message_announced_far_too_large_is_not_waited_for() -> None:
    async with under_attack() as address, connect_raw(address) as raw:
        await raw.upgrade()
        await raw.send(b"\x81\xff" + (2**40).to_bytes(8, "big") + bytes(4) + b"[" * 1000)
        assert (await raw.rest()).startswith(b"\x88")


async def test_a_message_of_endless_fragments_is_ended() -> None:
    async with under_attack(Limits(message_bytes=10_000)) as address, connect_raw(address) as raw:
        await raw.upgrade()
        await raw.send(b"\x01\xfe\x03\xe8" + bytes(4) + b"x" * 1000)
        for _ in range(20):
            await raw.send(b"\x00\xfe\x03\xe8" + bytes(4) + b"x" * 1000)
        answer = await raw.rest()
        assert answer[:1] == b"\x88"
        assert answer[2:4] == (1009).to_bytes(2, "big")


async def test_a_body_too_large_is_refused_by_its_length() -> None:
    async with under_attack() as address, connect_raw(address) as raw:
        await raw.send(
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n" % (5 * MIB + 1)
        )
        assert b"413" in await raw.until(b"\r\n")


async def test_ten_thousand_calls_in_a_batch_are_refused() -> None:
    batch = b"[" + b",".join([b'{"id":1,"method":"mesh_getStats"}'] * 10_000) + b"]"
    async with under_attack() as address, connect(address) as client:
        for _ in range(2):
            await client.send(batch)
            answer = await client.receive()
            assert answer["id"] is None
            assert answer["error"]["code"] == -32600
            assert answer["error"]["message"] == "batch too long, want at most 1000 calls"
        assert await client.call("mesh_getStats")
        assert json.loads((await post(address, batch))[1])["error"]["code"] == -32600


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"id":1,"method":"m","params":['])
async def test_deep_nesting_is_a_parse_error(opening: bytes) -> None:
    deep = opening * 100_000
    async with under_attack() as address, connect(address) as client:
        await client.send(deep)
        assert (await client.receive())["error"]["code"] == -32700
        with pytest.raises(Closed) as closed:
            await client.receive()
        assert closed.value.code == 1007
        assert json.loads((await post(address, deep))[1])["error"]["code"] == -32700


@pytest.mark.parametrize("opcode", [1, 2], ids=["text", "binary"])
async def test_invalid_utf8_closes_with_1007(opcode: int) -> None:
    limits = Limits(close_seconds=0.1)
    async with under_attack(limits) as address, connect_raw(address) as raw:
        await raw.upgrade()
        await raw.send_frame(b'{"id":"\xff","method":"mesh_getStats"}', opcode)
        answer = await raw.until(b"\n")
        assert json.loads(answer[4:])["error"]["code"] == -32700
        assert (await raw.rest())[2:4] == (1007).to_bytes(2, "big")


@pytest.mark.parametrize(
    ("wire", "code"),
    [
        pytest.param(b"\x83\x80" + bytes(4), 1002, id="unknown opcode"),
        pytest.param(b"\xc1\x80" + bytes(4), 1002, id="extension nobody agreed on"),
        pytest.param(b"\x80\x80" + bytes(4), 1002, id="continuation of nothing"),
        pytest.param(b"\x89\xfe\x00\x80" + bytes(4) + bytes(128), 1002, id="ping too long"),
        pytest.param(b"\x09\x80" + bytes(4), 1002, id="fragmented ping"),
        pytest.param(b"\x88\x81" + bytes(4) + b"x", 1002, id="close with half a code"),
    ],
)
async def test_broken_frames_close_with_a_reason(wire: bytes, code: int) -> None:
    async with under_attack() as address, connect_raw(address) as raw:
        await raw.upgrade()
        await raw.send(wire)
        answer = await raw.rest()
        assert answer[:1] == b"\x88"
        assert answer[2:4] == code.to_bytes(2, "big")


async def test_headers_that_trickle_end() -> None:
    limits = Limits(idle_seconds=0.2)
    async with under_attack(limits) as address, connect_raw(address) as raw:
        await raw.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nX-")
        assert await raw.rest() == b""


async def test_a_body_that_trickles_ends() -> None:
    limits = Limits(body_seconds=0.1, close_seconds=0.1)
    async with under_attack(limits) as address, connect_raw(address) as raw:
        await raw.send(
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )
        assert (await raw.rest()).startswith(b"HTTP/1.1 408 ")


async def test_headers_too_large_are_refused() -> None:
    async with under_attack() as address, connect_raw(address) as raw:
        await raw.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000 + b"\r\n\r\n")
        assert (await raw.rest()).startswith(b"HTTP/1.0 400 ")


async def test_a_client_that_leaves_while_it_sends() -> None:
    async with under_attack() as address:
        for beginning in (
            b"",
            b"POST / HT",
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n{",
        ):
            async with connect_raw(address) as raw:
                await raw.send(beginning)
                raw.hang_up()
        async with connect_raw(address) as raw:
            await raw.upgrade()
            await raw.send(b"\x81\xfe\x01\x00" + bytes(4) + b"{")
            raw.hang_up()


async def test_what_a_client_sent_is_done_though_it_left() -> None:
    words = Words()
    async with under_attack(registry=words_registry(words)) as address:
        async with connect_raw(address) as raw:
            await raw.upgrade()
            await raw.send_frame(b'{"id":1,"method":"mesh_wait","params":["left"]}')
            await words.until_waiting(1)
            raw.hang_up()
        body = b'{"id":1,"method":"mesh_wait","params":["left too"]}'
        async with connect_raw(address) as raw:
            await raw.send(
                b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
            )
            await words.until_waiting(2)
            raw.hang_up()
        words.gate.set()
        await words.until_waiting(0)
        await turns()
    assert words.log[2:] == ["left done", "left too done"]


async def test_a_client_that_leaves_during_its_answer() -> None:
    async with under_attack() as address, connect_raw(address) as raw:
        await raw.upgrade()
        await raw.send_frame(b'{"id":1,"method":"mesh_big","params":[20000000]}')
        await raw.until(b'"result"')
        raw.hang_up()


async def test_a_client_that_never_reads_its_answers_is_cut_off() -> None:
    async with under_attack(Limits(write_seconds=0.3)) as address, connect_raw(address) as raw:
        await raw.upgrade()
        raw.writer.transport.pause_reading()  # type: ignore[attr-defined]
        for _ in range(4):
            await raw.send_frame(b'{"id":1,"method":"mesh_big","params":[20000000]}')
        await until_reset(raw)


async def test_a_client_that_never_reads_its_http_answer_is_cut_off(
    caplog: pytest.LogCaptureFixture,
) -> None:
    body = b'{"id":1,"method":"mesh_big","params":[30000000]}'
    async with under_attack(Limits(write_seconds=0.2)) as address, connect_raw(address) as raw:
        raw.writer.transport.pause_reading()  # type: ignore[attr-defined]
        with caplog.at_level(logging.WARNING, logger="fondaco"):
            await raw.send(
                b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
            )
            async with asyncio.timeout(PATIENCE):
                while not caplog.records:  # noqa: ASYNC110 - the server's side, not ours
                    await asyncio.sleep(0.01)
        assert "does not read" in caplog.messages[0]
        raw.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert len(await raw.rest()) < 30_000_000


async def test_long_http_answers_reach_who_reads() -> None:
    body = b'{"id":1,"method":"mesh_big","params":[30000000]}'
    async with under_attack() as address:
        status, answer = await post(address, body)
        assert (status, len(json.loads(answer)["result"])) == (200, 30_000_000)


async def stuck(raw: RawClient) -> None:
    """Ask for more than is buffered, and do not read it."""
    await raw.upgrade()
    raw.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await raw.send_frame(b'{"id":1,"method":"mesh_big","params":[20000000]}')


@pytest.mark.parametrize(
    "ending",
    [
        pytest.param(b"\x83\x80" + bytes(4), id="broken frame"),
        pytest.param(client_frame(b"{bad}"), id="broken JSON"),
        pytest.param(client_frame((1000).to_bytes(2, "big"), 8), id="close frame"),
    ],
)
async def test_who_does_not_read_is_cut_off_whatever_it_says(ending: bytes) -> None:
    limits = Limits(write_seconds=0.3, close_seconds=0.2)
    async with under_attack(limits) as address, connect_raw(address) as raw:
        await stuck(raw)
        await raw.send(ending)
        await until_reset(raw)


async def test_who_does_not_read_does_not_keep_the_server_up() -> None:
    limits = Limits(write_seconds=60, close_seconds=0.2)
    async with contextlib.AsyncExitStack() as stack:
        async with serve(words_registry(Words()), limits=limits) as address:
            raw = await stack.enter_async_context(connect_raw(address))
            await stuck(raw)
            async with connect(address) as healthy:
                assert await healthy.call("mesh_getStats")
        await until_reset(raw)


async def test_pipelined_garbage() -> None:
    async with under_attack() as address, connect_raw(address) as raw:
        good = (
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 2\r\n\r\n{}"
        )
        await raw.send(good * 3)
        for _ in range(3):
            assert b"200 OK" in await raw.until(b'"invalid request"}}\n')
        await raw.send(b"\x00\xff garbage\r\n\r\n" + good)
        answers = await raw.rest()
        assert answers.startswith(b"HTTP/1.0 400 ")
        assert b"200 OK" not in answers


async def test_garbage_behind_a_handshake() -> None:
    async with under_attack() as address, connect_raw(address) as raw:
        await raw.send(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Sec-WebSocket-Version: 13\r\n\r\n" + b"garbage" * 10
        )
        answer = await raw.rest()
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert b"\x88" in answer.partition(b"\r\n\r\n")[2]


async def test_a_subscriber_that_never_reads_harms_nobody() -> None:
    """It is cut off; who reads gets every event in time."""
    log = MemoryLog()
    feed: EventFeed[int] = EventFeed(log, len, last=0, limits=Limits())

    async def subscribe(session: Session) -> FeedStream[int]:
        return await feed.open()

    registry = words_registry(Words())
    registry.add(Subscription(namespace="mesh", name="orders", handler=subscribe))
    limits = Limits(write_seconds=0.5)
    async with (
        under_attack(limits, registry) as address,
        connect(address) as reader,
        connect_raw(address) as stuck,
    ):
        await reader.call("mesh_subscribe", "orders")
        await stuck.upgrade()
        await stuck.send_frame(b'{"id":1,"method":"mesh_subscribe","params":["orders"]}')
        await stuck.until(b"\n")
        stuck.writer.transport.pause_reading()  # type: ignore[attr-defined]
        received = asyncio.create_task(read_events(reader, 400))
        for _ in range(400):
            given = log.append([b'"%b"' % (b"x" * 50_000)])
            (_, encoded) = log.rows[-1]
            feed.publish([Event(sequence=given[0], encoded=encoded, value=0)])
            await turns(2)
        await received
        await until_reset(stuck)
        async with asyncio.timeout(PATIENCE):
            while feed.subscriber_count > 1:  # noqa: ASYNC110 - the server's side, not ours
                await asyncio.sleep(0)


async def read_events(client: Client, count: int) -> None:
    """Read *count* events, however they come in notifications."""
    seen = 0
    while seen < count:
        seen += len((await client.notification())["result"])


async def until_reset(raw: RawClient) -> None:
    """Return when the server has cut the connection off, without having read."""
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(ConnectionError):
            while True:
                raw.writer.write(b"\x8a\x80" + bytes(4))
                await raw.writer.drain()
                if raw.writer.is_closing():
                    return
                await asyncio.sleep(0.01)
