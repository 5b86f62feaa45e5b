"""The multi-read program run by a real EVM."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from fondaco.chain import wire
from fondaco.chain.errors import BlockGone, Reverted
from fondaco.chain.headers import Header, decode_header
from fondaco.chain.multiread import (
    MultiRead,
    Read,
    decode,
    encode_deployless,
    encode_override,
)
from fondaco.chain.reader import ChainReader
from fondaco.chain.rpc import EthereumClient, open_ethereum
from fondaco.clock import SystemClock
from fondaco.devnet.anvil import Anvil
from fondaco.testing.ethereum import ample_budget

pytestmark = pytest.mark.chain

ECHO, LOOPING, SHORT, LONG, REVERTING = (bytes([n]) * 20 for n in range(0x11, 0x16))
GREEDY, MEMORY, NOBODY = (bytes([n]) * 20 for n in range(0x16, 0x19))

CODE = {
    ECHO: "60003560005260206000f3",  # returns the first word of its calldata
    LOOPING: "5b600056",  # JUMPDEST PUSH 0 JUMP
    SHORT: "600035600052601f6000f3",  # 31 bytes
    LONG: "60003560005260406000f3",  # 64 bytes
    REVERTING: "60003560005260206000fd",  # reverts with one word
    GREEDY: "fe",  # INVALID: takes all gas at once
    MEMORY: "36600f5760005460005260206000f35b60003560005500",  # stores a word, or gives it
}
Encoder = Callable[[Sequence[Read]], tuple[dict[str, str], object]]


@contextlib.asynccontextmanager
async def client_of(url: str) -> AsyncIterator[EthereumClient]:
    clock = SystemClock()
    async with open_ethereum(url, budget=ample_budget(clock), clock=clock) as client:
        yield client


@pytest.fixture
async def client(anvil: Anvil) -> AsyncIterator[EthereumClient]:
    for address, code in CODE.items():
        await anvil.rpc.call("anvil_setCode", wire.encode_data(address), "0x" + code)
    await anvil.rpc.call("anvil_mine", "0x3")
    async with client_of(anvil.http_url) as made:
        yield made


def sent_by(client: EthereumClient) -> int:
    return client.budget.snapshot(SystemClock().now_ns()).sent_today


async def head_of(client: EthereumClient) -> Header:
    header = decode_header(await client.call_raw("eth_getBlockByNumber", ["latest", False]))
    assert header is not None
    return header


async def ask(
    client: EthereumClient, encode: Encoder, reads: Sequence[Read], at: Header, gas: int | None
) -> MultiRead:
    transaction, override = encode(reads)
    if gas is not None:
        transaction["gas"] = hex(gas)
    params = [transaction, {"blockHash": wire.encode_data(at.hash)}]
    result = await client.call("eth_call", [*params, override] if override else params)
    return decode(wire.data(result), len(reads))


def echo(value: int) -> Read:
    return Read(ECHO, value.to_bytes(32, "big"))


WORD = b"\x07" * 32
CRIPPLES = [
    Read(LOOPING, b""),
    Read(SHORT, WORD),
    Read(LONG, WORD),
    Read(REVERTING, WORD),
    Read(GREEDY, WORD),
    Read(NOBODY, WORD),
    Read(NOBODY, b""),
]


@pytest.mark.parametrize("encode", [encode_override, encode_deployless])
async def test_a_read_that_fails_is_0_and_its_neighbours_are_right(
    client: EthereumClient, encode: Encoder
) -> None:
    head = await head_of(client)
    values = [2**256 - 1 - n for n in range(len(CRIPPLES))]
    pairs = zip(map(echo, values), CRIPPLES, strict=True)
    answer = await ask(client, encode, list(itertools.chain(*pairs)), head, None)
    assert answer.words[::2] == values
    assert answer.words[1::2] == [0] * len(CRIPPLES)
    assert (answer.block_number, answer.timestamp) == (head.number, head.timestamp)


async def test_both_forms_give_the_same_words(client: EthereumClient) -> None:
    head = await head_of(client)
    chance = random.Random(20200101)
    for _ in range(10):
        reads = [
            Read(chance.choice([ECHO, SHORT, REVERTING, NOBODY]), chance.randbytes(size))
            for size in chance.choices(range(256), k=150)
        ]
        expected = [
            int.from_bytes(data[:32].ljust(32, b"\0"), "big") if target == ECHO else 0
            for target, data in reads
        ]
        for encode in (encode_override, encode_deployless):
            assert (await ask(client, encode, reads, head, None)).words == expected


@pytest.mark.parametrize("encode", [encode_override, encode_deployless])
@pytest.mark.parametrize("gas", [700_000, 6_500_000, 8_000_000, 20_000_000])
async def test_whatever_the_gas_no_neighbour_of_a_looping_read_is_taken_for_0(
    client: EthereumClient, encode: Encoder, gas: int
) -> None:
    head = await head_of(client)
    reads = [read for n in range(1, 101) for read in (Read(LOOPING, b""), echo(n))]
    answer = await ask(client, encode, reads, head, gas)
    assert len(answer.words) < len(reads)
    expected = [word for n in range(1, 101) for word in (0, n)]
    assert answer.words == expected[: len(answer.words)]


async def test_the_reader_gets_every_word_around_many_looping_reads(
    client: EthereumClient,
) -> None:
    head = await head_of(client)
    reader = ChainReader(client, SystemClock())
    before = sent_by(client)
    reads = [read for n in range(1, 151) for read in (Read(LOOPING, b""), echo(n))]
    answer = await reader.read(reads, head)
    assert answer.words == [word for n in range(1, 151) for word in (0, n)]
    calls = sent_by(client) - before
    assert 2 < calls < 10


async def test_two_thousand_reads_are_one_call(client: EthereumClient) -> None:
    head = await head_of(client)
    reader = ChainReader(client, SystemClock())
    await reader.read([echo(1)], head)
    before = sent_by(client)
    assert (await reader.read(list(map(echo, range(2_000))), head)).words == list(range(2_000))
    assert sent_by(client) - before == 1


async def test_reads_over_the_body_limit_of_anvil_are_halved(client: EthereumClient) -> None:
    head = await head_of(client)
    reader = ChainReader(client, SystemClock(), max_content_length=8_000_000)
    reads = [Read(ECHO, n.to_bytes(32, "big") + bytes(220)) for n in range(6_000)]
    answer = await reader.read(reads, head)
    assert answer.words == list(range(6_000))


async def store(anvil: Anvil, value: int) -> None:
    """Mine a block in which MEMORY takes *value*."""
    sender = (await anvil.rpc.call("eth_accounts"))[0]
    transaction = {"from": sender, "to": "0x" + MEMORY.hex(), "data": "0x" + f"{value:064x}"}
    sent = await anvil.rpc.call("eth_sendTransaction", transaction)
    # anvil answers before the block is there.
    async with asyncio.timeout(10):
        while await anvil.rpc.call("eth_getTransactionReceipt", sent) is None:
            pass


async def test_old_state_is_read_at_its_block_and_a_gone_block_is_told(
    anvil: Anvil, client: EthereumClient
) -> None:
    reader = ChainReader(client, SystemClock())
    await store(anvil, 5)
    old = await head_of(client)
    await store(anvil, 6)
    new = await head_of(client)
    for header, value in [(new, 6), (old, 5), (new, 6)]:
        answer = await reader.read([Read(MEMORY, b"")], header)
        assert (answer.words, answer.block_number) == ([value], header.number)
        assert await reader.call(MEMORY, b"", header) == value.to_bytes(32, "big")
    await anvil.rpc.call("anvil_reorg", 1, [])
    with pytest.raises(BlockGone):
        await reader.read([Read(MEMORY, b"")], new)
    with pytest.raises(BlockGone):
        await reader.call(MEMORY, b"", new)
    assert (await reader.read([Read(MEMORY, b"")], await head_of(client))).words == [5]


async def test_single_calls(client: EthereumClient) -> None:
    head = await head_of(client)
    reader = ChainReader(client, SystemClock())
    assert await reader.call(ECHO, WORD, head) == WORD
    assert await reader.call(LONG, WORD, head) == WORD + bytes(32)
    assert await reader.call(NOBODY, WORD, head) == b""
    with pytest.raises(Reverted) as caught:
        await reader.call(REVERTING, WORD, head)
    assert caught.value.output == WORD
    for address in (LOOPING, GREEDY):
        with pytest.raises(Reverted):
            await reader.call(address, WORD, head)


async def test_over_a_websocket_it_is_the_same(anvil: Anvil, client: EthereumClient) -> None:
    head = await head_of(client)
    async with client_of(anvil.ws_url) as over_websocket:
        reader = ChainReader(over_websocket, SystemClock())
        reads = list(map(echo, range(3_000)))
        assert (await reader.read(reads, head)).words == list(range(3_000))
