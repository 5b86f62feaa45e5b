"""Order hashes against vectors of the original, and against a slow second writing."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from tiny_keccak import keccak256

from fondaco.testing.orders import make_order
from fondaco.zeroex.codec import decode_order
from fondaco.zeroex.eip712 import (
    DOMAIN_TYPE_HASHES,
    ORDER_TYPE_HASHES,
    domain_separator,
    order_hash,
)
from fondaco.zeroex.order import Address, Amount, OrderHash, ProtocolVersion, SignedOrder

V2, V3 = ProtocolVersion.V2, ProtocolVersion.V3
VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "mesh_vectors.json").read_text())
ON_CHAIN = {
    version: json.loads(
        (Path(__file__).parents[1] / f"vectors/mesh_onchain_v{version}_vectors.json").read_text()
    )["getOrderRelevantStates"]["cases"]
    for version in (2, 3)
}
HASHED = [
    *VECTORS["order_hash_v2"],
    *VECTORS["order_hash_v3"],
    *(
        {"order": case["signedOrder"], "orderHash": case["orderHash"]}
        for cases in ON_CHAIN.values()
        for case in cases
    ),
]


@pytest.mark.parametrize("vector", HASHED)
def test_the_hash_is_that_of_the_original_and_of_the_contract(vector: dict[str, Any]) -> None:
    signature = vector.get("signature", "0x")
    raw = json.dumps({"signature": signature, **vector["order"]}).encode()
    assert "0x" + order_hash(decode_order(raw)).hex() == vector["orderHash"]


def test_seed_orders_have_the_hashes_the_seed_prints() -> None:
    for vector in VECTORS["seed_orders"]:
        order = decode_order(json.dumps(vector["order"]).encode())
        assert "0x" + order_hash(order).hex() == vector["computedOrderHash"]
        assert vector["claimedOrderHash"] in (None, vector["computedOrderHash"])


def test_type_hashes() -> None:
    expected = VECTORS["eip712"]["typehashes"]
    assert "0x" + ORDER_TYPE_HASHES[V2].hex() == expected["v2_order"]
    assert "0x" + ORDER_TYPE_HASHES[V3].hex() == expected["v3_order"]
    assert "0x" + DOMAIN_TYPE_HASHES[V2].hex() == expected["v2_domain"]
    assert "0x" + DOMAIN_TYPE_HASHES[V3].hex() == expected["v3_v4_domain"]


GANACHE_EXCHANGE = "48bacb9266a570d521063ef5dd96e61686dbe788"
MAINNET_V3_EXCHANGE = "61935cbdd02287b511119ddb11aeb42f1593b7ef"


@pytest.mark.parametrize(
    ("name", "version", "exchange", "chain_id"),
    [
        (
            "v2 0x4f833a24e1f95d70f028921e27040ca56e09ab0b",
            V2,
            "4f833a24e1f95d70f028921e27040ca56e09ab0b",
            0,
        ),
        (
            "v2 0x080bf510fcbf18b91105470639e9561022937712",
            V2,
            "080bf510fcbf18b91105470639e9561022937712",
            1,
        ),
        (f"v2 ganache 0x{GANACHE_EXCHANGE}", V2, GANACHE_EXCHANGE, 0),
        ("v3 ganache chain 1337", V3, GANACHE_EXCHANGE, 1337),
        ("v3 mainnet", V3, MAINNET_V3_EXCHANGE, 1),
    ],
)
def test_domain_separators(
    name: str, version: ProtocolVersion, exchange: str, chain_id: int
) -> None:
    address = Address(bytes.fromhex(exchange))
    expected = VECTORS["eip712"]["domain_separators"][name]
    assert "0x" + domain_separator(version, address, chain_id).hex() == expected


MEMBERS = (
    ("address", "makerAddress"),
    ("address", "takerAddress"),
    ("address", "feeRecipientAddress"),
    ("address", "senderAddress"),
    ("uint256", "makerAssetAmount"),
    ("uint256", "takerAssetAmount"),
    ("uint256", "makerFee"),
    ("uint256", "takerFee"),
    ("uint256", "expirationTimeSeconds"),
    ("uint256", "salt"),
    ("bytes", "makerAssetData"),
    ("bytes", "takerAssetData"),
    ("bytes", "makerFeeAssetData"),
    ("bytes", "takerFeeAssetData"),
)


def slow_hash(order: SignedOrder) -> OrderHash:
    """EIP-712 read out aloud: member by member, no caches."""
    members = MEMBERS if order.version is V3 else MEMBERS[:12]
    written = ",".join(f"{kind} {name}" for kind, name in members)
    words = [keccak256(f"Order({written})".encode())]
    for kind, name in members:
        attribute = "".join(f"_{c.lower()}" if c.isupper() else c for c in name)
        value = getattr(order, attribute)
        if kind == "bytes":
            words.append(keccak256(value))
        else:
            words.append(value.rjust(32, b"\0") if kind == "address" else value.to_bytes(32, "big"))
    chain = "uint256 chainId," if order.version is V3 else ""
    domain = [
        keccak256(
            f"EIP712Domain(string name,string version,{chain}address verifyingContract)".encode()
        ),
        keccak256(b"0x Protocol"),
        keccak256(b"3.0.0" if order.version is V3 else b"2"),
    ]
    if order.version is V3:
        domain.append(order.chain_id.to_bytes(32, "big"))
    domain.append(bytes(12) + order.exchange_address)
    return OrderHash(
        keccak256(b"\x19\x01" + keccak256(b"".join(domain)) + keccak256(b"".join(words)))
    )


def test_fast_and_slow_hash_agree() -> None:
    rng = random.Random(712)
    for _ in range(300):
        version = rng.choice((V2, V3))
        data = rng.randbytes
        fees: dict[str, Any] = {
            "maker_fee_asset_data": data(rng.randrange(90)),
            "taker_fee_asset_data": data(36),
        }
        order = make_order(
            version=version,
            chain_id=rng.randrange(2**63) if version is V3 else 0,
            exchange_address=Address(data(20)),
            maker_address=Address(data(20)),
            taker_address=Address(data(20)),
            fee_recipient_address=Address(data(20)),
            sender_address=Address(data(20)),
            maker_asset_amount=Amount(rng.getrandbits(256)),
            taker_asset_amount=Amount(rng.getrandbits(256)),
            maker_fee=Amount(rng.getrandbits(256)),
            taker_fee=Amount(rng.getrandbits(8)),
            expiration_time_seconds=rng.getrandbits(64),
            salt=rng.getrandbits(256),
            maker_asset_data=data(rng.randrange(200)),
            taker_asset_data=data(rng.randrange(200)),
            **(fees if version is V3 else {}),
            signature=b"",
        )
        assert order_hash(order) == slow_hash(order)


def test_the_chain_plays_no_part_in_v2() -> None:
    address = Address(bytes.fromhex(GANACHE_EXCHANGE))
    assert domain_separator(V2, address, 1) == domain_separator(V2, address, 1337)
