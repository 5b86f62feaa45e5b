"""The API described: an OpenRPC document and a page for the docs, from the declarations.

    Registry --> openrpc_document --> rpc.discover
            '--> markdown         --> docs/

Source: OpenRPC specification 1.3.2. OpenRPC has no word for subscriptions; each namespace
gets its ``_subscribe`` and ``_unsubscribe`` methods, and ``x-subscriptions`` says what can be
subscribed to, with which parameters, and what a notification carries.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from fondaco.api.declarations import (
    ErrorCase,
    Example,
    Handler,
    Method,
    Param,
    Registry,
    Result,
    Subscription,
    namespace_of,
)

OPENRPC_VERSION = "1.3.2"

_REFERENCE = "#/components/schemas/{name}"

FIELDS_INLINE = 4
"""Fields of an object that a page shows where it is mentioned."""


def built_in_methods(registry: Registry, *, version: str) -> tuple[Method, ...]:
    """Return ``rpc_modules`` and ``rpc.discover``, which describe *registry*.

    Args:
        version: of the node.
    """
    return (
        Method(
            name="rpc_modules",
            handler=_answering(lambda: dict.fromkeys(registry.namespaces(), "1.0")),
            result=Result(name="namespaces", type=dict[str, str]),
            summary="List the namespaces of the API.",
            waits_for_node=False,
        ),
        Method(
            name="rpc.discover",
            handler=_answering(lambda: openrpc_document(registry, version=version)),
            result=Result(name="OpenRPC document", schema={"type": "object"}),
            summary="Describe the API (this document).",
            waits_for_node=False,
        ),
    )


def openrpc_document(registry: Registry, *, version: str) -> dict[str, Any]:
    """Return the description of everything in *registry*."""
    types = [param.type for entry in _entries(registry) for param in entry.params]
    types += [entry.result.type for entry in _entries(registry)]
    _, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    methods = [_method(method) for method in registry.methods()]
    for namespace in sorted({entry.namespace for entry in registry.subscriptions()}):
        methods += _subscribing(namespace, registry)
    return {
        "openrpc": OPENRPC_VERSION,
        "info": {
            "title": "Fondaco",
            "version": version,
            "description": "JSON-RPC 2.0 over WebSocket and HTTP POST. Parameters are positional.",
        },
        "methods": sorted(methods, key=lambda method: str(method["name"])),
        "components": {"schemas": components},
    }


def markdown(registry: Registry) -> str:
    """Return one section per method and subscription, for the docs."""
    lines: list[str] = []
    for entry in _entries(registry):
        if isinstance(entry, Subscription):
            title = f'{entry.namespace}_subscribe ["{entry.name}"]'
        else:
            title = entry.name
        lines += [f"### `{title}`", "", entry.summary, ""]
        if entry.description:
            lines += [entry.description, ""]
        if entry.params:
            lines += ["| parameter | | schema | |", "| --- | --- | --- | --- |"]
            lines += [_param_row(param) for param in entry.params]
            lines.append("")
        kind = "notification" if isinstance(entry, Subscription) else "result"
        summary = f": {entry.result.summary}" if entry.result.summary else ""
        lines += [f"*{kind}* {entry.result.name}, `{_compact(entry.result)}`{summary}", ""]
        lines += [f"* error {case.code} `{case.message}` {case.summary}" for case in entry.errors]
        if entry.errors:
            lines.append("")
    return "\n".join(lines)


def _entries(registry: Registry) -> Iterator[Method | Subscription]:
    yield from registry.methods()
    yield from registry.subscriptions()


def _answering(make: Any) -> Handler:
    async def handler(session: object) -> object:
        return make()

    return handler


def _method(method: Method) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "name": method.name,
        "tags": [{"name": namespace_of(method.name)}],
        "summary": method.summary,
        "paramStructure": "by-position",
        "params": [_param(param) for param in method.params],
        "result": _result(method.result),
    }
    if method.description:
        fields["description"] = method.description
    if method.errors:
        fields["errors"] = [_error(case) for case in method.errors]
    if method.examples:
        fields["examples"] = [_example(method, example) for example in method.examples]
    return fields


def _subscribing(namespace: str, registry: Registry) -> list[dict[str, Any]]:
    entries = [entry for entry in registry.subscriptions() if entry.namespace == namespace]
    identifier = {"name": "subscriptionId", "required": True, "schema": {"type": "string"}}
    name = {
        "name": "subscriptionName",
        "required": True,
        "schema": {"type": "string", "enum": [entry.name for entry in entries]},
    }
    options = {"name": "options", "required": False, "schema": {}}
    takes_more = any(entry.params for entry in entries)
    return [
        {
            "name": f"{namespace}_subscribe",
            "tags": [{"name": namespace}],
            "summary": "Be told of something, on this WebSocket connection.",
            "paramStructure": "by-position",
            "params": [name, options] if takes_more else [name],
            "result": identifier | {"summary": "names the subscription in its notifications"},
            "x-subscriptions": [
                {
                    "name": entry.name,
                    "summary": entry.summary,
                    "description": entry.description,
                    "params": [_param(param) for param in entry.params],
                    "notification": {
                        "method": f"{namespace}_subscription",
                        "result": _result(entry.result),
                    },
                    "errors": [_error(case) for case in entry.errors],
                }
                for entry in entries
            ],
        },
        {
            "name": f"{namespace}_unsubscribe",
            "tags": [{"name": namespace}],
            "summary": "End a subscription of this connection.",
            "paramStructure": "by-position",
            "params": [identifier],
            "result": {"name": "ended", "schema": {"const": True}},
            "errors": [{"code": -32000, "message": "subscription not found"}],
        },
    ]


def _schema(described: Param | Result) -> dict[str, Any]:
    if described.schema is not None:
        return described.schema
    (schema,), _ = msgspec.json.schema_components([described.type], ref_template=_REFERENCE)
    return schema


def _param(param: Param) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "name": param.name,
        "required": param.required,
        "schema": _schema(param),
    }
    if param.summary:
        fields["summary"] = param.summary
    return fields


def _result(result: Result) -> dict[str, Any]:
    fields: dict[str, Any] = {"name": result.name, "schema": _schema(result)}
    if result.summary:
        fields["summary"] = result.summary
    return fields


def _error(case: ErrorCase) -> dict[str, Any]:
    fields: dict[str, Any] = {"code": case.code, "message": case.message}
    if case.summary:
        fields["data"] = case.summary
    return fields


def _example(method: Method, example: Example) -> dict[str, Any]:
    pairs = zip(method.params, example.params, strict=False)
    return {
        "name": example.name,
        "params": [{"name": param.name, "value": value} for param, value in pairs],
        "result": {"name": method.result.name, "value": example.result},
    }


def _param_row(param: Param) -> str:
    needed = "required" if param.required else "optional"
    return f"| `{param.name}` | {needed} | `{_compact(param)}` | {param.summary} |"


def _compact(described: Param | Result) -> str:
    """Return the schema as text for a page, which has no components to refer to."""
    _, components = msgspec.json.schema_components([described.type], ref_template="{name}")
    schema = _inlined(described.schema or msgspec.json.schema(described.type), components)
    return msgspec.json.encode(schema).decode().replace("|", "\\|")


def _inlined(schema: Any, components: dict[str, Any]) -> Any:
    """Return *schema* with each reference replaced by the types of its fields, or by its
    name where that is a whole table."""
    if isinstance(schema, list):
        return [_inlined(each, components) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        fields = components[name]["properties"]
        if len(fields) > FIELDS_INLINE:
            return {"type": "object", "title": name}
        return {"type": "object", "properties": _inlined(fields, components)}
    return {
        key: _inlined(value, components)
        for key, value in schema.items()
        if key not in ("$defs", "default")
    }
