"""A plain JSON-RPC client for driving the local chain.

It has neither a budget nor retries, on purpose: what moves the chain in tests and in
the demo shares nothing with ``chain.rpc``, the client that is under test there.

    DevnetError
    |- DevnetUnavailable     the chain does not answer (not running, broken connection)
    '- DevnetRefused         it answered with a JSON-RPC error
       '- Reverted           a transaction or call was run and reverted
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import aiohttp
import msgspec

from fondaco.errors import NodeError, Unavailable

TIMEOUT = 60.0
"""Seconds for one request; a block with thousands of transactions takes some."""


class DevnetError(NodeError):
    """Something asked of the local chain did not happen."""

    code = "DevnetError"


class DevnetUnavailable(Unavailable, DevnetError):
    """The local chain does not answer."""


class DevnetRefused(DevnetError):
    """The local chain answered with an error.

    Args:
        method: the JSON-RPC method that was called.
        rpc_code, message, data: the members of the error object.
    """

    def __init__(self, method: str, rpc_code: int, message: str, data: object) -> None:
        super().__init__(f"{method}: {message} ({rpc_code})")
        self.rpc_code = rpc_code
        self.message = message
        self.data = data


class Reverted(DevnetRefused):
    """The EVM ran the call or transaction and reverted it."""

    def __init__(self, method: str, message: str, data: object = None) -> None:
        super().__init__(method, REVERTED_CODE, message, data)


REVERTED_CODE = 3
"""JSON-RPC error code of a reverted execution (Geth's choice; anvil follows)."""


class DevnetRpc:
    """Calls to one JSON-RPC endpoint over HTTP."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url
        self._last_id = 0

    async def call(self, method: str, *parameters: object) -> Any:
        """Return the result of one call, as decoded JSON.

        Raises:
            DevnetUnavailable: no usable answer.
            Reverted: the EVM reverted.
            DevnetRefused: any other JSON-RPC error.
        """
        return _result(method, await self._post(self._request(method, parameters)))

    async def batch(self, calls: Sequence[tuple[str, Sequence[object]]]) -> list[Any]:
        """Return the results of several calls sent as one batch, in their sequence.

        The chain is free to run them in any sequence. The first error is raised.
        """
        requests = [self._request(method, parameters) for method, parameters in calls]
        answers = await self._post(requests)
        if not isinstance(answers, list):
            return [_result("batch", answers)]
        by_id = {answer["id"]: answer for answer in answers}
        return [
            _result(method, by_id[request["id"]])
            for (method, _), request in zip(calls, requests, strict=True)
        ]

    def _request(self, method: str, parameters: Sequence[object]) -> dict[str, object]:
        self._last_id += 1
        return {
            "jsonrpc": "2.0",
            "id": self._last_id,
            "method": method,
            "params": list(parameters),
        }

    async def _post(self, message: object) -> Any:
        try:
            async with self._session.post(
                self._url,
                data=msgspec.json.encode(message),
                headers={"content-type": "application/json"},
            ) as response:
                return msgspec.json.decode(await response.read())
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as exc:
            raise DevnetUnavailable(f"{self._url}: {exc or type(exc).__name__}") from exc


@contextlib.asynccontextmanager
async def open_rpc(url: str) -> AsyncIterator[DevnetRpc]:
    """Yield a client of the endpoint at *url*."""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        yield DevnetRpc(session, url)


def _result(method: str, answer: Any) -> Any:
    if not isinstance(answer, dict):
        raise DevnetUnavailable(f"{method}: the answer is not an object")
    error = answer.get("error")
    if error is None:
        return answer.get("result")
    code, message = error.get("code", 0), str(error.get("message", ""))
    if code == REVERTED_CODE or "revert" in message:
        raise Reverted(method, message, error.get("data"))
    raise DevnetRefused(method, code, message, error.get("data"))
