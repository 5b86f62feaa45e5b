"""Gossip of orders: what is passed on, what is blamed, and what travels between nodes."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
import pytest

from fondaco.errors import Verdict
from fondaco.p2p.scores import Offence
from fondaco.testing.clock import FakeClock
from fondaco.testing.network import MemoryHub, MemoryNetwork
from fondaco.testing.orders import make_order
from fondaco.testing.until import until
from fondaco.zeroex.admission import Origin
from fondaco.zeroex.codec import encode_order
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.errors import RejectionCode
from fondaco.zeroex.gossip import Fate, OrderGossip, ReadMessage, judged, rounds_of
from fondaco.zeroex.gossip_wire import encode_message
from fondaco.zeroex.ledger import ToldEvent
from fondaco.zeroex.lifecycle import Rejected
from fondaco.zeroex.order import OrderHash, ProtocolVersion, SignedOrder
from fondaco.zeroex.order_memory import OrderMemory
from fondaco.zeroex.orderset import OrderSets
from fondaco.zeroex.service import AddResult
from fondaco.zeroex.trading import Trading
from support.chain_words import CONTRACTS
from support.order_bench import names, orders
from support.peer_nodes import PeerNode, Town, open_town

V2, V3 = ProtocolVersion.V2, ProtocolVersion.V3
TOPIC = "/0x-orders/version/3/chain/1337/schema/e30="
V2_TOPIC = "/0x-orders/network/1337/version/1"
SHORT = '{"properties":{"makerAssetAmount":{"maxLength":3}}}'


@pytest.mark.parametrize(
    ("fates", "verdict"),
    [
        ([], Verdict.REJECT),
        ([Fate.NEW], Verdict.ACCEPT),
        ([Fate.NEW, Fate.KNOWN, Fate.REFUSED], Verdict.ACCEPT),
        ([Fate.KNOWN], Verdict.IGNORE),
        ([Fate.REFUSED, Fate.KNOWN], Verdict.IGNORE),
        ([Fate.NEW, Fate.INVALID], Verdict.REJECT),
    ],
)
def test_a_message_is_judged_by_its_orders(fates: list[Fate], verdict: Verdict) -> None:
    assert judged(fates) is verdict


def test_copies_of_an_order_with_other_signatures_are_judged_apart() -> None:
    a, b = OrderHash(b"a" * 32), OrderHash(b"b" * 32)
    reads = [
        ReadMessage(b"1", [], {a: b"true", b: b"b"}),
        ReadMessage(b"2", [], {a: b"forged"}),
        ReadMessage(b"3", [], {a: b"true"}),
        ReadMessage(b"4", [], {a: b"forged too"}),
    ]
    assert rounds_of(reads) == [{a: b"true", b: b"b"}, {a: b"forged"}, {a: b"forged too"}]


async def say(town: Town, to: PeerNode, *messages: bytes, topic: str = TOPIC) -> list[Verdict]:
    """Send *messages* as a stranger; return what was said of each, in their sequence."""
    stranger = town.hub.node("stranger") or town.hub.join("stranger")
    if not stranger.peers():
        town.hub.connect(stranger, to.network)
    before = set(to.network.verdicts)
    for message in messages:
        await stranger.publish(topic, message)
    await until(lambda: len(to.network.verdicts) == len(before) + len(messages))
    said = to.network.verdicts.items()
    return [
        verdict
        for message_id, verdict in sorted(said, key=lambda pair: pair[0])
        if message_id not in before
    ]


def message(*given: SignedOrder, topic: str = TOPIC, version: ProtocolVersion = V3) -> bytes:
    return encode_message([encode_order(order) for order in given], (topic,), version)


async def test_verdicts_by_blame(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        ann = await town.node("ann", syncs=False)
        good, other, poor, late = orders(4)
        unsigned = make_order(salt=77, signature=b"\x1b" + bytes(64) + b"\x02")
        ann.bench.assessor.outcomes[order_hash(poor)] = Rejected(RejectionCode.UNFUNDED)
        assert await say(town, ann, message(good)) == [Verdict.ACCEPT]
        assert await say(town, ann, message(good)) == [Verdict.IGNORE], "nothing new"
        assert await say(town, ann, message(poor)) == [Verdict.IGNORE], "chain state"
        asked = len(ann.bench.assessor.asked)
        assert await say(town, ann, message(poor), message(good, poor)) == [Verdict.IGNORE] * 2
        assert len(ann.bench.assessor.asked) == asked, "what is known costs no question"
        assert await say(town, ann, message(good, poor, other)) == [Verdict.ACCEPT]
        rejected = [
            message(unsigned),
            message(late, unsigned),
            b"nonsense",
            message(late, topic=V2_TOPIC),
            message(make_order(version=V2)),
        ]
        assert await say(town, ann, *rejected) == [Verdict.REJECT] * len(rejected)
        stats = ann.gossip.stats()
        assert (stats.messagesAccepted, stats.messagesRejected) == (2, 5)
        assert stats.ordersNew == 3, "a valid order is kept though its message is condemned"
        assert {offence for _, offence in ann.network.offences} == {Offence.INVALID_MESSAGE}


async def test_a_forged_copy_does_not_keep_the_true_order_out(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        ann = await town.node("ann", syncs=False)
        true = make_order()
        forged = msgspec.structs.replace(true, signature=b"\x1b" + bytes(64) + b"\x02")
        # Kinds of signature that only the chain could judge, for which it is not asked.
        kinds = [msgspec.structs.replace(true, signature=b"\x01" * 65 + bytes([k])) for k in (4, 7)]
        ann.bench.assessor.outcomes[order_hash(true)] = Rejected(
            RejectionCode.ETH_RPC_REQUEST_FAILED
        )
        for copy in kinds:
            assert await say(town, ann, message(copy)) == [Verdict.IGNORE]
        del ann.bench.assessor.outcomes[order_hash(true)]
        assert await say(town, ann, message(forged), message(true)) == [
            Verdict.REJECT,
            Verdict.ACCEPT,
        ]


async def test_an_order_new_in_two_messages_carries_one_of_them_on(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        ann = await town.node("ann", syncs=False)
        one, two = orders(2)
        said = await say(town, ann, message(one), message(one), message(one, two))
        assert said.count(Verdict.ACCEPT) == 2
        assert said.count(Verdict.IGNORE) == 1


async def test_a_filters_topic_takes_only_what_satisfies_it(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        ann = await town.node("ann", filter_text=SHORT, syncs=False)
        [topic] = [t for t in ann.network.topics if t != V2_TOPIC]
        small, large = make_order(), make_order(maker_asset_amount=1_000)
        inside = [message(order, topic=topic) for order in (small, large)]
        assert await say(town, ann, *inside, topic=topic) == [Verdict.ACCEPT, Verdict.REJECT]
        # A v2 topic does not say what we filter: not its sender's fault.
        v2 = message(make_order(version=V2, maker_asset_amount=1_000), version=V2)
        assert await say(town, ann, v2, topic=V2_TOPIC) == [Verdict.IGNORE]


async def test_orders_of_clients_reach_everybody_through_everybody(tmp_path: Path) -> None:
    """A chain of three, gossip alone, both versions."""
    async with open_town(tmp_path) as town:
        ann, bob, cyd = [await town.node(name, syncs=False) for name in ("ann", "bob", "cyd")]
        town.hub.connect(ann.network, bob.network)
        town.hub.connect(bob.network, cyd.network)
        given = orders(60) + orders(5, version=V2)
        result = await ann.bench.add(*given, pinned=True)
        assert len(result.accepted) == 65
        await town.until_equal(ann, bob, cyd)
        await town.until_equal(ann, bob, cyd, version=V2)
        assert await cyd.hashes() == set(names(*given[:60]))
        rows = await cyd.bench.stored(*given)
        assert not any(row is None or row.is_pinned for row in rows)
        sent = ann.gossip.stats()
        assert sent.ordersPublished == 65
        assert sent.messagesPublished == ann.network.counts["published"]
        for node in (bob, cyd):
            heard = node.gossip.stats()
            assert (heard.messagesReceived, heard.bytesReceived) == (
                sent.messagesPublished,
                sent.bytesPublished,
            )
        assert sent.bytesPublished > 65 * 400
        assert bob.network.counts["published"] == 0, "others' orders are not published again"
        assert ann.network.counts["published"] <= 6, "many orders in a message"


class _Door:
    """A service that takes everything and notes how much came at once."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    async def add(
        self, texts: Sequence[bytes | msgspec.Raw], origin: Origin, *, pinned: bool
    ) -> AddResult:
        self.sizes.append(len(texts))
        return AddResult(accepted=[], rejected=[])


