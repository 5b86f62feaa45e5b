"""Every message printed in the API document of OpenBazaar 0.3.1, and its line."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from support.contracts import seed_params
from support.vector_table import FOLDER

PLACEHOLDER = "**<RICARDIAN CONTRACT OBJECT>**"
"""Stands in line 237, where the document leaves a contract out."""


class SeedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message as it is printed, from its first line to its last."""

    note: str
    first_line: int
    last_line: int
    sent_by: str
    text: list[str]

    @property
    def json(self) -> str:
        """Return the printed text, with the contract of line 33 where one is left out."""
        return "\n".join(self.text).replace(PLACEHOLDER, json.dumps(seed_params()))

    @property
    def value(self) -> Any:
        """Return what the text says."""
        return json.loads(self.json)


def seed_messages(sent_by: str) -> list[SeedMessage]:
    """Return the messages that the client, or the server, sends."""
    document = json.loads((FOLDER / "openbazaar_seed_messages.json").read_text())
    cases = msgspec.convert(document["websocket_messages"]["cases"], list[SeedMessage])
    return [case for case in cases if case.sent_by == sent_by]


def seed_message(line: int) -> SeedMessage:
    """Return the message that begins in *line* of the document."""
    both = [*seed_messages("client"), *seed_messages("server")]
    (found,) = [case for case in both if case.first_line == line]
    return found


def shape(value: Any) -> Any:
    """Return keys, types and nesting of JSON: what remains where values are no test data.

    A list is as its members are; an empty one may hold anything.
    """
    if isinstance(value, dict):
        return {name: shape(member) for name, member in value.items() if name != "$$hashKey"}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    if isinstance(value, bool):
        return "truth"
    return "number" if isinstance(value, int | float) else type(value).__name__


def lacks(printed: Any, sent: Any, path: str = "") -> list[str]:
    """Return where *sent* lacks a key of *printed*, or holds another type there."""
    if isinstance(printed, dict) and isinstance(sent, dict):
        wrong = [f"{path}.{name} is missing" for name in printed if name not in sent]
        for name in printed.keys() & sent.keys():
            wrong += lacks(printed[name], sent[name], f"{path}.{name}")
        return wrong
    if isinstance(printed, list) and isinstance(sent, list):
        return lacks(printed[0], sent[0], f"{path}[0]") if printed and sent else []
    return [] if printed == sent else [f"{path}: {sent!r} where {printed!r} is printed"]
