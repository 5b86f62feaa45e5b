"""How a node starts, or says why it does not: wrong chain, wrong contracts, no chain at all."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fondaco.devnet import actions
from fondaco.devnet.anvil import AnvilOptions, open_anvil
from fondaco.devnet.fetch import PartsStore
from fondaco.zeroex.order import ProtocolVersion
from support.cable import open_cable
from support.jumping_clock import JumpingClock
from support.market import Market
from support.mesh_socket import codes, open_socket
from support.node_process import NodeProcess, NodeProcessError
from support.running_node import node_in_process
from support.scene import name_of

pytestmark = pytest.mark.chain

V2, V3 = ProtocolVersion.V2, ProtocolVersion.V3


@contextlib.asynccontextmanager
async def unstarted(settings: dict[str, str], data_dir: Path) -> AsyncIterator[NodeProcess]:
    """A node that the test starts, and that is gone in the end whatever the test found."""
    node = NodeProcess(settings, data_dir=data_dir)
    try:
        yield node
    finally:
        if node.is_running:
            await node.kill()


async def refusal(settings: dict[str, str], data_dir: Path) -> str:
    """Start a node that must refuse; return what it printed. It must end by itself, with 2."""
    async with unstarted(settings | {"VERBOSITY": "error"}, data_dir) as node:
        with pytest.raises(NodeProcessError, match="ended before it was ready, with code 2"):
            await node.start()
    assert node.output == []
    text = " ".join(" ".join(node.log).split())
    assert text.startswith("fondaco: ")
    assert "Traceback" not in text
    return text


@contextlib.asynccontextmanager
async def another_chain(parts: PartsStore) -> AsyncIterator[str]:
    """A chain that is not the one the settings speak of."""
    async with open_anvil(parts.anvil(), AnvilOptions(chain_id=4242)) as anvil:
        yield anvil.http_url


async def test_an_endpoint_of_another_chain_is_refused(
    settings: dict[str, str], chain_parts: PartsStore, tmp_path: Path
) -> None:
    async with another_chain(chain_parts) as url:
        text = await refusal(settings | {"ETHEREUM_RPC_URL": url}, tmp_path)
    assert text == (
        "fondaco: ETHEREUM_CHAIN_ID: is 1337, but the endpoint at ETHEREUM_RPC_URL serves "
        "chain 4242; correct one of the two"
    )


async def test_an_endpoint_that_has_become_another_chain_ends_the_node(
    settings: dict[str, str], chain_parts: PartsStore, tmp_path: Path
) -> None:
    """What is stored lets the node start at once; the check follows."""
    async with node_in_process(settings, data_dir=tmp_path):
        pass
    async with (
        another_chain(chain_parts) as url,
        unstarted(settings | {"ETHEREUM_RPC_URL": url}, tmp_path) as node,
    ):
        with contextlib.suppress(NodeProcessError):
            await node.start()
            await node.wait_for_log("serves chain 4242")
        assert await node.stop() == 2


@pytest.mark.parametrize("name", ["exchange", "exchangeV2"])
async def test_a_wrong_exchange_is_refused(
    market: Market, settings: dict[str, str], tmp_path: Path, name: str
) -> None:
    contracts = dict(market.traders.devnet.contracts)
    contracts[name] = contracts["devUtils"]
    version = "v3" if name == "exchange" else "v2"
    text = await refusal(settings | {"CUSTOM_CONTRACT_ADDRESSES": json.dumps(contracts)}, tmp_path)
    assert text == (
        f"fondaco: CUSTOM_CONTRACT_ADDRESSES: the contract at {contracts['devUtils']} is not "
        f"the 0x {version} Exchange of chain 1337; correct the address, or name the versions "
        "the chain has in ORDER_PROTOCOLS"
    )


async def test_no_contract_at_all_at_the_exchange_is_refused(
    market: Market, settings: dict[str, str], tmp_path: Path
) -> None:
    contracts = dict(market.traders.devnet.contracts)
    contracts["exchange"] = "0x" + "99" * 20
    text = await refusal(settings | {"CUSTOM_CONTRACT_ADDRESSES": json.dumps(contracts)}, tmp_path)
    assert "is not the 0x v3 Exchange" in text


async def test_the_data_of_another_chain_is_refused(
    settings: dict[str, str], tmp_path: Path
) -> None:
    async with node_in_process(settings, data_dir=tmp_path):
        pass
    text = await refusal(settings | {"ETHEREUM_CHAIN_ID": "50"}, tmp_path)
    assert text == (
        "fondaco: ETHEREUM_CHAIN_ID: is 50, but the data in DATA_DIR is of chain 1337; "
        "choose another DATA_DIR for this chain, or correct the chain ID"
    )


async def test_two_nodes_on_one_data_directory(settings: dict[str, str], tmp_path: Path) -> None:
    async with node_in_process(settings, data_dir=tmp_path):
        text = await refusal(settings, tmp_path)
    assert "DATA_DIR" in text


async def test_the_first_start_waits_for_the_endpoint(
    market: Market, settings: dict[str, str], tmp_path: Path
) -> None:
    async with open_cable(market.traders.devnet.http_url) as cable:
        await cable.cut()
        own = settings | {"ETHEREUM_RPC_URL": cable.url("http")}
        async with unstarted(own, tmp_path) as node, asyncio.TaskGroup() as tasks:
            starting = tasks.create_task(node.start())
            await node.wait_for_log("waiting for the Ethereum endpoint: connection failed")
            assert not starting.done()
            await cable.mend()
            ready = await starting
            async with open_socket(ready.rpc) as client:
                added = await client.add(market.offer(V3))
                assert len(added["accepted"]) == 1
            assert await node.stop() == 0


async def test_a_later_start_serves_what_it_has_without_the_endpoint(
    market: Market, settings: dict[str, str], tmp_path: Path
) -> None:
    order, other = market.offer(V3), market.offer(V2)
    async with open_cable(market.traders.devnet.http_url) as cable:
        own = settings | {"ETHEREUM_RPC_URL": cable.url("http")}
        async with (
            node_in_process(own, data_dir=tmp_path) as node,
            open_socket(node.rpc) as client,
        ):
            await client.add(order)
            known = (await client.stats())["latestBlock"]
        await market.traders.do(actions.cancel(order))
        await cable.cut()
        async with (
            # Its patience and its pauses between tries pass fifty times as fast.
            node_in_process(own, data_dir=tmp_path, clock=JumpingClock(50)) as node,
            open_socket(node.rpc) as client,
        ):
            assert await client.book() == {name_of(order): "40"}
            stats = await client.stats()
            assert stats["latestBlock"] == known
            assert stats["ethRPCSecondsSinceLastAnswer"] > 5
            assert stats["ethRPCLastError"].startswith("connection failed")
            refused = await client.add(other)
            assert codes(refused["rejected"]) == ["EthRPCRequestFailed"]
            watching = await client.subscribe()
            await cable.mend()
            (event,) = await watching.take(1)
            assert (event["orderHash"], event["endState"]) == (name_of(order), "CANCELLED")
            assert (await client.stats())["ethRPCLastError"] is None
