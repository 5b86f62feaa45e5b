"""One JSON-RPC request, one HTTP POST."""

from __future__ import annotations

import io

import aiohttp
import msgspec

from fondaco.chain.envelope import Notification, decode_message, result_of
from fondaco.chain.errors import AnswerTooLarge, EndpointUnavailable, MalformedAnswer
from fondaco.chain.limits import CONNECT_TIMEOUT, MAX_ANSWER_SIZE, MAX_RETRY_AFTER

_HEADERS = {"Content-Type": "application/json", "Accept": "application/json"}

_CONNECTIONS = 32
"""Sockets to the endpoint at most; further requests wait for one."""

_LARGE_BODY = 1024 * 1024
"""Bytes from which aiohttp warns of writing a body in one piece."""


class HttpEndpoint:
    """An endpoint behind ``http://`` or ``https://``. Its URL may hold a secret key, so
    it stands in no error and no log line."""

    has_subscriptions = False

    def __init__(self, url: str, *, max_answer_size: int = MAX_ANSWER_SIZE) -> None:
        self._url = url
        self._max_answer_size = max_answer_size
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=_CONNECTIONS),
            headers=_HEADERS,
            # The whole request is timed by the caller; here only the dead host.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT),
        )

    async def exchange(self, request_id: int, request: bytes) -> msgspec.Raw:
        """Send *request*; return the result in its answer.

        Raises:
            EndpointError: the answer is a JSON-RPC error.
            EndpointUnavailable: no usable answer.
        """
        try:
            # Redirects are not followed: an endpoint that moved is for the operator to see.
            async with self._session.post(
                self._url, data=_body(request), allow_redirects=False
            ) as response:
                body = await self._read(response)
                status, retry_after = response.status, response.headers.get("Retry-After")
        except aiohttp.ClientConnectorError as exc:
            problem = exc.os_error.strerror or "cannot be reached"
            raise EndpointUnavailable(f"connection failed: {problem}") from exc
        except (aiohttp.ClientError, OSError) as exc:
            # The text of aiohttp's errors may quote the URL; the name of the class does not.
            raise EndpointUnavailable(f"request failed: {type(exc).__name__}") from exc
        if status == 429 or status >= 500:
            raise EndpointUnavailable(
                f"HTTP status {status}", status=status, retry_after=_seconds(retry_after)
            )
        try:
            message = decode_message(body)
            if isinstance(message, Notification):
                raise MalformedAnswer("a notification came as the answer")
            return result_of(message, request_id)
        except MalformedAnswer as exc:
            if status == 200:
                raise
            raise EndpointUnavailable(f"HTTP status {status}", status=status) from exc

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        parts: list[bytes] = []
        room = self._max_answer_size
        async for part in response.content.iter_any():
            room -= len(part)
            if room < 0:
                raise AnswerTooLarge(f"the answer has over {self._max_answer_size} bytes")
            parts.append(part)
        return b"".join(parts)

    async def close(self) -> None:
        await self._session.close()


def _body(request: bytes) -> bytes | io.BytesIO:
    """Return *request* as aiohttp wants it: large bodies as a stream, written in parts."""
    return request if len(request) < _LARGE_BODY else io.BytesIO(request)


def _seconds(retry_after: str | None) -> float | None:
    """Return the seconds of a Retry-After header; None for a date, which few send."""
    if retry_after is None or not retry_after.isascii() or not retry_after.isdigit():
        return None
    return min(float(retry_after[:9]), MAX_RETRY_AFTER)
