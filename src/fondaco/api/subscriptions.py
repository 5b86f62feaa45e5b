"""Subscriptions: what a client is told unasked, on the connection it asked on.

    mesh_subscribe --> handler --> Stream
                                     |        (the answer, with the id, is sent first)
                                     '--run--> Sink --> notification, notification, ...

They end with ``mesh_unsubscribe``, with the connection, or with an error of their own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from fondaco.api.faults import as_rpc_error
from fondaco.api.limits import Limits
from fondaco.api.outlet import ClientGone, Outlet
from fondaco.clock import Clock
from fondaco.errors import NodeError
from fondaco.jsonrpc import (
    NOTIFICATION_TAIL,
    RpcError,
    ServerError,
    error_object,
    failed_notification,
    notification_head,
)

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 5.0
"""Between ticks (0x Mesh). Clients hang up after 20 s without one."""

ID_BYTES = 16
"""Random bytes of a subscription id."""

TokenBytes = Callable[[int], bytes]
"""Returns that many random bytes nobody can guess; ``secrets.token_bytes`` in a node."""


class TooManySubscriptions(NodeError):
    """The connection holds as many subscriptions as it may."""

    code = "TooManySubscriptions"


class Sink(Protocol):
    """Where a stream puts its notifications. *result* is JSON text."""

    def offer(self, result: bytes) -> bool:
        """Send one notification if the client has kept up; return whether it was sent."""

    async def send(self, result: bytes) -> None:
        """Send one notification; return when the client has taken it.

        Raises:
            ClientGone: there is nobody to send to any more.
        """


class Stream(Protocol):
    """What a subscription's handler returns."""

    async def run(self, sink: Sink) -> None:
        """Send until cancelled. Begins after the client has been told the id.

        A ``NodeError`` it raises is the last thing the client hears of the subscription.
        """


class Heartbeat:
    """``"tick"`` at once, and again and again."""

    def __init__(self, clock: Clock, seconds: float = HEARTBEAT_SECONDS) -> None:
        self._clock = clock
        self._seconds = seconds

    async def run(self, sink: Sink) -> None:
        while True:
            await sink.send(b'"tick"')
            await self._clock.sleep(self._seconds)


class Active:
    """One subscription of one connection; the ``Sink`` of its stream."""

    def __init__(self, subscription_id: str, namespace: str, stream: Stream, outlet: Outlet):
        self.id = subscription_id
        self._method = f"{namespace}_subscription"
        self._head = notification_head(self._method, subscription_id)
        self._stream = stream
        self._outlet = outlet
        self._task: asyncio.Task[None] | None = None
        self._ended = False

    def offer(self, result: bytes) -> bool:
        if self._ended:
            return False
        return self._outlet.offer((self._head, result, _END))

    async def send(self, result: bytes) -> None:
        if self._ended:
            raise ClientGone("the subscription has ended")
        await self._outlet.send((self._head, result, _END))

    def start(self, on_end: Callable[[Active], None]) -> None:
        """Begin to send; nothing happens if it was ended meanwhile."""
        if not self._ended:
            self._task = asyncio.create_task(self._run(on_end), name=f"subscription {self.id}")

    def end(self) -> None:
        """Send nothing more from this moment on."""
        self._ended = True
        if self._task is not None:
            self._task.cancel()

    async def ended(self) -> None:
        """Return when the stream has let go of everything."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self, on_end: Callable[[Active], None]) -> None:
        try:
            await self._stream.run(self)
        except ClientGone:
            pass
        except NodeError as exc:
            await self._fail(as_rpc_error(exc, self._method))
        except Exception:  # a task's root: the client is told, the log has it all
            log.exception("subscription crashed", extra={"subscription": self.id})
            await self._fail(ServerError("internal error"))
        finally:
            self._ended = True
            on_end(self)

    async def _fail(self, error: RpcError) -> None:
        fields = error_object(error)
        if error.data is not None and "firstAvailable" in error.data:
            fields["firstAvailable"] = error.data["firstAvailable"]
        try:
            await self._outlet.send((failed_notification(self._method, self.id, fields), b"\n"))
        except ClientGone:
            log.debug("nobody left to tell", extra={"subscription": self.id})


_END = NOTIFICATION_TAIL + b"\n"


class Session:
    """What a call knows of its caller: one connection, or one HTTP request.

    Args:
        outlet: of a WebSocket; None for HTTP, where nothing can be sent unasked.
    """

    def __init__(
        self, *, peer: str, limits: Limits, token_bytes: TokenBytes, outlet: Outlet | None = None
    ) -> None:
        self.peer = peer
        self._limits = limits
        self._token_bytes = token_bytes
        self._outlet = outlet
        self._active: dict[str, Active] = {}

    @property
    def can_notify(self) -> bool:
        """Whether subscriptions are possible."""
        return self._outlet is not None

    @property
    def subscription_count(self) -> int:
        """How many subscriptions the connection holds."""
        return len(self._active)

    def subscribe(self, namespace: str, stream: Stream) -> Active:
        """Register *stream*; it sends nothing before ``start``.

        Raises:
            TooManySubscriptions: nothing was registered.
        """
        if self._outlet is None:
            raise ServerError("notifications not supported")
        if len(self._active) >= self._limits.subscriptions_per_connection:
            raise TooManySubscriptions(
                f"a connection may hold {self._limits.subscriptions_per_connection} subscriptions"
            )
        subscription_id = self._new_id()
        active = Active(subscription_id, namespace, stream, self._outlet)
        self._active[subscription_id] = active
        return active

    def start(self, active: Active) -> None:
        """Let *active* send, now that the client knows its id."""
        active.start(self._forget)

    def unsubscribe(self, subscription_id: str) -> bool:
        """End a subscription of this connection.

        Raises:
            ServerError: ``subscription not found``; clients do this and must not be hurt.
        """
        active = self._active.pop(subscription_id, None)
        if active is None:
            raise ServerError("subscription not found", {"code": "SubscriptionNotFound"})
        active.end()
        return True

    async def close(self) -> None:
        """End every subscription; return when their streams have let go."""
        ending = list(self._active.values())
        self._active.clear()
        for active in ending:
            active.end()
        for active in ending:
            await active.ended()

    def _forget(self, active: Active) -> None:
        self._active.pop(active.id, None)

    def _new_id(self) -> str:
        while True:
            digits = self._token_bytes(ID_BYTES).hex().lstrip("0")
            subscription_id = f"0x{digits or '0'}"
            if subscription_id not in self._active:
                return subscription_id
