from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from fondaco.chain.envelope import Notification, encode_request
from fondaco.chain.errors import (
    AnswerTooLarge,
    EndpointError,
    EndpointUnavailable,
    MalformedAnswer,
)
from fondaco.chain.websocket import WebSocketEndpoint
from fondaco.testing.ethereum import FakeEthereum, Fault, open_fake_ethereum


@pytest.fixture
async def server() -> AsyncIterator[FakeEthereum]:
    async with open_fake_ethereum() as fake:
        yield fake


class Heard:
    """An endpoint and the notifications it passed on."""

    def __init__(self, url: str) -> None:
        self.notifications: asyncio.Queue[Notification] = asyncio.Queue()
        self.endpoint = WebSocketEndpoint(
            url, self.notifications.put_nowait, max_answer_size=10_000
        )

    async def ask(self, request_id: int, method: str = "eth_chainId") -> bytes:
        request = encode_request(request_id, method, [])
        return bytes(await self.endpoint.exchange(request_id, request))


@pytest.fixture
async def heard(server: FakeEthereum) -> AsyncIterator[Heard]:
    made = Heard(server.ws_url)
    yield made
    await made.endpoint.close()


async def test_answers_are_told_apart_by_their_ids(server: FakeEthereum, heard: Heard) -> None:
    server.chain.handlers = {f"m{n}": lambda params, n=n: n for n in range(20)}  # type: ignore[misc]
    answers = await asyncio.gather(*(heard.ask(n, f"m{n}") for n in range(20)))
    assert [json.loads(answer) for answer in answers] == list(range(20))


async def test_a_json_rpc_error_concerns_one_request(server: FakeEthereum, heard: Heard) -> None:
    server.chain.fail(Fault(error=(-32000, "header not found", None)))
    with pytest.raises(EndpointError, match="header not found"):
        await heard.ask(1)
    assert await heard.ask(2) == b'"0x539"'


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        pytest.param(Fault(), EndpointUnavailable, id="cut off"),
        pytest.param(Fault(body=b"<html>"), MalformedAnswer, id="html"),
        pytest.param(Fault(body=b"{"), MalformedAnswer, id="truncated"),
        pytest.param(Fault(body=b'{"id":"1","result":5}'), MalformedAnswer, id="id as text"),
        pytest.param(Fault(body=b'{"id":true,"result":5}'), MalformedAnswer, id="id is true"),
        pytest.param(Fault(body=b'{"id":null,"result":5}'), MalformedAnswer, id="no id"),
        pytest.param(
            Fault(body=json.dumps({"id": 1, "result": "x" * 10_000}).encode()),
            AnswerTooLarge,
            id="too large",
        ),
    ],
)
async def test_a_spoiled_connection_fails_what_was_asked_and_is_replaced(
    server: FakeEthereum, heard: Heard, fault: Fault, error: type[Exception]
) -> None:
    assert await heard.ask(0) == b'"0x539"'
    server.chain.fail(Fault(is_hanging=True), fault)
    waiting = asyncio.create_task(heard.ask(7))
    with pytest.raises(error):
        await asyncio.gather(heard.ask(1), waiting)
    assert isinstance((await asyncio.gather(waiting, return_exceptions=True))[0], error)
    assert await heard.ask(2) == b'"0x539"'


async def test_an_answer_that_comes_too_late_is_nobody_s(
    server: FakeEthereum, heard: Heard
) -> None:
    server.chain.fail(Fault(is_foreign=True))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await heard.ask(1)
    assert await heard.ask(2) == b'"0x539"'


async def test_notifications_come_between_answers(server: FakeEthereum, heard: Heard) -> None:
    assert await heard.ask(1, "eth_subscribe") == b'"0x1"'
    head = server.chain.mine()
    notification = await heard.notifications.get()
    assert notification.subscription == "0x1"
    assert json.loads(bytes(notification.result))["hash"] == "0x" + head.hash.hex()


async def test_away_and_back(server: FakeEthereum, heard: Heard) -> None:
    await heard.ask(1)
    await server.go_away()
    await heard.endpoint.lost()
    with pytest.raises(EndpointUnavailable, match="connection failed"):
        await heard.ask(2)
    await server.come_back()
    assert await heard.ask(3) == b'"0x539"'


async def test_closing_fails_what_is_in_flight(server: FakeEthereum, heard: Heard) -> None:
    await heard.ask(1)
    server.chain.fail(Fault(method="eth_call", is_hanging=True))
    waiting = asyncio.create_task(heard.ask(2, "eth_call"))
    assert await heard.ask(3) == b'"0x539"'  # meanwhile the other one was sent
    await heard.endpoint.close()
    with pytest.raises(EndpointUnavailable, match="connection lost"):
        await waiting


async def test_an_endpoint_that_refuses_the_upgrade() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    heard = Heard(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/secret-key")
    async with server:
        with pytest.raises(EndpointUnavailable, match="InvalidStatus") as caught:
            await heard.ask(1)
    assert "secret-key" not in str(caught.value)
    await heard.endpoint.lost()
    await heard.endpoint.close()
