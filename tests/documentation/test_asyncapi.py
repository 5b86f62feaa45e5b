"""The AsyncAPI document: everything the dispatcher knows, and no reference into nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from fondaco.documentation.asyncapi import asyncapi, asyncapi_page
from fondaco.market.command_table import COMMANDS
from fondaco.market.peer_messages import KINDS

DOCUMENT = json.loads(asyncapi_page())


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, member in value.items():
            if name == "$ref":
                yield member
            else:
                yield from references(member)
    elif isinstance(value, list):
        for member in value:
            yield from references(member)


def test_every_reference_leads_somewhere() -> None:
    found = set(references(DOCUMENT))
    assert found
    for reference in found:
        place: Any = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            assert step in place, reference
            place = place[step]


def test_every_command_is_received_and_may_end_in_an_error() -> None:
    operations = DOCUMENT["operations"]
    received = {name for name, one in operations.items() if one["action"] == "receive"}
    assert received == {command.name for command in COMMANDS}
    for name in received:
        assert {"$ref": "#/channels/ws/messages/result.error"} in operations[name]["reply"][
            "messages"
        ]


def test_what_peers_say_and_what_the_node_says_is_sent() -> None:
    sent = {name for name, one in DOCUMENT["operations"].items() if one["action"] == "send"}
    assert sent >= {f"push.{name}" for name in KINDS}
    assert sent >= {"push.myself", "push.contracts", "push.orderinfo", "push.error"}


def test_parameters_are_those_of_the_table() -> None:
    messages = asyncapi()["components"]["messages"]
    params = messages["query_orders"]["payload"]["properties"]["params"]
    assert list(params["properties"]) == ["merchant", "page"]
    assert "no money was moved" in messages["pay_order"]["summary"]
    for message in messages.values():
        assert message["summary"], message["name"]
