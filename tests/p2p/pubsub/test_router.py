"""Dialogues with a router: subscriptions, meshes, messages and verdicts."""

from __future__ import annotations

import msgspec
import pytest

from fondaco.errors import Verdict
from fondaco.p2p import limits
from fondaco.p2p.pubsub.events import Deliver, Exchange
from fondaco.p2p.pubsub.neighbour import Protocol
from fondaco.p2p.pubsub.rpc import (
    IHave,
    PeerInfo,
    Prune,
    Subscription,
)
from fondaco.p2p.scores import Offence
from support.gossip_bench import (
    AUTHOR,
    ME,
    NOW_NS,
    PEERS,
    TOPIC,
    Bench,
    blamed,
    delivered,
    message,
    subscribed_bench,
    woken,
)


@pytest.fixture
def bench() -> Bench:
    return subscribed_bench()


# --- subscriptions and mesh ------------------------------------------------------------


def test_a_new_peer_is_told_our_topics_and_grafted_at_the_heartbeat(bench: Bench) -> None:
    assert woken(bench.router.peer_joined(PEERS[0], bench.now)) == {PEERS[0]}
    assert list(bench.hears(0).subscriptions) == [Subscription(TOPIC, True)]
    bench.says(0, subscriptions=[Subscription(TOPIC, True), Subscription("other", True)])
    assert bench.router.subscribers(TOPIC) == [PEERS[0]]
    assert bench.router.topics_of(PEERS[0]) == [TOPIC, "other"]
    assert woken(bench.beat()) == {PEERS[0]}
    assert list(bench.hears(0).graft) == [TOPIC]
    assert bench.router.mesh(TOPIC) == [PEERS[0]]


def test_a_reopened_stream_is_told_everything_once_more(bench: Bench) -> None:
    bench.join(0, is_grafted=True)
    bench.hears(0)
    bench.router.publish(TOPIC, b"said before", bench.now, NOW_NS)
    bench.hears(0)  # and lost with the stream
    bench.now += 2.0
    assert woken(bench.router.peer_reopened(PEERS[0], bench.now)) == {PEERS[0]}
    heard = bench.hears(0)
    assert list(heard.subscriptions) == [Subscription(TOPIC, True)]
    assert list(heard.graft) == [TOPIC]
    assert [one.message_ids for one in heard.ihave] == [(bench.router.last_published,)]
    # What it has told us stands.
    assert bench.router.subscribers(TOPIC) == [PEERS[0]]
    assert bench.router.peer_reopened(PEERS[1], bench.now) == []


def test_subscribing_later_announces_and_grafts_at_once() -> None:
    bench = Bench()
    bench.join(*range(10))
    assert woken(bench.router.subscribe(TOPIC, bench.now)) == set(PEERS[:10])
    heard = [bench.hears(number) for number in range(10)]
    assert all(list(rpc.subscriptions) == [Subscription(TOPIC, True)] for rpc in heard)
    assert sum(list(rpc.graft) == [TOPIC] for rpc in heard) == 6
    assert bench.router.subscribe(TOPIC, bench.now) == []


def test_unsubscribing_prunes_with_a_short_backoff(bench: Bench) -> None:
    bench.join(*range(3), is_grafted=True)
    bench.router.unsubscribe(TOPIC, bench.now)
    rpc = bench.hears(0)
    assert list(rpc.subscriptions) == [Subscription(TOPIC, False)]
    assert [(one.topic, one.backoff) for one in rpc.prune] == [(TOPIC, 10)]
    assert bench.router.topics == []
    bench.router.subscribe(TOPIC, bench.now + 1)
    assert list(bench.hears(0).graft) == [], "the waiting time survives"
    assert bench.router.unsubscribe("never joined", bench.now) == []


def test_a_peer_that_leaves_a_topic_leaves_the_mesh(bench: Bench) -> None:
    bench.join(0, 1, is_grafted=True)
    bench.says(0, subscriptions=[Subscription(TOPIC, False)])
    assert bench.router.mesh(TOPIC) == [PEERS[1]]
    bench.router.peer_left(PEERS[1])
    assert bench.router.mesh(TOPIC) == []
    assert bench.router.peers == [PEERS[0]]
    assert bench.says(1, publish=[message()]) == [], "of a peer that left nothing is taken"
    assert bench.router.take(PEERS[1], bench.now) is None


def test_the_thirteenth_graft_is_answered_with_others_to_go_to(bench: Bench) -> None:
    bench.join(*range(12), is_grafted=True)
    bench.router.peer_record(PEERS[3], b"record")
    bench.join(12)
    bench.says(12, graft=[TOPIC])
    (prune,) = bench.hears(12).prune
    assert prune.backoff == 60
    assert {one.peer for one in prune.peers} == set(PEERS[:12])
    assert PeerInfo(PEERS[3], b"record") in prune.peers
    events = bench.says(12, graft=[TOPIC])
    assert blamed(events) == [(PEERS[12], Offence.EARLY_GRAFT)]
    assert list(bench.hears(12).prune) == [Prune(TOPIC, (), 60)]


