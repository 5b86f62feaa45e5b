from __future__ import annotations

import aiohttp
import pytest

from fondaco.chain.errors import EndpointError, EndpointUnavailable
from fondaco.testing.clock import FakeClock
from fondaco.testing.ethereum import (
    FakeChain,
    Fault,
    LogSeed,
    fake_client,
    open_fake_ethereum,
)

TOPIC = "0x" + "01" * 32


def test_blocks_are_linked_and_dated() -> None:
    chain = FakeChain()
    genesis = chain.head
    first = chain.mine(seconds=7)
    assert (first.number, first.parent_hash) == (1, genesis.hash)
    assert first.timestamp == genesis.timestamp + 7
    assert chain.mine_many(3).number == 4
    assert chain.header(1) == first


def test_a_reorganisation_changes_hashes_and_orphans_stay_known_until_told_otherwise() -> None:
    chain = FakeChain()
    old = chain.mine(LogSeed())
    new = chain.reorganise(1, (LogSeed(),), ())
    assert chain.header(1).hash != old.hash
    assert new.number == 2
    by_hash = "0x" + old.hash.hex()
    assert chain.answer("eth_getBlockByHash", [by_hash, False]) is not None
    chain.knows_orphans = False
    lost = chain.head
    chain.roll_back(1)
    assert chain.answer("eth_getBlockByHash", ["0x" + lost.hash.hex(), False]) is None
    assert chain.head.number == 1


def test_logs_by_block_and_by_range() -> None:
    chain = FakeChain()
    for data in (b"a", b"b", b"c"):
        chain.mine(LogSeed(data=data), LogSeed(topics=(b"\x02" * 32,)))
    query = {"fromBlock": "0x1", "toBlock": "0x2", "topics": [[TOPIC]]}
    found = chain.answer("eth_getLogs", [query])
    assert isinstance(found, list)
    assert [log["data"] for log in found] == ["0x61", "0x62"]
    by_hash = {"blockHash": "0x" + chain.head.hash.hex(), "topics": [[TOPIC]]}
    found = chain.answer("eth_getLogs", [by_hash])
    assert isinstance(found, list)
    assert [(log["data"], log["blockNumber"]) for log in found] == [("0x63", "0x3")]


async def test_faults_are_taken_in_order_by_the_method_they_name() -> None:
    chain = FakeChain()
    client = fake_client(chain, FakeClock())
    chain.fail(Fault(method="eth_blockNumber", error=(-1, "no", None)), Fault(status=500))
    assert await client.call("eth_chainId") == "0x539"
    with pytest.raises(EndpointError, match="no"):
        await client.call("eth_blockNumber")
    with pytest.raises(EndpointUnavailable, match="500"):
        await client.call("eth_chainId")
    assert await client.call("eth_blockNumber") == "0x0"
    with pytest.raises(EndpointError, match="does not exist"):
        await client.call("eth_foo")


async def test_handlers_answer_and_requests_are_kept() -> None:
    chain = FakeChain()
    chain.handlers["eth_call"] = lambda params: {"got": params}
    assert await fake_client(chain, FakeClock()).call("eth_call", [1]) == {"got": [1]}
    assert chain.requests == [("eth_call", [1])]


async def test_the_server_keeps_its_port_while_it_is_away() -> None:
    request = {"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": []}
    async with open_fake_ethereum() as server, aiohttp.ClientSession() as session:
        server.chain.mine()
        async with session.post(server.url, json=request) as response:
            assert await response.json() == {"jsonrpc": "2.0", "id": 1, "result": "0x1"}
        url = server.url
        await server.go_away()
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.post(url, json=request)
        await server.come_back()
        assert server.url == url
        async with session.post(url, json=request) as response:
            assert response.status == 200
