"""A real endpoint that can do less: some requests are refused on the way, as providers do.

async with open_limited(devnet.http_url, refuse) as endpoint:
    ...     # the node talks to endpoint.url; endpoint.refused counts by rule
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

Refuse = Callable[[str, list[Any]], tuple[int, str] | None]
"""Method and parameters to code and message of an error; None lets the request pass."""


Spoil = Callable[[str, dict[str, Any]], bytes]
"""Method and decoded answer to the bytes sent in its place."""


class LimitedEndpoint:
    """An HTTP proxy that reads JSON-RPC. Made by ``open_limited``."""

    def __init__(self, far: str, refuse: Refuse | None, session: aiohttp.ClientSession) -> None:
        self.url = ""
        self.passed: Counter[str] = Counter()
        """Requests handed on, by method."""
        self.refused: Counter[str] = Counter()
        """Requests refused, by the message they got."""
        self.spoilt: Counter[str] = Counter()
        """Answers that were spoilt, by method."""
        self.refuse = refuse
        self.spoil: Spoil | None = None
        self._far = far
        self._session = session

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        call = msgspec.json.decode(body)
        method = call["method"]
        error = self.refuse(method, call["params"]) if self.refuse else None
        if error is not None:
            self.refused[error[1]] += 1
            fields = {"code": error[0], "message": error[1]}
            return _json(msgspec.json.encode({"jsonrpc": "2.0", "id": call["id"], "error": fields}))
        self.passed[method] += 1
        headers = {"Content-Type": "application/json"}
        async with self._session.post(self._far, data=body, headers=headers) as response:
            answer = await response.read()
        if self.spoil is not None:
            decoded = msgspec.json.decode(answer)
            answer = self.spoil(method, decoded)
            self.spoilt[method] += answer != encoded(decoded)
        return _json(answer)


def encoded(answer: dict[str, Any]) -> bytes:
    """Return *answer* as a ``Spoil`` returns what it leaves alone."""
    return json.dumps(answer).encode()


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json")


@contextlib.asynccontextmanager
async def open_limited(url: str, refuse: Refuse | None = None) -> AsyncIterator[LimitedEndpoint]:
    """Stand in front of the endpoint at *url*."""
    async with aiohttp.ClientSession() as session:
        endpoint = LimitedEndpoint(url, refuse, session)
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/", endpoint.answer)
        runner = web.AppRunner(app, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            endpoint.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield endpoint
        finally:
            await runner.cleanup()


def without_override(method: str, params: list[Any]) -> tuple[int, str] | None:
    """Refuse state overrides, in the words of a node that never had them."""
    if method == "eth_call" and len(params) > 2:
        return -32602, "too many arguments, want at most 2"
    return None


def without_block_hash(method: str, params: list[Any]) -> tuple[int, str] | None:
    """Refuse block hashes in eth_call (EIP-1898), in the words of an old Geth."""
    if method == "eth_call" and isinstance(params[1], dict):
        return -32602, "invalid argument 1: json: cannot unmarshal object into Go value of string"
    return None


def without_either(method: str, params: list[Any]) -> tuple[int, str] | None:
    return without_block_hash(method, params) or without_override(method, params)