def test_a_peer_of_version_1_0_gets_the_old_prune(bench: Bench) -> None:
    bench.join(*range(12), is_grafted=True)
    bench.join(12, protocol=Protocol.GOSSIPSUB_10)
    bench.says(12, graft=[TOPIC])
    assert list(bench.hears(12).prune) == [Prune(TOPIC)]


def test_grafts_of_invented_topics_are_not_answered(bench: Bench) -> None:
    bench.join(0)
    bench.says(0, graft=["invented", "topics"])
    assert list(bench.hears(0).prune) == []


def test_peers_named_in_a_prune_are_suggested(bench: Bench) -> None:
    bench.join(0, is_grafted=True)
    others = (PeerInfo(PEERS[5], b"record"), PeerInfo(PEERS[6]))
    events = bench.says(0, prune=[Prune(TOPIC, others, 60)])
    assert events == [Exchange(PEERS[0], TOPIC, others)]
    assert bench.router.mesh(TOPIC) == []
    bench.router.report(PEERS[0], Offence.INVALID_MESSAGE, bench.now, weight=2.0)
    assert bench.says(0, prune=[Prune(TOPIC, others, 60)]) == []


def test_a_peer_has_a_bounded_number_of_topics(bench: Bench) -> None:
    names = [f"t{number}" for number in range(limits.MAX_PEER_TOPICS + 5)]
    bench.join(0, topics=names)
    assert bench.router.topics_of(PEERS[0]) == names[: limits.MAX_PEER_TOPICS]


# --- messages --------------------------------------------------------------------------


def test_a_message_is_delivered_once_and_forwarded_after_its_verdict(bench: Bench) -> None:
    bench.join(*range(4), is_grafted=True)
    bench.join(4)
    one = message()
    (event,) = bench.says(0, publish=[one])
    assert event == Deliver(
        topic=TOPIC,
        message_id=one.message_id,
        peer=PEERS[0],
        author=AUTHOR.peer,
        data=b"data",
    )
    assert bench.says(1, publish=[one]) == [], "a duplicate during validation"
    assert bench.router.validating == 1
    events = bench.router.verdict(one.message_id, Verdict.ACCEPT, bench.now)
    assert woken(events) == {PEERS[2], PEERS[3]}, "not those who have it, nor outside the mesh"
    assert list(bench.hears(2).publish) == [one]
    assert bench.says(3, publish=[one]) == []
    assert bench.router.verdict(one.message_id, Verdict.ACCEPT, bench.now) == []
    counters = bench.router.counters
    assert (counters.delivered, counters.duplicates, counters.forwarded) == (1, 2, 2)


def test_a_copy_that_waits_is_not_sent_to_a_peer_that_shows_its_own(bench: Bench) -> None:
    bench.join(*range(3), is_grafted=True)
    one, two = message(b"one"), message(b"two")
    for each in (one, two):
        bench.accept(bench.says(0, publish=[each]))
    bench.says(1, publish=[one])
    bench.says(2, ihave=[IHave(TOPIC, (one.message_id, two.message_id))])
    assert [each.data for each in bench.hears(1).publish] == [b"two"]
    assert list(bench.hears(2).publish) == []


def test_ignored_messages_go_nowhere_and_harm_nobody(bench: Bench) -> None:
    bench.join(0, 1, is_grafted=True)
    one = message()
    bench.says(0, publish=[one])
    assert bench.router.verdict(one.message_id, Verdict.IGNORE, bench.now) == []
    assert bench.says(1, publish=[one]) == [], "seen: not judged again"
    assert bench.scores.score(PEERS[0], bench.now) == 0.0


def test_everybody_who_brought_a_rejected_message_is_blamed(bench: Bench) -> None:
    bench.join(*range(4), is_grafted=True)
    one = message()
    bench.says(0, publish=[one])
    bench.says(1, publish=[one])
    events = bench.router.verdict(one.message_id, Verdict.REJECT, bench.now)
    assert blamed(events) == [(peer, Offence.INVALID_MESSAGE) for peer in PEERS[:2]]
    events = bench.says(2, publish=[one])
    assert blamed(events) == [(PEERS[2], Offence.INVALID_MESSAGE)]
    assert list(bench.hears(3).publish) == []


