from __future__ import annotations

import asyncio
import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from fondaco.chain.blocks import BlockBatch, BlockWatcher, verify_chain_id
from fondaco.chain.errors import EndpointUnavailable
from fondaco.chain.headers import BlockEvent, BlockEventKind, Header, RetainedBlock
from fondaco.chain.limits import MAX_RETRY_DELAY
from fondaco.chain.rpc import open_ethereum
from fondaco.errors import ConfigurationError
from fondaco.testing.clock import FakeClock
from fondaco.testing.ethereum import (
    FakeChain,
    FakeEndpoint,
    Fault,
    LogSeed,
    RpcFault,
    ample_budget,
    fake_client,
    open_fake_ethereum,
)

FIXTURES = json.loads(
    (Path(__file__).parents[1] / "vectors/mesh_blockwatch_v9_vectors.json").read_bytes()
)["v9"]
TOPIC = b"\x01" * 32
INTERVAL = 5.0


class Bench:
    """A watcher of a fake chain, with a clock to move."""

    def __init__(self, chain: FakeChain | None = None, *, retention: int = 10) -> None:
        self.clock = FakeClock()
        self.chain = chain or FakeChain()
        self.endpoint = FakeEndpoint(self.chain)
        self.watcher = BlockWatcher(
            fake_client(self.chain, self.clock, endpoint=self.endpoint),
            self.clock,
            [TOPIC],
            retention=retention,
            polling_interval=INTERVAL,
        )

    async def batch(self, *, within: float = 120.0) -> BlockBatch | None:
        """Return the next batch, None if there is none *within* so many seconds."""
        task = asyncio.create_task(self.watcher.next_batch())
        end = self.clock.monotonic() + within
        await self.clock.until_sleeping()
        while not task.done() and self.clock.monotonic() < end:
            await self.clock.advance(0.5)
        if task.done():
            return task.result()
        task.cancel()
        await asyncio.wait([task])
        return None

    @property
    def numbers(self) -> list[int]:
        return [block.header.number for block in self.watcher.retained]


def short(batch: BlockBatch | None) -> list[str]:
    assert batch is not None
    sign = {BlockEventKind.ADDED: "+", BlockEventKind.REMOVED: "-"}
    return [f"{sign[event.kind]}{event.header.number}" for event in batch]


def of_fixture(block: dict[str, Any]) -> Header:
    return Header(
        number=block["number"],
        hash=bytes.fromhex(block["hash"][2:]),
        parent_hash=bytes.fromhex(block["parent"][2:66]),  # one has a digit too many
        timestamp=1_000_000 + block["number"],
    )


class FixtureChain(FakeChain):
    """A chain that answers from one step of Mesh's fixtures."""

    def __init__(self) -> None:
        super().__init__()
        self.step: dict[str, Any] = {}
        self.handlers = {
            "eth_getBlockByNumber": self._number,
            "eth_getBlockByHash": lambda params: self._wire(self.step["getBlockByHash"], params[0]),
            "eth_getLogs": lambda params: [],
        }

    def _number(self, params: list[Any]) -> object:
        if params[0] == "latest":
            return self._wire({"latest": self.step["getLatestBlock"]}, "latest")
        return self._wire(self.step["getBlockByNumber"], str(int(params[0], 16)))

    def _wire(self, table: dict[str, Any], key: str) -> object:
        block = table.get(key)
        if not block or not block.get("hash"):
            return None
        return {
            "number": hex(block["number"]),
            "hash": block["hash"],
            "parentHash": block["parent"],
            "timestamp": hex(1_000_000 + block["number"]),
        }


async def play(steps: list[dict[str, Any]]) -> list[tuple[list[BlockEvent], list[Header], bool]]:
    """Return events, retained headers and whether it failed, after a poll at each step."""
    chain = FixtureChain()
    bench = Bench(chain)
    seen = []
    for place, step in enumerate(steps):
        chain.step = step
        if place == 0:
            events = list(await bench.watcher.start([]))
        else:
            before = sum(method == "eth_getBlockByNumber" for method, _ in chain.requests)
            batch = await bench.batch(within=INTERVAL)
            after = sum(method == "eth_getBlockByNumber" for method, _ in chain.requests)
            assert after > before, "the step was not polled"
            events = list(batch or ())
        retained = [block.header for block in bench.watcher.retained]
        seen.append((events, retained, bench.watcher.last_error is not None))
    return seen


