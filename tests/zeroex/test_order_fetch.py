"""Peers that lie or break off: what they cost us, and what becomes of them."""

from __future__ import annotations

import random
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from fondaco.errors import PeerError, Unavailable
from fondaco.p2p.idset import IdSet
from fondaco.p2p.negentropy import Responder
from fondaco.p2p.scores import Offence
from fondaco.testing.network import MemoryNetwork
from fondaco.testing.orders import make_order
from fondaco.testing.until import until
from fondaco.zeroex.codec import encode_order
from fondaco.zeroex.limits import CLAIMS_TOLERATED, WITHHELD_TOLERATED
from fondaco.zeroex.order import OrderHash, SignedOrder
from fondaco.zeroex.order_fetch import PeerFault
from fondaco.zeroex.scopes import Scope
from fondaco.zeroex.sync_wire import (
    ORDERS_PROTOCOL,
    RECONCILE_PROTOCOL,
    Answer,
    Compare,
    Compared,
    Greet,
    Greeted,
    Offer,
    OrdersFrame,
    Taken,
    decode_ask,
    decode_request,
    encode,
    pack_frame,
)
from support.order_bench import names, orders
from support.peer_nodes import V3, PeerNode, Town, open_town

Deliver = Callable[[list[bytes]], OrdersFrame]


class Liar:
    """A peer that claims *ids* and answers for bodies as a test says."""

    def __init__(self, town: Town, victim: PeerNode, deliver: Deliver, *ids: bytes) -> None:
        self.network: MemoryNetwork = town.hub.join("liar")
        self.ids = IdSet(ids)
        self.deliver = deliver
        self.asked: list[bytes] = []
        self.compared = 0
        self._terms = victim.trading.terms()
        self._hub = town.hub
        self._victim = victim

    async def connect(self) -> None:
        await self.network.serve(RECONCILE_PROTOCOL, self.reconcile)
        await self.network.serve(ORDERS_PROTOCOL, self.orders)
        self._hub.connect(self.network, self._victim.network)

    async def reconcile(self, peer: str, payload: bytes) -> bytes:
        return encode(self.answer(payload))

    def answer(self, payload: bytes) -> Answer:
        match decode_request(payload):
            case Greet():
                return Greeted(**msgspec.structs.asdict(self._terms))
            case Compare(message=message, version=version):
                self.compared += 1
                ids = self.ids if version == 3 else IdSet()
                return Compared(message=Responder(ids).receive(message))
            case Offer():
                return Taken(refused=b"")

    async def orders(self, peer: str, payload: bytes) -> bytes:
        ids = decode_ask(payload)
        self.asked += ids
        return encode(self.deliver(ids))

    @property
    def is_banned(self) -> bool:
        return self._victim.network.refuses("liar")

    @property
    def offences(self) -> list[Offence]:
        return [offence for peer, offence in self._victim.network.offences if peer == "liar"]


def nothing(ids: list[bytes]) -> OrdersFrame:
    return OrdersFrame(handled=len(ids), frame=pack_frame([]))


def delivering(*given: SignedOrder) -> Deliver:
    """Return a way to answer with *given* whatever is asked."""
    return lambda ids: OrdersFrame(
        handled=len(ids), frame=pack_frame([encode_order(order) for order in given[: len(ids)]])
    )


def junk(count: int, seed: int = 1) -> list[bytes]:
    return [random.Random(f"{seed} {n}").randbytes(32) for n in range(count)]


