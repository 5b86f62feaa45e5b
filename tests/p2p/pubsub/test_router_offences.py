"""Dialogues with peers that misbehave, until they are thrown out."""

from __future__ import annotations

import msgspec
import pytest

from fondaco.p2p import limits
from fondaco.p2p.pubsub.events import Disconnect, Event, Misbehaved
from fondaco.p2p.pubsub.parameters import Parameters
from fondaco.p2p.pubsub.rpc import (
    IHave,
    Subscription,
)
from fondaco.p2p.scores import Offence
from support.gossip_bench import (
    NOW_NS,
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


def test_offences_end_in_a_ban_that_ends(bench: Bench) -> None:
    bench.join(*range(2), is_grafted=True)
    events: list[Event] = []
    while not any(isinstance(event, Disconnect) for event in events):
        events = bench.router.report(PEERS[0], Offence.FALSE_RECONCILIATION, bench.now)
    ban = bench.bans.refuses(PEERS[0], None, bench.now)
    assert ban is not None
    assert events[-1] == Disconnect(PEERS[0], Offence.FALSE_RECONCILIATION, ban)
    assert bench.router.peers == [PEERS[1]]
    assert bench.router.mesh(TOPIC) == [PEERS[1]]
    late = bench.router.report(PEERS[0], Offence.INVALID_ORDER, bench.now, weight=1_000.0)
    assert [type(event) for event in late] == [Misbehaved], "no second ban for the same past"
    assert bench.bans.refuses(PEERS[0], None, bench.now + limits.FIRST_BAN) is None
    assert bench.scores.score(PEERS[0], bench.now) == 0.0


def test_a_peer_banned_in_the_middle_of_an_rpc_is_not_listened_to(bench: Bench) -> None:
    bench.join(0)
    forged = [msgspec.structs.replace(message(), data=b"forged") for _ in range(10)]
    events = bench.says(0, publish=[*forged, message()], graft=[TOPIC])
    assert delivered(events) == []
    assert isinstance(events[-1], Disconnect)
    assert len(blamed(events)) == 2
    assert bench.router.mesh(TOPIC) == []
    bench.beat(2)


def test_suspects_leave_the_mesh_and_are_not_answered(bench: Bench) -> None:
    bench.join(0, 1, is_grafted=True)
    one = message()
    bench.accept(bench.says(1, publish=[one]))
    bench.router.report(PEERS[0], Offence.INVALID_MESSAGE, bench.now, weight=2.0)
    bench.beat()
    bench.hears(0)
    assert bench.router.mesh(TOPIC) == [PEERS[1]]
    bench.says(0, iwant=[one.message_id], ihave=[IHave(TOPIC, (message().message_id,))])
    bench.router.publish(TOPIC, b"mine", bench.now, NOW_NS)
    rpc = bench.hears(0)
    assert (list(rpc.publish), list(rpc.iwant), list(rpc.ihave)) == ([], [], [])


def test_flooding_is_dropped_unread_and_then_banned() -> None:
    bench = Bench(
        parameters=Parameters(messages_per_second=10.0, messages_burst=20.0, flood_size=50)
    )
    bench.router.subscribe(TOPIC, bench.now)
    bench.join(0, 1, is_grafted=True)
    seconds = 0
    while bench.router.peers != [PEERS[1]]:
        seconds += 1
        events = bench.says(0, publish=[message() for _ in range(100)])
        assert len(delivered(events)) <= 20
        honest = bench.says(1, publish=[message()])
        assert len(delivered(honest)) == 1
        bench.beat()
        assert seconds < 5


def test_control_costs_budget_too() -> None:
    bench = Bench(
        parameters=Parameters(messages_per_second=10.0, messages_burst=200.0, flood_size=50)
    )
    bench.router.subscribe(TOPIC, bench.now)
    bench.join(0)
    events: list[Event] = []
    for _ in range(10):
        for _ in range(10):
            events += bench.says(0, graft=[f"t{number}" for number in range(100)])
        events += bench.beat()
    assert any(isinstance(event, Disconnect) for event in events)


def test_joining_twice_starts_anew(bench: Bench) -> None:
    bench.join(0, is_grafted=True)
    bench.router.peer_joined(PEERS[0], bench.now)
    assert bench.router.subscribers(TOPIC) == []
    assert list(bench.hears(0).subscriptions) == [Subscription(TOPIC, True)]