@pytest.mark.parametrize("name", ["block_poller_fixtures", "basic_fixture"])
async def test_fixtures_of_mesh(name: str) -> None:
    steps = FIXTURES[name]
    assert len(steps) in (1, 27)
    kinds = [BlockEventKind.ADDED, BlockEventKind.REMOVED]
    for (events, retained, is_failed), step in zip(await play(steps), steps, strict=True):
        label = step["scenarioLabel"]
        assert is_failed is label.startswith("ERROR"), label
        assert [(event.kind, event.header) for event in events] == [
            (kinds[item["type"]], of_fixture(item["blockHeader"])) for item in step["blockEvents"]
        ], label
        assert retained == [of_fixture(block) for block in step["getCorrectChain"]], label


@pytest.mark.parametrize(
    ("name", "tip", "gap_too_large"),
    [("fast_sync_fixture", 132, False), ("reset_fixture", 133, True)],
)
async def test_fast_sync_fixtures_of_mesh(name: str, tip: int, gap_too_large: bool) -> None:
    chain = FixtureChain()
    (chain.step,) = FIXTURES[name]
    bench = Bench(chain)
    stored = RetainedBlock(header=of_fixture(chain.step["getBlockByNumber"]["5"]))
    result = await bench.watcher.start([stored])
    assert result.gap_too_large is gap_too_large
    assert bench.numbers == [tip]
    # Too far behind, the tip is where we begin anew, and is told as the first block.
    assert short(result) == ([f"+{tip}"] if gap_too_large else [])


async def test_the_first_start_tells_the_newest_block_and_says_read_all() -> None:
    bench = Bench()
    bench.chain.mine(LogSeed(data=b"old"))
    bench.chain.mine(LogSeed(data=b"new"))
    result = await bench.watcher.start([])
    assert short(result) == ["+2"]
    assert [log.data for event in result for log in event.logs] == [b"new"]
    assert result.gap_too_large
    assert bench.watcher.head == bench.chain.head


async def test_a_start_where_we_left_off_tells_nothing() -> None:
    bench = Bench()
    bench.chain.mine_many(3)
    await bench.watcher.start([])
    again = Bench(bench.chain)
    assert await again.watcher.start(bench.watcher.retained) == BlockBatch()
    assert again.watcher.retained == bench.watcher.retained


async def test_a_short_gap_is_walked_and_keeps_the_stack() -> None:
    bench = Bench()
    await bench.watcher.start([])
    again = Bench(bench.chain)
    bench.chain.mine_many(5)
    assert short(await again.watcher.start(bench.watcher.retained)) == [
        f"+{n}" for n in range(1, 6)
    ]
    assert again.numbers == [0, 1, 2, 3, 4, 5]


async def test_a_long_gap_ends_at_the_tip_even_where_ranges_fail_at_first() -> None:
    bench = Bench()
    await bench.watcher.start([])
    for _ in range(100):
        bench.chain.mine(LogSeed())
    again = Bench(bench.chain)
    bench.chain.fail(
        Fault(method="eth_getBlockByNumber", status=503),
        Fault(method="eth_getLogs", error=(-32603, "Internal error", None)),
    )
    start = asyncio.create_task(again.watcher.start(bench.watcher.retained))
    while not start.done():
        await again.clock.advance(1)
    assert short(start.result()) == [f"+{n}" for n in range(1, 101)]
    assert not start.result().gap_too_large
    assert again.watcher.head == bench.chain.head


async def test_start_waits_for_an_endpoint_that_is_away_and_says_so() -> None:
    bench = Bench()
    bench.endpoint.is_away = True
    start = asyncio.create_task(bench.watcher.start([]))
    await bench.clock.advance(3_600)
    assert not start.done()
    assert bench.watcher.staleness == 3_600
    assert [bench.watcher.last_error, bench.watcher.head] == ["connection failed", None]
    bench.endpoint.is_away = False
    await bench.clock.advance(MAX_RETRY_DELAY)
    assert short(start.result()) == ["+0"]
    assert bench.watcher.last_error is None
    assert bench.watcher.staleness < MAX_RETRY_DELAY


async def test_all_events_of_a_poll_are_one_batch() -> None:
    bench = Bench()
    await bench.watcher.start([])
    assert await bench.batch(within=20) is None
    bench.chain.mine(LogSeed(data=b"a"))
    bench.chain.mine(LogSeed(data=b"b"))
    batch = await bench.batch()
    assert short(batch) == ["+1", "+2"]
    assert batch is not None
    assert [log.data for event in batch for log in event.logs] == [b"a", b"b"]


async def test_a_reorganisation_takes_back_the_logs_it_took_away() -> None:
    bench = Bench()
    bench.chain.mine()
    await bench.watcher.start([])
    bench.chain.mine(LogSeed(data=b"a"))
    await bench.batch()
    bench.chain.reorganise(1, (), (LogSeed(data=b"b"),))
    batch = await bench.batch()
    assert short(batch) == ["-2", "+2", "+3"]
    assert batch is not None
    assert not batch.gap_too_large
    assert [(log.data, log.removed) for event in batch for log in event.logs] == [
        (b"a", True),
        (b"b", False),
    ]


