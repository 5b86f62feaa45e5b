"""Nodes and p2p processes that are killed, frozen and restarted in the middle of their work.

After each fault the books are equal, and nothing that was acknowledged is missing. Where
only a p2p process was hit, the node's clients notice nothing: they are answered all the
time, and what they subscribed to goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio
from websockets.exceptions import ConnectionClosed

from fondaco.p2p.child import MODULE
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.order import ProtocolVersion, SignedOrder
from support.market import Market
from support.mesh_socket import open_socket
from support.peer_processes import (
    PeerProcess,
    eventually,
    frozen,
    open_peers,
    until_connected,
    until_counted,
    until_equal,
)

pytestmark = [
    pytest.mark.chain,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("killed and frozen peers"),
]


class Street:
    """Three nodes, each the peer of both others, and the orders they were given."""

    def __init__(self, market: Market, *nodes: PeerProcess) -> None:
        self.ann, self.bob, self.cat = self.nodes = nodes
        self.given: set[str] = set()
        self._market = market
        self._salts = itertools.count(1)

    def orders(self, count: int) -> list[SignedOrder]:
        """Return orders nobody has seen."""
        return [
            self._market.offer(ProtocolVersion.V3, salt=salt)
            for salt in itertools.islice(self._salts, count)
        ]

    async def give(self, node: PeerProcess, count: int = 5) -> None:
        """Post fresh orders; they are acknowledged."""
        made = self.orders(count)
        answer = await node.client.add(*made)
        assert len(answer["accepted"]) == count
        self.given.update(map(name_of, made))

    async def whole(self) -> None:
        """Everybody is connected to everybody, and holds exactly what was acknowledged."""
        for one, other in itertools.combinations(self.nodes, 2):
            await until_connected(one, other)
        await until_equal(*self.nodes, orders=len(self.given))
        for node in self.nodes:
            assert set(await node.client.book()) == self.given


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def street(bazaar: Market, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Street]:
    async with open_peers(bazaar, tmp_path_factory.mktemp("street")) as open_peer:
        nodes = await asyncio.gather(*map(open_peer, ("ann", "bob", "cat")))
        for one, other in itertools.combinations(nodes, 2):
            await one.join(other)
        street = Street(bazaar, *nodes)
        await street.whole()
        yield street


@contextlib.asynccontextmanager
async def always_answered(node: PeerProcess) -> AsyncIterator[None]:
    """A client asks all the time, and each of its questions is answered."""

    async def ask() -> None:
        async with open_socket(node.ready.rpc) as client:
            while not enough.is_set():
                await client.stats()
                answers.append(1)
                await asyncio.sleep(0.02)

    enough = asyncio.Event()
    answers: list[int] = []
    asking = asyncio.create_task(ask())
    try:
        yield
    finally:
        enough.set()
        await asking
    assert len(answers) > 10


@contextlib.asynccontextmanager
async def every_event(street: Street, node: PeerProcess) -> AsyncIterator[None]:
    """A subscription made before the fault tells of every order given until the end, once."""
    heard = await node.client.subscribe()
    before = set(street.given)
    yield
    fresh = street.given - before
    events = await heard.take(len(fresh))
    assert {event["orderHash"] for event in events} == fresh
    assert {event["endState"] for event in events} == {"ADDED"}
    assert heard.results.empty()


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
async def test_a_p2p_process_that_ends_is_started_again(
    street: Street, sign: signal.Signals
) -> None:
    """Orders given on either side meanwhile arrive; clients of the node notice nothing."""
    restarts = (await street.ann.counts())["restarts"]
    async with always_answered(street.ann), every_event(street, street.ann):
        before = street.ann.signal_child(sign)
        await street.give(street.ann)
        await street.give(street.bob)
        await street.ann.another_child(before)
        await street.give(street.ann)
        await street.give(street.bob)
        await street.whole()
    assert (await street.ann.counts())["restarts"] == restarts + 1
    assert await street.ann.metric("fondaco_p2p_restarts_total") == restarts + 1
    await street.ann.process.wait_for_log("the p2p process has ended")


async def test_every_p2p_process_at_once(street: Street) -> None:
    """The worst moment: each has dialled nobody yet when all others are away too."""
    before = [node.signal_child(signal.SIGKILL) for node in street.nodes]
    for node in street.nodes:
        await street.give(node)
    for node, pid in zip(street.nodes, before, strict=True):
        await node.another_child(pid)
    await street.whole()


async def test_a_killed_node_has_what_it_acknowledged_and_leaves_no_process(
    street: Street,
) -> None:
    """It dies between acknowledging and telling: only its disk knows the last orders."""
    cat, child = street.cat, street.cat.child_pid
    assert child is not None
    made = street.orders(200)
    acknowledged: set[str] = set()

    async def post(some: Sequence[SignedOrder]) -> None:
        with contextlib.suppress(OSError, ConnectionClosed):
            answer = await cat.client.add(*some)
            acknowledged.update(each["orderHash"] for each in answer["accepted"])
            if len(acknowledged) >= 60 and cat.process.is_running:
                os.kill(cat.ready.pid, signal.SIGKILL)

    await asyncio.gather(*(post(made[at : at + 20]) for at in range(0, 200, 20)))
    await cat.process.kill()
    assert len(acknowledged) >= 60
    await until_ended(child)
    await street.give(street.ann)
    await cat.again()
    # What was stored before the end and not acknowledged any more is there, too.
    book = set(await cat.client.book())
    assert acknowledged <= book
    street.given |= book & set(map(name_of, made))
    await street.whole()


async def test_a_node_that_is_restarted_comes_back(street: Street) -> None:
    child = street.bob.child_pid
    assert child is not None
    await street.bob.process.stop()
    assert not is_p2p_process(child)
    await street.give(street.ann)
    await street.bob.again()
    await street.give(street.bob)
    await street.whole()


async def test_frozen_peers_and_processes_are_found_out(street: Street) -> None:
    """All of bob is frozen, as on a machine that sleeps; of cat the p2p process alone.

    Ann drops both, because they answer no ping, and goes on. Cat's main process notices and
    has a new p2p process. Bob comes back with all that he had.
    """
    ann, bob, cat = street.nodes
    before = (await ann.counts())["frozen-peers"]
    bobs_child, cats_child = bob.child_pid, cat.child_pid
    assert bobs_child is not None
    assert cats_child is not None
    await bob.hang_up()
    async with always_answered(ann), always_answered(cat), every_event(street, cat):
        with frozen(bobs_child), frozen(cats_child), frozen(bob.ready.pid):
            await street.give(ann)
            await street.give(cat)
            # By a ping; of cat's the end may be noticed first, when it is killed.
            await until_counted(ann, lambda count: count["frozen-peers"] > before)
            await until_left(ann, bob)
            await cat.another_child(cats_child)
            assert not is_p2p_process(cats_child)
            await until_equal(ann, cat, orders=len(street.given))
        await bob.talk()
        await street.whole()
    assert bob.child_pid == bobs_child
    await cat.process.wait_for_log("the p2p process failed")


def name_of(order: SignedOrder) -> str:
    return f"0x{order_hash(order).hex()}"


def is_p2p_process(pid: int) -> bool:
    """Whether *pid* is one that still runs; a dead one that nobody has buried is none."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False
    return MODULE in command.split("\0")


async def until_left(node: PeerProcess, peer: PeerProcess) -> None:
    async def has_left() -> bool:
        return peer.ready.peer_id not in await node.peers()

    await eventually(has_left)


async def until_ended(pid: int) -> None:
    async def has_ended() -> bool:
        return not is_p2p_process(pid)

    await eventually(has_ended)
