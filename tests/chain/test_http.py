"""Every way an HTTP endpoint can fail gives a typed error, never a crash."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from fondaco.chain.envelope import encode_request
from fondaco.chain.errors import (
    AnswerTooLarge,
    EndpointError,
    EndpointUnavailable,
    MalformedAnswer,
)
from fondaco.chain.http import HttpEndpoint
from fondaco.chain.limits import MAX_RETRY_AFTER
from fondaco.testing.ethereum import FakeEthereum, Fault, open_fake_ethereum

ASK = encode_request(1, "eth_chainId", [])


@pytest.fixture
async def server() -> AsyncIterator[FakeEthereum]:
    async with open_fake_ethereum() as fake:
        yield fake


@pytest.fixture
async def endpoint(server: FakeEthereum) -> AsyncIterator[HttpEndpoint]:
    http = HttpEndpoint(server.url, max_answer_size=10_000)
    yield http
    await http.close()


async def test_a_result(endpoint: HttpEndpoint) -> None:
    assert bytes(await endpoint.exchange(1, ASK)) == b'"0x539"'


@pytest.mark.parametrize(
    ("fault", "error", "text"),
    [
        pytest.param(Fault(status=500), EndpointUnavailable, "status 500", id="500"),
        pytest.param(Fault(status=503), EndpointUnavailable, "status 503", id="503"),
        pytest.param(Fault(status=404), EndpointUnavailable, "status 404", id="404"),
        pytest.param(Fault(status=429), EndpointUnavailable, "status 429", id="429"),
        pytest.param(
            Fault(status=302, headers={"Location": "http://127.0.0.1:9/"}),
            EndpointUnavailable,
            "status 302",
            id="redirect is not followed",
        ),
        pytest.param(Fault(), EndpointUnavailable, "request failed", id="cut off"),
        pytest.param(Fault(body=b"<html>hi</html>"), MalformedAnswer, "JSON-RPC", id="html"),
        pytest.param(Fault(body=b""), MalformedAnswer, "JSON-RPC", id="empty"),
        pytest.param(Fault(body=b'{"jsonrpc":"2.0","i'), MalformedAnswer, "JSON", id="truncated"),
        pytest.param(Fault(body=b"[" * 9_000), MalformedAnswer, "JSON-RPC", id="deep"),
        pytest.param(Fault(body=b'{"id":1}'), MalformedAnswer, "neither", id="no result"),
        pytest.param(
            Fault(body=b'{"method":"x","params":{"subscription":"0x1","result":1}}'),
            MalformedAnswer,
            "notification",
            id="notification",
        ),
        pytest.param(Fault(is_foreign=True), MalformedAnswer, "another request", id="foreign id"),
        pytest.param(Fault(body=b" " * 10_001), AnswerTooLarge, "10000 bytes", id="too large"),
        pytest.param(Fault(error=(3, "reverted", "0x")), EndpointError, "reverted", id="error"),
    ],
)
async def test_each_fault_is_a_typed_error_and_the_next_request_is_none_the_worse(
    server: FakeEthereum,
    endpoint: HttpEndpoint,
    fault: Fault,
    error: type[Exception],
    text: str,
) -> None:
    server.chain.fail(fault)
    with pytest.raises(error, match=text) as caught:
        await endpoint.exchange(1, ASK)
    assert str(server.port) not in str(caught.value)
    assert bytes(await endpoint.exchange(1, ASK)) == b'"0x539"'


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("999999999999999999999", MAX_RETRY_AFTER),
        ("-1", None),
        ("\u00b2", None),
        ("Fri, 31 Dec 1999 23:59:59 GMT", None),
    ],
)
async def test_retry_after(
    server: FakeEthereum, endpoint: HttpEndpoint, header: str, seconds: float | None
) -> None:
    server.chain.fail(Fault(status=429, headers={"Retry-After": header}))
    with pytest.raises(EndpointUnavailable) as caught:
        await endpoint.exchange(1, ASK)
    assert (caught.value.status, caught.value.retry_after) == (429, seconds)


async def test_nobody_listens(server: FakeEthereum, endpoint: HttpEndpoint) -> None:
    await server.go_away()
    with pytest.raises(EndpointUnavailable, match="connection failed"):
        await endpoint.exchange(1, ASK)
    await server.come_back()
    assert bytes(await endpoint.exchange(1, ASK)) == b'"0x539"'


async def served(handler: web.BaseRequest | object) -> tuple[web.AppRunner, str]:
    app = web.Application()
    app.router.add_post("/{key}", handler)  # type: ignore[arg-type]
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}/secret-key"


async def exchange_with(handler: object) -> bytes:
    runner, url = await served(handler)
    endpoint = HttpEndpoint(url, max_answer_size=10_000)
    try:
        return bytes(await endpoint.exchange(1, ASK))
    finally:
        await endpoint.close()
        await runner.cleanup()


async def test_an_error_with_a_client_s_status_is_an_answer() -> None:
    async def handler(request: web.Request) -> web.Response:
        error = {"code": -32600, "message": "project is over its plan"}
        return web.json_response({"id": 1, "error": error}, status=403)

    with pytest.raises(EndpointError, match="over its plan"):
        await exchange_with(handler)


async def test_a_small_body_that_unpacks_to_a_large_one_is_cut() -> None:
    async def handler(request: web.Request) -> web.Response:
        body = gzip.compress(b'{"id":1,"result":"' + b"a" * 50_000_000 + b'"}')
        return web.Response(body=body, headers={"Content-Encoding": "gzip"})

    with pytest.raises(AnswerTooLarge):
        await exchange_with(handler)


async def test_a_body_that_does_not_unpack() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=b"\x00" * 100, headers={"Content-Encoding": "gzip"})

    with pytest.raises(EndpointUnavailable, match="request failed") as caught:
        await exchange_with(handler)
    assert "secret-key" not in str(caught.value)


async def test_a_body_that_ends_early() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"id":1,')
        assert request.transport is not None
        request.transport.abort()
        return response

    with pytest.raises(EndpointUnavailable, match="request failed"):
        await exchange_with(handler)


async def test_a_server_that_does_not_speak_http() -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.org ESMTP\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(shout, "127.0.0.1", 0)
    endpoint = HttpEndpoint(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/secret-key")
    async with server:
        with pytest.raises(EndpointUnavailable, match="request failed") as caught:
            await endpoint.exchange(1, ASK)
    assert "secret-key" not in str(caught.value)
    await endpoint.close()
