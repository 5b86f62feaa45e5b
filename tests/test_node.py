"""The composition root on a real chain: it opens, serves, remembers and closes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from fondaco import node, remembered
from fondaco.clock import SystemClock
from fondaco.config import Config, load
from fondaco.devnet.chain import Devnet
from fondaco.errors import ConfigurationError
from fondaco.ready import ReadyInfo
from fondaco.store import metadata
from fondaco.store.database import open_database

pytestmark = pytest.mark.chain


def config_for(devnet: Devnet, folder: Path, **changes: str) -> Config:
    flags = {
        "ethereum_rpc_url": devnet.http_url,
        "ethereum_chain_id": str(devnet.chain_id),
        "custom_contract_addresses": json.dumps(devnet.contracts),
        "enable_ethereum_rpc_rate_limiting": "false",
        "block_polling_interval": "100ms",
        "data_dir": str(folder),
        "rpc_addr": "127.0.0.1:0",
        "enable_p2p": "false",
        **changes,
    }
    return load(None, {}, flags)


@contextlib.asynccontextmanager
async def running(config: Config) -> AsyncIterator[ReadyInfo]:
    """Run a node in this process; it is cancelled as a signal would."""
    ready: asyncio.Future[ReadyInfo] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(node.run(config, clock=SystemClock(), on_ready=ready.set_result))
    await asyncio.wait((task, ready), return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    try:
        yield ready.result()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def stats(info: ReadyInfo, url: str | None = None) -> Mapping[str, Any]:
    call = {"jsonrpc": "2.0", "id": 1, "method": "mesh_getStats", "params": []}
    async with aiohttp.ClientSession() as session, session.post(url or info.http, json=call) as r:
        found: Mapping[str, Any] = (await r.json())["result"]
        return found


async def test_it_says_where_it_is_and_answers_there(devnet: Devnet, tmp_path: Path) -> None:
    async with running(config_for(devnet, tmp_path)) as info:
        assert info.pid == os.getpid()
        assert info.rpc.replace("ws://", "http://") == info.http
        found = await stats(info)
        assert found["peerID"] == info.peer_id
        assert found["latestBlock"]["number"] > 0
        assert len(found["pubSubTopics"]) == 2


async def test_a_second_listener_serves_the_same(devnet: Devnet, tmp_path: Path) -> None:
    config = config_for(devnet, tmp_path, http_rpc_addr="127.0.0.2:0")
    async with running(config) as info:
        assert info.http.startswith("http://127.0.0.2:")
        both = [await stats(info), await stats(info, info.rpc.replace("ws://", "http://"))]
        assert both[0]["peerID"] == both[1]["peerID"]


async def test_the_same_data_gives_the_same_node(devnet: Devnet, tmp_path: Path) -> None:
    async with running(config_for(devnet, tmp_path)) as first:
        peer_id = first.peer_id
    async with running(config_for(devnet, tmp_path)) as second:
        assert second.peer_id == peer_id


async def test_the_budget_is_written_down_when_it_stops(devnet: Devnet, tmp_path: Path) -> None:
    async with running(config_for(devnet, tmp_path)) as info:
        sent = (await stats(info))["ethRPCRequestsSentInCurrentUTCDay"]
    async with open_database(tmp_path / node.DATABASE_NAME) as database:
        text = await database.read(
            lambda connection: metadata.get(connection, remembered.BUDGET_KEY)
        )
    assert text is not None
    assert json.loads(text)["sent_today"] >= sent > 0


async def test_two_nodes_do_not_share_a_directory(devnet: Devnet, tmp_path: Path) -> None:
    async with running(config_for(devnet, tmp_path)):
        with pytest.raises(ConfigurationError):
            async with running(config_for(devnet, tmp_path)):
                pytest.fail("a second node opened the directory")


@pytest.mark.parametrize(
    ("changes", "setting"),
    [
        pytest.param({"ethereum_chain_id": "42"}, "ETHEREUM_CHAIN_ID", id="another chain"),
        pytest.param(
            {"custom_contract_addresses": '{"exchange":"0x12"}'},
            "CUSTOM_CONTRACT_ADDRESSES.exchange",
            id="no address",
        ),
        pytest.param(
            {"custom_contract_addresses": ""}, "CUSTOM_CONTRACT_ADDRESSES", id="not both on 1337"
        ),
    ],
)
async def test_what_cannot_work_is_refused_by_name(
    devnet: Devnet, tmp_path: Path, changes: dict[str, str], setting: str
) -> None:
    if setting == "CUSTOM_CONTRACT_ADDRESSES":
        # The built-in addresses of 1337 for v2 alone: on this chain v3 stands there.
        changes = {**changes, "order_protocols": "v2"}
    with pytest.raises(ConfigurationError) as refused:
        async with running(config_for(devnet, tmp_path, **changes)):
            pytest.fail("the node started")
    assert refused.value.setting == setting
