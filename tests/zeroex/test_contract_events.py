"""Logs of the original's tests and of the real contracts, and logs nobody should send."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fondaco.chain.logs import Log, decode_logs
from fondaco.zeroex.contract_events import (
    EVENT_TOPICS,
    TOPICS,
    ContractRole,
    EventKind,
    checksum_address,
    decode_event,
    decode_events,
    encode_event,
    to_json,
)

VECTORS = Path(__file__).parent.parent / "vectors"
MESH = json.loads((VECTORS / "mesh_vectors.json").read_text())
ONCHAIN = {
    version: json.loads((VECTORS / f"mesh_onchain_{version}_vectors.json").read_text())
    for version in ("v2", "v3")
}
ROLES = {
    "erc20": ContractRole.ERC20,
    "erc721": ContractRole.ERC721,
    "erc1155": ContractRole.ERC1155,
    "exchange v2": ContractRole.EXCHANGE_V2,
    "exchange v3": ContractRole.EXCHANGE_V3,
}


class Everywhere:
    """Every contract has the same role."""

    def __init__(self, role: ContractRole) -> None:
        self._role = role

    def role(self, address: bytes) -> ContractRole:
        return self._role


def role_of(vector: dict[str, Any], version: str) -> ContractRole:
    known_as = vector["contractKnownAs"]
    return ROLES[f"{known_as} {version}" if known_as == "exchange" else known_as]


def log_vectors() -> list[Any]:
    cases = [
        pytest.param(vector, vector["protocol"], id=f"repo-{vector['source'].split()[-1]}-{n}")
        for n, vector in enumerate(MESH["event_logs"]["vectors"])
    ]
    for version, document in ONCHAIN.items():
        cases += [
            pytest.param(vector, version, id=f"{version}-{n}-{vector['cause']}")
            for n, vector in enumerate(document["eventLogs"])
        ]
    return cases


@pytest.mark.parametrize(("vector", "version"), log_vectors())
def test_log_becomes_the_exact_json(vector: dict[str, Any], version: str) -> None:
    (log,) = decode_logs([vector["log"]])
    event = decode_event(log, Everywhere(role_of(vector, version)))
    assert event is not None
    assert to_json(event) == {
        "blockHash": vector["log"]["blockHash"],
        "txHash": vector["log"]["transactionHash"],
        "txIndex": int(vector["log"]["transactionIndex"], 16),
        "logIndex": int(vector["log"]["logIndex"], 16),
        "isRemoved": False,
        "address": vector["log"]["address"].lower(),
        "kind": vector["expectedKind"],
        "parameters": vector["expectedParameters"],
    }
    assert msgspec.json.decode(encode_event(event)) == to_json(event)


def test_vectors_cover_every_listed_kind() -> None:
    seen = {case.values[0]["expectedKind"] for case in log_vectors()}
    assert seen == {kind.value for kind in EventKind if kind.is_listed}
    assert len(seen) == 13


def test_topics_are_those_of_the_contracts() -> None:
    expected = {
        signature: topic
        for group in ("common", "v2", "v3")
        for signature, topic in MESH["event_topics"][group].items()
    }
    ours = {signature: "0x" + topic.hex() for signature, topic in EVENT_TOPICS.items()}
    approval = ours.pop("SignatureValidatorApproval(address,address,bool)")
    assert approval.startswith("0xa8656e30")
    assert ours == expected
    assert len(set(TOPICS)) == len(EVENT_TOPICS)


def test_envelope_of_a_removed_log() -> None:
    expected = MESH["order_watcher_contract_event_json"]["event"]["contractEvents"][0]
    parameters = expected["parameters"]
    log = Log(
        address=bytes.fromhex(expected["address"][2:]),
        topics=(
            EVENT_TOPICS["Transfer(address,address,uint256)"],
            *(bytes(12) + bytes.fromhex(parameters[name][2:]) for name in ("from", "to")),
        ),
        data=int(parameters["value"]).to_bytes(32, "big"),
        block_number=1,
        block_hash=bytes.fromhex(expected["blockHash"][2:]),
        transaction_hash=bytes.fromhex(expected["txHash"][2:]),
        transaction_index=expected["txIndex"],
        log_index=expected["logIndex"],
        removed=expected["isRemoved"],
    )
    event = decode_event(log, Everywhere(ContractRole.ERC20))
    assert event is not None
    assert to_json(event) == expected


def make_log(topics: tuple[bytes, ...], data: bytes = b"") -> Log:
    return Log(
        address=b"\x11" * 20,
        topics=topics,
        data=data,
        block_number=7,
        block_hash=b"\x22" * 32,
        transaction_hash=b"\x33" * 32,
        transaction_index=0,
        log_index=0,
    )


OWNER, OTHER = bytes(12) + b"\x01" * 20, bytes(12) + b"\x02" * 20
TRANSFER = EVENT_TOPICS["Transfer(address,address,uint256)"]
FOR_ALL = EVENT_TOPICS["ApprovalForAll(address,address,bool)"]
BATCH = EVENT_TOPICS["TransferBatch(address,address,address,uint256[],uint256[])"]
FILL_V3 = next(
    topic for name, topic in EVENT_TOPICS.items() if name.startswith("Fill(address,address,bytes")
)
ONE = (1).to_bytes(32, "big")
HUGE = b"\xff" * 32

MALFORMED = [
    pytest.param(ContractRole.ERC20, (TRANSFER, OWNER, OTHER), b"", id="no value"),
    pytest.param(ContractRole.ERC20, (TRANSFER, OWNER, OTHER), bytes(31), id="short value"),
    pytest.param(ContractRole.ERC20, (TRANSFER, OWNER), ONE, id="too few topics"),
    pytest.param(ContractRole.ERC20, (TRANSFER, OWNER, OTHER, ONE), b"", id="too many topics"),
    pytest.param(ContractRole.ERC721, (TRANSFER,), ONE * 3, id="nothing indexed"),
    pytest.param(ContractRole.ERC721, (TRANSFER, OWNER, OTHER), b"", id="no token id"),
    pytest.param(ContractRole.ERC20, (TRANSFER, HUGE, OTHER), ONE, id="not an address"),
    pytest.param(ContractRole.ERC721, (FOR_ALL, OWNER, OTHER), HUGE, id="not a flag"),
    pytest.param(ContractRole.ERC1155, (BATCH, OWNER, OWNER, OTHER), HUGE * 2, id="far offset"),
    pytest.param(
        ContractRole.ERC1155,
        (BATCH, OWNER, OWNER, OTHER),
        (64).to_bytes(32, "big") * 2 + HUGE,
        id="more items than bytes",
    ),
    pytest.param(ContractRole.EXCHANGE_V3, (FILL_V3, OWNER, OTHER, ONE), ONE * 10, id="fill"),
    pytest.param(ContractRole.EXCHANGE_V3, (FILL_V3, OWNER), bytes(32 * 15), id="fill topics"),
]


@pytest.mark.parametrize(("role", "topics", "data"), MALFORMED)
def test_malformed_log_is_skipped_and_counted(
    role: ContractRole, topics: tuple[bytes, ...], data: bytes
) -> None:
    log = make_log(topics, data)
    assert decode_event(log, Everywhere(role)) is None
    good = make_log((TRANSFER, OWNER, OTHER), ONE)
    events, malformed = decode_events([log, good, log], Everywhere(role | ContractRole.ERC20))
    assert malformed == 2
    assert [event.log for event in events] == [good]


@pytest.mark.parametrize(
    ("role", "topics"),
    [
        pytest.param(ContractRole.NONE, (TRANSFER, OWNER, OTHER), id="unknown contract"),
        pytest.param(ContractRole.ERC1155, (TRANSFER, OWNER, OTHER), id="not its event"),
        pytest.param(ContractRole.EXCHANGE_V2, (FILL_V3, OWNER, OTHER, ONE), id="other version"),
        pytest.param(ContractRole.ERC20, (HUGE, OWNER, OTHER), id="unknown topic"),
        pytest.param(ContractRole.ERC20, (), id="anonymous"),
    ],
)
def test_log_that_is_not_for_us_is_no_fault(role: ContractRole, topics: tuple[bytes, ...]) -> None:
    assert decode_events([make_log(topics, ONE)], Everywhere(role)) == ([], 0)


def test_topic_count_tells_erc20_from_erc721_where_a_contract_is_known_as_both() -> None:
    both = Everywhere(ContractRole.ERC20 | ContractRole.ERC721)
    three = decode_event(make_log((TRANSFER, OWNER, OTHER), ONE), both)
    four = decode_event(make_log((TRANSFER, OWNER, OTHER, ONE)), both)
    assert three is not None
    assert four is not None
    assert (three.kind, four.kind) == (EventKind.ERC20_TRANSFER, EventKind.ERC721_TRANSFER)


def test_signature_validator_approval_is_understood_but_not_listed() -> None:
    topic = EVENT_TOPICS["SignatureValidatorApproval(address,address,bool)"]
    event = decode_event(make_log((topic, OWNER, OTHER), ONE), Everywhere(ContractRole.EXCHANGE_V3))
    assert event is not None
    assert event.values == (OWNER[12:], OTHER[12:], True)
    assert not event.kind.is_listed


@pytest.mark.parametrize(
    "address",
    [
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0x52908400098527886E0F7030069857D2E4169EE7",
        "0xde709f2102306220921060314715629080e2fb77",
    ],
)
def test_checksums_of_eip_55(address: str) -> None:
    assert checksum_address(bytes.fromhex(address[2:])) == address


def test_no_bytes_make_the_decoder_fail() -> None:
    """Any account may emit anything: spoil real logs at random, none may raise."""
    rng = random.Random(55)
    logs = [(decode_logs([c.values[0]["log"]])[0], c) for c in log_vectors()]
    every_role = Everywhere(ContractRole(31))
    understood = 0
    for _ in range(4_000):
        log, _ = rng.choice(logs)
        data = bytearray(log.data)
        for _ in range(rng.randint(0, 3)):
            if data:
                data[rng.randrange(len(data))] = rng.choice((0, 1, 0x20, 0x80, 0xFF))
        cut = rng.choice((None, rng.randint(0, len(data))))
        topics = log.topics[: rng.randint(0, 4)] if rng.random() < 0.3 else log.topics
        event = decode_event(make_log(topics, bytes(data[:cut])), every_role)
        if event is not None:
            understood += 1
            assert to_json(event)["kind"] == event.kind.value
    assert 500 < understood < 4_000
