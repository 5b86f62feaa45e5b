"""docs/ws.asyncapi.json: the ``/ws`` API as AsyncAPI 3, from the tables that the node itself uses.

Commands are what the node receives, pushes what it sends; both have the envelopes of the original.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import msgspec

from fondaco.market import envelope, order_pushes, peer_messages, pushes, store_pushes
from fondaco.market.command_table import COMMANDS, Command, Group
from fondaco.market.envelope import Result
from fondaco.market.fields import object_schema
from fondaco.market.word_limits import MAX_FRAME_ID

MODULES: tuple[ModuleType, ...] = (envelope, pushes, order_pushes, store_pushes)
"""Where the node's own messages are declared."""

_CHANNEL = "#/channels/ws"
_SCHEMAS = "#/components/schemas/{name}"


def asyncapi_page() -> str:
    """Return docs/ws.asyncapi.json."""
    return json.dumps(asyncapi(), indent=2) + "\n"


def asyncapi() -> dict[str, Any]:
    """Return the document."""
    results = list(_results())
    types = [kind for kind, _ in results]
    schemas, components = msgspec.json.schema_components(types, ref_template=_SCHEMAS)
    messages: dict[str, Any] = {command.name: _request(command) for command in COMMANDS}
    for (kind, name), schema in zip(results, schemas, strict=True):
        messages[f"result.{name}"] = _answer(name, _first_line(kind), schema)
    for name, message in peer_messages.KINDS.items():
        messages[f"result.{name}"] = _answer(name, _first_line(message), _forwarded(message))
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Fondaco: the market over /ws",
            "version": pushes.VERSION,
            "description": "The WebSocket API of OpenBazaar 0.3.1 and 0.4. An answer is known by "
            "its type: the ids of requests and results have nothing to do with each other.",
        },
        "servers": {"local": {"host": "127.0.0.1:60557", "pathname": "/ws", "protocol": "ws"}},
        "channels": {
            "ws": {
                "address": "/ws",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
            }
        },
        "operations": {**_received(), **_sent(messages)},
        "components": {"messages": messages, "schemas": components},
    }


def _results() -> Iterator[tuple[type[Result], str]]:
    for module in MODULES:
        for kind in vars(module).values():
            is_result = isinstance(kind, type) and issubclass(kind, Result)
            if is_result and kind is not Result and kind.__module__ == module.__name__:
                yield kind, str(kind.__struct_config__.tag)


def _request(command: Command) -> dict[str, Any]:
    works = command.group is Group.WORKS
    said = "" if works else f" Answered by an error: {command.reason}."
    whose = " For the owner of the node." if command.for_owner else ""
    return {
        "name": command.name,
        "summary": command.summary + said + whose,
        "payload": {
            "type": "object",
            "properties": {
                "id": {"description": "anything; nobody reads it"},
                "command": {"const": command.name},
                "params": command.schema,
            },
            "required": ["id", "command", "params"],
        },
    }


def _answer(name: str, summary: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "summary": summary,
        "payload": {
            "type": "object",
            "properties": {
                "id": {"type": "integer", "minimum": 0, "maximum": MAX_FRAME_ID},
                "result": schema,
            },
            "required": ["id", "result"],
        },
    }


def _forwarded(message: type[peer_messages.PeerMessage]) -> dict[str, Any]:
    who = {
        "type": {"const": message.type},
        **{name: {"type": "string"} for name in ("senderGUID", "pubkey", "senderNamecoin")},
    }
    if message.names_receiver:
        who["guid"] = {"type": "string"}
    if message.names_place:
        who |= {"hostname": {"type": "string"}, "port": {"type": "integer"}}
    proved = {"type": "object", "properties": who, "required": list(who)}
    return {"allOf": [proved, dict(object_schema(message))]}


def _received() -> dict[str, Any]:
    operations: dict[str, Any] = {}
    for command in COMMANDS:
        names = (*command.answers, *command.later)
        operations[command.name] = {
            "action": "receive",
            "channel": {"$ref": _CHANNEL},
            "messages": [{"$ref": f"{_CHANNEL}/messages/{command.name}"}],
            "reply": {
                "channel": {"$ref": _CHANNEL},
                "messages": [
                    {"$ref": f"{_CHANNEL}/messages/result.{name}"} for name in (*names, "error")
                ],
            },
        }
    return operations


def _sent(messages: dict[str, Any]) -> dict[str, Any]:
    return {
        f"push.{name.removeprefix('result.')}": {
            "action": "send",
            "channel": {"$ref": _CHANNEL},
            "messages": [{"$ref": f"{_CHANNEL}/messages/{name}"}],
        }
        for name in messages
        if name.startswith("result.")
    }


def _first_line(kind: type) -> str:
    return (inspect.getdoc(kind) or "").partition("\n")[0]
