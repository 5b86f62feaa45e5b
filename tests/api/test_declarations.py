"""Declarations that contradict themselves are refused when the node is put together."""

from __future__ import annotations

import pytest

from fondaco.api.declarations import Method, Param, Registry, Subscription, namespace_of


async def handler(session: object) -> None:
    return None


def method(name: str, *params: Param) -> Method:
    return Method(name=name, handler=handler, params=params)


def subscription(name: str) -> Subscription:
    return Subscription(namespace="mesh", name=name, handler=handler)


def test_what_is_added_is_found() -> None:
    registry = Registry()
    stats, orders = method("mesh_getStats"), subscription("orders")
    registry.add(orders, stats, method("rpc.discover"))
    assert registry.method("mesh_getStats") is stats
    assert registry.subscription("mesh", "orders") is orders
    assert registry.method("orders") is None
    assert registry.subscription("rpc", "orders") is None
    assert [entry.name for entry in registry.methods()] == ["mesh_getStats", "rpc.discover"]
    assert list(registry.subscriptions()) == [orders]
    assert registry.namespaces() == ["mesh", "rpc"]


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ([method("a_b"), method("a_b")], "twice"),
        ([subscription("orders"), subscription("orders")], "twice"),
        ([method("mesh_subscribe")], "declare a Subscription"),
        ([method("mesh_unsubscribe")], "declare a Subscription"),
        (
            [method("a_b", Param(name="x", type=int, required=False), Param(name="y", type=int))],
            "y is required after an optional one",
        ),
    ],
)
def test_contradictions(entries: list[Method | Subscription], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Registry().add(*entries)


@pytest.mark.parametrize(
    ("name", "namespace"),
    [("mesh_getStats", "mesh"), ("rpc.discover", "rpc"), ("a_b_c", "a"), ("bare", "bare")],
)
def test_namespaces(name: str, namespace: str) -> None:
    assert namespace_of(name) == namespace
