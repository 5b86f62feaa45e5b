"""0x Mesh's paged order sync: served page by page, and used with peers that know no other."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from fondaco.p2p.scores import Offence
from fondaco.testing.until import until
from fondaco.zeroex.allowance import HOUR
from fondaco.zeroex.codec import decode_order, encode_order
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.limits import MESH_PAGE, MESH_SNAPSHOT_SECONDS, MESH_SNAPSHOTS
from fondaco.zeroex.meshsync import EMPTY_PAGES_TOLERATED, PATIENCE, PageRefused
from fondaco.zeroex.meshsync_wire import (
    MESH_PROTOCOL,
    PAGINATION,
    MalformedPage,
    encode_response,
)
from fondaco.zeroex.order import ProtocolVersion
from support.order_bench import names, orders
from support.peer_nodes import PeerNode, open_town

V2 = ProtocolVersion.V2
SHORT = '{"properties":{"salt":{"maxLength":1}}}'


def line(metadata: object = None, *subprotocols: str) -> bytes:
    offered = subprotocols or (PAGINATION,)
    return json.dumps({"type": "Request", "subprotocols": offered, "metadata": metadata}).encode()


async def ask(node: PeerNode, metadata: object = None) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(await node.mesh.page("bob", line(metadata)))
    return answer


def found(answer: dict[str, Any]) -> list[bytes]:
    return [order_hash(decode_order(json.dumps(order).encode())) for order in answer["orders"]]


async def test_pages_of_500_of_one_unchanging_list(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        node = await town.node("ann", gossips=False, syncs=False)
        given = orders(MESH_PAGE + 10)
        await node.bench.add(*given[:600], *orders(5, version=V2))
        first = await ask(node)
        assert (len(first["orders"]), first["complete"]) == (MESH_PAGE, False)
        assert first["metadata"]["page"] == 0
        await node.bench.add(*orders(700)[600:])
        snapshot = first["metadata"]["snapshotID"]
        second = await ask(node, {"page": 1, "snapshotID": snapshot})
        assert (len(second["orders"]), second["complete"]) == (10, True)
        assert second["metadata"] == {"page": 1, "snapshotID": snapshot}
        assert sorted(found(first) + found(second)) == sorted(names(*given)), "v3 alone, once each"
        past = await ask(node, {"page": 9, "snapshotID": snapshot})
        assert (past["orders"], past["complete"]) == ([], True)


async def test_the_filter_of_a_request(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        node = await town.node("ann", gossips=False, syncs=False)
        await node.bench.add(*orders(30))
        exchange = f"0x{next(iter(node.trading.exchanges.values())).hex()}"
        wanted = {"customOrderSchema": SHORT, "chainID": 1337, "exchangeAddress": exchange}
        for metadata in (
            {"page": 0, "snapshotID": "", "orderfilter": wanted},
            {"metadata": [{"page": 0, "snapshotID": "", "orderfilter": wanted}]},
        ):
            assert sorted(found(await ask(node, metadata))) == sorted(names(*orders(9)))
        for changes in (
            {"chainID": 1},
            {"exchangeAddress": "0x" + "11" * 20},
            {"customOrderSchema": "nonsense"},
        ):
            with pytest.raises(PageRefused):
                await ask(node, {"orderfilter": {**wanted, **changes}})


async def test_an_unknown_snapshot_is_replaced_by_a_new_one(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        node = await town.node("ann", gossips=False, syncs=False)
        await node.bench.add(*orders(3))
        first = (await ask(node))["metadata"]["snapshotID"]
        assert (await ask(node, {"page": 0, "snapshotID": "other"}))["metadata"][
            "snapshotID"
        ] not in {
            first,
            "other",
        }
        assert (await ask(node, {"snapshotID": first}))["metadata"]["snapshotID"] == first
        town.clock.jump(MESH_SNAPSHOT_SECONDS + 1)
        assert (await ask(node, {"snapshotID": first}))["metadata"]["snapshotID"] != first
        for _ in range(MESH_SNAPSHOTS + 3):
            town.clock.jump(1.0)
            await ask(node)
        assert len(node.mesh._held) == MESH_SNAPSHOTS


async def test_who_asks_too_often_waits_and_then_is_refused(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        node = await town.node("ann", gossips=False, syncs=False)
        began = town.clock.monotonic()
        for _ in range(25):
            await ask(node)
        assert town.clock.monotonic() - began >= 0.4, "10 at once, then 30 a second"
        node.mesh._allowance.take = lambda now: False  # type: ignore[method-assign]
        with pytest.raises(PageRefused, match="too many"):
            await ask(node)
        assert town.clock.monotonic() - began >= PATIENCE


async def test_what_is_no_request(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        node = await town.node("ann", gossips=False, syncs=False)
        with pytest.raises(MalformedPage):
            await node.mesh.page("bob", b"nonsense")
        with pytest.raises(PageRefused, match="subprotocol"):
            await node.mesh.page("bob", line(None, "/other"))


async def test_a_peer_that_only_speaks_mesh_is_read_page_by_page(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        ann = await town.node("ann", gossips=False, serves=("mesh",))
        bob = await town.node("bob", gossips=False, syncs=False, serves=("mesh",))
        await bob.bench.add(*orders(MESH_PAGE + 20))
        town.hub.connect(ann.network, bob.network)
        await town.until_equal(ann, bob)
        await until(lambda: ann.sync.stats().ordersFetched == MESH_PAGE + 20)
        assert ann.network.counts["requests"] == 2
        assert ann.network.offences == []
        due = ann.sync._schedule.due
        assert due is not None
        assert 0.85 * HOUR < due - town.clock.monotonic() < 1.15 * HOUR


async def test_pages_that_are_none_are_the_peers_fault(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        ann = await town.node("ann", gossips=False)
        liar = town.hub.join("liar")
        answers = itertools.cycle([b"nonsense", b"{}"])

        async def lie(peer: str, payload: bytes) -> bytes:
            return next(answers)

        await liar.serve_lines(MESH_PROTOCOL, lie)
        town.hub.connect(liar, ann.network)
        await until(lambda: ann.network.refuses("liar"))
        assert {offence for _, offence in ann.network.offences} == {Offence.MALFORMED_STREAM}


async def test_pages_without_end_and_without_a_good_order_end_in_a_ban(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        ann = await town.node("ann", gossips=False)
        liar = town.hub.join("liar")
        pages = itertools.count()

        async def lie(peer: str, payload: bytes) -> bytes:
            spoiled = orders(1, signature=b"\x02", salt=next(pages))
            return encode_response(
                [encode_order(one) for one in spoiled], is_last=False, page=0, snapshot_id="x"
            )

        await liar.serve_lines(MESH_PROTOCOL, lie)
        town.hub.connect(liar, ann.network)
        await until(lambda: ann.network.refuses("liar"))
        assert {offence for _, offence in ann.network.offences} == {Offence.INVALID_ORDER}
        assert next(pages) < 100


async def test_empty_pages_without_end_are_not_read_for_ever(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        ann = await town.node("ann", gossips=False)
        liar = town.hub.join("liar")
        pages = itertools.count()

        async def lie(peer: str, payload: bytes) -> bytes:
            return encode_response([], is_last=False, page=next(pages), snapshot_id="x")

        await liar.serve_lines(MESH_PROTOCOL, lie)
        town.hub.connect(liar, ann.network)
        await until(lambda: bool(ann.network.offences))
        assert ann.network.offences == [("liar", Offence.FALSE_RECONCILIATION)]
        assert next(pages) == EMPTY_PAGES_TOLERATED + 1
