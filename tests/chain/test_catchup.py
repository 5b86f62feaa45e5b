from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fondaco.chain.blocksource import BlockSource
from fondaco.chain.catchup import CaughtUp, fast_sync
from fondaco.chain.errors import BlockGone, EndpointError
from fondaco.chain.headers import BlockEventKind, HeaderChain, RetainedBlock
from fondaco.testing.clock import FakeClock
from fondaco.testing.ethereum import FakeChain, LogSeed, RpcFault, fake_client

UNITS = json.loads((Path(__file__).parents[1] / "vectors/mesh_vectors.json").read_bytes())[
    "block_watcher_units"
]
RETENTION = 10
TOPIC = b"\x01" * 32


class Bench:
    """A fake chain, and a stack that knows its first blocks."""

    def __init__(self, known: range) -> None:
        self.chain = FakeChain()
        self.chain.mine_many(known[-1])
        blocks = [RetainedBlock(header=self.chain.header(number)) for number in known]
        self.stack = HeaderChain(RETENTION, blocks)

    async def sync(self) -> CaughtUp:
        source = BlockSource(fake_client(self.chain, FakeClock()), [TOPIC])
        return await fast_sync(source, self.stack, RETENTION)

    @property
    def numbers(self) -> list[int]:
        return [block.header.number for block in self.stack.blocks]


def short(caught_up: CaughtUp) -> list[str]:
    sign = {BlockEventKind.ADDED: "+", BlockEventKind.REMOVED: "-"}
    return [f"{sign[event.kind]}{event.header.number}" for event in caught_up.events]


@pytest.mark.parametrize("case", UNITS["fastSync"], ids=str)
async def test_fast_sync_of_mesh(case: dict[str, Any]) -> None:
    bench = Bench(range(case["lastStored"], case["lastStored"] + 1))
    bench.chain.mine_many(case["tip"] - case["lastStored"])
    caught_up = await bench.sync()
    assert bench.numbers == case["storedAfter"]
    assert caught_up.events == ()
    assert caught_up.gap_too_large is (case["storedAfter"] == [])


async def test_nothing_stored() -> None:
    bench = Bench(range(1, 2))
    bench.stack.reset()
    assert await bench.sync() == CaughtUp(gap_too_large=True)


async def test_blocks_with_logs_are_told_in_their_order() -> None:
    bench = Bench(range(1, 6))
    for number in range(6, 101):
        bench.chain.mine(*([LogSeed(data=b"a"), LogSeed(data=b"b")] if number % 30 == 0 else []))
    caught_up = await bench.sync()
    assert short(caught_up) == ["+30", "+60", "+90"]
    assert [log.data for event in caught_up.events for log in event.logs] == [b"a", b"b"] * 3
    assert caught_up.events[0].header == bench.chain.header(30)
    assert bench.stack.blocks == (RetainedBlock(header=bench.chain.head),)
    asked = [params[0] for method, params in bench.chain.requests if method == "eth_getLogs"]
    assert [(q["fromBlock"], q["toBlock"]) for q in asked] == [("0x6", "0x41"), ("0x42", "0x64")]


async def test_a_small_gap_is_left_to_polling() -> None:
    bench = Bench(range(1, 6))
    bench.chain.mine_many(RETENTION)
    assert await bench.sync() == CaughtUp()
    assert bench.numbers == [1, 2, 3, 4, 5]


async def test_stored_blocks_that_left_the_chain_are_removed_first() -> None:
    bench = Bench(range(1, 6))
    bench.chain.roll_back(2)
    for _ in range(40):
        bench.chain.mine(LogSeed())
    caught_up = await bench.sync()
    assert short(caught_up) == ["-5", "-4", *(f"+{number}" for number in range(4, 44))]
    assert not caught_up.gap_too_large


async def test_when_no_stored_block_is_left_everything_is_read_anew() -> None:
    bench = Bench(range(3, 6))
    bench.chain.roll_back(4)
    bench.chain.mine_many(40)
    assert await bench.sync() == CaughtUp(gap_too_large=True)
    assert bench.numbers == []


async def test_a_failure_at_the_first_range_changes_nothing() -> None:
    bench = Bench(range(1, 6))
    bench.chain.mine_many(100)

    def refuse(params: object) -> object:
        raise RpcFault(-32000, "no logs today")

    bench.chain.handlers["eth_getLogs"] = refuse
    with pytest.raises(EndpointError, match="no logs today"):
        await bench.sync()
    assert bench.numbers == [1, 2, 3, 4, 5]


async def test_a_failure_at_a_later_range_keeps_the_ranges_before_it() -> None:
    bench = Bench(range(1, 6))
    for _ in range(100):
        bench.chain.mine(LogSeed())
    answer = bench.chain.answer

    def refuse_second(params: Any) -> object:
        if params[0]["fromBlock"] == hex(66):
            raise RpcFault(-32000, "no more logs today")
        del bench.chain.handlers["eth_getLogs"]
        try:
            return answer("eth_getLogs", params)
        finally:
            bench.chain.handlers["eth_getLogs"] = refuse_second

    bench.chain.handlers["eth_getLogs"] = refuse_second
    caught_up = await bench.sync()
    assert short(caught_up) == [f"+{number}" for number in range(6, 66)]
    assert bench.numbers == [65]


@pytest.mark.parametrize("depth", [1, 40])
async def test_a_reorganisation_in_the_middle_is_noticed(depth: int) -> None:
    bench = Bench(range(1, 6))
    for _ in range(100):
        bench.chain.mine(LogSeed())
    tip = bench.chain.head
    answer = bench.chain.answer

    def by_number(params: Any) -> object:
        if params[0] != "latest" and bench.chain.head == tip and params[0] != "0x5":
            bench.chain.roll_back(depth)
            bench.chain.mine_many(depth)
        del bench.chain.handlers["eth_getBlockByNumber"]
        try:
            return answer("eth_getBlockByNumber", params)
        finally:
            bench.chain.handlers["eth_getBlockByNumber"] = by_number

    bench.chain.handlers["eth_getBlockByNumber"] = by_number
    with pytest.raises(BlockGone, match="reorganised while catching up"):
        await bench.sync()
    assert bench.numbers == [1, 2, 3, 4, 5]
    assert short(await bench.sync())[0] == "+6"
