"""A small API to be served in tests of the api floor: Mesh's words without Mesh."""

from __future__ import annotations

import asyncio

import msgspec
from msgspec import Raw

from fondaco.api.declarations import Method, Param, Registry, Result, Subscription
from fondaco.api.openrpc import built_in_methods
from fondaco.api.subscriptions import Heartbeat, Session, Stream
from fondaco.clock import Clock
from fondaco.errors import InvalidParameter, NodeError, StorageError, Unavailable
from fondaco.testing.clock import FakeClock


class AddOptions(msgspec.Struct):
    """Second parameter of ``mesh_addOrders``."""

    pinned: bool = False


class NoSnapshot(NodeError):
    """The one error of ``mesh_getOrders`` that the vectors name."""

    code = "NoSnapshot"


class Words:
    """Handlers, and what they saw."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or FakeClock()
        self.gate = asyncio.Event()
        """What ``mesh_wait`` waits for."""
        self.waiting = 0
        self._changed = asyncio.Event()
        self.log: list[str] = []

    async def until_waiting(self, count: int) -> None:
        """Return once *count* calls wait for the gate."""
        while self.waiting != count:
            self._changed.clear()
            await self._changed.wait()

    async def get_stats(self, session: Session) -> dict[str, str]:
        return {"version": "test"}

    async def get_orders(
        self, session: Session, page: int, per_page: int, snapshot_id: str
    ) -> list[int]:
        if snapshot_id:
            raise NoSnapshot(
                f"No snapshot found with id: {snapshot_id}. "
                "To create a new snapshot, send a request with an empty snapshotID"
            )
        return [page, per_page]

    async def add_orders(
        self, session: Session, orders: list[Raw], options: AddOptions | None
    ) -> dict[str, int | bool]:
        pinned = True if options is None else options.pinned
        return {"count": len(orders), "bytes": sum(map(len, map(bytes, orders))), "pinned": pinned}

    async def wait(self, session: Session, name: str) -> str:
        self.log.append(f"{name} waits")
        self.waiting += 1
        self._changed.set()
        try:
            await self.gate.wait()
        finally:
            self.waiting -= 1
            self._changed.set()
        self.log.append(f"{name} done")
        return name

    async def note(self, session: Session, name: str) -> str:
        self.log.append(name)
        return name

    async def big(self, session: Session, size: int) -> str:
        return "x" * size

    async def fail(self, session: Session, how: str) -> object:
        faults: dict[str, Exception] = {
            "parameter": InvalidParameter("filter.maker", "an address"),
            "unavailable": Unavailable("the endpoint is away"),
            "storage": StorageError("disk full"),
            "nameless": NodeError("secret detail"),
            "bug": ZeroDivisionError("secret detail"),
            "timeout": TimeoutError(),
        }
        if how == "unencodable":
            return object()
        raise faults[how]

    async def heartbeat(self, session: Session) -> Stream:
        return Heartbeat(self.clock)


def words_registry(words: Words) -> Registry:
    """Return a registry of *words*, and what describes it."""
    registry = Registry()
    name = Param(name="name", type=str)
    registry.add(
        *built_in_methods(registry, version="test"),
        Method(name="mesh_getStats", handler=words.get_stats, result=Result(type=dict[str, str])),
        Method(
            name="mesh_getOrders",
            handler=words.get_orders,
            params=(
                Param(name="page", type=int),
                Param(name="perPage", type=int),
                Param(name="snapshotID", type=str),
            ),
        ),
        Method(
            name="mesh_addOrders",
            handler=words.add_orders,
            params=(
                Param(name="orders", type=list[Raw]),
                Param(name="options", type=AddOptions, required=False),
            ),
        ),
        Method(name="mesh_wait", handler=words.wait, params=(name,)),
        Method(name="mesh_note", handler=words.note, params=(name,)),
        Method(name="mesh_big", handler=words.big, params=(Param(name="size", type=int),)),
        Method(name="mesh_fail", handler=words.fail, params=(Param(name="how", type=str),)),
        Method(name="mesh_now", handler=words.get_stats, waits_for_node=False),
        Subscription(namespace="mesh", name="heartbeat", handler=words.heartbeat),
    )
    return registry