@contextlib.asynccontextmanager
async def _listening(
    door: _Door, clock: FakeClock
) -> AsyncIterator[tuple[OrderGossip, MemoryNetwork]]:
    """Run gossip into *door*; yield it and a peer's network."""
    async with MemoryHub(clock, random.Random(1)) as hub:
        me, peer = hub.join("me"), hub.join("peer")
        hub.connect(me, peer)
        gossip = OrderGossip(
            network=me,
            service=door,
            memory=OrderMemory(OrderSets(), now=clock.monotonic, block=lambda: 0),
            trading=Trading(CONTRACTS, "{}"),
            clock=clock,
        )
        running = asyncio.create_task(gossip.run())
        await until(lambda: TOPIC in me.topics)
        yield gossip, peer
        running.cancel()
        await asyncio.wait((running,))


def _added(order: SignedOrder) -> ToldEvent:
    """Return the event of a client having added *order*."""
    return ToldEvent(
        sequence=1,
        order_hash=order_hash(order),
        order=order,
        end_state="ADDED",
        reason="received: local",
        body=encode_order(order),
        encoded=b"",
    )


async def test_few_orders_are_looked_at_at_once_and_then_not_too_often() -> None:
    door, clock = _Door(), FakeClock()
    async with _listening(door, clock) as (_, peer):

        async def hear(*messages: bytes, seconds: float) -> list[int]:
            for one in messages:
                await peer.publish(TOPIC, one)
            await clock.advance(seconds)
            return door.sizes

        given = orders(60)
        # From the first look on: nothing more for 100 ms but what is worth a look.
        assert await hear(message(given[0]), seconds=0.02) == [1]
        assert await hear(message(given[1]), seconds=0.05) == [1]
        assert await hear(message(given[2]), message(given[3]), seconds=0.04) == [1]
        assert await hear(seconds=0.01) == [1, 3]
        assert await hear(message(*given[4:20]), seconds=0.02) == [1, 3, 16]
        many = [message(given[number]) for number in range(20, 36)]
        assert await hear(many[0], seconds=0.03) == [1, 3, 16]
        assert await hear(*many[1:], seconds=0.0) == [1, 3, 16, 16]
        await hear(seconds=0.1)
        assert await hear(message(given[40]), seconds=0.02) == [1, 3, 16, 16, 1]


