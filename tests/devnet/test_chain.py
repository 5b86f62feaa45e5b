"""The local chain as a whole: what it says of itself is true."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fondaco.chain.contracts import parse_custom
from fondaco.clock import SystemClock, seconds
from fondaco.devnet import actions, deploy
from fondaco.devnet.chain import Devnet
from fondaco.devnet.control import ChainControl
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.order import ProtocolVersion
from support.market import FILLABLE, Market

pytestmark = pytest.mark.chain

VECTORS = Path(__file__).parents[1] / "vectors" / "mesh_onchain_v3_vectors.json"
RECORDED = [
    case
    for case in json.loads(VECTORS.read_text())["getOrderRelevantStates"]["cases"]
    if "ethCallResult" in case
]


async def test_its_description_is_json_a_node_can_be_configured_with(devnet: Devnet) -> None:
    said: dict[str, Any] = json.loads(json.dumps(devnet.describe()))
    assert said["ethereum"] == devnet.http_url
    assert said["chainId"] == 1337
    assert said["mnemonic"].split()[0] == "concert"
    contracts = parse_custom(json.dumps(said["contracts"]), 1337, frozenset({2, 3}))
    assert contracts.v3 is not None
    assert contracts.v2 is not None
    assert contracts.v3.exchange == devnet.addresses["exchange"]
    assert contracts.v2.exchange == devnet.addresses["exchangeV2"]
    assert contracts.v2.dev_utils == devnet.addresses["devUtilsV2"]


async def test_every_address_it_names_has_code(devnet: Devnet) -> None:
    tokens = devnet.contracts["tokens"]
    assert isinstance(tokens, dict)
    listed = [value for value in devnet.contracts.values() if isinstance(value, str)]
    listed += [tokens["weth9"], *tokens["erc20"], *tokens["erc721"], *tokens["erc1155"]]
    assert len(listed) == 15 + 8
    for address in listed:
        assert await devnet.rpc.call("eth_getCode", address, "latest") != "0x", address


async def test_its_head_is_of_the_present(devnet: Devnet) -> None:
    head = await ChainControl(devnet.rpc).block()
    assert abs(head.timestamp - seconds(SystemClock().now_ns())) < 60


async def test_its_head_can_be_asked_by_hash(devnet: Devnet) -> None:
    head = await ChainControl(devnet.rpc).block()
    question = {"to": devnet.contracts["weth9"], "data": "0x18160ddd"}
    at = {"blockHash": "0x" + head.hash.hex()}
    assert int(await devnet.rpc.call("eth_call", question, at), 16) == 0


@pytest.mark.parametrize("case", RECORDED, ids=[case["note"] for case in RECORDED])
async def test_dev_utils_of_v3_answers_the_recorded_questions(
    devnet: Devnet, case: dict[str, Any]
) -> None:
    # Balances differ from the recording's; hash and signature depend on the order alone.
    question = {"to": devnet.contracts["devUtils"], "data": case["ethCallData"]}
    answer = (await devnet.rpc.call("eth_call", question, "latest"))[2:]
    words = [answer[i : i + 64] for i in range(0, len(answer), 64)]
    assert "0x" + words[5] == case["orderHash"]
    assert int(words[-1], 16) == case["decoded"]["isValidSignature"]


@pytest.mark.parametrize("version", list(ProtocolVersion), ids=["v2", "v3"])
async def test_dev_utils_knows_its_exchange_and_proxies(
    market: Market, version: ProtocolVersion
) -> None:
    order = market.offer(version)
    signature = actions.order_signature(version, "getOrderRelevantState({},bytes)")
    dev_utils = deploy.ADDRESSES["devUtils" if version is ProtocolVersion.V3 else "devUtilsV2"]
    answer = await market.traders.call(
        dev_utils, signature, actions.order_tuple(order), order.signature
    )
    words = [answer[i : i + 32] for i in range(0, len(answer), 32)]
    status, hashed, filled, fillable, is_valid = words
    assert (status[31], hashed, filled[31]) == (FILLABLE, order_hash(order), 0)
    assert (fillable[31], is_valid[31]) == (40, 1), "funded, allowed, signed"
