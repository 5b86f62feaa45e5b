"""HTTP at the same port: JSON-RPC by POST, pages by GET, and what is refused.

Every refusal is JSON: ``{"error": "<one sentence>"}``.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from aiohttp import web
from aiohttp.web import BaseRequest, Response, StreamResponse

from fondaco import jsonrpc
from fondaco.api import access
from fondaco.api.access import Access
from fondaco.api.dispatch import Calls, Dispatcher
from fondaco.api.limits import Limits
from fondaco.api.pages import NO_PAGES, MakePage, Pages
from fondaco.api.subscriptions import Session, TokenBytes
from fondaco.api.websocket import WebSocketDoor

log = logging.getLogger(__name__)

CONTENT_TYPES: Final = frozenset(
    {"application/json", "application/json-rpc", "application/jsonrequest"}
)
"""Of a JSON-RPC body (go-ethereum). A page of another origin cannot send these unasked."""

RESERVED: Final = {
    "/ws": "the WebSocket API of the market",
    "/html": "a web client of the market",
    "/app": "the node's own web client",
}
"""Paths that are spoken for, and what will be there."""

CALL_METHODS: Final = "GET, POST, OPTIONS"
"""What is used at ``/``."""

PAGE_METHODS: Final = "GET, HEAD, OPTIONS"
"""What is used where a page is."""


class Doors:
    """What one listener does with a request."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        allowed: Access,
        limits: Limits,
        token_bytes: TokenBytes,
        pages: Pages = NO_PAGES,
    ) -> None:
        self.allowed = allowed
        self.limits = limits
        self.bound_to = ""
        self.calls = Calls()
        self.websockets = WebSocketDoor(dispatcher, limits, token_bytes, self.calls)
        self._dispatcher = dispatcher
        self._token_bytes = token_bytes
        self._pages = pages

    async def handle(self, request: BaseRequest) -> StreamResponse:
        """Serve one HTTP request, of any kind."""
        is_handshake = request.headers.get("Upgrade", "").lower().strip() == "websocket"
        refusal = access.check_request(
            self.allowed, _described(request, is_handshake), bound_to=self.bound_to
        )
        if refusal is not None:
            return _text(refusal.status, refusal.reason)
        path = request.path
        if (make_page := self._pages.get(path)) is not None:
            response = _serve_page(request, make_page)
        elif path != "/":
            return _not_here(path)
        elif is_handshake and request.method == "GET":
            return await self.websockets.serve(request)
        else:
            response = await self._serve_http(request)
        origin = request.headers.get("Origin")
        if origin is not None and access.is_allowed_page(self.allowed, origin):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Vary"] = "Origin"
        await self._deliver(request, response)
        return response

    async def _deliver(self, request: BaseRequest, response: Response) -> None:
        """Send a long answer here, to cut off a client that has stopped reading it."""
        transport = request.transport
        body = response.body
        if transport is None or not isinstance(body, bytes):
            return
        if len(body) <= self.limits.write_buffer_bytes:
            return
        left = len(body)
        sending = asyncio.ensure_future(_send(request, response))
        try:
            while not (await asyncio.wait([sending], timeout=self.limits.write_seconds))[0]:
                before, left = left, transport.get_write_buffer_size()
                if left >= before:
                    log.warning("client cut off: it does not read", extra={"peer": request.remote})
                    transport.abort()
            await sending
        finally:
            sending.cancel()

    async def _serve_http(self, request: BaseRequest) -> Response:
        if request.method in ("GET", "HEAD"):
            return Response()
        if request.method == "OPTIONS":
            return _options(CALL_METHODS)
        if request.method != "POST":
            return _not_used(f"{request.method} is not used here; send calls with POST")
        if request.content_type not in CONTENT_TYPES:
            return _text(415, "invalid content type, only application/json is supported")
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            return _text(415, "a compressed body is not supported")
        body = await self._read_body(request)
        if isinstance(body, Response):
            return body
        return await self._answer(request, body)

    async def _read_body(self, request: BaseRequest) -> bytes | Response:
        """Return the body, or why it is not taken."""
        limit = self.limits.message_bytes
        announced = request.content_length
        if announced is not None and announced > limit:
            return _text(413, f"content length too large ({announced}>{limit})")
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self.limits.body_seconds):
                while part := await request.content.readany():
                    size += len(part)
                    if size > limit:
                        return _text(413, f"content length too large (>{limit})")
                    parts.append(part)
        except TimeoutError:
            return _text(408, f"the body did not arrive within {self.limits.body_seconds:g} s")
        except web.RequestPayloadError as exc:
            return _text(400, f"the body cannot be read: {exc}")
        return b"".join(parts)

    async def _answer(self, request: BaseRequest, body: bytes) -> Response:
        if not body:
            return Response(content_type="application/json")
        try:
            message = jsonrpc.parse(body, batch_limit=self.limits.batch_calls)
        except jsonrpc.RpcError as exc:
            return _json(jsonrpc.failure(jsonrpc.NULL, exc))
        session = Session(
            peer=str(request.remote), limits=self.limits, token_bytes=self._token_bytes
        )
        work = self.calls.start(self._dispatcher.reply(session, message))
        reply = await asyncio.shield(work)
        return _json(reply.data)


def _serve_page(request: BaseRequest, make_page: MakePage) -> Response:
    if request.method == "OPTIONS":
        return _options(PAGE_METHODS)
    if request.method not in ("GET", "HEAD"):
        return _not_used(f"{request.method} is not used here; read the page with GET", PAGE_METHODS)
    page = make_page(request.headers.get("Accept", ""))
    return Response(
        status=page.status,
        body=page.body,
        headers={"Content-Type": page.content_type, "Cache-Control": "no-store"},
    )


def _options(methods: str) -> Response:
    # Without Access-Control-Allow-Origin a browser takes this for a refusal.
    return Response(
        status=204,
        headers={
            "Allow": methods,
            "Access-Control-Allow-Methods": methods.removesuffix(", OPTIONS"),
            "Access-Control-Allow-Headers": "Authorization, Content-Type",
        },
    )


async def _send(request: BaseRequest, response: Response) -> None:
    await response.prepare(request)
    await response.write_eof()


def _described(request: BaseRequest, is_handshake: bool) -> access.Request:
    headers = request.headers
    return access.Request(
        host=headers.get("Host"),
        origin=headers.get("Origin"),
        authorization=headers.get("Authorization"),
        query_token=request.query.get("token"),
        is_handshake=is_handshake,
    )


def _json(data: bytes | None) -> Response:
    body = b"" if data is None else data + b"\n"
    return Response(body=body, content_type="application/json")


def _text(status: int, reason: str) -> Response:
    """Return a refusal as JSON; the connection is closed where the body was not read."""
    response = Response(
        status=status,
        body=jsonrpc.encode({"error": reason}) + b"\n",
        content_type="application/json",
    )
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="fondaco"'
    if status in (408, 413):
        response.force_close()
    return response


def _not_used(reason: str, methods: str = CALL_METHODS) -> Response:
    response = _text(405, reason)
    response.headers["Allow"] = methods
    return response


def _not_here(path: str) -> Response:
    for reserved, what in RESERVED.items():
        if path == reserved or path.startswith(f"{reserved}/"):
            return _text(404, f"{reserved} is reserved for {what}; this version has none")
    return _text(404, f"nothing is at {path[:100]!r}; JSON-RPC is at /")