def test_a_bad_signature_is_blamed_and_does_not_hide_the_real_message(bench: Bench) -> None:
    bench.join(0, 1, is_grafted=True)
    one = message()
    forged = msgspec.structs.replace(one, data=b"forged")
    assert blamed(bench.says(0, publish=[forged])) == [(PEERS[0], Offence.BAD_SIGNATURE)]
    assert delivered(bench.says(1, publish=[one])) != []


def test_unknown_keys_unwanted_topics_and_echoes_are_dropped_without_blame(bench: Bench) -> None:
    bench.join(0, is_grafted=True)
    stranger = msgspec.structs.replace(message(), sender=b"ed25519")
    echo = ME.write(TOPIC, b"ours, before a restart", NOW_NS)
    assert bench.says(0, publish=[stranger, echo, message(topic="unwanted")]) == []
    assert bench.router.counters.unwanted == 3


def test_a_malformed_frame_is_an_offence(bench: Bench) -> None:
    bench.join(0)
    events = bench.router.received_frame(PEERS[0], b"\xff", bench.now)
    assert blamed(events) == [(PEERS[0], Offence.MALFORMED_RPC)]


def test_own_messages_go_to_every_subscriber(bench: Bench) -> None:
    bench.join(*range(20))
    events = bench.router.publish(TOPIC, b"mine", bench.now, NOW_NS)
    assert woken(events) == set(PEERS[:20])
    (mine,) = bench.hears(19).publish
    assert (mine.data, mine.sender) == (b"mine", ME.peer)
    assert mine.message_id == bench.router.last_published
    assert bench.says(0, publish=[mine]) == [], "our own coming back"


def test_own_messages_to_topics_we_do_not_read(bench: Bench) -> None:
    bench.join(0, topics=["other"])
    bench.router.publish("other", b"mine", bench.now, NOW_NS)
    assert [one.data for one in bench.hears(0).publish] == [b"mine"]
    bench.join(1, topics=["other"])  # comes a moment late: is told all the same
    bench.beat()
    assert bench.hears(0).ihave[0].message_ids == (bench.router.last_published,)
    bench.says(1, iwant=[bench.router.last_published])
    assert [one.data for one in bench.hears(1).publish] == [b"mine"]
    bench.beat(61)
    bench.join(2, topics=["other"])
    assert list(bench.hears(2).ihave) == []


@pytest.mark.parametrize("data", [b"", bytes(limits.MAX_DATA_SIZE + 1)])
def test_what_cannot_be_published(bench: Bench, data: bytes) -> None:
    with pytest.raises(ValueError, match="published"):
        bench.router.publish(TOPIC, data, bench.now, NOW_NS)


def test_floodsub_peers_get_everything_and_no_control(bench: Bench) -> None:
    bench.join(0, protocol=Protocol.FLOODSUB)
    bench.join(1, is_grafted=True)
    bench.accept(bench.says(1, publish=[message(b"x")]))
    bench.beat(3)
    rpc = bench.hears(0)
    assert [one.data for one in rpc.publish] == [b"x"]
    assert (list(rpc.graft), list(rpc.ihave)) == ([], [])


def test_what_is_queued_becomes_one_frame_and_one_wake(bench: Bench) -> None:
    bench.join(0)
    first = bench.router.publish(TOPIC, b"1", bench.now, NOW_NS)
    assert woken(first) == {PEERS[0]}
    assert bench.router.publish(TOPIC, b"2", bench.now, NOW_NS) == []
    assert bench.router.queued(PEERS[0])[0] == 2
    frame = bench.router.take(PEERS[0], bench.now)
    assert frame is not None
    assert woken(bench.router.publish(TOPIC, b"3", bench.now, NOW_NS)) == set(), "not yet empty"
    assert bench.router.take(PEERS[0], bench.now) is not None
    assert bench.router.take(PEERS[0], bench.now) is None
    assert woken(bench.router.publish(TOPIC, b"4", bench.now, NOW_NS)) == {PEERS[0]}


def test_a_verdict_that_never_comes_counts_as_ignore(bench: Bench) -> None:
    bench.join(0, is_grafted=True)
    bench.says(0, publish=[message()])
    bench.beat(59)
    assert bench.router.validating == 1
    bench.beat(2)
    assert bench.router.validating == 0
    assert bench.router.counters.late == 1


def test_one_peer_cannot_fill_the_queue_of_messages_to_be_judged(bench: Bench) -> None:
    bench.join(0, 1, is_grafted=True)
    flood = [message() for _ in range(limits.MAX_PEER_VALIDATIONS + 3)]
    assert len(delivered(bench.says(0, publish=flood))) == limits.MAX_PEER_VALIDATIONS
    assert bench.router.counters.crowded == 3
    assert len(delivered(bench.says(1, publish=[flood[-1]]))) == 1, "not remembered as seen"
