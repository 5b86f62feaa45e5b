"""The RPC codec: bytes by hand, bytes of py-libp2p, and bytes that are wrong."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from fondaco.errors import PeerError, Verdict
from fondaco.p2p import limits
from fondaco.p2p.protobuf import encode_varint, field
from fondaco.p2p.pubsub.rpc import (
    IHave,
    MalformedRpc,
    Message,
    PeerInfo,
    Prune,
    Rpc,
    Subscription,
    decode_message,
    decode_rpc,
    encode_rpc,
    encode_unsigned,
)

VECTORS = json.loads(
    (Path(__file__).parents[2] / "vectors" / "pubsub_rpc_vectors.json").read_text()
)

BY_HAND = [
    pytest.param("", Rpc(), id="nothing"),
    pytest.param(
        # 1 { 1: true, 2: "t" }
        "0a05 0801 120174",
        Rpc(subscriptions=[Subscription("t", True)]),
        id="subscribe",
    ),
    pytest.param(
        "0a05 0800 120174", Rpc(subscriptions=[Subscription("t", False)]), id="unsubscribe"
    ),
    pytest.param(
        # 2 { 1: "A", 2: "data", 3: "01", 4: "t", 5: "sig", 6: "k" }
        "1218 0a0141 120464617461 1a023031 220174 2a03736967 32016b",
        Rpc(
            publish=[
                Message(
                    sender=b"A", data=b"data", seqno=b"01", topic="t", signature=b"sig", key=b"k"
                )
            ]
        ),
        id="message",
    ),
    pytest.param(
        # 3 { 1 { 1: "t", 2: "i", 2: "j" } }
        "1a0b 0a09 0a0174 120169 12016a",
        Rpc(ihave=[IHave("t", (b"i", b"j"))]),
        id="ihave",
    ),
    pytest.param("1a08 1206 0a0169 0a016a", Rpc(iwant=[b"i", b"j"]), id="iwant"),
    pytest.param("1a05 1a03 0a0174", Rpc(graft=["t"]), id="graft"),
    pytest.param("1a05 2203 0a0174", Rpc(prune=[Prune("t")]), id="prune of 1.0"),
    pytest.param(
        # 3 { 4 { 1: "t", 2 { 1: "p" }, 2 { 1: "q", 2: "rec" }, 3: 300 } }
        "1a17 2215 0a0174 1203 0a0170 1208 0a0171 1203726563 18ac02",
        Rpc(prune=[Prune("t", (PeerInfo(b"p"), PeerInfo(b"q", b"rec")), 300)]),
        id="prune of 1.1",
    ),
]


def as_lists(rpc: Rpc) -> dict[str, list[Any]]:
    return {name: list(getattr(rpc, name)) for name in rpc.__struct_fields__}


@pytest.mark.parametrize(("wire", "rpc"), BY_HAND)
def test_bytes_by_hand(wire: str, rpc: Rpc) -> None:
    raw = bytes.fromhex(wire)
    assert encode_rpc(rpc).hex() == raw.hex()
    assert as_lists(decode_rpc(raw)) == as_lists(rpc)


def from_vector(vector: dict[str, Any]) -> Rpc:
    return Rpc(
        subscriptions=[Subscription(topic, wanted) for topic, wanted in vector["subscriptions"]],
        publish=[decode_message(bytes.fromhex(one)) for one in vector["publish"]],
        ihave=[IHave(topic, tuple(map(bytes.fromhex, ids))) for topic, ids in vector["ihave"]],
        iwant=[bytes.fromhex(one) for one in vector["iwant"]],
        graft=vector["graft"],
        prune=[
            Prune(
                topic,
                tuple(PeerInfo(bytes.fromhex(peer), bytes.fromhex(rec)) for peer, rec in peers),
                backoff,
            )
            for topic, peers, backoff in vector["prune"]
        ],
    )


@pytest.mark.parametrize("vector", VECTORS["rpcs"], ids=range(len(VECTORS["rpcs"])))
def test_bytes_of_py_libp2p(vector: dict[str, Any]) -> None:
    raw = bytes.fromhex(vector["wire"])
    rpc = from_vector(vector["rpc"])
    assert as_lists(decode_rpc(raw)) == as_lists(rpc)
    if vector["is_canonical"]:
        assert encode_rpc(rpc).hex() == raw.hex()


@pytest.mark.parametrize("vector", VECTORS["messages"], ids=range(len(VECTORS["messages"])))
def test_messages_of_py_libp2p(vector: dict[str, Any]) -> None:
    message = decode_message(bytes.fromhex(vector["wire"]))
    assert message.topic == vector["topic"]
    for name in ("data", "seqno", "signature", "key"):
        assert getattr(message, name).hex() == vector[name]
    if vector["is_valid"]:
        assert encode_unsigned(message).hex() == vector["unsigned"]
    assert message.message_id.hex() == vector["raw_peer_id"] + vector["seqno"]


def test_unknown_fields_are_skipped() -> None:
    unknown = (
        encode_varint(15 << 3) + encode_varint(2**63)  # a number
        + field(14, b"later")  # bytes
        + encode_varint(200 << 3 | 1) + bytes(8)  # fixed64
        + encode_varint(6492434 << 3 | 5) + bytes(4)  # fixed32
    )  # fmt: skip
    message = Message(sender=b"A", data=b"d", seqno=b"1", topic="t")
    raw = unknown + field(2, encode_unsigned(message) + unknown) + field(3, unknown + field(5, b""))
    assert as_lists(decode_rpc(raw)) == as_lists(Rpc(publish=[message]))


@pytest.mark.parametrize(
    "wire",
    [
        pytest.param("0a", id="no length"),
        pytest.param("0a05 0801", id="cut"),
        pytest.param("80", id="tag cut"),
        pytest.param("0a ffffffffffffffffffff01", id="length over ten bytes"),
        pytest.param("08 ffffffffffffffffff7f", id="number over 64 bits"),
        pytest.param("0a 8080808080808080 40", id="length of 2**62"),
        pytest.param("0201 00", id="field number 0"),
        pytest.param("0b", id="group"),
        pytest.param("0f", id="wire type 7"),
        pytest.param("79 0000", id="fixed64 cut"),
        pytest.param("7d 0000", id="fixed32 cut"),
        pytest.param("1001", id="message as a number"),
        pytest.param("0a02 0a00", id="flag as bytes"),
        pytest.param("0a04 1202 c328", id="topic that is not UTF-8"),
        pytest.param("1206 220174 220175", id="two topics"),
    ],
)
def test_malformed(wire: str) -> None:
    with pytest.raises(MalformedRpc) as caught:
        decode_rpc(bytes.fromhex(wire))
    assert caught.value.verdict is Verdict.REJECT


BIG = b"x" * (limits.MAX_NAME_SIZE + 1)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(bytes(limits.MAX_RPC_SIZE + 1), id="size"),
        pytest.param(field(1, b"") * (limits.MAX_RPC_SUBSCRIPTIONS + 1), id="subscriptions"),
        pytest.param(field(2, b"") * (limits.MAX_RPC_MESSAGES + 1), id="messages"),
        pytest.param(field(3, field(3, b"") * (limits.MAX_RPC_MESH_CHANGES + 1)), id="grafts"),
        pytest.param(field(3, field(4, b"") * (limits.MAX_RPC_MESH_CHANGES + 1)), id="prunes"),
        pytest.param(field(3, field(1, b"") * (limits.MAX_RPC_MESH_CHANGES + 1)), id="ihaves"),
        pytest.param(field(3, field(2, field(1, b"") * (limits.MAX_RPC_IDS + 1))), id="ids"),
        pytest.param(field(3, field(1, field(2, BIG))), id="id"),
        pytest.param(field(2, field(2, bytes(limits.MAX_DATA_SIZE + 1))), id="data"),
        pytest.param(field(2, field(4, bytes(limits.MAX_TOPIC_SIZE + 1))), id="topic"),
        pytest.param(field(2, field(1, BIG)), id="sender"),
        pytest.param(field(2, field(3, BIG)), id="seqno"),
        pytest.param(field(2, field(5, BIG)), id="signature"),
        pytest.param(field(2, field(6, BIG)), id="key"),
        pytest.param(
            field(3, field(4, field(2, b"") * (limits.MAX_EXCHANGED_PEERS + 1))), id="exchange"
        ),
        pytest.param(field(3, field(4, field(2, field(1, BIG)))), id="exchanged peer"),
        pytest.param(
            field(3, field(4, field(2, field(2, bytes(limits.MAX_PEER_RECORD_SIZE + 1))))),
            id="exchanged record",
        ),
    ],
)
def test_past_a_bound(raw: bytes) -> None:
    with pytest.raises(MalformedRpc):
        decode_rpc(raw)


def test_fuzz() -> None:
    """Spoiled RPCs end in MalformedRpc or in an RPC that comes back from its own bytes."""
    rng = random.Random(1)
    wires = [bytes.fromhex(vector["wire"]) for vector in VECTORS["rpcs"]]
    refused = 0
    for _ in range(6_000):
        raw = bytearray(rng.choice(wires)) or bytearray(b"\0")
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(raw))
            match rng.randrange(4):
                case 0:
                    raw[at] = rng.randrange(256)
                case 1:
                    del raw[at : at + rng.randint(1, 9)]
                case 2:
                    raw[at:at] = rng.randbytes(rng.randint(1, 9))
                case _:
                    del raw[at:]
            raw = raw or bytearray(b"\0")
        try:
            rpc = decode_rpc(bytes(raw))
        except PeerError:
            refused += 1
        else:
            assert as_lists(decode_rpc(encode_rpc(rpc))) == as_lists(rpc)
    assert 1_000 < refused < 5_900


def test_noise() -> None:
    rng = random.Random(2)
    for size in range(400):
        try:
            decode_rpc(rng.randbytes(size))
        except MalformedRpc:
            continue
