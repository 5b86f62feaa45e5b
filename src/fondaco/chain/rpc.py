"""The client of one Ethereum JSON-RPC endpoint.

    call --> budget: may we? --wait--> transport (HTTP or WebSocket) --> result
               | no                       | no answer     | JSON-RPC error
               v                          v               v
          BudgetExhausted        EndpointUnavailable   EndpointError

It does not try again: what a failure means is the caller's to know (``reader`` for
contract calls, ``blocks`` for headers and logs). Time-outs are parameters here, not
the caller's business (ASYNC109), because waiting for the budget counts in them.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec

from fondaco.chain.budget import RpcBudget
from fondaco.chain.envelope import Notification, encode_request
from fondaco.chain.errors import (
    BudgetExhausted,
    DailyBudgetExhausted,
    EndpointError,
    EndpointUnavailable,
    MalformedAnswer,
)
from fondaco.chain.http import HttpEndpoint
from fondaco.chain.limits import FIRST_RETRY_DELAY, MAX_RETRY_DELAY, REQUEST_TIMEOUT
from fondaco.chain.websocket import WebSocketEndpoint
from fondaco.clock import Clock
from fondaco.errors import ConfigurationError

__all__ = [
    "BudgetExhausted",
    "DailyBudgetExhausted",
    "EndpointError",
    "EndpointUnavailable",
    "EthereumClient",
    "MalformedAnswer",
    "open_ethereum",
]


class Endpoint(Protocol):
    """What carries requests; ``http`` and ``websocket`` satisfy it."""

    has_subscriptions: bool

    async def exchange(self, request_id: int, request: bytes) -> msgspec.Raw:
        """Raises: EndpointError, EndpointUnavailable."""

    async def close(self) -> None: ...


class EthereumClient:
    """Ask an Ethereum endpoint. Made by ``open_ethereum``; safe for concurrent calls."""

    def __init__(
        self, endpoint: Endpoint, *, budget: RpcBudget, clock: Clock, timeout: float
    ) -> None:
        self._endpoint = endpoint
        self._budget = budget
        self._clock = clock
        self._timeout = timeout
        self._ids = itertools.count(1)

    @property
    def budget(self) -> RpcBudget:
        return self._budget

    @property
    def has_subscriptions(self) -> bool:
        """Whether ``next_head`` ever returns: only over a WebSocket."""
        return self._endpoint.has_subscriptions

    async def call(
        self,
        method: str,
        params: Sequence[object] = (),
        *,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> Any:
        """Return the result of *method*, decoded from JSON; see ``call_raw``."""
        raw = await self.call_raw(method, params, timeout=timeout)
        try:
            return msgspec.json.decode(raw)
        except (msgspec.MsgspecError, RecursionError) as exc:
            raise MalformedAnswer(f"{method}: the result is not JSON") from exc

    async def call_raw(
        self,
        method: str,
        params: Sequence[object] = (),
        *,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> msgspec.Raw:
        """Return the result of *method* as JSON text, for a typed decoder.

        Args:
            method: such as ``eth_call``.
            params: JSON-encodable.
            timeout: seconds, waiting for the budget included; the client's by default.

        Raises:
            EndpointError: the endpoint answered with an error.
            EndpointUnavailable: it gave no usable answer, or the budget is spent.
        """
        limit = self._timeout if timeout is None else timeout
        wait = self._budget.reserve(self._clock.now_ns(), self._clock.monotonic(), limit)
        if wait:
            await self._clock.sleep(wait)
        request_id = next(self._ids)
        try:
            async with asyncio.timeout(limit - wait):
                return await self._endpoint.exchange(
                    request_id, encode_request(request_id, method, params)
                )
        except TimeoutError as exc:
            raise EndpointUnavailable(f"{method}: no answer within {limit:g} s") from exc

    async def next_head(self, after: int) -> int:
        """Return the count of new heads once it is above *after*; safe to cancel.

        Without subscriptions it never returns.
        """
        never: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        return await never

    async def new_heads(self) -> AsyncIterator[None]:
        """Yield once after each new head, or several that came together."""
        seen = 0
        while True:
            seen = await self.next_head(seen)
            yield

    async def close(self) -> None:
        await self._endpoint.close()


class SubscribingClient(EthereumClient):
    """A client over a WebSocket: it hears of new heads."""

    def __init__(self, url: str, *, budget: RpcBudget, clock: Clock, timeout: float) -> None:
        self._websocket = WebSocketEndpoint(url, self._on_notification)
        super().__init__(self._websocket, budget=budget, clock=clock, timeout=timeout)
        self._heads = 0
        self._changed = asyncio.Event()
        self._subscriber: asyncio.Task[None] | None = None

    async def next_head(self, after: int) -> int:
        if self._subscriber is None:
            self._subscriber = asyncio.create_task(self._subscribe(), name="newHeads")
        while self._heads <= after:
            self._changed.clear()
            await self._changed.wait()
        return self._heads

    async def close(self) -> None:
        if self._subscriber is not None:
            self._subscriber.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._subscriber
        await super().close()

    def _on_notification(self, notification: Notification) -> None:
        # We have only one kind of subscription, and what the head is the poll asks.
        self._count()

    def _count(self) -> None:
        self._heads += 1
        self._changed.set()

    async def _subscribe(self) -> None:
        """Keep a subscription alive; a poll goes on meanwhile, so nothing hangs on it."""
        delay = FIRST_RETRY_DELAY
        while True:
            try:
                await self.call("eth_subscribe", ["newHeads"])
            except (EndpointError, EndpointUnavailable):
                await self._clock.sleep(delay)
                delay = min(2 * delay, MAX_RETRY_DELAY)
                continue
            delay = FIRST_RETRY_DELAY
            self._count()  # heads may have passed while we were not listening
            await self._websocket.lost()
            await self._clock.sleep(delay)


@contextlib.asynccontextmanager
async def open_ethereum(
    url: str,
    *,
    budget: RpcBudget,
    clock: Clock,
    timeout: float = REQUEST_TIMEOUT,  # noqa: ASYNC109
) -> AsyncIterator[EthereumClient]:
    """Open a client of the endpoint at *url*; nothing is asked yet.

    Args:
        url: http, https, ws or wss.
        budget: shared by everything that asks this endpoint.
        clock: for waiting; time-outs of the network run on real time.
        timeout: seconds, for requests that name none.

    Raises:
        ConfigurationError: *url* is none of these.
    """
    try:
        parts = urlsplit(url)
        is_usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable or parts.scheme not in ("http", "https", "ws", "wss"):
        # The URL itself stays out of the text: it may hold a key.
        raise ConfigurationError(
            "ETHEREUM_RPC_URL",
            "is not a URL of http, https, ws or wss",
            "e.g. http://localhost:8545",
        )
    client: EthereumClient
    if parts.scheme in ("ws", "wss"):
        client = SubscribingClient(url, budget=budget, clock=clock, timeout=timeout)
    else:
        client = EthereumClient(HttpEndpoint(url), budget=budget, clock=clock, timeout=timeout)
    try:
        yield client
    finally:
        await client.close()