async def test_a_peer_that_names_a_few_orders_that_have_ended_is_not_blamed(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        ann = await town.node("ann", gossips=False)
        liar = Liar(town, ann, nothing, *junk(CLAIMS_TOLERATED))
        await liar.connect()
        await until(lambda: liar.compared > 6)
        assert sorted(liar.asked) == sorted(liar.ids), "each was asked for once"
        assert liar.offences == []
        found = ann.agreements.of("liar")[Scope(V3)]
        assert (found.missing_here, found.unexplained) == (CLAIMS_TOLERATED, 0)
        assert ann.sync.stats().ordersWithheld == CLAIMS_TOLERATED


async def test_a_peer_that_names_junk_again_and_again_is_banned(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        ann = await town.node("ann", gossips=False)
        liar = Liar(town, ann, nothing, *junk(50))
        await liar.connect()
        await until(lambda: liar.is_banned, patience=60.0)
        assert len(liar.asked) == 50
        assert set(liar.offences) == {Offence.FALSE_RECONCILIATION}
        await until(lambda: not ann.agreements.of("liar"))


async def test_a_flood_of_junk_is_stopped_early(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        ann = await town.node("ann", gossips=False)
        liar = Liar(town, ann, nothing, *junk(20_000))
        await liar.connect()
        await until(lambda: bool(liar.offences))
        assert WITHHELD_TOLERATED < len(liar.asked) <= WITHHELD_TOLERATED + 1_000
        await until(lambda: ann.sync.stats().sessionsFailed == 1)


async def test_orders_that_do_not_have_the_hash_asked_for_are_a_lie(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        ann = await town.node("ann", gossips=False)
        liar = Liar(town, ann, delivering(make_order(salt=5)), *junk(1))
        await liar.connect()
        await until(lambda: bool(liar.offences))
        assert liar.offences[0] is Offence.FALSE_RECONCILIATION


async def test_invalid_orders_cost_the_connection(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        ann = await town.node("ann", gossips=False)
        bob = await town.node("bob", gossips=False)
        true = orders(30)
        forged = [
            msgspec.structs.replace(order, signature=b"\x1b" + bytes(64) + b"\x02")
            for order in true
        ]
        liar = Liar(town, ann, delivering(*forged), *names(*true))
        await liar.connect()
        await until(lambda: liar.is_banned)
        assert Offence.INVALID_ORDER in liar.offences
        assert await ann.hashes() == set()
        # Whoever has the true ones can still hand them out.
        await bob.bench.add(*true)
        town.hub.connect(ann.network, bob.network)
        await town.until_equal(ann, bob)


async def test_text_that_is_no_order(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        ann = await town.node("ann", gossips=False)
        liar = Liar(
            town, ann, lambda ids: OrdersFrame(handled=1, frame=pack_frame([b'{"a":1}'])), *junk(1)
        )
        await liar.connect()
        await until(lambda: bool(liar.offences))
        assert liar.offences == [Offence.INVALID_ORDER]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(encode(OrdersFrame(handled=0, frame=b"")), id="no progress"),
        pytest.param(
            encode(OrdersFrame(handled=1, frame=zlib.compress(bytes(50_000_000)))), id="a bomb"
        ),
    ],
)
async def test_broken_frames(tmp_path: Path, answer: bytes) -> None:
    async with open_town(tmp_path) as town:
        ann = await town.node("ann", gossips=False, syncs=False)
        liar = Liar(town, ann, nothing)
        await liar.connect()

        async def orders(peer: str, payload: bytes) -> bytes:
            return answer

        await liar.network.serve(ORDERS_PROTOCOL, orders)
        with pytest.raises(PeerFault):
            await ann.fetch.fetch("liar", junk(1))
        assert liar.offences == [Offence.MALFORMED_STREAM]


Reconcile = Callable[[Liar, bytes], Awaitable[bytes]]


async def nonsense(liar: Liar, payload: bytes) -> bytes:
    return b"\xc1"


async def no_greeting(liar: Liar, payload: bytes) -> bytes:
    return encode(Taken(refused=b""))


async def no_comparison(liar: Liar, payload: bytes) -> bytes:
    answer = liar.answer(payload)
    return encode(Taken(refused=b"") if isinstance(answer, Compared) else answer)


async def no_negentropy(liar: Liar, payload: bytes) -> bytes:
    answer = liar.answer(payload)
    return encode(Compared(message=b"\x61\xff\xff") if isinstance(answer, Compared) else answer)


async def dialogue_without_end(liar: Liar, payload: bytes) -> bytes:
    """Says each time that everything differs, with other fingerprints."""
    answer = liar.answer(payload)
    if isinstance(answer, Compared):
        noise = random.Random(liar.compared).randbytes(16)
        answer = Compared(message=b"\x61\x00\x00\x01" + noise)
    return encode(answer)


@pytest.mark.parametrize(
    ("reconcile", "offence"),
    [
        (nonsense, Offence.MALFORMED_STREAM),
        (no_greeting, Offence.MALFORMED_STREAM),
        (no_comparison, Offence.MALFORMED_STREAM),
        (no_negentropy, Offence.MALFORMED_STREAM),
        (dialogue_without_end, Offence.FALSE_RECONCILIATION),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
async def test_a_peer_that_breaks_a_dialogue_is_banned_in_the_end(
    tmp_path: Path, reconcile: Reconcile, offence: Offence
) -> None:
    async with open_town(tmp_path) as town:
        ann = await town.node("ann", gossips=False)
        await ann.bench.add(*orders(40))
        liar = Liar(town, ann, nothing)

        async def answer(peer: str, payload: bytes) -> bytes:
            return await reconcile(liar, payload)

        await liar.connect()
        await liar.network.serve(RECONCILE_PROTOCOL, answer)
        await until(lambda: liar.is_banned, patience=60.0)
        assert set(liar.offences) == {offence}


async def test_an_honest_pair_does_not_suffer_from_a_liar(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        ann, bob = await town.node("ann", gossips=False), await town.node("bob", gossips=False)
        liar = Liar(town, ann, nothing, *junk(5_000))
        await liar.connect()
        town.hub.connect(ann.network, bob.network)
        await ann.bench.add(*orders(100)[:50])
        await bob.bench.add(*orders(100)[50:])
        await town.until_equal(ann, bob)
        assert await ann.hashes() == set(names(*orders(100)))


async def test_what_came_before_a_peer_left_is_kept(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        ann = await town.node("ann", gossips=False, syncs=False)
        given = orders(10)
        bodies = {
            name: encode_order(order) for order, name in zip(given, names(*given), strict=True)
        }
        frames = 0

        def two_at_a_time(ids: list[bytes]) -> OrdersFrame:
            nonlocal frames
            frames += 1
            if frames == 3:
                raise PeerError("gone")
            part = [bodies[OrderHash(one)] for one in ids[:2]]
            return OrdersFrame(handled=2, frame=pack_frame(part))

        liar = Liar(town, ann, two_at_a_time, *bodies)
        await liar.connect()
        with pytest.raises(Unavailable):
            await ann.fetch.fetch("liar", list(bodies))
        assert len(await ann.hashes()) == 4
        fetched = await ann.fetch.fetch("liar", list(bodies))
        assert fetched.stored == 6
        assert ann.fetch.total.stored == 10


async def test_two_peers_that_have_the_same_are_not_asked_twice(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        ann = await town.node("ann", gossips=False)
        others = [await town.node(name, gossips=False, syncs=False) for name in ("bob", "cyd")]
        for other in others:
            await other.bench.add(*orders(200))
            town.hub.connect(ann.network, other.network)
        await town.until_equal(ann, *others)
        await until(lambda: all(ann.agrees_with(other) for other in others))
        assert ann.fetch.total.stored == 200
        assert sum(other.server.counts["orders"] for other in others) <= 3
