"""The published ``@0x/mesh-rpc-client``, unmodified, in a Node.js process of its own.

    install(CLIENTS["9.4.2"], KIND)      npm ci from the committed lock, once a user
    async with open_client(installation, url) as client:
        await client.call("getStatsAsync")
        subscription = await client.subscribe()
        await client.orders(subscription)

``driver.js`` beside this file does what a user's program does and says what it saw.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from support.driven import Driven, driven
from support.npm import program

HERE = Path(__file__).parent

CLIENTS = {version: HERE / f"client-{version}" for version in ("6.0.1-beta", "9.4.2")}
"""Version of the client to the npm project that pins it and all it needs."""

KIND = "conformance"
"""Where installed clients are kept in the user's cache."""

BIG_FIELDS = (
    "makerAssetAmount",
    "takerAssetAmount",
    "makerFee",
    "takerFee",
    "expirationTimeSeconds",
    "salt",
)
"""What the client holds as BigNumber and the node spells as decimal text."""


class BigNumber(int):
    """An integer that the client made a BigNumber of; plain numbers stay ``int``."""


def as_user(order: Mapping[str, Any]) -> dict[str, Any]:
    """Return *order* as a user of the client holds it: its numbers are BigNumbers."""
    return {name: {"big": value} if name in BIG_FIELDS else value for name, value in order.items()}


def as_wire(order: Mapping[str, Any]) -> dict[str, Any]:
    """Return *order*, as the client gave it, in the node's spelling.

    Raises:
        AssertionError: a field that should be a BigNumber is none.
    """
    for name in BIG_FIELDS:
        assert isinstance(order[name], BigNumber), f"{name} is {order[name]!r}"
    return {name: str(value) if name in BIG_FIELDS else value for name, value in order.items()}


def _unmark(fields: dict[str, Any]) -> Any:
    match fields:
        case {"big": str(digits)}:
            return BigNumber(digits) if digits.isdigit() else float(digits)
        case {"undefined": True}:
            return None
        case {"nan": True}:
            return float("nan")
    return fields


class MeshClient(Driven):
    """One ``WSClient``. Made by ``open_client``."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        super().__init__(process, _unmark)
        self._taken = 0

    async def connect(self, url: str, options: Mapping[str, object] | None = None) -> None:
        """Make the client. It connects on its own; its first call waits for that."""
        if options is None:
            await self.ask("connect", url=url)
        else:
            await self.ask("connect", url=url, options=options)

    async def call(self, method: str, *arguments: object) -> Any:
        """Return what the client's *method* resolves to.

        Raises:
            ProgramError: it was rejected.
        """
        return await self.ask("call", method=method, args=arguments)

    async def subscribe(self) -> str:
        """Subscribe to orders; return the client's own name of the subscription."""
        subscription = await self.ask("subscribe")
        assert isinstance(subscription, str)
        return subscription

    async def destroy(self) -> None:
        """Call ``destroy()`` and wait for the clean close that it promises."""
        await self.ask("destroy")
        await self.wait_for({"event": "socket", "state": "closed", "code": 1000})

    async def orders(self, subscription: str) -> list[dict[str, Any]]:
        """Return the next list that the subscriber's callback got; each only once."""

        def ours(note: dict[str, Any]) -> bool:
            return note["event"] == "orders" and bool(note["subscription"] == subscription)

        note = await self.next(ours, after=self._taken, what="a call of the subscriber")
        self._taken = self.seen.index(note, self._taken) + 1
        orders = note["orders"]
        assert isinstance(orders, list)
        return orders

    async def order_events(self, subscription: str, count: int) -> list[dict[str, Any]]:
        """Return events until there are *count*, however the node grouped them."""
        events: list[dict[str, Any]] = []
        while len(events) < count:
            events += await self.orders(subscription)
        return events


@contextlib.asynccontextmanager
async def open_client(
    installation: Path, url: str, options: Mapping[str, object] | None = None
) -> AsyncIterator[MeshClient]:
    """Start the client of *installation* against the node at *url*, with its default options.

    Args:
        options: of ``WSClient``; they replace all its defaults, as the client has it.
    """
    command = (program("node"), str(HERE / "driver.js"), str(installation))
    async with driven(command, MeshClient) as client:
        await client.connect(url, options)
        yield client
