"""Commands that ask a running node over its JSON-RPC, never its database."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from fondaco.cli.lifetime import EXIT_FAILED
from fondaco.errors import NodeError, Unavailable

DEFAULT_NODE = "http://127.0.0.1:60557"

TIMEOUT_SECONDS = 30.0
"""How long an answer may take."""

ORDERS_PER_PAGE = 100
"""Orders asked for at once."""

HASH_CHARACTERS = 66
"""0x and 64 hex digits."""

Node = Annotated[
    str,
    typer.Option("--node", envvar="FONDACO_NODE", help="HTTP address of the node."),
]
Token = Annotated[
    str,
    typer.Option(
        envvar=["RPC_TOKEN", "FONDACO_RPC_TOKEN"],
        help="Its bearer token; better set in the environment.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


class NodeAnsweredError(NodeError):
    """The node refused the request."""

    code = "NodeAnsweredError"


def add_commands(app: typer.Typer) -> None:
    """Hang the commands of this module into *app*."""
    for command in (stats, orders, explain):
        app.command()(command)
    app.command()(peers)


def stats(node: Node = DEFAULT_NODE, token: Token = "", as_json: Json = False) -> None:
    """Show what a running node says about itself."""
    answer = _ask_or_exit(node, token, "mesh_getStats")
    if as_json:
        print(json.dumps(answer))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False, box=None)
    for name, value in answer.items():
        table.add_row(name, value if isinstance(value, str) else json.dumps(value))
    Console().print(table)


def orders(
    node: Node = DEFAULT_NODE,
    token: Token = "",
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    as_json: Json = False,
) -> None:
    """List the orders of a running node."""
    found = list(_first_orders(node, token, limit))
    if as_json:
        for info in found:
            print(json.dumps(info))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None)
    # In full: the hash is what `fondaco explain` is asked with.
    table.add_column("order hash", no_wrap=True, min_width=HASH_CHARACTERS)
    for title in ("maker", "maker amount", "taker amount", "fillable (taker)"):
        table.add_column(title, overflow="ellipsis", no_wrap=True)
    for info in found:
        order = info["signedOrder"]
        table.add_row(
            info["orderHash"],
            order["makerAddress"],
            order["makerAssetAmount"],
            order["takerAssetAmount"],
            info["fillableTakerAssetAmount"],
        )
    Console().print(table)


def peers(node: Node = DEFAULT_NODE, token: Token = "", as_json: Json = False) -> None:
    """Show who is connected, and whether each holds the same orders."""
    answer = _ask_or_exit(node, token, "mesh_getPeers")
    if as_json:
        print(json.dumps(answer))
        return
    for peer in answer["peers"]:
        state = peer["state"]
        if peer["differs"]:
            state += f" by {peer['differs']} orders ({peer['explained']} explained)"
        # In full, on lines of their own: a peer's name is what `mesh_addPeer` is asked with.
        print(f"{peer['peerID']}  {peer['direction']}  score {peer['score']:g}  {peer['agent']}")
        print(f"  {state} since {peer['since']}")
    if not answer["peers"]:
        print("no peers")
    for own in answer["setDigests"]:
        print(f"{own['set']}: {own['orders']} orders, digest {own['digest']}")


def explain(
    order_hash: Annotated[str, typer.Argument(metavar="HASH", help="0x and 64 hex digits.")],
    node: Node = DEFAULT_NODE,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Tell what happened to an order, step by step, or why it is not here."""
    answer = _ask_or_exit(node, token, "mesh_explain", order_hash)
    if as_json:
        print(json.dumps(answer))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None)
    for title in ("when", "what", "why", "fillable (taker)"):
        table.add_column(title, overflow="fold")
    for step in answer["steps"]:
        fillable = step.get("fillableTakerAssetAmount", "")
        table.add_row(step["at"], step["what"], step["why"], fillable)
    console = Console(highlight=False)
    console.print(f"{answer['orderHash']}\n{answer['status']}: {answer['summary']}", soft_wrap=True)
    if answer["steps"]:
        console.print(table)


def ask(node: str, token: str, method: str, *parameters: object) -> Any:
    """Return the result of one JSON-RPC call.

    Raises:
        Unavailable: no node answers there, or what answers is none.
        NodeAnsweredError: it answered with an error.
    """
    import urllib.error
    import urllib.request

    call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        request = urllib.request.Request(node, json.dumps(call).encode(), headers)
        if request.type not in {"http", "https"}:
            raise Unavailable(f"{node} is not an http or https address")
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
            reply = json.loads(answer.read())
    except urllib.error.HTTPError as exc:
        reason = exc.read(500).decode(errors="replace").strip()
        raise NodeAnsweredError(f"{node} answered {exc.code}: {reason or exc.reason}") from exc
    except (OSError, ValueError) as exc:
        raise Unavailable(
            f"no node answers at {node} ({exc}); start one with `fondaco run`, or name its "
            "address with --node"
        ) from exc
    if isinstance(reply, dict) and "result" in reply:
        return reply["result"]
    error = reply.get("error") if isinstance(reply, dict) else None
    if not isinstance(error, dict):
        raise Unavailable(f"what answers at {node} is no node")
    raise NodeAnsweredError(f"{method}: {error.get('message')} ({error.get('code')})")


def _ask_or_exit(node: str, token: str, method: str, *parameters: object) -> Any:
    try:
        return ask(node, token, method, *parameters)
    except NodeError as exc:
        print(f"fondaco: {exc}", file=sys.stderr)
        raise typer.Exit(EXIT_FAILED) from None


def _first_orders(node: str, token: str, limit: int) -> Iterator[dict[str, Any]]:
    snapshot, page = "", 0
    while limit > 0:
        answer = _ask_or_exit(node, token, "mesh_getOrders", page, ORDERS_PER_PAGE, snapshot)
        yield from answer["ordersInfos"][:limit]
        if len(answer["ordersInfos"]) < ORDERS_PER_PAGE:
            return
        limit -= ORDERS_PER_PAGE
        snapshot, page = answer["snapshotID"], page + 1
