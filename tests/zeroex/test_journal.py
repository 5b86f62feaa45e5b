"""What the log keeps of an event, and the event as clients read it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fondaco.chain.logs import Log
from fondaco.clock import NANOSECONDS
from fondaco.testing.orders import make_order
from fondaco.zeroex import codec
from fondaco.zeroex.contract_events import (
    EVENT_TOPICS,
    ContractRole,
    decode_event,
    encode_event,
)
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.journal import OrderFact, encode_payload, render_event
from fondaco.zeroex.order import OrderHash

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "mesh_vectors.json").read_text())


def fact(**changes: Any) -> OrderFact:
    given: dict[str, Any] = {
        "order_hash": OrderHash(b"\xab" * 32),
        "end_state": "FILLED",
        "fillable": 2**200,
        "contract_events": [],
        "timestamp_ns": 1_577_836_800 * NANOSECONDS,
        "block_number": 7,
    }
    return OrderFact(**given | changes)


class Erc20Everywhere:
    def role(self, address: bytes) -> ContractRole:
        return ContractRole.ERC20


def recorded_log(printed: dict[str, Any]) -> Log:
    parameters = printed["parameters"]
    return Log(
        address=bytes.fromhex(printed["address"][2:]),
        topics=(
            EVENT_TOPICS["Transfer(address,address,uint256)"],
            *(bytes(12) + bytes.fromhex(parameters[name][2:]) for name in ("from", "to")),
        ),
        data=int(parameters["value"]).to_bytes(32, "big"),
        block_number=1,
        block_hash=bytes.fromhex(printed["blockHash"][2:]),
        transaction_hash=bytes.fromhex(printed["txHash"][2:]),
        transaction_index=printed["txIndex"],
        log_index=printed["logIndex"],
        removed=printed["isRemoved"],
    )


def test_the_recorded_event_of_mesh() -> None:
    recorded = VECTORS["order_watcher_contract_event_json"]["event"]
    signed = VECTORS["order_hash_v2"][0]
    text = json.dumps(signed["order"] | {"signature": signed["signature"]}).encode()
    body = codec.encode_order(codec.decode_order(text))
    (printed,) = recorded["contractEvents"]
    event = decode_event(recorded_log(printed), Erc20Everywhere())
    assert event is not None
    payload = encode_payload(
        fact(
            end_state=recorded["endState"],
            fillable=int(recorded["fillableTakerAssetAmount"]),
            contract_events=[encode_event(event)],
        )
    )
    name = bytes.fromhex(recorded["orderHash"][2:])
    rendered = json.loads(render_event(12, name, body, payload))
    assert {key: rendered[key] for key in recorded} == recorded | {
        "signedOrder": json.loads(text),
    }


def test_fields_and_their_sequence() -> None:
    order = make_order()
    body = codec.encode_order(order)
    event = json.loads(render_event(3, order_hash(order), body, encode_payload(fact())))
    assert event == {
        "sequence": 3,
        "orderHash": f"0x{order_hash(order).hex()}",
        "signedOrder": json.loads(body),
        "endState": "FILLED",
        "fillableTakerAssetAmount": str(2**200),
        "contractEvents": [],
        "timestamp": "2020-01-01T00:00:00Z",
        "blockNumber": 7,
    }
    assert list(event)[:3] == ["sequence", "orderHash", "signedOrder"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"contract_events": None}, {"contractEvents": None}),
        ({"reason": "OrderUnfunded"}, {"reason": "OrderUnfunded"}),
        ({"fillable": 0}, {"fillableTakerAssetAmount": "0"}),
        ({"contract_events": [msgspec.Raw(b'{"a":1}')]}, {"contractEvents": [{"a": 1}]}),
    ],
)
def test_a_payload_says(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    payload = json.loads(encode_payload(fact(**changes)))
    assert {key: payload[key] for key in expected} == expected


def test_what_is_not_known_is_left_out() -> None:
    payload = json.loads(encode_payload(fact(block_number=None)))
    assert payload.keys().isdisjoint({"blockNumber", "reason", "orderHash", "signedOrder"})
