"""A second implementation of order sync, in JavaScript, against a whole node on a real chain.

``js-peer/orders.mjs`` greets, compares, offers and fetches, and answers all of that; both
sides end with the same orders and say so by the same digest.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from fondaco.devnet.chain import open_devnet
from fondaco.devnet.fetch import PartsStore
from fondaco.devnet.traders import Traders
from fondaco.ready import ReadyInfo
from fondaco.zeroex.codec import decode_order, encode_order
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.gossip_wire import encode_message, read_message
from fondaco.zeroex.order import ProtocolVersion, SignedOrder
from interop.js_peer import JsHost, JsProcess
from support.market import Market
from support.mesh_socket import MeshSocket, open_socket
from support.node_process import node_settings
from support.running_node import node_in_process

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("interop"),
    pytest.mark.chain,
]

V3 = ProtocolVersion.V3

BOOK = 600
"""Orders of the node at first: over 512, so that a comparison takes more than one round."""

PATIENCE = 30.0
"""Seconds that nothing in here should take."""


class Scene:
    """A node with a book, on a chain where its maker can pay."""

    def __init__(self, market: Market, node: ReadyInfo, client: MeshSocket) -> None:
        self.market = market
        self.node = node
        self.client = client
        self.address = node.p2p[0]
        self._salts = itertools.count(1)
        self._made: dict[str, SignedOrder] = {}

    def orders(self, count: int, **changes: object) -> list[SignedOrder]:
        """Return further orders, no two alike."""
        orders = [self.market.offer(V3, salt=next(self._salts), **changes) for _ in range(count)]
        self._made |= {f"0x{id_of(one)}": one for one in orders}
        return orders

    async def book(self) -> list[SignedOrder]:
        """Return what the node holds."""
        return [self._made[name] for name in await self.client.book()]

    def terms(self, **changes: object) -> dict[str, object]:
        """Return what a peer that trades the same says of itself."""
        chain = self.market.traders.devnet
        exchange = str(chain.contracts["exchange"]).removeprefix("0x")
        terms = {"chain": chain.chain_id, "exchange": exchange, "version": 3, "filters": ["{}"]}
        return terms | changes

    async def add(self, orders: Iterable[SignedOrder]) -> None:
        """Have a client of the node's own post them."""
        answer = await self.client.add(*orders)
        assert not answer["rejected"]

    async def standing(self) -> tuple[int, str]:
        """Return how many v3 orders the node holds, and their digest."""
        stats = await self.client.call("mesh_getStats")
        (own,) = [one for one in stats["setDigests"] if one["version"] == 3]
        return own["orders"], own["digest"]

    async def digest(self) -> str:
        return (await self.standing())[1]

    async def reports(
        self, host: JsHost, wanted: Callable[[Mapping[str, Any]], bool]
    ) -> Mapping[str, Any]:
        """Return the node's report on a peer once it is as *wanted*."""
        async with asyncio.timeout(PATIENCE):
            while True:
                answer = await self.client.call("mesh_getPeers")
                found: list[dict[str, Any]] = answer["peers"]
                for report in found:
                    if report["peerID"] == host.peer_id and wanted(report):
                        return report

    async def follows(self, host: JsHost) -> None:
        """Return when the node holds exactly what the host does."""
        async with asyncio.timeout(PATIENCE):
            while await self.digest() != await host.do("digest"):
                pass

    @contextlib.asynccontextmanager
    async def trader(
        self, js: JsProcess, name: str, orders: Iterable[SignedOrder], **terms: object
    ) -> AsyncIterator[JsHost]:
        """Open a host that trades the same and holds *orders*, connected to nobody."""
        async with js.host(name) as host:
            await host.do("trade", terms=self.terms(**terms), orders=as_book(orders))
            yield host

    @contextlib.asynccontextmanager
    async def caller(
        self, js: JsProcess, name: str, orders: Iterable[SignedOrder]
    ) -> AsyncIterator[JsHost]:
        """The same, and it has dialled the node, which waits for some seconds to begin."""
        async with self.trader(js, name, orders) as host:
            await host.dial(self.address)
            yield host


def id_of(order: SignedOrder) -> str:
    return order_hash(order).hex()


def ids_of(orders: Iterable[SignedOrder]) -> set[str]:
    return set(map(id_of, orders))


def as_book(orders: Iterable[SignedOrder]) -> dict[str, str]:
    return {id_of(one): encode_order(one).decode() for one in orders}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def scene(
    chain_parts: PartsStore, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Scene]:
    async with open_devnet(chain_parts) as devnet:
        market = Market(Traders(devnet))
        await market.open()
        settings = node_settings(
            ethereum_url=devnet.http_url,
            contracts=devnet.contracts,
            ENABLE_P2P="true",
            ENABLE_ETHEREUM_RPC_RATE_LIMITING="false",
        )
        folder: Path = tmp_path_factory.mktemp("node") / "data"
        async with (
            node_in_process(settings, data_dir=folder) as node,
            open_socket(node.rpc) as client,
        ):
            scene = Scene(market, node, client)
            await scene.add(scene.orders(BOOK))
            yield scene


async def test_the_greeting_says_what_the_node_trades(js: JsProcess, scene: Scene) -> None:
    async with scene.caller(js, "greets", []) as host:
        answer = await host.do("greet", peer=scene.node.peer_id)
    contracts = scene.market.traders.devnet.contracts
    assert answer == {
        "type": "greeted",
        "chain": 1337,
        "deployments": [
            [3, str(contracts["exchange"]).removeprefix("0x")],
            [2, str(contracts["exchangeV2"]).removeprefix("0x")],
        ],
        "filters": ["{}"],
    }


