"""JSON-RPC over a real WebSocket."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from fondaco.api.limits import Limits
from fondaco.testing.api import Closed, connect, connect_raw, serve
from support.api_words import Words, words_registry

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "mesh_vectors.json").read_text()
)
CASES = [c for c in VECTORS["rpc_errors"]["cases"] if c.get("transport", "ws") == "ws"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: json.dumps(case["send"])[:50])
async def test_errors_as_recorded(case: dict[str, Any]) -> None:
    async with serve(words_registry(Words())) as address, connect(address) as client:
        sent = case["send"]
        await client.send(sent if isinstance(sent, str) else json.dumps(sent))
        answer = await client.receive()
        assert answer["jsonrpc"] == "2.0"
        assert answer["id"] == (sent["id"] if isinstance(sent, dict) else None)
        assert answer["error"]["code"] == case["code"]
        if "message" in case:
            assert answer["error"]["message"] == case["message"]
        if case.get("then") == "connection closed":
            with pytest.raises(Closed) as closed:
                await client.receive()
            assert closed.value.code == 1007
        else:
            assert await client.call("rpc_modules")


async def test_answers_end_with_a_newline_and_are_text() -> None:
    async with serve(words_registry(Words())) as address, connect_raw(address) as raw:
        await raw.upgrade()
        await raw.send_frame(b'{"id":1,"method":"mesh_note","params":["x"]}')
        text = b'{"jsonrpc":"2.0","id":1,"result":"x"}\n'
        assert await raw.until(b"\n") == bytes((0x81, len(text))) + text


async def test_binary_frames_are_read_as_text_ones() -> None:
    async with serve(words_registry(Words())) as address, connect(address) as client:
        await client.socket.send_bytes(b'{"id":1,"method":"mesh_note","params":["x"]}')
        assert (await client.receive())["result"] == "x"


async def test_answers_come_when_they_are_ready() -> None:
    words = Words()
    async with serve(words_registry(words)) as address, connect(address) as client:
        await client.send('{"id":"slow","method":"mesh_wait","params":["slow"]}')
        await client.send('{"id":"quick","method":"mesh_note","params":["quick"]}')
        assert (await client.receive())["id"] == "quick"
        words.gate.set()
        assert (await client.receive())["id"] == "slow"


async def test_a_connection_has_so_many_calls_at_once() -> None:
    words = Words()
    limits = Limits(calls_per_connection=2)
    async with (
        serve(words_registry(words), limits=limits) as address,
        connect(address) as greedy,
        connect(address) as modest,
    ):
        for number in range(3):
            await greedy.send(f'{{"id":{number},"method":"mesh_wait","params":["g"]}}')
        await words.until_waiting(2)
        assert await modest.call("mesh_note", "served")
        assert words.log == ["g waits", "g waits", "served"]
        words.gate.set()
        assert sorted([(await greedy.receive())["id"] for _ in range(3)]) == [0, 1, 2]


async def test_no_extension_and_no_subprotocol_is_agreed_on() -> None:
    async with (
        serve(words_registry(Words())) as address,
        connect(address, compress=15, protocols=("mesh",)) as client,
    ):
        assert client.socket.compress == 0
        assert client.socket.protocol is None
        assert await client.call("mesh_getStats")


async def test_pings_are_answered() -> None:
    async with serve(words_registry(Words())) as address, connect_raw(address) as raw:
        await raw.upgrade()
        await raw.send_frame(b"still there?", opcode=9)
        assert await raw.until(b"there?") == b"\x8a\x0cstill there?"


async def test_a_client_that_closes_is_answered_with_a_close() -> None:
    async with serve(words_registry(Words())) as address, connect_raw(address) as raw:
        await raw.upgrade()
        await raw.send_frame((1000).to_bytes(2, "big"), opcode=8)
        assert await raw.rest() == b"\x88\x02\x03\xe8"


async def test_heartbeat() -> None:
    words = Words()
    async with serve(words_registry(words)) as address, connect(address) as client:
        subscription = await client.call("mesh_subscribe", "heartbeat")
        assert subscription == "0x1"
        tick = {"subscription": subscription, "result": "tick"}
        assert await client.notification() == tick
        clock: Any = words.clock
        for _ in range(3):
            await clock.until_sleeping()
            await clock.advance(4.9)
            assert await client.call("mesh_getStats")
            assert client.notifications == []
            await clock.advance(0.1)
            assert await client.notification() == tick
        assert await client.call("mesh_unsubscribe", subscription) is True
        await clock.advance(60)
        again = await client.ask("mesh_unsubscribe", subscription)
        assert again["error"]["message"] == "subscription not found"
        assert client.notifications == []


async def test_nothing_is_sent_before_the_id_is_told() -> None:
    """Also inside a batch, whose answer waits for the calls behind the subscribe."""
    words = Words()
    async with serve(words_registry(words)) as address, connect(address) as client:
        await client.send(
            '[{"id":1,"method":"mesh_subscribe","params":["heartbeat"]},'
            '{"id":2,"method":"mesh_wait","params":["x"]}]'
        )
        await words.until_waiting(1)
        assert await client.call("mesh_getStats")
        assert client.notifications == []
        words.gate.set()
        answers = await client.receive()
        assert [answer["id"] for answer in answers] == [1, 2]
        assert (await client.notification())["subscription"] == answers[0]["result"]


async def test_a_subscription_ended_in_its_own_batch_never_starts() -> None:
    async with serve(words_registry(Words())) as address, connect(address) as client:
        await client.send(
            '[{"id":1,"method":"mesh_subscribe","params":["heartbeat"]},'
            '{"id":2,"method":"mesh_unsubscribe","params":["0x1"]}]'
        )
        assert [answer["result"] for answer in await client.receive()] == ["0x1", True]
        assert await client.call("mesh_getStats")
        assert client.notifications == []


async def test_subscriptions_belong_to_their_connection() -> None:
    async with (
        serve(words_registry(Words())) as address,
        connect(address) as one,
        connect(address) as other,
    ):
        subscription = await one.call("mesh_subscribe", "heartbeat")
        answer = await other.ask("mesh_unsubscribe", subscription)
        assert answer["error"]["message"] == "subscription not found"
        assert (await one.notification())["result"] == "tick"


async def test_subscriptions_end_with_their_connection() -> None:
    words = Words()
    clock: Any = words.clock
    async with serve(words_registry(words)) as address:
        async with connect(address) as client:
            await client.call("mesh_subscribe", "heartbeat")
            await client.notification()
            await clock.until_sleeping()
        async with connect(address) as client:
            assert await client.call("mesh_getStats")
            assert clock.sleeping == 0


async def test_a_connection_has_so_many_subscriptions() -> None:
    limits = Limits(subscriptions_per_connection=2)
    async with (
        serve(words_registry(Words()), limits=limits) as address,
        connect(address) as client,
    ):
        first = await client.call("mesh_subscribe", "heartbeat")
        await client.call("mesh_subscribe", "heartbeat")
        answer = await client.ask("mesh_subscribe", "heartbeat")
        assert answer["error"]["data"]["code"] == "TooManySubscriptions"
        await client.call("mesh_unsubscribe", first)
        assert await client.call("mesh_subscribe", "heartbeat")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ("[]", "expected subscription name as first argument"),
        ("[5]", "expected subscription name as first argument"),
        ("{}", "non-array args"),
        ("null", "non-array args"),
        ('["nope"]', 'no "nope" subscription in mesh namespace'),
        ('["heartbeat",1]', "too many arguments, want at most 1"),
        (f'["heartbeat"{",1" * 99}]', "too many arguments, want at most 1"),
    ],
)
async def test_subscribe_calls_that_do_not_fit(params: str, message: str) -> None:
    async with serve(words_registry(Words())) as address, connect(address) as client:
        await client.send(f'{{"id":1,"method":"mesh_subscribe","params":{params}}}')
        assert (await client.receive())["error"]["message"] == message


async def test_long_answers_come_in_frames_that_clients_take() -> None:
    """The original's clients refuse frames over 1 MiB; go-ethereum fragments as well."""
    limits = Limits(frame_bytes=1000)
    async with serve(words_registry(Words()), limits=limits) as address:
        async with connect_raw(address) as raw:
            await raw.upgrade()
            await raw.send_frame(b'{"id":1,"method":"mesh_big","params":[2500]}')
            wire = await raw.until(b"\n")
            assert wire[:4] == b"\x01\x7e\x03\xe8"
            assert wire[1004:1008] == b"\x00\x7e\x03\xe8"
            assert wire[2008] == 0x80
        async with connect(address) as client:
            assert await client.call("mesh_big", 1_000_000) == "x" * 1_000_000


async def test_stopping_tells_clients_why() -> None:
    words = Words()
    async with aiohttp.ClientSession() as session:
        async with serve(words_registry(words)) as address:
            sockets = [await session.ws_connect(address.ws) for _ in range(3)]
            receiving = [asyncio.create_task(socket.receive()) for socket in sockets]
        for frame in await asyncio.gather(*receiving):
            assert frame.type is aiohttp.WSMsgType.CLOSE
            assert (frame.data, frame.extra) == (1001, "the node is shutting down")


async def test_a_handshake_that_is_none() -> None:
    async with serve(words_registry(Words())) as address, connect_raw(address) as raw:
        await raw.send(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 12\r\n\r\n"
        )
        answer = await raw.until(b"}\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"RFC 6455" in answer
