"""The half put together on a fake endpoint: what is stored comes back, what is set counts."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from fondaco import jsonrpc
from fondaco.api.declarations import Registry
from fondaco.api.dispatch import Dispatcher
from fondaco.api.limits import DEFAULT_LIMITS
from fondaco.api.subscriptions import Session
from fondaco.chain.contracts import ChainContracts
from fondaco.config import load
from fondaco.errors import ConfigurationError, InvalidParameter
from fondaco.p2p.absent import AbsentNetwork
from fondaco.store import metadata
from fondaco.store.database import Database, open_database
from fondaco.testing.api import counting_bytes
from fondaco.testing.clock import FakeClock
from fondaco.testing.ethereum import FakeChain, FakeEndpoint, fake_client
from fondaco.testing.orders import DEFAULT_EXPIRATION, make_order
from fondaco.testing.until import until
from fondaco.zeroex import codec, repository
from fondaco.zeroex.admission import MAX_EXPIRATION_KEY
from fondaco.zeroex.assembly import ZeroexHalf, open_zeroex
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.journal import OrderFact
from fondaco.zeroex.ledger import Batch, Ledger, LoggedOrder
from fondaco.zeroex.order import ProtocolVersion, SignedOrder
from support.chain_words import CONTRACTS, ZRX_ASSET

V2_ONLY = msgspec.structs.replace(CONTRACTS, v3=None)


class Node:
    """A half, and one HTTP caller of its methods."""

    def __init__(self, half: ZeroexHalf) -> None:
        self.half = half
        registry = Registry()
        half.declare(registry)
        ready = asyncio.Event()
        ready.set()
        self._dispatcher = Dispatcher(registry, limits=DEFAULT_LIMITS, ready=ready)
        self._session = Session(peer="test", limits=DEFAULT_LIMITS, token_bytes=counting_bytes())

    async def ask(self, method: str, *params: object) -> Any:
        text = json.dumps({"id": 1, "method": method, "params": params})
        message = jsonrpc.parse(text.encode(), batch_limit=1)
        reply = await self._dispatcher.reply(self._session, message)
        answer = json.loads(reply.data or b"null")
        return answer.get("error") or answer["result"]


@contextlib.asynccontextmanager
async def opened(
    database: Database,
    *,
    chain: FakeChain | None = None,
    endpoint: FakeEndpoint | None = None,
    contracts: ChainContracts = CONTRACTS,
    clock: FakeClock | None = None,
    **flags: str,
) -> AsyncIterator[Node]:
    """Open the half over *database*; *flags* are settings."""
    given = {"ethereum_rpc_url": "http://127.0.0.1:1", "ethereum_chain_id": "1337", **flags}
    chain = chain or FakeChain()
    clock = clock or FakeClock()
    async with open_zeroex(
        load(None, {}, given),
        contracts=contracts,
        client=fake_client(chain, clock, endpoint=endpoint or FakeEndpoint(chain)),
        database=database,
        clock=clock,
        network=AbsentNetwork("16Uiu2HAm"),
        chance=random.Random(1),
        zrx_asset_data=ZRX_ASSET,
    ) as half:
        yield Node(half)


@contextlib.asynccontextmanager
async def watching(node: Node) -> AsyncIterator[None]:
    running = asyncio.create_task(node.half.watch())
    try:
        yield
        assert not running.done(), running.exception()
    finally:
        running.cancel()
        await asyncio.wait((running,))


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(tmp_path / "node.sqlite") as made:
        yield made


async def earlier_run(
    database: Database, orders: Sequence[SignedOrder], *, pinned: Sequence[SignedOrder] = ()
) -> None:
    """Store *orders*, and an event for each, as a run before this one did."""

    def work(connection: sa.Connection, batch: Batch) -> None:
        for order in orders:
            body, name = codec.encode_order(order), order_hash(order)
            row = repository.NewOrder(
                order_hash=name,
                order=order,
                body=body,
                fillable=42,
                is_pinned=order in pinned,
                last_updated_ns=batch.now_ns,
            )
            repository.insert(connection, [row])
            fact = OrderFact(
                order_hash=name,
                end_state="ADDED",
                fillable=42,
                contract_events=None,
                timestamp_ns=batch.now_ns,
                block_number=None,
            )
            batch.log(connection, [(fact, LoggedOrder(order=order, body=body))])

    await Ledger(database, FakeClock()).commit(work)


def as_json(order: SignedOrder) -> Any:
    return json.loads(codec.encode_order(order))


def codes(answer: Any) -> list[str]:
    return [rejected["status"]["code"] for rejected in answer["rejected"]]


# ---------------------------------------------------------------- what an earlier run left


async def test_a_first_start_has_nothing(database: Database) -> None:
    async with opened(database) as node:
        found = await node.ask("mesh_getStats")
    assert (found["numOrders"], found["numPinnedOrders"], found["lastSequence"]) == (0, 0, 0)
    assert found["latestBlock"]["number"] == 0
    assert found["maxExpirationTime"] == str(2**256 - 1)
    assert (found["peerID"], found["ethereumChainID"]) == ("16Uiu2HAm", 1337)


async def test_stored_orders_are_on_offer_again(database: Database) -> None:
    live, pinned, removed = (make_order(salt=salt) for salt in range(3))
    await earlier_run(database, [live, pinned, removed], pinned=[pinned])
    change = repository.OrderChange(
        order_hash=order_hash(removed), fillable=0, is_removed=True, last_updated_ns=1
    )
    await database.write(lambda connection: repository.apply(connection, [change]))
    async with opened(database) as node:
        found = await node.ask("mesh_getStats")
        assert (found["numOrders"], found["numOrdersIncludingRemoved"]) == (2, 3)
        assert (found["numPinnedOrders"], found["lastSequence"]) == (1, 3)
        page = await node.ask("mesh_getOrders", 0, 10, "")
        assert [info["signedOrder"] for info in page["ordersInfos"]] == [
            as_json(order) for order in sorted((live, pinned), key=order_hash)
        ]


async def test_the_ceiling_of_an_earlier_run_holds(database: Database) -> None:
    ceiling = DEFAULT_EXPIRATION - 1
    await database.write(
        lambda connection: metadata.put(connection, MAX_EXPIRATION_KEY, str(ceiling))
    )
    async with opened(database) as node:
        assert (await node.ask("mesh_getStats"))["maxExpirationTime"] == str(ceiling)
        assert codes(await node.ask("mesh_addOrders", [as_json(make_order())])) == [
            "OrderMaxExpirationExceeded"
        ]


# ---------------------------------------------------------------- following the chain


async def test_it_follows_the_chain(database: Database) -> None:
    chain, clock = FakeChain(), FakeClock()
    async with opened(database, chain=chain, clock=clock) as node, watching(node):
        await until(node.half.watcher.caught_up.is_set)
        head = chain.mine_many(3)
        await clock.until_sleeping()
        await clock.advance(5)
        await until(lambda: node.half.watcher.noted == head)
        found = await node.ask("mesh_getStats")
    assert found["latestBlock"] == {"number": 3, "hash": f"0x{head.hash.hex()}"}
    assert found["ethRPCRequestsSentInCurrentUTCDay"] == len(chain.requests) > 0


async def test_a_later_run_goes_on_where_it_stopped(database: Database) -> None:
    chain = FakeChain()
    chain.mine_many(5)
    async with opened(database, chain=chain) as node, watching(node):
        await until(node.half.watcher.caught_up.is_set)
    chain.mine_many(2)
    chain.requests.clear()
    async with opened(database, chain=chain) as node, watching(node):
        await until(node.half.watcher.caught_up.is_set)
        assert node.half.watcher.noted == chain.head
    # The logs of the blocks in between were looked through, and no others.
    asked = [params[0] for method, params in chain.requests if method == "eth_getLogs"]
    new = {f"0x{chain.header(number).hash.hex()}" for number in (6, 7)}
    assert {query["blockHash"] for query in asked} == new


async def test_without_the_endpoint_what_is_known_is_served(database: Database) -> None:
    order = make_order()
    await earlier_run(database, [order])
    chain, clock = FakeChain(), FakeClock()
    endpoint = FakeEndpoint(chain)
    endpoint.is_away = True
    async with (
        opened(database, endpoint=endpoint, chain=chain, clock=clock) as node,
        watching(node),
    ):
        await clock.until_sleeping()
        page = await node.ask("mesh_getOrders", 0, 10, "")
        assert [info["signedOrder"] for info in page["ordersInfos"]] == [as_json(order)]
        answer = await node.ask("mesh_addOrders", [as_json(make_order(salt=7))])
        assert codes(answer) == ["EthRPCRequestFailed"]
        assert not node.half.watcher.caught_up.is_set()
        found = await node.ask("mesh_getStats")
        assert "connection failed" in found["ethRPCLastError"]


# ---------------------------------------------------------------- what is set counts


async def test_a_filter_of_ones_own_keeps_orders_out(database: Database) -> None:
    only = '{"properties":{"salt":{"const":"1"}}}'
    async with opened(database, custom_order_filter=only) as node:
        answer = await node.ask(
            "mesh_addOrders", [as_json(make_order(salt=1)), as_json(make_order(salt=2))]
        )
        # The first one gets as far as the chain, of which there is none yet.
        assert {r["signedOrder"]["salt"]: r["status"]["code"] for r in answer["rejected"]} == {
            "1": "EthRPCRequestFailed",
            "2": "InvalidSchema",
        }
        assert "custom-filter" in (await node.ask("mesh_getStats"))["rendezvous"]


@pytest.mark.parametrize("text", ["[]", "{", '{"$ref":"http://example.com"}', '{"type":5}'])
async def test_a_filter_that_is_none(database: Database, text: str) -> None:
    with pytest.raises((ConfigurationError, InvalidParameter)):
        async with opened(database, custom_order_filter=text):
            pytest.fail("it opened")


@pytest.mark.parametrize(
    ("contracts", "version"),
    [
        pytest.param(CONTRACTS, ProtocolVersion.V3, id="both"),
        pytest.param(V2_ONLY, ProtocolVersion.V2, id="v2 only"),
    ],
)
async def test_what_cannot_be_read_is_answered_in_the_version_served(
    database: Database, contracts: ChainContracts, version: ProtocolVersion
) -> None:
    async with opened(database, contracts=contracts) as node:
        [rejected] = (await node.ask("mesh_addOrders", [{}]))["rejected"]
    assert set(rejected["signedOrder"]) == set(as_json(make_order(version=version)))


async def test_snapshots_end_with_it(database: Database) -> None:
    async with opened(database) as node:
        held = (await node.ask("mesh_getOrders", 0, 1, ""))["snapshotID"]
        assert (await node.ask("mesh_getOrders", 1, 1, held))["ordersInfos"] == []
    error = await node.ask("mesh_getOrders", 0, 1, held)
    assert error["message"].startswith(f"No snapshot found with id: {held}. ")


async def test_housekeeping_waits_for_its_time_until_it_is_cancelled(database: Database) -> None:
    clock = FakeClock()
    async with opened(database, clock=clock) as node:
        keeping = asyncio.create_task(node.half.housekeeping.run())
        await clock.until_sleeping()
        await clock.advance(60)
        assert not keeping.done()
        keeping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await keeping
    assert clock.sleeping == 0
