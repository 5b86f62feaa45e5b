"""What the API offers, as values: the dispatcher, ``rpc.discover`` and the docs read these.

    zeroex/rpc.py --Method, Subscription--> Registry --> dispatch (calls)
                                                    '--> openrpc  (descriptions)

A half declares its words once::

    registry.add(
        Method(
            name="mesh_getOrders",
            handler=orders.get_orders,       # async def get_orders(session, page, ...)
            params=(
                Param(name="page", type=int, summary="0 is the first"),
                Param(name="perPage", type=int),
                Param(name="snapshotID", type=str, summary="empty makes a new snapshot"),
            ),
            result=Result(name="page of orders", type=OrdersPage),
            summary="Read the stored orders, page by page.",
        )
    )
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import msgspec

Handler = Callable[..., Awaitable[object]]
"""``async def handler(session, *params)``: gets one value per declared parameter, already of
its declared type, None for an optional one that was left out. What it returns is encoded
(``msgspec.Raw`` goes out as it is). A ``NodeError`` it raises is the client's answer."""


class Absent(enum.Enum):
    """Marks a value that was not given, where None would be one."""

    ABSENT = enum.auto()


ABSENT = Absent.ABSENT


class Param(msgspec.Struct, frozen=True, kw_only=True):
    """One positional parameter.

    ``type`` is anything msgspec decodes; ``list[msgspec.Raw]`` leaves the elements to the
    handler. An optional parameter may be left out or null, and is None then.
    """

    name: str
    type: Any
    required: bool = True
    schema: dict[str, Any] | None = None
    """JSON Schema for the docs; derived from ``type`` where None."""
    summary: str = ""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a call answers, or what each notification of a subscription carries."""

    name: str = "result"
    type: Any = Any
    schema: dict[str, Any] | None = None
    """JSON Schema for the docs; derived from ``type`` where None."""
    summary: str = ""


class ErrorCase(msgspec.Struct, frozen=True, kw_only=True):
    """An error a call may end in, for the docs."""

    code: int
    message: str
    summary: str = ""


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """A call and its answer, for the docs."""

    name: str
    params: tuple[Any, ...]
    result: Any


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """One method."""

    name: str
    handler: Handler
    params: tuple[Param, ...] = ()
    result: Result = Result()
    summary: str = ""
    description: str = ""
    errors: tuple[ErrorCase, ...] = ()
    examples: tuple[Example, ...] = ()
    waits_for_node: bool = True
    """Calls made before the node has started wait for it; False: answered at once."""


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """One subject of ``<namespace>_subscribe``. Its handler returns a ``Stream``.

    ``params`` are those after the name: ``mesh_subscribe ["orders", {...}]`` has one.
    """

    namespace: str
    name: str
    handler: Handler
    params: tuple[Param, ...] = ()
    result: Result = Result()
    summary: str = ""
    description: str = ""
    errors: tuple[ErrorCase, ...] = ()
    waits_for_node: bool = True


class Registry:
    """All methods and subscriptions of one API. Filled while the node is put together."""

    def __init__(self) -> None:
        self._methods: dict[str, Method] = {}
        self._subscriptions: dict[tuple[str, str], Subscription] = {}

    def add(self, *entries: Method | Subscription) -> None:
        """Offer *entries*.

        Raises:
            ValueError: a name is taken or reserved, or a required parameter comes after an
                optional one. Our own bug.
        """
        for entry in entries:
            _check_params(entry)
            if isinstance(entry, Subscription):
                key = (entry.namespace, entry.name)
                if key in self._subscriptions:
                    raise ValueError(f"subscription {key} is declared twice")
                self._subscriptions[key] = entry
            elif entry.name in self._methods:
                raise ValueError(f"method {entry.name} is declared twice")
            elif entry.name.endswith(("_subscribe", "_unsubscribe")):
                raise ValueError(f"{entry.name}: declare a Subscription instead")
            else:
                self._methods[entry.name] = entry

    def method(self, name: str) -> Method | None:
        """Return the method called *name*."""
        return self._methods.get(name)

    def subscription(self, namespace: str, name: str) -> Subscription | None:
        """Return what ``<namespace>_subscribe [name]`` subscribes to."""
        return self._subscriptions.get((namespace, name))

    def methods(self) -> Iterator[Method]:
        """All methods, by name."""
        return (self._methods[name] for name in sorted(self._methods))

    def subscriptions(self) -> Iterator[Subscription]:
        """All subscriptions, by namespace and name."""
        return (self._subscriptions[key] for key in sorted(self._subscriptions))

    def namespaces(self) -> list[str]:
        """What stands before the first ``_`` (or ``.``) of the names, sorted."""
        names = {namespace_of(name) for name in self._methods}
        return sorted(names | {namespace for namespace, _ in self._subscriptions})


def namespace_of(method: str) -> str:
    """Return ``mesh`` for ``mesh_getStats``, ``rpc`` for ``rpc.discover``."""
    return method.partition("_")[0].partition(".")[0]


def _check_params(entry: Method | Subscription) -> None:
    may_be_required = True
    for param in entry.params:
        if param.required and not may_be_required:
            raise ValueError(f"{entry.name}: {param.name} is required after an optional one")
        may_be_required = param.required
