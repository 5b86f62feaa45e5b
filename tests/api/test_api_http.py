"""JSON-RPC over HTTP, and everything else that is asked at the same port."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from fondaco.api.access import Access
from fondaco.api.http import RESERVED
from fondaco.api.limits import Limits
from fondaco.testing.api import connect_raw, post, serve
from support.api_words import Words, words_registry

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "mesh_vectors.json").read_text()
)
CASES = [
    case
    for case in VECTORS["rpc_errors"]["cases"]
    if case.get("transport", "http") == "http"
    and not (isinstance(case["send"], dict) and case["send"].get("method") == "mesh_subscribe")
]
CALL = b'{"id":1,"method":"mesh_note","params":["x"]}'


@pytest.mark.parametrize("case", CASES, ids=lambda case: json.dumps(case["send"])[:50])
async def test_errors_as_recorded(case: dict[str, Any]) -> None:
    sent = case["send"]
    body = sent if isinstance(sent, str) else json.dumps(sent)
    async with serve(words_registry(Words())) as address:
        status, text = await post(address, body.encode())
    answer = json.loads(text)
    assert status == 200
    assert answer["id"] == (sent["id"] if isinstance(sent, dict) else None)
    assert answer["error"]["code"] == case["code"]
    assert answer["error"]["message"] == case["message"]


async def test_calls_batches_and_notifications() -> None:
    async with serve(words_registry(Words())) as address:
        assert await post(address, CALL) == (200, b'{"jsonrpc":"2.0","id":1,"result":"x"}\n')
        assert (
            json.loads((await post(address, b"[%b,%b]" % (CALL, CALL)))[1])
            == [{"jsonrpc": "2.0", "id": 1, "result": "x"}] * 2
        )
        assert await post(address, b'{"method":"mesh_note","params":["x"]}') == (200, b"")
        assert await post(address, b"") == (200, b"")


async def test_subscriptions_need_a_websocket() -> None:
    body = b'{"id":1,"method":"mesh_subscribe","params":["heartbeat"]}'
    async with serve(words_registry(Words())) as address:
        answer = json.loads((await post(address, body))[1])
    assert answer["error"] == {"code": -32000, "message": "notifications not supported"}


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("application/json-rpc", 200),
        ("application/jsonrequest", 200),
        ("application/json; charset=utf-8", 200),
        ("APPLICATION/JSON", 200),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data", 415),
        ("application/json2", 415),
        ("", 415),
    ],
)
async def test_content_types(content_type: str, status: int) -> None:
    async with serve(words_registry(Words())) as address:
        found, text = await post(address, CALL, Content_Type=content_type)
    assert found == status
    if status != 200:
        assert json.loads(text) == {
            "error": "invalid content type, only application/json is supported"
        }


async def test_compressed_bodies_are_refused() -> None:
    async with serve(words_registry(Words())) as address, connect_raw(address) as raw:
        await raw.send(
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Encoding: gzip\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        assert (await raw.rest()).startswith(b"HTTP/1.1 415 ")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("HEAD", "/", 200),
        ("GET", "/?x=1", 200),
        ("PUT", "/", 405),
        ("DELETE", "/", 405),
        ("PATCH", "/", 405),
        ("OPTIONS", "/", 204),
        ("GET", "/nothing", 404),
        ("POST", "/nothing", 404),
        ("GET", "/wsx", 404),
    ],
)
async def test_other_requests(method: str, path: str, status: int) -> None:
    async with (
        serve(words_registry(Words())) as address,
        aiohttp.ClientSession() as session,
        session.request(method, address.http + path) as response,
    ):
        assert response.status == status
        body = await response.read()
        assert ("error" in json.loads(body)) if status >= 400 else body == b""
        assert response.headers.get("Allow") == (
            "GET, POST, OPTIONS" if status in (204, 405) else None
        )


@pytest.mark.parametrize("path", [*RESERVED, "/html/index.html", "/app/", "/ws/"])
async def test_reserved_paths_say_what_will_be_there(path: str) -> None:
    async with (
        serve(words_registry(Words())) as address,
        aiohttp.ClientSession() as session,
        session.get(address.http + path) as response,
    ):
        assert response.status == 404
        assert "is reserved for" in (await response.json())["error"]


async def test_an_upgrade_at_a_reserved_path_is_refused_too() -> None:
    async with serve(words_registry(Words())) as address, aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await session.ws_connect(f"{address.ws}/ws")
        assert caught.value.status == 404


async def test_requests_are_checked_before_they_are_looked_at() -> None:
    async with serve(words_registry(Words())) as address:
        for path in ("/", "/metrics"):
            status, text = await post(address, CALL, path=path, Origin="https://evil.example")
            assert status == 403
            assert "ALLOWED_ORIGINS" in json.loads(text)["error"]
            status, text = await post(address, CALL, path=path, Host="evil.example")
            assert status == 403
            assert "ALLOWED_HOSTS" in json.loads(text)["error"]
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await session.ws_connect(address.ws, origin="https://evil.example")
            assert caught.value.status == 403


async def test_a_listener_open_to_others_asks_for_the_token() -> None:
    allowed = Access(token="s3cret")
    words = Words()
    async with serve(words_registry(words), allowed=allowed, host="0.0.0.0") as address:
        status, _ = await post(address, CALL)
        assert status == 401
        status, _ = await post(address, CALL, Authorization="Bearer wrong")
        assert status == 401
        status, _ = await post(address, CALL, path="/?token=s3cret")
        assert status == 401
        status, _ = await post(address, CALL, Authorization="Bearer s3cret")
        assert status == 200
        assert words.log == ["x"]
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await session.ws_connect(address.ws)
            assert caught.value.headers is not None
            assert caught.value.headers["WWW-Authenticate"] == 'Bearer realm="fondaco"'
            socket = await session.ws_connect(f"{address.ws}/?token=s3cret")
            await socket.close()


async def test_invited_pages_may_read_the_answer() -> None:
    """What a browser needs before and after a POST from another origin (Fetch, CORS)."""
    origin = "https://app.example.org"
    allowed = Access(origins=frozenset({origin}))
    async with (
        serve(words_registry(Words()), allowed=allowed) as address,
        aiohttp.ClientSession() as session,
    ):
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        async with session.options(address.http, headers=asked) as response:
            assert response.status == 204
            assert response.headers["Access-Control-Allow-Origin"] == origin
            assert "Content-Type" in response.headers["Access-Control-Allow-Headers"]
        sent = {"Origin": origin, "Content-Type": "application/json"}
        async with session.post(address.http, data=CALL, headers=sent) as response:
            assert response.headers["Access-Control-Allow-Origin"] == origin
            assert response.headers["Vary"] == "Origin"
        async with session.post(address.http, json={}) as response:
            assert "Access-Control-Allow-Origin" not in response.headers


async def test_the_longest_body() -> None:
    limits = Limits(message_bytes=1000)
    fits = b'{"id":1,"method":"mesh_addOrders","params":[["%b"]]}' % (b"x" * 950)
    assert len(fits) == 1000
    async with serve(words_registry(Words()), limits=limits) as address:
        assert (await post(address, fits))[0] == 200
        status, text = await post(address, fits + b" ")
        assert (status, json.loads(text)) == (
            413,
            {"error": "content length too large (1001>1000)"},
        )


async def test_the_longest_body_without_a_length() -> None:
    limits = Limits(message_bytes=1000, close_seconds=0.2)
    async with (
        serve(words_registry(Words()), limits=limits) as address,
        connect_raw(address) as raw,
    ):
        await raw.send(
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n" + b"100\r\n%b\r\n" % (b" " * 256) * 5
        )
        assert (await raw.rest()).startswith(b"HTTP/1.1 413 ")


async def test_a_client_that_asks_before_it_sends_is_told_to_go_on() -> None:
    async with serve(words_registry(Words())) as address, connect_raw(address) as raw:
        await raw.send(
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(CALL)
        )
        assert await raw.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await raw.send(CALL)
        assert (await raw.until(b"\r\n")).startswith(b"HTTP/1.1 200 ")


async def test_a_connection_is_used_again() -> None:
    async with serve(words_registry(Words())) as address, connect_raw(address) as raw:
        for _ in range(2):
            await raw.send(
                b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (len(CALL), CALL)
            )
            assert (await raw.until(b'"x"}\n')).startswith(b"HTTP/1.1 200 ")
