"""The queue to one peer: everything in one RPC, fair, bounded, and honest about losses."""

from __future__ import annotations

import random

from fondaco.p2p import limits
from fondaco.p2p.pubsub.framing import FrameDecoder
from fondaco.p2p.pubsub.outbox import OWN, Outbox
from fondaco.p2p.pubsub.rpc import Message, Prune, Rpc, Subscription, decode_rpc, encode_publish


def encoded(text: bytes) -> bytes:
    return encode_publish(Message(sender=b"s", data=text, seqno=b"n", topic="t"))


def take(outbox: Outbox) -> Rpc:
    frame = outbox.take(10_000)
    assert frame is not None
    (payload,) = FrameDecoder().feed(frame)
    return decode_rpc(payload)


def data(rpc: Rpc) -> list[bytes]:
    return [message.data for message in rpc.publish]


def test_everything_goes_into_one_rpc() -> None:
    outbox = Outbox()
    outbox.subscription("a", is_wanted=True)
    outbox.subscription("b", is_wanted=False)
    outbox.graft("a")
    outbox.prune(Prune("b", (), 60))
    outbox.ihave("a", [b"1", b"2"])
    outbox.ihave("a", [b"2", b"3"])
    outbox.iwant([b"4", b"4"])
    outbox.message(OWN, b"5", encoded(b"five"))
    outbox.message(b"p", b"6", encoded(b"six"))
    assert outbox
    rpc = take(outbox)
    assert list(rpc.subscriptions) == [Subscription("a", True), Subscription("b", False)]
    assert list(rpc.graft) == ["a"]
    assert list(rpc.prune) == [Prune("b", (), 60)]
    assert [(one.topic, one.message_ids) for one in rpc.ihave] == [("a", (b"1", b"2", b"3"))]
    assert list(rpc.iwant) == [b"4"]
    assert data(rpc) == [b"five", b"six"]
    assert not outbox
    assert outbox.take(10_000) is None


def test_the_last_word_on_a_topic_counts() -> None:
    outbox = Outbox()
    outbox.subscription("t", is_wanted=True)
    outbox.subscription("t", is_wanted=False)
    outbox.graft("t")
    outbox.prune(Prune("t"))
    rpc = take(outbox)
    assert list(rpc.subscriptions) == [Subscription("t", False)]
    assert list(rpc.graft) == []
    assert list(rpc.prune) == [Prune("t")]


def test_sources_take_turns() -> None:
    outbox = Outbox()
    for number in range(100):
        outbox.message(b"loud", b"%d" % number, encoded(b"loud"))
    outbox.message(b"quiet", b"q", encoded(b"quiet"))
    outbox.message(OWN, b"o", encoded(b"own"))
    assert data(take(outbox))[:4] == [b"loud", b"quiet", b"own", b"loud"]


def test_a_full_queue_drops_what_the_loudest_said_last() -> None:
    outbox = Outbox(max_messages=10)
    assert outbox.message(b"quiet", b"q", encoded(b"quiet")) == []
    dropped = [
        lost
        for number in range(50)
        for lost in outbox.message(b"loud", b"%d" % number, encoded(b"%d" % number))
    ]
    assert dropped == [b"%d" % number for number in range(9, 50)]
    assert outbox.message(OWN, b"o", encoded(b"own")) == [b"8"]
    assert outbox.messages == 10
    assert sorted(data(take(outbox))) == sorted([b"quiet", b"own", *(b"%d" % n for n in range(8))])
    assert (outbox.messages, outbox.size) == (0, 0)


def test_what_the_peer_has_meanwhile_is_not_sent() -> None:
    outbox = Outbox()
    for source in (OWN, b"a", b"b"):
        for number in range(3):
            outbox.message(source, source + b"%d" % number, encoded(source + b"%d" % number))
    outbox.message(b"b", b"a1", encoded(b"a1"))
    for message_id in (b"0", b"a1", b"a2", b"a0", b"never queued"):
        outbox.withdraw(message_id)
    assert outbox.messages == 5
    assert outbox.size == sum(len(encoded(one)) for one in (b"1", b"2", b"b0", b"b1", b"b2"))
    assert data(take(outbox)) == [b"1", b"b0", b"2", b"b1", b"b2"]
    assert (outbox.messages, outbox.size) == (0, 0)
    assert not outbox


def test_a_message_waits_once_for_each_source() -> None:
    outbox = Outbox()
    for _ in range(2):
        assert outbox.message(OWN, b"id", encoded(b"text")) == []
    assert data(take(outbox)) == [b"text"]


def test_bytes_are_bounded_too() -> None:
    outbox = Outbox(max_bytes=10_000)
    for number in range(50):
        outbox.message(OWN, b"%d" % number, encoded(bytes(1_000)))
        assert outbox.size <= 10_000
    assert outbox.messages == 9


def test_long_queues_become_frames_that_every_implementation_takes() -> None:
    outbox, sent = Outbox(), []
    rng = random.Random(6)
    for number in range(60):
        outbox.message(OWN, b"%d" % number, encoded(rng.randbytes(40_000)))
    ids = [number.to_bytes(47, "big") for number in range(limits.MAX_QUEUED_IDS)]
    assert outbox.iwant(ids[:12_000]) == 0
    assert outbox.ihave("t", ids) == 12_000
    asked, told = list[bytes](), list[bytes]()
    while (frame := outbox.take(10_000)) is not None:
        assert len(frame) <= limits.MAX_RPC_SIZE
        (payload,) = FrameDecoder().feed(frame)
        rpc = decode_rpc(payload)
        sent += data(rpc)
        asked += rpc.iwant
        told += [one for ihave in rpc.ihave for one in ihave.message_ids]
    assert len(sent) == 60
    assert asked == ids[:12_000]
    assert told == ids[:8_000]
    assert not outbox


def test_a_message_of_the_largest_size_goes_alone() -> None:
    outbox = Outbox()
    for number in range(3):
        outbox.message(OWN, b"%d" % number, encoded(bytes(limits.MAX_DATA_SIZE)))
    assert [len(data(take(outbox))) for _ in range(3)] == [1, 1, 1]
