"""The original's error answers, word for word, from the real node over both transports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from conformance.wire import open_wire, post
from support.node_process import NodeProcess

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "mesh_vectors.json").read_text())
CASES: list[dict[str, Any]] = VECTORS["rpc_errors"]["cases"]

pytestmark = pytest.mark.chain


def difference(case: dict[str, Any], answer: Any) -> str | None:
    """Return how *answer* is not what *case* asks for; None where it is."""
    problems: list[str] = []
    error = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(error, dict):
        return f"no error object: {answer}"
    if error.get("code") != case["code"]:
        problems.append(f"code {error.get('code')}, not {case['code']}")
    if "message" in case and error.get("message") != case["message"]:
        problems.append(f"message {error.get('message')!r}, not {case['message']!r}")
    sent = case["send"]
    wanted_id = sent["id"] if isinstance(sent, dict) else None
    if answer.get("id", "absent") != wanted_id:
        problems.append(f"id {answer.get('id', 'absent')}, not {wanted_id}")
    if answer.get("jsonrpc") != "2.0" or "result" in answer:
        problems.append(f"not an error answer: {answer}")
    return "; ".join(problems) or None


async def test_over_websocket(node: NodeProcess) -> None:
    differences: dict[str, str] = {}
    for case in CASES:
        if case.get("transport", "ws") == "ws":
            async with open_wire(node.ready.rpc) as wire:
                if problem := difference(case, await wire.answer(case["send"])):
                    differences[str(case["send"])] = problem
                if case.get("then") == "connection closed":
                    with pytest.raises(ConnectionClosed):
                        await wire.receive()
                else:
                    assert await wire.call("rpc_modules")
    assert not differences


async def test_over_http(node: NodeProcess) -> None:
    differences: dict[str, str] = {}
    for case in CASES:
        is_subscribe = isinstance(case["send"], dict) and "subscribe" in case["send"].get(
            "method", ""
        )
        if case.get("transport", "http") == "http" and not is_subscribe:
            status, answer = await post(node.ready.http, case["send"])
            if status != 200:
                differences[str(case["send"])] = f"HTTP status {status}"
            elif problem := difference(case, answer):
                differences[str(case["send"])] = problem
    assert not differences


async def test_a_subscription_needs_a_connection_that_lasts(node: NodeProcess) -> None:
    subscribe = {"jsonrpc": "2.0", "id": 7, "method": "mesh_subscribe", "params": ["orders"]}
    _status, answer = await post(node.ready.http, subscribe)
    assert answer["id"] == 7
    assert answer["error"]["code"] == -32000
    assert answer["error"]["message"] == "notifications not supported"
