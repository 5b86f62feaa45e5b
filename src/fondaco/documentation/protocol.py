"""docs/protocol-zeroex.md: what clients of the order node need to know.

The prose stands in ``protocol-zeroex.md`` beside this module; a line ``{{name}}`` in it is
replaced by a table that is printed from the declarations.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import msgspec

from fondaco import jsonrpc
from fondaco.api import limits as api_limits
from fondaco.api.declarations import Registry
from fondaco.api.dispatch import NotReady
from fondaco.api.feed import EventsGone
from fondaco.api.http import CONTENT_TYPES, RESERVED
from fondaco.api.openrpc import built_in_methods, markdown
from fondaco.api.subscriptions import TooManySubscriptions
from fondaco.chain import limits as chain_limits
from fondaco.documentation.tables import constants, first_sentence, limits_table, table
from fondaco.errors import InvalidParameter, NodeError, StorageError, Unavailable
from fondaco.p2p.network import RequestFailed
from fondaco.store import limits as store_limits
from fondaco.zeroex import capacity, explain, housekeeping, query, rpc, snapshots
from fondaco.zeroex import limits as zeroex_limits
from fondaco.zeroex.contract_events import PARAMETERS, EventKind
from fondaco.zeroex.errors import RejectionCode
from fondaco.zeroex.lifecycle import TRANSITIONS, Amount, Cell, Finding, Standing
from fondaco.zeroex.peer_reports import PeerReport, SetDigest, SetReport
from fondaco.zeroex.peer_rpc import PeerRpc
from fondaco.zeroex.rpc import MeshRpc
from fondaco.zeroex.snapshots import UnknownSnapshot
from fondaco.zeroex.stats import AddedBy, LatestBlock, Stats

TEMPLATE = "protocol-zeroex.md"

_PLACE = re.compile(r"^\{\{(\w+)\}\}$", re.MULTILINE)


def protocol_page() -> str:
    """Return docs/protocol-zeroex.md."""
    text = (files("fondaco.documentation") / TEMPLATE).read_text(encoding="utf-8")
    return _PLACE.sub(lambda match: _TABLES[match[1]](), text)


# ---------------------------------------------------------------- methods and errors


def registry() -> Registry:
    """Return what a node declares. Declaring calls nothing, so nothing needs to be there."""
    nothing: Any = None
    declared = Registry()
    MeshRpc(
        service=nothing,
        database=nothing,
        snapshots=nothing,
        stats=nothing,
        feed=nothing,
        clock=nothing,
    ).declare(declared)
    PeerRpc(
        network=nothing,
        reports=nothing,
        trading=nothing,
        gossip=nothing,
        sync=nothing,
        database=nothing,
    ).declare(declared)
    declared.add(*built_in_methods(declared, version=""))
    return declared


def _methods() -> str:
    return markdown(registry()).rstrip()


def _stats() -> str:
    rows = []
    for struct, prefix in (
        (Stats, ""),
        (LatestBlock, "latestBlock."),
        (AddedBy, "ordersAddedBy."),
        (PeerReport, "peers[]."),
        (SetReport, "peers[].sets[]."),
        (SetDigest, "setDigests[]."),
    ):
        components: dict[str, Any] = msgspec.json.schema(struct)["$defs"][struct.__name__]
        for name, schema in components["properties"].items():
            if "$ref" not in schema:
                rows.append((f"`{prefix}{name}`", _json_type(schema)))
    return table(("field", "type"), rows)


def _json_type(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_json_type(each) for each in schema["anyOf"])
    if "$ref" in schema:
        return "object"
    if schema["type"] == "array":
        return f"array of {_json_type(schema['items'])}"
    return str(schema["type"])


_ERRORS: tuple[type[NodeError], ...] = (
    jsonrpc.ParseError,
    jsonrpc.InvalidRequest,
    jsonrpc.MethodNotFound,
    jsonrpc.InvalidParams,
    InvalidParameter,
    UnknownSnapshot,
    EventsGone,
    TooManySubscriptions,
    RequestFailed,
    NotReady,
    Unavailable,
    StorageError,
)
"""What a call can end in, beside the errors that each method lists."""


def _errors() -> str:
    rows = [
        (f"{getattr(error, 'rpc_code', -32000)}", f"`{error.code}`", first_sentence(error.__doc__))
        for error in _ERRORS
    ]
    rows.append(("-32000", f"`{NodeError.code}`", "A fault of the node's own; its log says more."))
    return table(("code", "`data.code`", "when"), rows)


def _reserved() -> str:
    return table(
        ("path", "for"), [(f"`{path}`", f"{what}, later") for path, what in RESERVED.items()]
    )


def _content_types() -> str:
    return ", ".join(f"`{name}`" for name in sorted(CONTENT_TYPES))


# ---------------------------------------------------------------- orders


def _rejections() -> str:
    rows = [
        (f"`{code.code}`", f"`{code.kind.value}`", code.message, code.verdict.value)
        for code in RejectionCode
    ]
    return table(("`code`", "`kind`", "`message`", "from a peer"), rows)


def _drawing() -> str:
    """Print what can happen to a stored order, an arrow for each cell that tells something."""
    arrows = [
        (before.name, found.value, (cell.becomes or before).name, _told(cell))
        for (before, found), cell in TRANSITIONS.items()
        if cell.events
    ]
    widest = max(len(finding) for _, finding, _, _ in arrows)
    lines = [
        f"{before:>6} --( {finding} ){'-' * (widest - len(finding))}--> {after:<6} {told}"
        for before, finding, after, told in arrows
    ]
    return "\n".join(["```", *lines, "```"])


def _told(cell: Cell) -> str:
    return ", ".join(emit.end_state.value for emit in cell.events)


def _cells() -> str:
    rows = [
        (found.value, *(_cell(TRANSITIONS.get((standing, found))) for standing in Standing))
        for found in Finding
    ]
    return table(("found", *(standing.name for standing in Standing)), rows)


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return "cannot be"
    if not cell.events:
        return "looked at" if cell.is_looked_at else "nothing"
    told = ", ".join(
        f"`{emit.end_state.value}`{'' if emit.with_contract_events else ' (null)'}"
        for emit in cell.events
    )
    amount = {Amount.NEW: "new amount", Amount.KEPT: "amount kept", Amount.ZERO: "amount 0"}
    after = f", becomes {cell.becomes.name}" if cell.becomes else ""
    return f"{told}; {amount[cell.amount]}{after}"


def _standings() -> str:
    texts = {constant.name: constant.text for constant in constants(Standing)}
    return table(
        ("standing", "meaning"), [(standing.name, texts[standing.name]) for standing in Standing]
    )


_WRITINGS = {
    "c": "address, EIP-55",
    "a": "address, lower case",
    "h": "hex",
    "n": "decimal string",
    "N": "array of decimal strings",
    "f": "boolean",
}
"""How a parameter is written, by the letter in ``contract_events.PARAMETERS``."""


def _contract_events() -> str:
    rows = [
        (
            f"`{kind.value}`",
            "" if version is None else f"v{version}",
            ", ".join(f"`{name}` ({_WRITINGS[writing]})" for name, writing in parameters),
        )
        for (kind, version), parameters in PARAMETERS.items()
        if kind.is_listed
    ]
    assert len({row[0] for row in rows}) == sum(kind.is_listed for kind in EventKind)
    return table(("`kind`", "orders", "`parameters`"), rows)


def _explanations() -> str:
    return table(
        ("`status`", "`summary`"),
        [(f"`{status}`", text) for status, text in explain.SUMMARIES.items()],
    )


def _filter_fields() -> str:
    return ", ".join(f"`{name}`" for name in query.FILTER_FIELDS)


def _sorts() -> str:
    return ", ".join(f"`{sort.value}`" for sort in query.Sort)


# ---------------------------------------------------------------- limits


def _zeroex_limits() -> str:
    asked = constants(query) + constants(rpc) + constants(snapshots)
    asked += constants(capacity) + constants(housekeeping)
    names = {
        *("QUERY_LIMIT_DEFAULT", "QUERY_LIMIT_MAX", "QUERY_HASHES_MAX", "MAX_PER_PAGE"),
        *("SNAPSHOT_IDLE", "SNAPSHOT_LIFETIME", "MAX_SNAPSHOTS", "TRIM_PERCENT"),
        *("CLEANUP_INTERVAL", "STALE_AFTER", "FORGET_INTERVAL", "FORGET_AFTER"),
    }
    chosen = [constant for constant in asked if constant.name in names]
    assert {constant.name for constant in chosen} == names
    return limits_table(constants(zeroex_limits) + chosen)


_TABLES: dict[str, Callable[[], str]] = {
    "methods": _methods,
    "stats": _stats,
    "errors": _errors,
    "reserved": _reserved,
    "content_types": _content_types,
    "rejections": _rejections,
    "drawing": _drawing,
    "cells": _cells,
    "standings": _standings,
    "contract_events": _contract_events,
    "explanations": _explanations,
    "filter_fields": _filter_fields,
    "sorts": _sorts,
    "api_limits": lambda: limits_table(constants(api_limits.Limits)),
    "zeroex_limits": _zeroex_limits,
    "chain_limits": lambda: limits_table(constants(chain_limits)),
    "store_limits": lambda: limits_table(constants(store_limits)),
}
"""What stands for a placeholder of the template."""
