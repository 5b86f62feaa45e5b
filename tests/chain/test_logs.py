from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
from eth_abi.abi import encode

from fondaco.chain import logs
from fondaco.chain.errors import AbiError, MalformedAnswer
from fondaco.chain.logs import Log, decode_logs, encode_log

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/mesh_vectors.json").read_bytes())
WIRE: dict[str, Any] = {
    "address": "0x" + "aa" * 20,
    "topics": ["0x" + "01" * 32, "0x" + "02" * 32],
    "data": "0xdeadbeef",
    "blockNumber": "0x10",
    "blockHash": "0x" + "bb" * 32,
    "transactionHash": "0x" + "cc" * 32,
    "transactionIndex": "0x1",
    "logIndex": "0x2",
    "removed": False,
}
LOG = Log(
    address=b"\xaa" * 20,
    topics=(b"\x01" * 32, b"\x02" * 32),
    data=b"\xde\xad\xbe\xef",
    block_number=16,
    block_hash=b"\xbb" * 32,
    transaction_hash=b"\xcc" * 32,
    transaction_index=1,
    log_index=2,
)


def test_a_log_goes_both_ways() -> None:
    assert decode_logs(json.dumps([WIRE]).encode()) == [LOG]
    assert decode_logs([WIRE]) == [LOG]
    assert encode_log(LOG) == WIRE
    assert decode_logs([encode_log(msgspec.structs.replace(LOG, removed=True))])[0].removed


def test_members_of_newer_nodes_are_skipped() -> None:
    assert decode_logs([WIRE | {"blockTimestamp": "0x5e0c8d40", "type": "mined"}]) == [LOG]


@pytest.mark.parametrize("vector", VECTORS["event_logs"]["vectors"], ids=lambda v: str(v["source"]))
def test_recorded_logs_decode(vector: dict[str, Any]) -> None:
    full = WIRE | {key: vector["log"][key] for key in ("address", "topics", "data")}
    (log,) = decode_logs([full])
    assert encode_log(log)["topics"] == [topic.lower() for topic in full["topics"]]
    assert encode_log(log)["data"] == full["data"].lower()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param("address", "0x12", id="short address"),
        pytest.param("address", None, id="null address"),
        pytest.param("topics", ["0x" + "01" * 31], id="short topic"),
        pytest.param("topics", ["0x" + "01" * 32] * 5, id="five topics"),
        pytest.param("topics", "0x", id="topics are text"),
        pytest.param("data", "0xabc", id="odd data"),
        pytest.param("blockNumber", 16, id="number as a number"),
        pytest.param("blockNumber", None, id="pending"),
        pytest.param("blockHash", "0x" + "bb" * 33, id="long hash"),
        pytest.param("logIndex", "", id="empty index"),
        pytest.param("removed", "false", id="removed is text"),
    ],
)
def test_a_spoiled_log_is_refused(field: str, value: object) -> None:
    with pytest.raises(MalformedAnswer):
        decode_logs([WIRE | {field: value}])


@pytest.mark.parametrize("text", [b"", b"null", b"{}", b"[1]", b"[", b"[" * 100_000, b"\xff"])
def test_what_is_no_list_of_logs_is_refused(text: bytes) -> None:
    with pytest.raises(MalformedAnswer):
        decode_logs(text)


def test_abi_rules_agree_with_eth_abi() -> None:
    chance = random.Random(20200101)
    for _ in range(300):
        number = chance.randrange(2**256)
        address = chance.randbytes(20)
        blob = chance.randbytes(chance.randrange(100))
        array = [chance.randrange(2**256) for _ in range(chance.randrange(5))]
        flag = chance.random() < 0.5
        data = encode(
            ["uint256", "address", "bytes", "uint256[]", "bool", "bytes32"],
            [number, address, blob, array, flag, address + bytes(12)],
        )
        assert logs.word(data, 0) == number
        assert logs.address_at(data, 1) == address
        assert logs.bytes_at(data, 2) == blob
        assert logs.uint_array_at(data, 3) == array
        assert logs.boolean_at(data, 4) is flag
        assert logs.word_bytes(data, 5) == address + bytes(12)
        assert logs.encode_words([number, int(flag)]) == encode(["uint256", "bool"], [number, flag])


@pytest.mark.parametrize(
    ("read", "data"),
    [
        pytest.param(logs.word, bytes(31), id="short word"),
        pytest.param(logs.word_bytes, b"", id="no word"),
        pytest.param(logs.address_at, b"\x01" + bytes(31), id="dirty address"),
        pytest.param(logs.boolean_at, bytes(31) + b"\x02", id="two is no boolean"),
        pytest.param(logs.bytes_at, b"\xff" * 32, id="offset far outside"),
        pytest.param(logs.bytes_at, bytes(31) + b"\x20", id="offset at the end"),
        pytest.param(
            logs.bytes_at, bytes(31) + b"\x20" + bytes(31) + b"\x05abcd", id="bytes cut short"
        ),
        pytest.param(
            logs.uint_array_at, bytes(31) + b"\x20" + b"\xff" * 32, id="array of 2**256 - 1"
        ),
        pytest.param(
            logs.uint_array_at,
            bytes(31) + b"\x20" + bytes(31) + b"\x02" + bytes(63),
            id="half item",
        ),
    ],
)
def test_hostile_data_is_refused(read: Any, data: bytes) -> None:
    with pytest.raises(AbiError):
        read(data, 0)


def test_bytes_without_padding_are_read() -> None:
    assert logs.bytes_at(bytes(31) + b"\x20" + bytes(31) + b"\x03abc", 0) == b"abc"


def test_an_indexed_address() -> None:
    assert logs.topic_address(bytes(12) + b"\xaa" * 20) == b"\xaa" * 20
