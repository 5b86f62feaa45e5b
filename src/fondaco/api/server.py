"""The listeners: HTTP and WebSocket on one port, for every part of the API.

    TCP --> HTTP --Access--> /          Upgrade   JSON-RPC over WebSocket   (api/websocket.py)
                             /          POST      JSON-RPC over HTTP         (api/http.py)
                             /          GET       empty 200: is anybody there
                             /metrics, /health    pages, by GET
                             /ws ...              404 that says what will be there

Every listener serves the same registry. What a client may take from the others is bounded by
``Limits``; what it may ask at all is decided by ``Access``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Sequence

import msgspec
from aiohttp import web

from fondaco.api import access
from fondaco.api.access import Access
from fondaco.api.declarations import Registry
from fondaco.api.dispatch import Dispatcher
from fondaco.api.http import Doors
from fondaco.api.limits import DEFAULT_LIMITS, Limits
from fondaco.api.overflow import Overflow
from fondaco.api.pages import NO_PAGES, Pages
from fondaco.api.subscriptions import TokenBytes
from fondaco.errors import ConfigurationError

log = logging.getLogger(__name__)


class Listen(msgspec.Struct, frozen=True, kw_only=True):
    """Where to listen, and the setting that says so (for error texts)."""

    host: str
    """An IP address, or a name that has one (``localhost``)."""
    port: int
    """0: any free one."""
    setting: str = "RPC_ADDR"


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where a listener really is."""

    host: str
    port: int

    @property
    def authority(self) -> str:
        """``127.0.0.1:60557``, ``[::1]:60557``."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def http(self) -> str:
        """For POST."""
        return f"http://{self.authority}"

    @property
    def ws(self) -> str:
        """For WebSocket clients."""
        return f"ws://{self.authority}"


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """Listeners that are up."""

    addresses: tuple[Address, ...]
    """In the sequence they were asked for."""


@contextlib.asynccontextmanager
async def open_server(
    listen: Sequence[Listen],
    registry: Registry,
    *,
    allowed: Access,
    ready: asyncio.Event,
    token_bytes: TokenBytes,
    limits: Limits = DEFAULT_LIMITS,
    pages: Pages = NO_PAGES,
) -> AsyncIterator[Server]:
    """Serve *registry* until the block is left; then tell every client (1001) and close.

    Args:
        allowed: who may use it besides programs on this machine.
        ready: set when the node has started; calls made before wait.
        token_bytes: source of subscription ids.
        pages: what is served by GET beside JSON-RPC, also before the node has started.

    Raises:
        ConfigurationError: an address cannot be used, or is open to other machines
            without a token.
    """
    dispatcher = Dispatcher(registry, limits=limits, ready=ready)
    addresses: list[Address] = []
    async with contextlib.AsyncExitStack() as stack:
        for place in dict.fromkeys(listen):
            doors = Doors(dispatcher, allowed, limits, token_bytes, pages)
            addresses.append(await stack.enter_async_context(_open_listener(place, doors)))
        yield Server(addresses=tuple(addresses))


@contextlib.asynccontextmanager
async def _open_listener(place: Listen, doors: Doors) -> AsyncIterator[Address]:
    sock = await _bind(place)
    host, port = sock.getsockname()[:2]
    try:
        access.check_binding(host, doors.allowed, place.setting)
    except ConfigurationError:
        sock.close()
        raise
    doors.bound_to = host
    limits = doors.limits
    http = web.Server(
        doors.handle,
        access_log=None,
        logger=_http_log,
        keepalive_timeout=limits.idle_seconds,
        lingering_time=limits.close_seconds,
        auto_decompress=False,
    )
    overflow = Overflow(http, limits)
    listener = await asyncio.get_running_loop().create_server(overflow, sock=sock, backlog=1024)
    try:
        yield Address(host=host, port=port)
    finally:
        listener.close()
        await doors.websockets.close()
        await doors.calls.end(limits.close_seconds)
        await http.shutdown(limits.close_seconds)
        overflow.close()


async def _bind(place: Listen) -> socket.socket:
    """Return a bound socket; names are looked up for IPv4 first, as the original did."""
    loop = asyncio.get_running_loop()
    sock: socket.socket | None = None
    try:
        if not 0 <= place.port < 65_536:
            raise OverflowError("a port is a number from 0 to 65535")
        found = await loop.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = min(found, key=lambda item: item[0])
        sock = socket.socket(family, kind, protocol)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)
        sock.bind(address)
    except (OSError, OverflowError) as exc:
        if sock is not None:
            sock.close()
        raise ConfigurationError(
            place.setting,
            f"cannot listen on {place.host}:{place.port}: {exc}",
            "choose another address, or stop the program that uses it",
        ) from exc
    return sock


def _quiet(record: logging.LogRecord) -> bool:
    """Strangers' broken requests are not our errors: keep them out of the log's errors."""
    if not str(record.msg).startswith("Error handling request"):
        return True
    problem = record.exc_info[1] if record.exc_info else None
    log.debug("broken HTTP request", extra={"problem": repr(problem)})
    return False


_http_log = logging.getLogger(f"{__name__}.http")
_http_log.addFilter(_quiet)
