from __future__ import annotations

import json
from pathlib import Path

import pytest

from fondaco.chain.errors import (
    AnswerTooLarge,
    EndpointError,
    EndpointUnavailable,
    MalformedAnswer,
)
from fondaco.chain.providers import TABLE, Trouble, classify, is_transient, revert_data

UNITS = json.loads((Path(__file__).parents[1] / "vectors/mesh_vectors.json").read_bytes())[
    "block_watcher_units"
]

SEEN = [
    # who, code, text, what it means
    ("Geth", -32000, "unknown block", Trouble.BLOCK_UNKNOWN),
    ("Geth", -32000, "header not found", Trouble.BLOCK_UNKNOWN),
    ("Geth", -32000, "missing trie node 8aa3 (path )", Trouble.BLOCK_UNKNOWN),
    ("Geth", -32000, "hash 0xab is not currently canonical", Trouble.BLOCK_UNKNOWN),
    ("Geth", -32000, "execution aborted (timeout = 5s)", Trouble.BUSY),
    ("Geth", -32002, "request timed out", Trouble.BUSY),
    ("Geth", -32000, "max initcode size exceeded", Trouble.REQUEST_TOO_LARGE),
    ("Geth", -32602, "exceed maximum block range: 5000", Trouble.TOO_MANY_RESULTS),
    ("Geth", 3, "execution reverted: WALLET_ERROR", Trouble.REVERTED),
    ("Geth", 3, "execution reverted: rate limit, try again", Trouble.REVERTED),
    ("Geth", -32000, "execution reverted: header not found", Trouble.REVERTED),
    ("ganache", -32000, "VM Exception while processing: revert busy", Trouble.REVERTED),
    ("Geth", -32000, "invalid opcode: INVALID", Trouble.REVERTED),
    ("Geth", -32000, "out of gas", Trouble.REVERTED),
    ("Geth", -32601, "the method eth_foo does not exist/is not available", Trouble.OTHER),
    ("Parity", -32015, "VM execution error.", Trouble.REVERTED),
    (
        "Parity",
        -32000,
        "One of the blocks specified in filter (fromBlock, toBlock or blockHash) cannot be found.",
        Trouble.BLOCK_UNKNOWN,
    ),
    ("Nethermind", -32015, "revert", Trouble.REVERTED),
    ("Nethermind", -32016, "Timeout", Trouble.BUSY),
    ("Nethermind", -32002, "No state available for block 0xab", Trouble.BLOCK_UNKNOWN),
    ("Infura", -32005, "query returned more than 10000 results", Trouble.TOO_MANY_RESULTS),
    ("Infura", -32005, "daily request count exceeded, request rate limited", Trouble.RATE_LIMITED),
    ("Infura", -32005, "project ID request rate exceeded", Trouble.RATE_LIMITED),
    (
        "Infura",
        -32005,
        "query timeout exceeded. Consider reducing your block range.",
        Trouble.TOO_MANY_RESULTS,
    ),
    (
        "Alchemy",
        -32602,
        "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block "
        "range and no limit on the response size",
        Trouble.TOO_MANY_RESULTS,
    ),
    (
        "Alchemy",
        429,
        "Your app has exceeded its compute units per second capacity.",
        Trouble.RATE_LIMITED,
    ),
    ("QuickNode", -32614, "eth_getLogs is limited to a 10,000 range", Trouble.TOO_MANY_RESULTS),
    ("anvil", -32001, "Resource not found", Trouble.BLOCK_UNKNOWN),
    ("anvil", -32602, "BlockOutOfRangeError: block height is 1 but ...", Trouble.BLOCK_UNKNOWN),
    ("anvil", -32603, "EVM error OutOfGas", Trouble.REVERTED),
    ("anvil", -32603, "EVM error CreateContractSizeLimit", Trouble.REVERTED),
    ("anvil", -32600, "Invalid request", Trouble.REQUEST_TOO_LARGE),
    ("anywhere", -32603, "Internal error", Trouble.BUSY),
    ("anywhere", -32601, "Method not found", Trouble.OTHER),
    ("anywhere", -32602, "invalid argument 1: json: cannot unmarshal object", Trouble.OTHER),
    ("anywhere", -32602, "too many arguments, want at most 2", Trouble.OTHER),
]


@pytest.mark.parametrize(("who", "code", "text", "trouble"), SEEN)
def test_errors_seen_in_the_field(who: str, code: int, text: str, trouble: Trouble) -> None:
    assert classify(EndpointError(code, text)) is trouble, who


@pytest.mark.parametrize(("text", "is_warning"), UNITS["warningErrors"].items())
def test_transient_errors_of_mesh(text: str, is_warning: bool) -> None:
    assert is_transient(EndpointError(-32000, text)) is is_warning


def test_the_too_many_text_of_mesh() -> None:
    error = EndpointError(-32005, UNITS["tooManyMessage"])
    assert classify(error) is Trouble.TOO_MANY_RESULTS


@pytest.mark.parametrize(
    ("failure", "trouble"),
    [
        (EndpointUnavailable("connection failed"), Trouble.BUSY),
        (EndpointUnavailable("HTTP status 503", status=503), Trouble.BUSY),
        (EndpointUnavailable("HTTP status 429", status=429), Trouble.RATE_LIMITED),
        (EndpointUnavailable("HTTP status 413", status=413), Trouble.REQUEST_TOO_LARGE),
        (MalformedAnswer("not JSON"), Trouble.BUSY),
        (AnswerTooLarge("over 64 MB"), Trouble.TOO_MANY_RESULTS),
    ],
)
def test_failures_without_an_answer(failure: EndpointUnavailable, trouble: Trouble) -> None:
    assert classify(failure) is trouble


def test_fragments_are_lower_case_as_the_texts_they_are_compared_with() -> None:
    assert [f for row in TABLE for f in row.fragments if f != f.lower()] == []


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("0x08c379a0", bytes.fromhex("08c379a0")),
        ("Reverted 0x08c379a0", bytes.fromhex("08c379a0")),
        ("Reverted", b""),
        ("0xzz", b""),
        (None, b""),
        ({"data": "0x"}, b""),
    ],
)
def test_what_a_contract_reverted_with(data: object, expected: bytes) -> None:
    assert revert_data(EndpointError(3, "execution reverted", data)) == expected
