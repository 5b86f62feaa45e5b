"""The reader against a scripted endpoint that runs the programs in Python."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from fondaco.chain import wire
from fondaco.chain.errors import BlockGone, EndpointUnavailable, Reverted
from fondaco.chain.limits import CALL_RETRY_DELAYS, MAX_DEPLOYLESS_READS, MAX_INIT_CODE_SIZE
from fondaco.chain.multiread import PROGRAM_SIZE, MultiRead, Read, override_program
from fondaco.chain.reader import ChainReader
from fondaco.testing.clock import FakeClock
from fondaco.testing.ethereum import FakeChain, FakeEndpoint, Fault, RpcFault, fake_client

TOKEN = b"\x11" * 20
LOOPING = b"\x22" * 20


def word_of(value: int) -> bytes:
    return value.to_bytes(32, "big")


class FakeEvm:
    """``eth_call`` in Python: accounts answer with the word they are given.

    Attributes:
        gas_for: reads that fit into a call; a looping one takes all that is left.
        calls: block and number of reads of each call made.
    """

    def __init__(self, chain: FakeChain) -> None:
        self.chain = chain
        self.gas_for = 10_000
        self.takes_override = self.takes_block_hash = True
        self.refusal = RpcFault(-32602, "invalid argument 1: cannot unmarshal object")
        self.calls: list[tuple[object, int]] = []
        self.before: Callable[[int], None] = lambda count: None

    def __call__(self, params: list[Any]) -> object:
        transaction, block = params[0], params[1]
        if isinstance(block, dict):
            if not self.takes_block_hash:
                raise self.refusal
            wanted = wire.data(block["blockHash"])
            known = [n for n in range(self.chain.head.number + 1) if self.has(n, wanted)]
            if not known:
                raise RpcFault(-32000, "header not found")
            number = known[0]
        else:
            number = wire.quantity(block)
        header = self.chain.header(number)
        data = wire.data(transaction["data"])
        if len(params) == 3:
            if not self.takes_override:
                raise RpcFault(-32602, "too many arguments, want at most 2")
            assert params[2] == {transaction["to"]: {"code": "0x" + override_program().hex()}}
        elif "to" in transaction:
            return "0x" + (wire.data(transaction["to"]) + data).hex()
        else:
            assert len(data) <= MAX_INIT_CODE_SIZE
            data = data[PROGRAM_SIZE:]
        words = self.run(data, block)
        return "0x" + b"".join([word_of(number), word_of(header.timestamp), *words]).hex()

    def has(self, number: int, wanted: bytes) -> bool:
        return self.chain.header(number).hash == wanted

    def run(self, data: bytes, block: object) -> list[bytes]:
        words, at, gas = [], 0, self.gas_for
        count = 0
        while at < len(data):
            size, target = data[at], data[at + 1 : at + 21]
            answer = data[at + 21 : at + 21 + size]
            count += 1
            if gas > 0:
                words.append(bytes(32) if target == LOOPING else answer[-32:].rjust(32, b"\0"))
                gas -= self.gas_for // 2 if target == LOOPING else 1
            at += 21 + size
        self.calls.append((block, count))
        self.before(count)
        return words


class Bench:
    """A reader on a scripted chain."""

    def __init__(self, **options: Any) -> None:
        self.clock = FakeClock()
        self.chain = FakeChain()
        self.chain.mine_many(3)
        self.evm = FakeEvm(self.chain)
        self.chain.handlers["eth_call"] = self.evm
        self.endpoint = FakeEndpoint(self.chain)
        client = fake_client(self.chain, self.clock, endpoint=self.endpoint)
        self.reader = ChainReader(client, self.clock, **options)

    async def read(self, reads: list[Read]) -> list[int]:
        """Read at the head; time moves on while the reader waits."""
        return (await self.moving(self.reader.read(reads, self.chain.head))).words

    async def moving(self, work: Coroutine[Any, Any, MultiRead]) -> MultiRead:
        task = asyncio.create_task(work)
        while not task.done():
            await self.clock.advance(0.25)
        return task.result()


def reads_of(count: int, size: int = 32) -> list[Read]:
    return [Read(TOKEN, n.to_bytes(size, "big")[-size:]) for n in range(count)]


async def test_a_batch_is_one_call_pinned_by_block_hash() -> None:
    bench = Bench()
    head = bench.chain.head
    answer = await bench.reader.read(reads_of(2_000), head)
    assert answer.words == list(range(2_000))
    assert (answer.block_number, answer.timestamp) == (head.number, head.timestamp)
    pinned = {"blockHash": "0x" + head.hash.hex()}
    assert bench.evm.calls == [(pinned, 1), (pinned, 2_000)]  # a probe, and the batch
    await bench.reader.read(reads_of(5), head)
    assert len(bench.evm.calls) == 3  # no second probe


async def test_the_reads_of_two_thousand_orders_are_one_call() -> None:
    bench = Bench()
    # filled and cancelled of each, orderEpoch, balance and allowance of a hundred makers
    # in two tokens each; 36 bytes of calldata, as most reads have.
    wanted = reads_of(2 * 2_000 + 5 * 100, size=36)
    assert len((await bench.reader.read(wanted, bench.chain.head)).words) == len(wanted)
    assert [count for _, count in bench.evm.calls[1:]] == [len(wanted)]


async def test_nothing_to_read_asks_nothing() -> None:
    bench = Bench()
    answer = await bench.reader.read([], bench.chain.head)
    assert (answer.words, answer.block_number) == ([], 3)
    assert bench.chain.requests == []


async def test_a_batch_over_the_content_length_is_cut() -> None:
    bench = Bench(max_content_length=20_000)
    assert await bench.read(reads_of(1_000)) == list(range(1_000))
    counts = [count for _, count in bench.evm.calls[1:]]
    assert sum(counts) == 1_000
    assert len(counts) > 5
    sizes = [len(json.dumps(params)) for _, params in bench.chain.requests]
    assert max(sizes) < 20_000
    assert max(sizes) > 19_000


@pytest.mark.parametrize(
    ("takes_override", "takes_block_hash", "counts"),
    [
        pytest.param(True, False, [1_000], id="no EIP-1898"),
        pytest.param(False, True, [700, 300], id="no override"),
        pytest.param(False, False, [700, 300], id="neither"),
    ],
)
async def test_an_endpoint_that_can_do_less_is_found_out_once(
    takes_override: bool, takes_block_hash: bool, counts: list[int]
) -> None:
    bench = Bench()
    bench.evm.takes_override, bench.evm.takes_block_hash = takes_override, takes_block_hash
    assert MAX_DEPLOYLESS_READS == 700
    assert await bench.read(reads_of(1_000)) == list(range(1_000))
    assert [count for _, count in bench.evm.calls if count > 1] == counts
    at_hash = [isinstance(block, dict) for block, count in bench.evm.calls if count > 1]
    assert set(at_hash) == {takes_block_hash}


async def test_long_deployless_reads_stay_within_the_limit_of_init_code() -> None:
    bench = Bench()
    bench.evm.takes_override = False
    assert await bench.read(reads_of(700, size=200)) == list(range(700))


@pytest.mark.parametrize("answer", ["0x", "0x" + "00" * 96, 5, None, {"a": 1}, "0x0"])
async def test_an_endpoint_that_ignores_the_override_is_asked_without(answer: object) -> None:
    bench = Bench()
    evm = bench.evm

    def careless(params: list[Any]) -> object:
        return answer if len(params) == 3 else evm(params)

    bench.chain.handlers["eth_call"] = careless
    assert await bench.read(reads_of(10)) == list(range(10))


async def test_an_endpoint_that_ignores_the_block_hash_is_not_believed() -> None:
    bench = Bench()
    evm = bench.evm

    def careless(params: list[Any]) -> object:
        block = hex(1) if isinstance(params[1], dict) else params[1]
        return evm([params[0], block, *params[2:]])

    bench.chain.handlers["eth_call"] = careless
    assert await bench.read(reads_of(10)) == list(range(10))
    assert bench.evm.calls[-1] == (hex(3), 10)


async def test_by_number_another_block_is_noticed() -> None:
    bench = Bench()
    bench.evm.takes_block_hash = False
    await bench.read(reads_of(1))
    old = bench.chain.head
    bench.chain.roll_back(1)
    bench.chain.mine(seconds=13)
    with pytest.raises(BlockGone, match="another one now"):
        await bench.reader.read(reads_of(1), old)


async def test_what_an_endpoint_can_do_is_found_out_anew_when_it_changes() -> None:
    bench = Bench()
    assert await bench.read(reads_of(3)) == [0, 1, 2]
    bench.evm.takes_override = False
    with pytest.raises(EndpointUnavailable):
        await bench.read(reads_of(3))
    assert await bench.read(reads_of(3)) == [0, 1, 2]


async def test_an_endpoint_that_cannot_do_it_at_all() -> None:
    bench = Bench()
    bench.chain.handlers["eth_call"] = lambda params: "0x"
    with pytest.raises(EndpointUnavailable, match="cannot read in bulk"):
        await bench.read(reads_of(3))


async def test_looping_reads_take_gas_and_their_neighbours_are_asked_again() -> None:
    bench = Bench()
    bench.evm.gas_for = 10
    looping = Read(LOOPING, b"")
    reads = [looping, *reads_of(3)[1:], looping, looping, looping, *reads_of(30)]
    assert await bench.read(reads) == [0, 1, 2, 0, 0, 0, *range(30)]


async def test_an_endpoint_that_gives_no_gas_for_one_read() -> None:
    bench = Bench()
    await bench.read(reads_of(1))
    bench.evm.gas_for = 0
    with pytest.raises(EndpointUnavailable, match="too little gas"):
        await bench.read(reads_of(3))


@pytest.mark.parametrize(
    "refusal",
    [
        RpcFault(-32600, "Invalid request"),
        RpcFault(-32000, "content length too large (2097153>2097152)"),
        RpcFault(-32603, "EVM error OutOfGas"),
        RpcFault(-32000, "out of gas"),
        RpcFault(-32602, "response is too big"),
    ],
    ids=lambda fault: fault.message,
)
async def test_what_is_too_much_is_halved(refusal: RpcFault) -> None:
    bench = Bench()

    def picky(count: int) -> None:
        if count > 30:
            raise refusal

    bench.evm.before = picky
    assert await bench.read(reads_of(100)) == list(range(100))
    assert [count for _, count in bench.evm.calls[1:]] == [100, 50, 25, 25, 25, 25]


PASSING = [
    Fault(error=(-32005, "project ID request rate exceeded", None)),
    Fault(error=(-32000, "header not found", None)),
    Fault(error=(-32603, "Internal error", None)),
    Fault(status=502),
    Fault(status=429, headers={"Retry-After": "1"}),
    Fault(body=b"<html>"),
    Fault(is_foreign=True),
    Fault(),
]


@pytest.mark.parametrize("fault", PASSING, ids=str)
async def test_a_passing_failure_is_waited_out(fault: Fault) -> None:
    bench = Bench()
    await bench.read(reads_of(1))
    before = bench.clock.monotonic()
    bench.chain.fail(fault)
    assert await bench.read(reads_of(9)) == list(range(9))
    waited = bench.clock.monotonic() - before
    assert 0 < waited <= (1.25 if fault.headers else 0.5)


@pytest.mark.parametrize("fault", PASSING, ids=str)
async def test_a_failure_that_stays_is_given_up(fault: Fault) -> None:
    bench = Bench()
    await bench.read(reads_of(1))
    before = bench.clock.monotonic()
    bench.chain.fail(*[fault] * 5)
    with pytest.raises((EndpointUnavailable, BlockGone)) as caught:
        await bench.read(reads_of(9))
    is_unknown_block = fault.error is not None and "header" in fault.error[1]
    assert isinstance(caught.value, BlockGone) is is_unknown_block
    if fault.headers == {} and not is_unknown_block:
        assert sum(CALL_RETRY_DELAYS) == 3.75
        assert bench.clock.monotonic() - before == pytest.approx(3.75, abs=0.25)


async def test_an_endpoint_that_wants_much_patience_is_given_up_at_once() -> None:
    bench = Bench()
    await bench.read(reads_of(1))
    bench.chain.fail(Fault(status=429, headers={"Retry-After": "60"}))
    with pytest.raises(EndpointUnavailable, match="429"):
        await bench.reader.read(reads_of(9), bench.chain.head)


@pytest.mark.parametrize("text", ["invalid argument 0", "unauthorised"])
async def test_an_error_that_patience_does_not_cure_is_given_up_at_once(text: str) -> None:
    bench = Bench()
    await bench.read(reads_of(1))
    bench.chain.fail(Fault(error=(-32602, text, None)))
    with pytest.raises(EndpointUnavailable, match=text):
        await bench.reader.read(reads_of(9), bench.chain.head)
    assert bench.clock.monotonic() < 1


async def test_a_block_that_was_reorganised_away() -> None:
    bench = Bench()
    old = bench.chain.head
    bench.chain.reorganise(1, ())
    with pytest.raises(BlockGone):
        await bench.moving(bench.reader.read(reads_of(9), old))
    assert await bench.read(reads_of(9)) == list(range(9))


async def test_two_first_reads_make_one_probe() -> None:
    bench = Bench()
    await asyncio.gather(bench.read(reads_of(2)), bench.read(reads_of(3)))
    assert sorted(count for _, count in bench.evm.calls) == [1, 2, 3]


async def test_a_call_gives_the_bytes_of_the_contract() -> None:
    bench = Bench()
    output = await bench.reader.call(TOKEN, b"\x01\x02", bench.chain.head, sender=LOOPING)
    assert output == TOKEN + b"\x01\x02"
    transaction, block = bench.chain.requests[-1][1]
    assert transaction["from"] == "0x" + LOOPING.hex()
    assert block == {"blockHash": "0x" + bench.chain.head.hash.hex()}


@pytest.mark.parametrize(
    ("error", "output"),
    [
        ((3, "execution reverted: NO", "0x08c379a0"), bytes.fromhex("08c379a0")),
        ((-32015, "VM execution error.", "Reverted 0x01"), b"\x01"),
        ((-32603, "EVM error InvalidFEOpcode", None), b""),
    ],
)
async def test_a_call_that_reverts(error: tuple[int, str, object], output: bytes) -> None:
    bench = Bench()
    await bench.read(reads_of(1))
    bench.chain.fail(Fault(error=error))
    with pytest.raises(Reverted) as caught:
        await bench.reader.call(TOKEN, b"", bench.chain.head)
    assert (caught.value.rpc_code, caught.value.output) == (error[0], output)


async def test_a_call_that_is_refused_is_not_a_revert() -> None:
    bench = Bench()
    await bench.read(reads_of(1))
    bench.chain.fail(Fault(error=(-32602, "invalid argument 0", None)))
    with pytest.raises(EndpointUnavailable, match="invalid argument"):
        await bench.reader.call(TOKEN, b"", bench.chain.head)
