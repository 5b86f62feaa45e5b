"""Connected peers, by peer and by topic."""

from __future__ import annotations

import random

import pytest

from fondaco.p2p import limits
from fondaco.p2p.pubsub.counters import Counters
from fondaco.p2p.pubsub.events import Ready
from fondaco.p2p.pubsub.neighbour import Neighbour, Protocol
from fondaco.p2p.pubsub.neighbourhood import Neighbourhood
from fondaco.p2p.pubsub.parameters import Parameters
from fondaco.p2p.scores import Offence, Scores


class Street:
    def __init__(self) -> None:
        self.scores = Scores()
        self.parameters = Parameters()
        self.hood = Neighbourhood(self.parameters, random.Random(11), self.scores, Counters())

    def add(self, peer: bytes, protocol: Protocol = Protocol.GOSSIPSUB_11) -> Neighbour:
        neighbour = Neighbour(
            peer,
            0.0,
            protocol=protocol,
            is_outbound=True,
            address="203.0.113.7",
            parameters=self.parameters,
        )
        self.hood.add(neighbour)
        assert self.hood.subscribed(neighbour, "t")
        return neighbour


@pytest.fixture
def street() -> Street:
    return Street()


def test_subscribers_come_and_go(street: Street) -> None:
    one, two = street.add(b"1"), street.add(b"2")
    assert street.hood.subscribers("t") == [one, two]
    assert not street.hood.subscribed(one, "t"), "no news"
    street.hood.unsubscribed(one, "t")
    street.hood.unsubscribed(one, "never")
    assert street.hood.subscribers("t") == [two]
    assert street.hood.remove(b"2") is two
    assert two.is_gone
    assert street.hood.remove(b"2") is None
    assert street.hood.subscribers("t") == []
    assert street.hood.subscribers("never") == []


def test_topics_of_one_peer_are_bounded(street: Street) -> None:
    one = street.add(b"1")
    news = [street.hood.subscribed(one, f"{n}") for n in range(limits.MAX_PEER_TOPICS)]
    assert news == [True] * (limits.MAX_PEER_TOPICS - 1) + [False]


def test_candidates_speak_gossipsub(street: Street) -> None:
    street.add(b"1")
    flooder = street.add(b"2", Protocol.FLOODSUB)
    street.add(b"3", Protocol.GOSSIPSUB_10)
    street.scores.report(b"3", Offence.INVALID_MESSAGE, 0.0, weight=2.0)
    found = [(one.peer, one.is_good, one.score) for one in street.hood.candidates("t", 0.0)]
    assert found == [(b"1", True, 0.0), (b"3", False, -40.0)]
    assert street.hood.flooders("t") == [flooder]
    street.hood.remove(b"2")
    assert street.hood.flooders("t") == []


def test_a_peer_is_woken_once_until_its_queue_was_empty(street: Street) -> None:
    one = street.add(b"1")
    street.hood.wake(one)
    assert street.hood.events == [], "nothing waits"
    street.hood.send_graft("t", [b"1"])
    street.hood.send_iwant(one, [b"id"])
    street.hood.send_ihave(one, "t", [b"id"])
    assert street.hood.events == [Ready(b"1")]
    assert street.hood.take(b"1", 0.0) is not None
    street.hood.announce("u", is_wanted=True)
    assert street.hood.take(b"1", 0.0) is not None
    assert street.hood.take(b"1", 0.0) is None
    street.hood.announce("u", is_wanted=False)
    assert street.hood.events == [Ready(b"1")] * 2
    assert street.hood.take(b"never", 0.0) is None


def test_nobody_bad_is_recommended(street: Street) -> None:
    for number in range(30):
        street.add(b"%d" % number)
    street.scores.report(b"7", Offence.INVALID_MESSAGE, 0.0, weight=2.0)
    street.hood.send_prune("t", [b"0", b"7", b"left"], 0.0, 60.0)
    assert street.hood.all[b"0"].outbox
    pruned = street.hood.all[b"0"].outbox._mesh["t"]
    assert pruned is not None
    names = {one.peer for one in pruned.peers}
    assert len(names) == street.parameters.exchanged_peers
    assert not names & {b"0", b"7"}
    punished = street.hood.all[b"7"].outbox._mesh["t"]
    assert punished is not None
    assert punished.peers == ()