async def test_js_learns_what_it_lacks_and_fetches_it(js: JsProcess, scene: Scene) -> None:
    book = await scene.book()
    lacking, own = book[100:110], scene.orders(7)
    async with scene.caller(js, "lacks some", [*book[:100], *book[110:], *own]) as host:
        found = await host.do("compare", peer=scene.node.peer_id)
        assert set(found["need"]) == ids_of(lacking)
        assert set(found["have"]) == ids_of(own)
        assert found["rounds"] == 2

        fetched = await host.do("fetch", peer=scene.node.peer_id, ids=found["need"])
        orders = [decode_order(body.encode()) for body in fetched["bodies"]]
        assert ids_of(orders) == ids_of(lacking)
        assert [encode_order(one).decode() for one in orders] == fetched["bodies"]
        await host.do("add", orders=as_book(orders))
        found = await host.do("compare", peer=scene.node.peer_id)
        assert (found["need"], set(found["have"])) == ([], ids_of(own))


async def test_a_newcomer_fetches_the_whole_book(js: JsProcess, scene: Scene) -> None:
    async with scene.caller(js, "starts from nothing", []) as host:
        found = await host.do("compare", peer=scene.node.peer_id)
        assert (len(found["need"]), found["have"]) == (BOOK, [])
        fetched = await host.do("fetch", peer=scene.node.peer_id, ids=found["need"])
        assert fetched["frames"] > 1  # 600 orders are more than a frame holds
        await host.do(
            "add", orders=as_book(decode_order(one.encode()) for one in fetched["bodies"])
        )
        assert await scene.standing() == (BOOK, await host.do("digest"))
        found = await host.do("compare", peer=scene.node.peer_id)
        assert found == {"need": [], "have": [], "rounds": 1}


async def test_what_js_offers_the_node_fetches_and_checks(js: JsProcess, scene: Scene) -> None:
    offered, bad = scene.orders(5), scene.orders(1, expires_at=1)
    async with scene.caller(js, "offers", [*await scene.book(), *offered]) as host:
        ids = sorted(ids_of(offered))
        assert await host.do("offer", peer=scene.node.peer_id, ids=ids) == []
        await scene.follows(host)
        # One that ended long ago it does not take, and says so when it is offered again.
        await host.do("add", orders=as_book(bad))
        (expired,) = ids_of(bad)
        await host.do("offer", peer=scene.node.peer_id, ids=[expired])
        async with asyncio.timeout(PATIENCE):
            while await host.do("offer", peer=scene.node.peer_id, ids=[*ids, expired]) != [expired]:
                pass
    assert ids_of(await scene.book()) >= set(ids)


async def test_only_orders_of_a_filter_are_compared(js: JsProcess, scene: Scene) -> None:
    rare = scene.orders(3, want=(scene.market.weth, 41))
    await scene.add(rare)
    wanted = {"properties": {"takerAssetAmount": {"const": "41"}}}
    async with scene.caller(js, "is choosy", rare[:1]) as host:
        found = await host.do(
            "compare", peer=scene.node.peer_id, scope={"filters": [json.dumps(wanted)]}
        )
        assert set(found["need"]) == ids_of(rare[1:])
        assert found["have"] == []


async def test_what_cannot_be_compared_is_declined_with_a_reason(
    js: JsProcess, scene: Scene
) -> None:
    node = scene.node.peer_id
    async with scene.caller(js, "asks for other things", []) as host:
        found = await host.do("compare", peer=node, scope={"chain": 1})
        assert found == {"declined": "OtherChain", "detail": "chain 1337"}
        found = await host.do("compare", peer=node, scope={"filters": ["no schema"]})
        assert found["declined"] == "FilterRefused"
        # And it is no offence.
        assert (await host.do("compare", peer=node))["need"]
        assert (await scene.reports(host, lambda report: True))["score"] >= 0


async def test_the_node_compares_fetches_and_offers_by_itself(js: JsProcess, scene: Scene) -> None:
    """The other role: the node dials, greets, and both sides end with the union."""
    book = await scene.book()
    own = scene.orders(4)
    async with scene.trader(js, "is compared with", [*book[6:], *own]) as host:
        place = host.addresses[0].partition("/p2p/")[0]
        await scene.client.call("mesh_addPeer", host.peer_id, [place])
        async with asyncio.timeout(PATIENCE):
            while ids_of(book[:6]) - set(await host.do("offered")):
                pass
        await host.do("add", orders=as_book(book[:6]))
        await scene.follows(host)
        assert ids_of(await scene.book()) == ids_of([*book, *own])
        report = await scene.reports(host, lambda report: bool(report["state"] == "agrees"))
        assert report["agent"].startswith("js-libp2p/")
        assert report["direction"] == "outbound"
        assert [one["state"] for one in report["sets"]] == ["agrees"]


async def test_orders_are_gossiped_between_js_and_the_node(js: JsProcess, scene: Scene) -> None:
    topic = (await scene.client.stats())["pubSubTopic"]
    async with js.host("gossips") as host:
        await host.subscribe(topic)
        await host.dial(scene.address)
        await host.sees_subscriber(topic, scene.node.peer_id)
        await scene.reports(host, lambda report: topic in report["topics"])
        (ours, theirs) = scene.orders(2)
        await scene.add([ours])
        # It also tells a newcomer what it has published before.
        author, message = await host.message_with(topic, encode_order(ours))
        assert author == scene.node.peer_id
        assert [bytes(one) for one in read_message(message, topic, V3)] == [encode_order(ours)]

        events = await scene.client.subscribe()
        await host.publish(topic, [encode_message([encode_order(theirs)], (topic,), V3)])
        (event,) = await events.take(1)
        assert (event["endState"], event["orderHash"]) == ("ADDED", f"0x{id_of(theirs)}")
