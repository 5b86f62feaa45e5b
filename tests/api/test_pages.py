"""Pages beside JSON-RPC: who may read them, and how."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from fondaco.api.access import Access
from fondaco.api.pages import Page, Pages
from fondaco.api.server import Address
from fondaco.testing.api import connect, serve
from support.api_words import Words, words_registry


def mirror(accept: str) -> Page:
    return Page(body=f"asked for {accept}".encode(), content_type="text/x-mirror; charset=utf-8")


PAGES: Pages = {
    "/mirror": mirror,
    "/ill": lambda _: Page(body=b"{}", content_type="application/json", status=503),
}
GUARDED = Access(
    token="secret", origins=frozenset({"https://ours.example"}), hosts=frozenset({"node.example"})
)


@pytest_asyncio.fixture
async def address() -> AsyncIterator[Address]:
    """A node that has not started and never will: pages do not wait for that."""
    async with serve(words_registry(Words()), ready=asyncio.Event(), pages=PAGES) as address:
        yield address


async def ask(
    address: Address, path: str, method: str = "GET", **headers: str
) -> tuple[aiohttp.ClientResponse, bytes]:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, address.http + path, headers=sent) as response,
    ):
        return response, await response.read()


async def test_a_page_is_made_for_whoever_asks(address: Address) -> None:
    response, body = await ask(address, "/mirror?x=1", Accept="text/csv")
    assert (response.status, body) == (200, b"asked for text/csv")
    assert response.headers["Content-Type"] == "text/x-mirror; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-store"
    response, body = await ask(address, "/ill")
    assert (response.status, body) == (503, b"{}")


async def test_head_has_the_headers_alone(address: Address) -> None:
    response, body = await ask(address, "/mirror", "HEAD", Accept="a")
    assert (response.status, body) == (200, b"")
    assert response.headers["Content-Length"] == str(len("asked for a"))
    assert (await ask(address, "/ill", "HEAD"))[0].status == 503


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_other_methods_are_told_which_is_used(address: Address, method: str) -> None:
    response, body = await ask(address, "/mirror", method)
    assert response.status == 405
    assert response.headers["Allow"] == "GET, HEAD, OPTIONS"
    assert "read the page with GET" in json.loads(body)["error"]


async def test_options(address: Address) -> None:
    response, body = await ask(address, "/mirror", "OPTIONS")
    assert (response.status, body) == (204, b"")
    assert response.headers["Allow"] == "GET, HEAD, OPTIONS"
    assert response.headers["Access-Control-Allow-Methods"] == "GET, HEAD"


@pytest.mark.parametrize("path", ["/mirror/", "/mirror/x", "/Mirror", "//mirror"])
async def test_a_page_has_one_address(address: Address, path: str) -> None:
    assert (await ask(address, path))[0].status == 404


async def test_no_websocket_is_there(address: Address) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        async with aiohttp.ClientSession() as session:
            await session.ws_connect(f"{address.ws}/mirror")
    assert caught.value.status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "evil.example"}, 403),
        ({"Authorization": "Bearer guess"}, 401),
    ],
)
async def test_what_holds_for_calls_holds_for_pages(
    address: Address, headers: dict[str, str], status: int
) -> None:
    response, body = await ask(address, "/mirror", **headers)
    assert response.status == status
    assert body.startswith(b"asked for") == (status == 200)


@pytest.mark.parametrize(
    ("headers", "path", "status"),
    [
        ({}, "/mirror", 401),
        ({}, "/mirror?token=secret", 401),
        ({"Authorization": "Bearer secret"}, "/mirror", 200),
        ({"Authorization": "Bearer secret", "Host": "node.example"}, "/mirror", 200),
        ({"Authorization": "Bearer secret", "Host": "other.example"}, "/mirror", 403),
        ({"Authorization": "Bearer secret", "Origin": "https://ours.example"}, "/mirror", 200),
        ({"Authorization": "Bearer secret", "Origin": "https://evil.example"}, "/mirror", 403),
    ],
)
async def test_off_loopback_a_token_is_needed(
    headers: dict[str, str], path: str, status: int
) -> None:
    async with serve(
        words_registry(Words()), allowed=GUARDED, host="0.0.0.0", pages=PAGES
    ) as address:
        response, _ = await ask(address, path, **headers)
        assert response.status == status
        origin = headers.get("Origin") if status == 200 else None
        assert response.headers.get("Access-Control-Allow-Origin") == origin


async def test_calls_are_served_as_before() -> None:
    async with (
        serve(words_registry(Words()), pages=PAGES) as address,
        connect(address) as client,
    ):
        assert (await ask(address, "/"))[0].status == 200
        assert await client.call("mesh_note", "x") == "x"
