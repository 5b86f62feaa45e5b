"""The chain on which the on-chain vectors were recorded, by their own notes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fondaco.testing.orders import WETH, ZRX
from fondaco.zeroex.codec import decode_order
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.order import ProtocolVersion, SignedOrder
from support.chain_words import MAX, PROXIES, World

VECTORS = Path(__file__).parents[1] / "vectors"

RECORDED: dict[ProtocolVersion, list[dict[str, Any]]] = {
    version: json.loads((VECTORS / f"mesh_onchain_v{version}_vectors.json").read_text())[
        "getOrderRelevantStates"
    ]["cases"]
    for version in ProtocolVersion
}

# A few cases have a maker of their own; what he holds is in the note.
OTHER_STOCK = {
    "no balance and no allowance": None,
    "WETH maker, makerFee 10 ZRX covered by 20 ZRX": {WETH: 100, ZRX: 20},
    "salt one above it": {WETH: 990},
}


def recorded_order(case: dict[str, Any]) -> SignedOrder:
    return decode_order(json.dumps(case["signedOrder"]).encode())


def recorded_world(version: ProtocolVersion) -> World:
    """What the maker of most cases held."""
    world = World()
    maker = bytes.fromhex("6ecbe1db9ef729cbe972c83fb886247691fb6beb")
    erc721 = bytes.fromhex("07f96aa816c1f244cbc6ef114bb2b023ba54a2eb")
    erc1155 = bytes.fromhex("038f9b392fb9a9676dbaddf78ea5fdbf6c7d9710")
    proxies = PROXIES[version]
    assert proxies
    world.erc20(ZRX, maker, 850, MAX)
    world.erc721(erc721, 7, maker, proxies.erc721_proxy)
    world.erc721(erc721, 8, maker)
    world.erc1155(erc1155, maker, 1 << 128, 50)
    world.approve_for_all(erc1155, maker, proxies.erc1155_proxy)
    return world


def world_of(version: ProtocolVersion, case: dict[str, Any]) -> World:
    """What the chain was like when *case* was asked."""
    order = recorded_order(case)
    world, note, decoded = recorded_world(version), case["note"], case.get("decoded", {})
    world.fill(order_hash(order), int(decoded.get("orderTakerAssetFilledAmount", 0)))
    if note == "cancelled":
        world.cancel(order_hash(order))
    for token, balance in (OTHER_STOCK.get(note) or {}).items():
        world.erc20(token, order.maker_address, balance, MAX)
    if note == "salt one above it":
        world.epoch(order.maker_address, order.sender_address, order.salt)
    return world