async def test_a_full_batch_of_ours_leaves_before_its_time() -> None:
    clock = FakeClock()
    async with _listening(_Door(), clock) as (gossip, _):
        gossip.take([_added(order) for order in orders(3)])
        await clock.advance(0.01)
        assert gossip.stats().ordersPublished == 0
        gossip.take([_added(order) for order in orders(40)])
        await clock.advance(0.0)
        early = gossip.stats().ordersPublished
        assert 20 < early < 43, "full ones only"
        await clock.advance(0.05)
        assert gossip.stats().ordersPublished == 43


async def test_left_filters_are_not_listened_to(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        ann = await town.node("ann", filter_text=SHORT, syncs=False)
        assert len(ann.network.topics) == 2
        await ann.join("{}")
        assert set(ann.network.topics) >= {TOPIC, V2_TOPIC}
        assert len(ann.network.topics) == 3
        ann.trading.leave("{}")
        await ann.gossip.follow_filters()
        assert len(ann.network.topics) == 2
        assert TOPIC not in ann.network.topics


async def test_peers_with_the_same_filters_are_looked_for(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        ann = await town.node("ann", syncs=False)
        await until(lambda: ann.network.rendezvous != ())
        everybody = {"/0x-mesh/network/1337/version/2", "/0x-mesh/network/1337/version/1"}
        assert set(ann.network.rendezvous) == everybody
        await ann.join(SHORT)
        [custom] = set(ann.network.rendezvous) - everybody
        assert custom.startswith("/0x-custom-filter-rendezvous/version/1/chain/1337/schema/")


async def test_a_full_disk_is_nobodys_fault(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        ann = await town.node("ann", syncs=False)
        ann.bench.database.is_full = True
        [order] = orders(1)
        assert await say(town, ann, message(order)) == [Verdict.IGNORE]
        ann.bench.database.is_full = False
        assert await say(town, ann, message(order)) == [Verdict.ACCEPT]
