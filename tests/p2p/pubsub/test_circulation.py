"""Dialogues about lost messages: announced, asked for, sent again."""

from __future__ import annotations

import pytest

from fondaco.p2p import limits
from fondaco.p2p.pubsub.parameters import Parameters
from fondaco.p2p.pubsub.rpc import (
    IHave,
    Prune,
    Subscription,
)
from fondaco.p2p.scores import Offence
from support.gossip_bench import (
    PEERS,
    TOPIC,
    Bench,
    blamed,
    delivered,
    message,
    subscribed_bench,
)


@pytest.fixture
def bench() -> Bench:
    return subscribed_bench()


def test_outside_of_the_mesh_a_peer_is_told_and_gets_what_it_asks_for(bench: Bench) -> None:
    bench.join(*range(5), is_grafted=True)
    bench.join(5)
    one = message()
    bench.accept(bench.says(0, publish=[one]))
    bench.beat()
    assert list(bench.hears(5).ihave) == [IHave(TOPIC, (one.message_id,))]
    assert list(bench.hears(1).ihave) == [], "the mesh has it"
    for _ in range(limits.MAX_IWANT_REPEATS + 1):
        bench.says(5, iwant=[one.message_id])
        assert list(bench.hears(5).publish) == [one]
    bench.says(5, iwant=[one.message_id])
    assert list(bench.hears(5).publish) == [], "not for ever"
    bench.says(4, iwant=[b"unknown"])


@pytest.mark.parametrize("is_ours", [True, False])
def test_a_new_member_is_told_of_what_went_to_the_mesh_before_it_was_in(
    bench: Bench, is_ours: bool
) -> None:
    """Accepted between its subscription and the graft: pushed to others, announced by nobody."""
    bench.join(0, 1)
    one = message()
    bench.accept(bench.says(0, publish=[one]))
    if is_ours:
        bench.beat()
    else:
        bench.says(1, graft=[TOPIC])
    assert IHave(TOPIC, (one.message_id,)) in bench.hears(1).ihave


def test_peers_in_backoff_are_told_too(bench: Bench) -> None:
    """Stock routers leave them out, and they starve (p2p.md, section 3)."""
    bench.join(*range(6), is_grafted=True)
    bench.says(0, prune=[Prune(TOPIC, (), 60)])
    bench.accept(bench.says(1, publish=[message()]))
    bench.beat()
    assert len(bench.hears(0).ihave) == 1


def test_everybody_is_told_of_every_message_in_time() -> None:
    """Thirty peers in backoff, six of them told per heartbeat in a stock router."""
    bench = Bench(parameters=Parameters(degree_high=0, degree=0, degree_low=0, degree_outbound=0))
    bench.router.subscribe(TOPIC, bench.now)
    bench.join(*range(30))
    told: dict[int, set[bytes]] = {number: set() for number in range(1, 30)}
    sent = set()
    for _ in range(12):
        one = message()
        sent.add(one.message_id)
        bench.accept(bench.says(0, publish=[one]))
        bench.beat()
        for number, ids in told.items():
            ids.update(i for ihave in bench.hears(number).ihave for i in ihave.message_ids)
    bench.beat(3)
    for number, ids in told.items():
        ids.update(i for ihave in bench.hears(number).ihave for i in ihave.message_ids)
        assert ids == sent


def test_what_is_announced_and_unknown_is_asked_for_once(bench: Bench) -> None:
    bench.join(0, 1)
    one, known = message(), message()
    bench.accept(bench.says(0, publish=[known]))
    ids = (one.message_id, known.message_id, b"too short", b"x" * 60)
    bench.says(0, ihave=[IHave(TOPIC, ids), IHave("unwanted", (message().message_id,))])
    assert list(bench.hears(0).iwant) == [one.message_id]
    bench.says(1, ihave=[IHave(TOPIC, ids)])
    assert list(bench.hears(1).iwant) == []
    assert len(delivered(bench.says(0, publish=[one]))) == 1
    assert bench.router.counters.recovered == 1
    assert blamed(bench.beat(10)) == []


def test_a_broken_promise_is_asked_of_another_and_blamed(bench: Bench) -> None:
    bench.join(0, 1)
    one = message()
    bench.says(0, ihave=[IHave(TOPIC, (one.message_id,))])
    bench.says(1, ihave=[IHave(TOPIC, (one.message_id,))])
    bench.hears(0)
    events = bench.beat(3)
    assert blamed(events) == [(PEERS[0], Offence.BROKEN_PROMISE)]
    assert list(bench.hears(1).iwant) == [one.message_id]
    assert len(delivered(bench.says(1, publish=[one]))) == 1
    assert bench.router.counters.broken == 1


def test_announcements_of_one_peer_are_bounded(bench: Bench) -> None:
    bench.join(0)

    def ids(first: int, count: int) -> tuple[bytes, ...]:
        return tuple(number.to_bytes(47, "big") for number in range(first, first + count))

    for start in range(0, 10_000, 2_000):
        bench.says(0, ihave=[IHave(TOPIC, ids(start, 2_000))])
    assert len(bench.hears(0).iwant) == limits.MAX_IHAVE_IDS
    bench.beat()
    bench.says(0, ihave=[IHave(TOPIC, ids(20_000 + n, 1)) for n in range(50)])
    assert len(bench.hears(0).iwant) == limits.MAX_IHAVE_RPCS


def test_a_peer_that_comes_back_is_told_what_it_missed(bench: Bench) -> None:
    bench.join(0, 1, is_grafted=True)
    bench.router.peer_left(PEERS[1])
    missed = [message(), message()]
    for one in missed:
        bench.accept(bench.says(0, publish=[one]))
    bench.beat(10)
    bench.router.peer_joined(PEERS[1], bench.now)
    bench.says(1, subscriptions=[Subscription(TOPIC, True)])
    (ihave,) = bench.hears(1).ihave
    assert ihave.message_ids == tuple(one.message_id for one in missed)
    bench.says(1, subscriptions=[Subscription(TOPIC, False), Subscription(TOPIC, True)])
    assert list(bench.hears(1).ihave) == [], "once"


def test_what_a_full_queue_dropped_is_announced_though_in_the_mesh(bench: Bench) -> None:
    bench.join(0, 1, is_grafted=True)
    big = [message(bytes(300_000)) for _ in range(20)]
    for one in big:
        bench.accept(bench.says(0, publish=[one]))
    assert bench.router.counters.dropped > 0
    arrived = {one.message_id for one in bench.hears(1).publish}
    bench.beat()
    (ihave,) = bench.hears(1).ihave
    lost = {one.message_id for one in big} - arrived
    assert lost
    assert lost <= set(ihave.message_ids)
    bench.says(1, iwant=sorted(lost))
    assert {one.message_id for one in bench.hears(1).publish} == lost
    assert bench.router.queued(PEERS[1]) == (0, 0)
