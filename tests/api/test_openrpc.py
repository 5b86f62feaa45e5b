"""The description says what the dispatcher does: it is made from the same values."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fondaco.api.declarations import (
    ErrorCase,
    Example,
    Method,
    Param,
    Registry,
    Result,
    Subscription,
)
from fondaco.api.openrpc import built_in_methods, markdown, openrpc_document


class Order(msgspec.Struct):
    """Named, so that it becomes a component."""

    maker: str


async def handler(session: object, *params: object) -> None:
    return None


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    registry.add(
        *built_in_methods(registry, version="1.2.3"),
        Method(
            name="mesh_find",
            handler=handler,
            params=(
                Param(name="hash", type=str, schema={"pattern": "^0x|x$"}, summary="which one"),
                Param(name="limit", type=int, required=False),
            ),
            result=Result(name="found", type=list[Order], summary="all of them"),
            summary="Find orders.",
            description="At length.",
            errors=(ErrorCase(code=-32000, message="nothing found", summary="try another"),),
            examples=(Example(name="one", params=("0x", 1), result=[{"maker": "m"}]),),
        ),
        Subscription(
            namespace="mesh",
            name="orders",
            handler=handler,
            params=(Param(name="options", type=dict[str, int], required=False),),
            result=Result(name="events", type=list[Order]),
            summary="Follow orders.",
        ),
        Subscription(namespace="mesh", name="heartbeat", handler=handler),
    )
    return registry


def methods(registry: Registry) -> dict[str, Any]:
    document = openrpc_document(registry, version="1.2.3")
    return {method["name"]: method for method in document["methods"]}


def test_the_document(registry: Registry) -> None:
    document = openrpc_document(registry, version="1.2.3")
    assert document["openrpc"].startswith("1.3")
    assert document["info"]["version"] == "1.2.3"
    assert list(methods(registry)) == [
        "mesh_find",
        "mesh_subscribe",
        "mesh_unsubscribe",
        "rpc.discover",
        "rpc_modules",
    ]
    assert document["components"]["schemas"]["Order"]["required"] == ["maker"]
    msgspec.json.encode(document)


def test_every_method_has_what_the_specification_requires(registry: Registry) -> None:
    """OpenRPC 1.3: a method has name and params; a content descriptor name and schema."""
    for method in methods(registry).values():
        assert method["paramStructure"] == "by-position"
        for described in (*method["params"], method["result"]):
            assert {"name", "schema"} <= set(described)
        for error in method.get("errors", []):
            assert {"code", "message"} <= set(error)


def test_a_method(registry: Registry) -> None:
    found = methods(registry)["mesh_find"]
    assert found["params"] == [
        {"name": "hash", "required": True, "schema": {"pattern": "^0x|x$"}, "summary": "which one"},
        {"name": "limit", "required": False, "schema": {"type": "integer"}},
    ]
    assert found["result"]["schema"] == {
        "type": "array",
        "items": {"$ref": "#/components/schemas/Order"},
    }
    assert found["errors"] == [{"code": -32000, "message": "nothing found", "data": "try another"}]
    assert found["examples"][0]["params"] == [
        {"name": "hash", "value": "0x"},
        {"name": "limit", "value": 1},
    ]


def test_subscriptions(registry: Registry) -> None:
    found = methods(registry)["mesh_subscribe"]
    assert found["params"][0]["schema"]["enum"] == ["heartbeat", "orders"]
    assert not found["params"][1]["required"]
    heartbeat, orders = found["x-subscriptions"]
    assert (heartbeat["name"], heartbeat["params"]) == ("heartbeat", [])
    assert orders["params"][0]["name"] == "options"
    assert orders["notification"]["method"] == "mesh_subscription"


async def test_it_describes_itself_as_it_is_when_asked(registry: Registry) -> None:
    discover = registry.method("rpc.discover")
    assert discover is not None
    registry.add(Method(name="late_comer", handler=handler))
    document: Any = await discover.handler(None)
    assert "late_comer" in {method["name"] for method in document["methods"]}


def test_the_page_for_the_docs(registry: Registry) -> None:
    page = markdown(registry)
    assert "### `mesh_find`\n\nFind orders.\n\nAt length.\n" in page
    assert '### `mesh_subscribe ["orders"]`' in page
    assert r'| `hash` | required | `{"pattern":"^0x\|x$"}` | which one |' in page
    assert "error -32000 `nothing found` try another" in page


def test_markdown_shows_fields_instead_of_references() -> None:
    class Options(msgspec.Struct):
        pinned: bool = False

    class Table(msgspec.Struct):
        one: int
        two: int
        three: int
        four: int
        five: int

    registry = Registry()
    registry.add(
        Method(
            name="mesh_tell",
            handler=handler,
            params=(Param(name="options", type=Options | None),),
            result=Result(type=Table),
        )
    )
    page = markdown(registry)
    assert '{"type":"object","properties":{"pinned":{"type":"boolean"}}}' in page
    assert '`{"type":"object","title":"Table"}`' in page
    assert "$ref" not in page