async def test_a_reorganisation_to_a_chain_of_the_same_height_is_seen() -> None:
    bench = Bench()
    bench.chain.mine_many(4)
    await bench.watcher.start([])
    bench.chain.mine()
    await bench.batch()
    bench.chain.reorganise(1, ())
    assert short(await bench.batch(within=INTERVAL)) == ["-5", "+5"]


async def test_a_reorganisation_deeper_than_the_stack_asks_for_reading_all_anew() -> None:
    bench = Bench(retention=3)
    bench.chain.mine_many(3)
    await bench.watcher.start([])
    bench.chain.mine_many(4)
    await bench.batch()
    assert bench.numbers == [5, 6, 7]
    bench.chain.reorganise(5, (), (), (), (), (), ())
    batch = await bench.batch()
    assert short(batch) == ["-7", "-6", "-5", "+5", "+6", "+7", "+8"]
    assert batch is not None
    assert batch.gap_too_large


async def test_a_head_that_goes_back_is_believed_the_second_time() -> None:
    bench = Bench()
    await bench.watcher.start([])
    bench.chain.mine(LogSeed())
    bench.chain.mine()
    await bench.batch()
    bench.chain.roll_back(2)
    before = bench.clock.monotonic()
    batch = await bench.batch()
    assert short(batch) == ["-2", "-1"]
    assert batch is not None
    assert [log.removed for event in batch for log in event.logs] == [True]
    assert bench.clock.monotonic() - before == pytest.approx(INTERVAL + 1, abs=0.5)
    assert bench.watcher.head == bench.chain.head
    bench.chain.mine()
    assert short(await bench.batch()) == ["+1"]


async def test_one_answer_from_a_machine_that_lags_removes_nothing() -> None:
    bench = Bench()
    bench.chain.mine_many(5)
    await bench.watcher.start([])
    bench.chain.mine()
    await bench.batch()
    ahead = bench.chain.header(6)

    def lag(params: Any) -> object:
        del bench.chain.handlers["eth_getBlockByNumber"]
        return bench.chain.answer("eth_getBlockByNumber", ["0x5", False])

    bench.chain.handlers["eth_getBlockByNumber"] = lag
    assert await bench.batch(within=30) is None
    assert bench.watcher.head == ahead


async def test_a_head_below_the_stack_begins_anew() -> None:
    bench = Bench(retention=2)
    bench.chain.mine_many(9)
    await bench.watcher.start([])
    bench.chain.mine()
    await bench.batch()
    bench.chain.roll_back(6)
    batch = await bench.batch()
    assert short(batch) == ["-10", "-9", "+4"]
    assert batch is not None
    assert batch.gap_too_large


async def test_far_behind_while_running_is_a_batch_not_an_end() -> None:
    bench = Bench()
    await bench.watcher.start([])
    bench.chain.mine_many(128)
    batch = await bench.batch()
    assert short(batch) == ["+128"]
    assert batch is not None
    assert batch.gap_too_large
    bench.chain.mine()
    assert short(await bench.batch()) == ["+129"]


async def test_127_blocks_behind_are_walked_without_a_gap() -> None:
    bench = Bench()
    await bench.watcher.start([])
    bench.chain.mine_many(127)
    batch = await bench.batch()
    assert short(batch) == [f"+{n}" for n in range(1, 128)]
    assert batch is not None
    assert not batch.gap_too_large
    assert len(bench.watcher.retained) == 10


async def test_what_was_completed_before_a_failure_is_kept_and_told() -> None:
    bench = Bench()
    await bench.watcher.start([])
    bench.chain.mine_many(3)
    failing = {"0x2"}
    answer = bench.chain.answer

    def by_number(params: Any) -> object:
        if params[0] in failing:
            failing.clear()
            raise RpcFault(-32603, "Internal error")
        del bench.chain.handlers["eth_getBlockByNumber"]
        try:
            return answer("eth_getBlockByNumber", params)
        finally:
            bench.chain.handlers["eth_getBlockByNumber"] = by_number

    bench.chain.handlers["eth_getBlockByNumber"] = by_number
    assert short(await bench.batch()) == ["+1"]
    assert bench.watcher.last_error == "Internal error (code -32603)"
    assert short(await bench.batch(within=1)) == ["+2", "+3"]
    assert bench.watcher.last_error is None


NONSENSE = [
    Fault(status=500),
    Fault(status=429, headers={"Retry-After": "20"}),
    Fault(body=b"<html>"),
    Fault(body=b'{"jsonrpc":"2.0","id"'),
    Fault(is_foreign=True),
    Fault(error=(-32000, "header not found", None)),
    Fault(error=(-32601, "no such method", None)),
    Fault(error=(-1, "?", {"deep": [None]})),
    Fault(),
]


