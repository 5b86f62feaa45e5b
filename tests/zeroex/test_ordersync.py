"""Nodes that reconcile: equal sets after loss and partition, filters, refusals."""

from __future__ import annotations

import datetime
import itertools
import logging
from pathlib import Path

import pytest

from fondaco.clock import NANOSECONDS
from fondaco.testing.orders import make_order
from fondaco.testing.until import until
from fondaco.zeroex.agreement import STAYS_DIFFERENT, STAYS_SECONDS, AgreementState
from fondaco.zeroex.errors import RejectionCode
from fondaco.zeroex.lifecycle import Rejected, Valid
from fondaco.zeroex.limits import REQUEST_SECONDS, SESSIONS_AT_ONCE
from fondaco.zeroex.meshsync_wire import MESH_PROTOCOL, encode_response
from fondaco.zeroex.order import ProtocolVersion
from fondaco.zeroex.scopes import Scope
from support.order_bench import names, orders
from support.peer_nodes import open_town

V2, V3 = ProtocolVersion.V2, ProtocolVersion.V3
ODD = '{"properties":{"salt":{"pattern":"[13579]$"}}}'
LOW = '{"properties":{"salt":{"maxLength":1}}}'
SOME = 40


async def test_two_nodes_agree_on_connecting_and_can_prove_it(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        ann, bob = await town.node("ann", gossips=False), await town.node("bob", gossips=False)
        mine, yours, both = orders(700)[:300], orders(700)[300:680], orders(700)[680:]
        await ann.bench.add(*mine, *both, *orders(5, version=V2))
        await bob.bench.add(*yours, *both)
        town.hub.connect(ann.network, bob.network)
        await town.until_equal(ann, bob)
        assert await ann.digest() == await bob.digest()
        assert await ann.hashes() == set(names(*mine, *yours, *both))
        await town.until_equal(ann, bob, version=V2)
        await until(lambda: ann.agrees_with(bob) and bob.agrees_with(ann))
        assert set(ann.knows_of(bob)) == {Scope(V3), Scope(V2)}
        # The rows are there too, not only their hashes, and nobody else's are pinned.
        rows = await ann.bench.stored(*yours)
        assert all(row is not None and not row.is_pinned for row in rows)


async def test_equal_sets_cost_one_round_and_little(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        ann = await town.node("ann", gossips=False)
        bob = await town.node("bob", gossips=False, syncs=False)
        for node in (ann, bob):
            await node.bench.add(*orders(500))
        town.hub.connect(ann.network, bob.network)
        await until(lambda: ann.agrees_with(bob))
        stats = ann.sync.stats()
        assert stats.dialogues == stats.rounds == 2, "one for each protocol version"
        assert stats.bytesSent + stats.bytesReceived < 400
        assert ann.network.counts["bytes-out"] + ann.network.counts["bytes-in"] < 1_000


async def test_what_gossip_loses_reconciliation_finds(tmp_path: Path) -> None:
    """Five nodes in a ring that lose 40 % of all gossip."""
    async with open_town(tmp_path, loss=0.4) as town:
        nodes = [await town.node(name) for name in ("ann", "bob", "cyd", "dan", "eve")]
        for one, other in zip(nodes, nodes[1:] + nodes[:1], strict=True):
            town.hub.connect(one.network, other.network)
        given = orders(100)
        for number, node in enumerate(nodes):
            await node.bench.add(*given[20 * number : 20 * number + 20])
        await town.until_equal(*nodes)
        assert await nodes[0].hashes() == set(names(*given))
        assert any(node.network.counts["lost"] for node in nodes)


async def test_a_partition_heals(tmp_path: Path) -> None:
    """A chain of four, cut in the middle; both ends learn of each other through it."""
    async with open_town(tmp_path) as town:
        nodes = [await town.node(name) for name in ("ann", "bob", "cyd", "dan")]
        ann, bob, cyd, dan = nodes
        for one, other in itertools.pairwise(nodes):
            town.hub.connect(one.network, other.network)
        await ann.bench.add(*orders(10))
        await town.until_equal(*nodes)
        town.hub.partition([ann.network, bob.network], [cyd.network, dan.network])
        await ann.bench.add(*orders(60)[10:30])
        await dan.bench.add(*orders(60)[30:])
        await town.until_equal(ann, bob)
        await town.until_equal(cyd, dan)
        assert await ann.digest() != await dan.digest()
        town.hub.heal()
        healed_at = town.clock.monotonic()
        town.hub.connect(bob.network, cyd.network)
        await town.until_equal(*nodes)
        assert len(await ann.hashes()) == 60
        assert town.clock.monotonic() - healed_at < 30.0, "before the next regular round"


async def test_nodes_with_overlapping_filters_agree_on_exactly_the_intersection(
    tmp_path: Path,
) -> None:
    async with open_town(tmp_path) as town:
        odd = await town.node("odd", filter_text=ODD, gossips=False)
        low = await town.node("low", filter_text=LOW, gossips=False)
        everything = orders(SOME)
        for node in (odd, low):
            await node.bench.add(*everything)
        odds = {n for o, n in zip(everything, names(*everything), strict=True) if o.salt % 2}
        lows = {n for o, n in zip(everything, names(*everything), strict=True) if o.salt < 10}
        assert await odd.hashes() == odds
        assert await low.hashes() == lows
        # Some of the intersection is held by one side only.
        more = orders(3, maker_asset_amount=99)
        await odd.bench.add(more[0])
        await low.bench.add(more[2], more[1])
        town.hub.connect(odd.network, low.network)
        await until(lambda: odd.agrees_with(low))
        assert set(odd.knows_of(low)) == {
            Scope(version, tuple(sorted((ODD, LOW)))) for version in (V2, V3)
        }
        both = (odds & lows) | set(names(more[0], more[2]))
        assert await odd.hashes(ODD, LOW) == await low.hashes(ODD, LOW) == both
        assert await odd.hashes() == odds | set(names(more[0], more[2]))
        assert await low.hashes() == lows | set(names(*more))


async def test_a_filter_joined_at_run_time_brings_its_orders(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        ann = await town.node("ann", filter_text=LOW)
        bob = await town.node("bob")
        given = orders(SOME)
        await bob.bench.add(*given)
        town.hub.connect(ann.network, bob.network)
        await until(lambda: ann.agrees_with(bob))
        assert len(await ann.hashes()) == 9
        await ann.join(ODD)
        await until(lambda: len(ann.knows_of(bob)) == 4 and ann.agrees_with(bob))
        assert await ann.hashes() == {
            n for o, n in zip(given, names(*given), strict=True) if o.salt % 2 or o.salt < 10
        }


async def test_a_refused_order_is_explained_and_not_fetched_again(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        ann = await town.node("ann", gossips=False)
        bob = await town.node("bob", gossips=False, syncs=False)
        given = orders(20)
        await bob.bench.add(*given)
        poor = names(*given[:3])
        for name in poor:
            ann.bench.assessor.outcomes[name] = Rejected(RejectionCode.UNFUNDED)
        town.hub.connect(ann.network, bob.network)
        await until(lambda: len(ann.memory.sets.get(Scope(V3)) or ()) == 17)
        await until(lambda: ann.knows_of(bob)[Scope(V3)].missing_here == 3)
        found = ann.knows_of(bob)[Scope(V3)]
        assert (found.state, found.missing_here, found.unexplained) == (
            AgreementState.DIFFERS,
            3,
            0,
        )
        assert ann.agreements.different == 0
        asked, rounds = bob.server.counts["orders"], bob.server.counts["compare"]
        # Minutes pass without a block: nothing has changed that could make them valid.
        await until(lambda: bob.server.counts["compare"] >= rounds + 6)
        assert bob.server.counts["orders"] == asked
        for name in poor:
            ann.bench.assessor.outcomes[name] = Valid(42)
        ann.bench.blocks.mine()
        await town.until_equal(ann, bob)


async def test_the_side_that_has_the_refused_orders_hears_why(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        ann, bob = await town.node("ann", gossips=False), await town.node("bob", gossips=False)
        await bob.bench.add(*orders(20))
        for name in names(*orders(20)[:3]):
            ann.bench.assessor.outcomes[name] = Rejected(RejectionCode.CANCELLED)
        town.hub.connect(bob.network, ann.network)
        await until(
            lambda: (
                (found := bob.knows_of(ann).get(Scope(V3))) is not None
                and (found.missing_there, found.explained) == (3, 3)
            )
        )
        assert bob.agreements.different == 0


async def test_orders_that_end_leave_the_sets_of_all(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        ann, bob = await town.node("ann", gossips=False), await town.node("bob", gossips=False)
        short = make_order(salt=99, expiration_time_seconds=ann.bench.blocks.tip.timestamp + 60)
        await ann.bench.add(*orders(5), short)
        town.hub.connect(ann.network, bob.network)
        await town.until_equal(ann, bob)
        assert len(await bob.hashes()) == 6
        for node in (ann, bob):
            node.bench.blocks.mine(seconds=120)
            await node.bench.quiet()
        assert await ann.hashes() == await bob.hashes() == set(names(*orders(5)))


async def test_a_node_with_gossip_alone_and_one_with_sync_alone(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        talker = await town.node("talker", syncs=False)
        reader = await town.node("reader", gossips=False)
        town.hub.connect(talker.network, reader.network)
        await talker.bench.add(*orders(30))
        await town.until_equal(talker, reader)
        await reader.bench.add(*orders(35)[30:])
        await until(lambda: bool(talker.server.counts["offer"]))
        assert len(await talker.hashes()) == 30, "it does not fetch, it only answers"


async def test_peers_of_another_chain_share_nothing_and_are_left_alone(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        ann, bob = await town.node("ann", gossips=False), await town.node("bob", gossips=False)
        bob.trading.chain_id = 1
        await ann.bench.add(*orders(3))
        town.hub.connect(ann.network, bob.network)
        await until(lambda: ann.sync.stats().sessions == 1 and bob.server.counts["greet"] == 1)
        assert ann.knows_of(bob) == {}
        assert ann.network.offences == []


async def test_peers_that_do_not_answer_keep_nobody_waiting(tmp_path: Path) -> None:
    """They are more than are compared with at once, and each answers just in time, for ever."""
    async with open_town(tmp_path) as town:
        ann = await town.node("ann", gossips=False)
        bob = await town.node("bob", gossips=False, syncs=False)

        async def dawdle(peer: str, payload: bytes) -> bytes:
            await town.clock.sleep(REQUEST_SECONDS - 1)
            return encode_response([], is_last=False, page=0, snapshot_id="")

        for number in range(2 * SESSIONS_AT_ONCE):
            idler = town.hub.join(f"idler {number}")
            await idler.serve_lines(MESH_PROTOCOL, dawdle)
            town.hub.connect(ann.network, idler)
        await until(lambda: ann.sync.stats().sessions == SESSIONS_AT_ONCE)
        town.hub.connect(bob.network, ann.network)
        await bob.bench.add(*orders(20))
        await town.until_equal(ann, bob)
        assert ann.sync.stats().sessionsFailed == 0


async def test_a_lasting_difference_is_said_once_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Bob answers, but fetches nothing of what it is offered."""
    async with open_town(tmp_path) as town:
        ann = await town.node("ann", gossips=False)
        bob = await town.node("bob", gossips=False, syncs=False)
        await ann.bench.add(*orders(3))
        town.hub.connect(ann.network, bob.network)
        with caplog.at_level(logging.WARNING):
            await until(lambda: ann.sync.stats().stayedDifferent == 1, patience=60.0)
            offers = bob.server.counts["offer"]
            assert offers >= STAYS_DIFFERENT
            await until(lambda: bob.server.counts["offer"] >= offers + 2, patience=60.0)
        said = [record for record in caplog.records if record.message == "a peer stays different"]
        assert len(said) == 1
        fields = vars(said[0])
        assert (fields["peer"], fields["set"]) == (bob.network.peer_id, "v3")
        assert (fields["missing_here"], fields["missing_there"]) == (0, 3)
        since = datetime.datetime.fromisoformat(fields["since"]).timestamp()
        assert ann.clock.now_ns() / NANOSECONDS - since >= STAYS_SECONDS
        stats = ann.sync.stats()
        assert (stats.stayedDifferent, stats.peersDifferent) == (1, 1)
        assert ann.knows_of(bob)[Scope(V3)].missing_there == 3
