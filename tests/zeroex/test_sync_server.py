"""The answering side of order sync, asked directly."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from fondaco.errors import PeerError, StorageError
from fondaco.p2p.idset import IdSet
from fondaco.p2p.negentropy import Initiator
from fondaco.testing.orders import make_order
from fondaco.zeroex.codec import encode_order
from fondaco.zeroex.errors import OrderRejected, RejectionCode
from fondaco.zeroex.intake import Refusal
from fondaco.zeroex.limits import FRAME_SIZE
from fondaco.zeroex.order import OrderHash
from fondaco.zeroex.service import AddResult
from fondaco.zeroex.sync_wire import (
    Answer,
    AskOrders,
    Compare,
    Compared,
    Declined,
    Greet,
    Greeted,
    Offer,
    Request,
    Taken,
    decode_answer,
    decode_frame,
    encode,
)
from support.order_bench import names, orders
from support.peer_nodes import PeerNode, open_town

SHORT = '{"properties":{"salt":{"maxLength":1}}}'


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[PeerNode]:
    """A node with 20 orders that reconciles with nobody on its own."""
    async with open_town(tmp_path) as town:
        opened = await town.node("ann", gossips=False, syncs=False)
        await opened.bench.add(*orders(20))
        yield opened


async def ask(node: PeerNode, request: Request) -> Answer:
    return decode_answer(await node.server.reconcile("bob", encode(request)))


def compare(node: PeerNode, message: bytes, *filters: str, **changes: object) -> Compare:
    terms = node.trading.terms()
    request = Compare(
        chain=terms.chain,
        exchange=terms.deployments[3],
        version=3,
        filters=filters,
        message=message,
    )
    return msgspec.structs.replace(request, **changes)


def offer(node: PeerNode, *ids: bytes) -> Offer:
    header = msgspec.structs.asdict(compare(node, b""))
    del header["message"]
    return Offer(ids=b"".join(ids), **header)


async def test_a_greeting_is_answered_with_our_terms(node: PeerNode) -> None:
    answer = await ask(node, Greet(chain=5, deployments={}, filters=[]))
    assert isinstance(answer, Greeted)
    terms = node.trading.terms()
    assert (answer.chain, answer.deployments) == (terms.chain, terms.deployments)
    assert tuple(answer.filters) == terms.filters


async def test_a_whole_dialogue_over_any_filter(node: PeerNode) -> None:
    for filters, held in (((), orders(20)), ((SHORT,), orders(9)), ((SHORT, "{}"), orders(9))):
        initiator = Initiator(IdSet())
        need: list[bytes] = []
        message: bytes | None = initiator.start()
        while message is not None:
            answer = await ask(node, compare(node, message, *filters))
            assert isinstance(answer, Compared)
            step = initiator.receive(answer.message)
            need += step.need
            message = step.reply
        assert set(need) == set(names(*held))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"chain": 1}, "OtherChain"),
        ({"exchange": bytes(20)}, "OtherChain"),
        ({"version": 4}, "OtherChain"),
        ({"filters": ["nonsense"]}, "FilterRefused"),
        ({"filters": ["{}"] * 5}, "FilterRefused"),
        ({"filters": ['{"$ref":"https://example.org"}']}, "FilterRefused"),
    ],
)
async def test_what_we_do_not_trade_is_declined_without_blame(
    node: PeerNode, changes: dict[str, object], reason: str
) -> None:
    answer = await ask(node, compare(node, b"\x61", **changes))
    assert isinstance(answer, Declined)
    assert answer.reason == reason


async def test_strangers_cannot_have_sets_made_without_end(node: PeerNode) -> None:
    reasons = []
    for number in range(30):
        answer = await ask(node, compare(node, b"\x61\x00\x00\x02\x00", f'{{"maxItems":{number}}}'))
        reasons.append(answer.reason if isinstance(answer, Declined) else "")
    assert reasons[0] == ""
    assert reasons[-1] == "FilterRefused"
    assert len(node.memory.sets.sizes) <= 24


async def test_broken_requests_are_the_peers_fault(node: PeerNode) -> None:
    chance = random.Random(6)
    whole = encode(compare(node, Initiator(IdSet()).start()))
    with pytest.raises(PeerError):
        await node.server.reconcile("bob", b"")
    with pytest.raises(PeerError):
        await ask(node, compare(node, b"\x61\xff"))
    for _ in range(300):
        data = bytearray(whole)
        data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            decode_answer(await node.server.reconcile("bob", bytes(data)))
        except PeerError:
            continue


async def test_an_offer_is_noted_and_answered_with_what_is_refused(node: PeerNode) -> None:
    held, fresh, refused = names(*orders(1)), [b"\x01" * 32], OrderHash(b"\x02" * 32)
    rejection = OrderRejected(RejectionCode.CANCELLED)
    node.memory.note(
        AddResult(
            accepted=[],
            rejected=[Refusal(order_hash=refused, signed_order=b"{}", rejection=rejection)],
        )
    )
    noted: list[tuple[str, list[bytes]]] = []
    node.server._on_offer = lambda peer, ids: noted.append((peer, list(ids)))
    assert await ask(node, offer(node, *held, *fresh, refused)) == Taken(refused=b"\x04")
    assert noted == [("bob", fresh)]
    assert await ask(node, offer(node, *held)) == Taken(refused=b"")
    assert len(noted) == 1


async def test_orders_are_handed_out_by_hash(node: PeerNode) -> None:
    wanted = [*names(*orders(3)), b"\x01" * 32]
    answer = await node.server.orders("bob", encode(AskOrders(ids=b"".join(wanted))))
    handled, bodies = decode_frame(answer, asked=4)
    assert handled == 4
    assert bodies == [encode_order(order) for order in orders(3)]
    assert len(answer) < sum(map(len, bodies)) * 0.75, "compressed"
    assert node.server.counts["bytes"] == len(answer)


async def test_orders_that_have_ended_are_not_handed_out(node: PeerNode) -> None:
    soon = make_order(salt=99, expiration_time_seconds=node.bench.blocks.tip.timestamp + 60)
    await node.bench.add(soon)
    node.bench.blocks.mine(seconds=120)
    await node.bench.quiet()
    answer = await node.server.orders("bob", encode(AskOrders(ids=b"".join(names(soon)))))
    assert decode_frame(answer, asked=1) == (1, [])


async def test_a_frame_holds_so_many_bytes_and_the_rest_is_asked_for_again(node: PeerNode) -> None:
    large = orders(400, maker_asset_amount=99)
    await node.bench.add(*large)
    left = [bytes(name) for name in names(*large)]
    frames = 0
    while left:
        answer = await node.server.orders("bob", encode(AskOrders(ids=b"".join(left))))
        handled, bodies = decode_frame(answer, asked=len(left))
        assert sum(map(len, bodies)) <= FRAME_SIZE
        assert handled == len(bodies)
        del left[:handled]
        frames += 1
    assert frames == 2


async def test_a_failing_disk_closes_the_stream_without_blame(node: PeerNode) -> None:
    node.bench.database.is_unreadable = True
    with pytest.raises(StorageError):
        await node.server.orders("bob", encode(AskOrders(ids=b"\x01" * 32)))