@pytest.mark.parametrize("fault", NONSENSE, ids=str)
@pytest.mark.parametrize("method", ["eth_getBlockByNumber", "eth_getLogs"])
async def test_nothing_an_endpoint_says_ends_the_watch(fault: Fault, method: str) -> None:
    bench = Bench()
    await bench.watcher.start([])
    bench.chain.mine()
    parts = {name: getattr(fault, name) for name in fault.__struct_fields__} | {"method": method}
    bench.chain.fail(Fault(**parts))
    assert short(await bench.batch()) == ["+1"]
    assert bench.watcher.last_error is None
    waited = bench.clock.monotonic()
    assert waited >= (25 if fault.headers else 6)


@pytest.mark.parametrize(
    "result", [None, 5, "0x", [], {}, {"number": "0x1"}, {"number": {"number": "0x1"}}]
)
@pytest.mark.parametrize("method", ["eth_getBlockByNumber", "eth_getLogs"])
async def test_results_of_a_wrong_shape_do_not_end_the_watch(method: str, result: object) -> None:
    bench = Bench()
    await bench.watcher.start([])
    bench.chain.mine()

    def wrong(params: Any) -> object:
        del bench.chain.handlers[method]
        return result

    bench.chain.handlers[method] = wrong
    assert "+1" in short(await bench.batch())


async def test_pauses_grow_while_the_endpoint_is_away_and_shrink_after() -> None:
    bench = Bench()
    await bench.watcher.start([])
    times: list[float] = []

    def note(params: Any) -> object:
        times.append(bench.clock.monotonic())
        raise RpcFault(-32603, "Internal error")

    bench.chain.handlers["eth_getBlockByNumber"] = note
    assert await bench.batch(within=100) is None
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert pauses[:5] == [1, 2, 4, 8, MAX_RETRY_DELAY]
    assert bench.watcher.staleness >= 100
    del bench.chain.handlers["eth_getBlockByNumber"]
    bench.chain.mine()
    assert short(await bench.batch(within=MAX_RETRY_DELAY + 1)) == ["+1"]
    assert bench.watcher.staleness == pytest.approx(0, abs=0.5)


async def test_a_parent_with_a_wrong_number_is_not_followed_for_ever() -> None:
    bench = Bench()
    bench.chain.mine_many(3)
    await bench.watcher.start([])
    bench.chain.reorganise(2, (), (), ())
    bench.chain.handlers["eth_getBlockByHash"] = lambda params: {
        "number": "0x9",
        "hash": params[0],
        "parentHash": "0x" + "09" * 32,
        "timestamp": "0x1",
    }
    assert await bench.batch(within=20) is None
    assert bench.watcher.last_error == "a parent's number is not one below its child's"
    del bench.chain.handlers["eth_getBlockByHash"]
    assert short(await bench.batch())[-1] == "+4"


async def test_a_new_head_over_a_websocket_wakes_the_poll_and_polling_goes_on() -> None:
    clock = FakeClock()
    async with (
        open_fake_ethereum() as server,
        open_ethereum(server.ws_url, budget=ample_budget(clock), clock=clock) as client,
    ):
        watcher = BlockWatcher(client, clock, [TOPIC], polling_interval=INTERVAL)
        await watcher.start([])
        waiting = asyncio.create_task(watcher.next_batch())
        await client.next_head(0)  # the subscription stands
        server.chain.mine()
        assert short(await waiting) == ["+1"]
        assert clock.monotonic() == 0
        server.chain.on_head.clear()  # from now on nobody tells us
        server.chain.mine()
        waiting = asyncio.create_task(watcher.next_batch())
        await clock.until_sleeping()
        await clock.advance(INTERVAL)
        assert short(await waiting) == ["+2"]


async def test_the_right_chain() -> None:
    await verify_chain_id(fake_client(FakeChain(chain_id=42), FakeClock()), 42)


async def test_a_wrong_chain_is_refused_with_advice() -> None:
    with pytest.raises(
        ConfigurationError, match=r"is 1, but .* serves chain 42; correct"
    ) as caught:
        await verify_chain_id(fake_client(FakeChain(chain_id=42), FakeClock()), 1)
    assert caught.value.setting == "ETHEREUM_CHAIN_ID"


@pytest.mark.parametrize("result", [None, 42, "42", "0x", []])
async def test_an_endpoint_that_does_not_say_which_chain(result: object) -> None:
    chain = FakeChain()
    chain.handlers["eth_chainId"] = lambda params: result
    with pytest.raises(EndpointUnavailable):
        await verify_chain_id(fake_client(chain, FakeClock()), 42)
