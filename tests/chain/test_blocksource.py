from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fondaco.chain import wire
from fondaco.chain.blocksource import BlockSource
from fondaco.chain.errors import (
    BlockGone,
    EndpointError,
    EndpointUnavailable,
    MalformedAnswer,
)
from fondaco.chain.headers import Header
from fondaco.chain.limits import LOG_RANGE_CONCURRENCY, LOG_RANGE_SIZE
from fondaco.testing.clock import FakeClock
from fondaco.testing.ethereum import FakeChain, Fault, LogSeed, RpcFault, fake_client

UNITS = json.loads((Path(__file__).parents[1] / "vectors/mesh_vectors.json").read_bytes())[
    "block_watcher_units"
]
TOPIC, OTHER = b"\x01" * 32, b"\x02" * 32


def source_of(chain: FakeChain) -> BlockSource:
    return BlockSource(fake_client(chain, FakeClock()), [TOPIC])


def a_log(number: int) -> dict[str, object]:
    return {
        "address": "0x" + "aa" * 20,
        "topics": ["0x" + TOPIC.hex()],
        "data": "0x",
        "blockNumber": hex(number),
        "blockHash": "0x" + "bb" * 32,
        "transactionHash": "0x" + "cc" * 32,
        "transactionIndex": "0x0",
        "logIndex": "0x0",
    }


class RangeScript:
    """``eth_getLogs`` by range: each range answers with one log or an error."""

    def __init__(self, chain: FakeChain, responses: dict[str, str]) -> None:
        self.responses = responses
        self.asked: list[str] = []
        chain.handlers["eth_getLogs"] = self

    def __call__(self, params: list[Any]) -> object:
        first, last = (wire.quantity(params[0][key]) for key in ("fromBlock", "toBlock"))
        self.asked.append(f"{first}-{last}")
        match self.responses.get(self.asked[-1], "ok"):
            case "ok":
                return [a_log(first)]
            case "too many":
                raise RpcFault(-32005, UNITS["tooManyMessage"])
        raise RpcFault(-32000, "something else went wrong")


@pytest.mark.parametrize(
    "case", UNITS["filterLogsRecursively"], ids=lambda c: str(list(c["responses"]))
)
async def test_halving_of_mesh(case: dict[str, Any]) -> None:
    chain = FakeChain()
    script = RangeScript(chain, case["responses"])
    work = source_of(chain).logs_in_range(10, 20)
    if case.get("error"):
        with pytest.raises(EndpointError, match="something else"):
            await work
    else:
        assert len(await work) == case["logs"]
    assert script.asked == list(case["responses"])


@pytest.mark.parametrize("case", UNITS["getLogsInBlockRange"]["cases"], ids=str)
async def test_ranges_of_mesh(case: dict[str, Any]) -> None:
    assert UNITS["getLogsInBlockRange"]["maxBlocksInQuery"] == LOG_RANGE_SIZE
    assert UNITS["getLogsInBlockRange"]["concurrency"] == LOG_RANGE_CONCURRENCY
    first, last = case["from"], case["to"]
    responses = {}
    if case.get("firstRequestFails"):
        responses[f"{first}-{first + 59}"] = "other error"
    if case.get("secondFails"):
        responses[f"{first + 60}-{min(first + 119, last)}"] = "other error"
    chain = FakeChain()
    script = RangeScript(chain, responses)
    found = await source_of(chain).logs_between(first, last)
    assert (found.furthest, len(found.logs)) == (case["furthest"], case["logs"])
    assert (found.failure is None) is (not responses)
    if "requests" in case:
        assert script.asked == case["requests"]
    if "requestsMade" in case:
        assert len(script.asked) == case["requestsMade"]


async def test_one_block_with_too_many_logs_cannot_be_halved() -> None:
    chain = FakeChain()
    RangeScript(chain, {"10-11": "too many", "10-10": "too many"})
    with pytest.raises(EndpointError, match="more than 10000"):
        await source_of(chain).logs_in_range(10, 11)


async def test_logs_of_one_block_by_its_hash_and_topic() -> None:
    chain = FakeChain()
    header = chain.mine(LogSeed(), LogSeed(topics=(OTHER,)), LogSeed(data=b"x"))
    block = await source_of(chain).with_logs(header)
    assert block.header == header
    assert [(log.log_index, log.data) for log in block.logs] == [(0, b""), (2, b"x")]
    query = {"blockHash": "0x" + header.hash.hex(), "topics": [["0x" + TOPIC.hex()]]}
    assert chain.requests[-1] == ("eth_getLogs", [query])


async def test_headers_by_each_way() -> None:
    chain = FakeChain()
    chain.mine_many(3)
    source = source_of(chain)
    assert await source.latest() == chain.head
    assert await source.by_number(2) == chain.header(2)
    assert await source.by_hash(chain.header(1).hash) == chain.header(1)
    with pytest.raises(BlockGone):
        await source.by_number(9)
    with pytest.raises(BlockGone):
        await source.by_hash(bytes(32))


OTHER_HEADER = {
    "number": "0x7",
    "hash": "0x" + "ee" * 32,
    "parentHash": "0x" + "dd" * 32,
    "timestamp": "0x1",
}
HEADER = Header(number=2, hash=b"\x33" * 32, parent_hash=b"\x22" * 32, timestamp=9)


@pytest.mark.parametrize("result", [None, [], "0x", OTHER_HEADER | {"hash": "0xee"}, 5])
async def test_no_sensible_latest_block(result: object) -> None:
    chain = FakeChain()
    chain.handlers["eth_getBlockByNumber"] = lambda params: result
    with pytest.raises(MalformedAnswer):
        await source_of(chain).latest()


async def test_another_block_than_the_one_asked_for_is_refused() -> None:
    chain = FakeChain()
    chain.handlers["eth_getBlockByNumber"] = lambda params: OTHER_HEADER
    chain.handlers["eth_getBlockByHash"] = lambda params: OTHER_HEADER
    with pytest.raises(MalformedAnswer, match="block 7 came for block 5"):
        await source_of(chain).by_number(5)
    with pytest.raises(MalformedAnswer, match="another block"):
        await source_of(chain).by_hash(b"\x33" * 32)


@pytest.mark.parametrize(
    "result",
    [
        pytest.param([a_log(2)], id="another block hash"),
        pytest.param([a_log(3) | {"blockHash": "0x" + "33" * 32}], id="another number"),
        pytest.param({"logs": []}, id="no list"),
        pytest.param("0x", id="text"),
    ],
)
async def test_logs_of_another_block_are_refused(result: object) -> None:
    chain = FakeChain()
    chain.handlers["eth_getLogs"] = lambda params: result
    with pytest.raises(MalformedAnswer):
        await source_of(chain).with_logs(HEADER)


async def test_logs_from_outside_the_range_are_refused() -> None:
    chain = FakeChain()
    chain.handlers["eth_getLogs"] = lambda params: [a_log(9)]
    with pytest.raises(MalformedAnswer, match="outside"):
        await source_of(chain).logs_in_range(10, 20)


async def test_failures_pass_through() -> None:
    chain = FakeChain()
    chain.fail(Fault(), Fault(error=(-32000, "header not found", None)))
    with pytest.raises(EndpointUnavailable):
        await source_of(chain).latest()
    with pytest.raises(EndpointError):
        await source_of(chain).latest()
