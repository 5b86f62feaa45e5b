"""What two published clients were recorded to send, sent again word for word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from conformance.mesh_client import BIG_FIELDS
from conformance.wire import Wire, open_wire
from support.node_process import NodeProcess

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "mesh_vectors.json").read_text())
RECORDED: dict[str, list[dict[str, Any]]] = {
    name: frames
    for name, frames in VECTORS["client_frames"].items()
    if name.startswith("@0x/mesh-rpc-client")
}

pytestmark = pytest.mark.chain


async def replay(wire: Wire, frames: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Send each frame; return the answers. Names that only the node knows are put in.

    A recording holds the identifiers of the node it was made against: of the snapshot,
    and of the two subscriptions in the order in which they were made.
    """
    answers: list[dict[str, Any]] = []
    mine: dict[str, str] = {}
    names: dict[str, str] = {}
    for frame in frames:
        params = frame["params"]
        if frame["method"] == "mesh_unsubscribe":
            params = [names[params[0]]]
        elif frame["method"] == "mesh_getOrders" and params[2]:
            params = [*params[:2], mine["snapshot"]]
        answer = await wire.answer({**frame, "params": params})
        answers.append(answer)
        if frame["method"] == "mesh_subscribe":
            recorded = "0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" + str(len(names) + 1)
            names[recorded] = answer["result"]
        elif frame["method"] == "mesh_getOrders":
            mine["snapshot"] = answer["result"]["snapshotID"]
    return answers


def check_rejected(entry: dict[str, Any]) -> None:
    """The recorded order is of another chain's exchange and its signature is cut."""
    assert set(entry) >= {"orderHash", "signedOrder", "kind", "status"}
    assert entry["kind"] in {"MESH_VALIDATION", "ZEROEX_VALIDATION"}
    assert isinstance(entry["status"]["code"], str)
    assert isinstance(entry["status"]["message"], str)
    for name in BIG_FIELDS:
        assert isinstance(entry["signedOrder"][name], str)


@pytest.mark.parametrize("client", RECORDED)
async def test_every_recorded_frame_is_answered_in_its_shape(
    node: NodeProcess, client: str
) -> None:
    frames = RECORDED[client]
    unsubscribed: set[str] = set()
    async with open_wire(node.ready.rpc) as wire:
        answers = await replay(wire, frames)
    assert len(answers) == len(frames)
    for frame, answer in zip(frames, answers, strict=True):
        assert answer["jsonrpc"] == "2.0"
        assert answer["id"] == frame["id"]
        match frame["method"]:
            case "mesh_subscribe":
                assert answer["result"].startswith("0x")
            case "mesh_unsubscribe" if frame["params"][0] in unsubscribed:
                # destroy() gives back every subscription that there ever was.
                assert answer["error"]["message"] == "subscription not found"
            case "mesh_unsubscribe":
                assert answer["result"] is True
                unsubscribed.add(frame["params"][0])
            case "mesh_addOrders":
                assert answer["result"]["accepted"] == []
                # The same order twice in one call is one order.
                assert len(answer["result"]["rejected"]) == 1
                check_rejected(answer["result"]["rejected"][0])
            case "mesh_getOrders":
                assert answer["result"]["ordersInfos"] == []
                assert isinstance(answer["result"]["snapshotTimestamp"], str)
            case "mesh_getStats":
                assert answer["result"]["numOrders"] == 0
            case other:
                pytest.fail(f"no expectation for {other}")
