"""Numbers that only make sense together."""

from __future__ import annotations

from fondaco.p2p import limits
from fondaco.p2p.pubsub.neighbour import Protocol
from fondaco.p2p.pubsub.parameters import Parameters
from fondaco.p2p.pubsub.promises import MAX_ATTEMPTS

NUMBERS = Parameters()


def test_degrees_are_in_order() -> None:
    assert NUMBERS.degree_low < NUMBERS.degree < NUMBERS.degree_high
    assert NUMBERS.degree_outbound < NUMBERS.degree_low
    assert NUMBERS.degree_outbound <= NUMBERS.degree // 2
    assert NUMBERS.degree_score + NUMBERS.degree_outbound <= NUMBERS.degree


def test_a_message_can_be_had_as_long_as_it_is_asked_for() -> None:
    last_request = NUMBERS.gossip_windows + (MAX_ATTEMPTS - 1) * NUMBERS.promise_seconds
    assert last_request < NUMBERS.history * NUMBERS.heartbeat
    assert NUMBERS.history * NUMBERS.heartbeat < limits.SEEN_SECONDS


def test_what_waits_in_a_queue_of_ours_is_no_flood_when_it_arrives() -> None:
    assert NUMBERS.messages_burst > limits.MAX_QUEUED_MESSAGES


def test_one_frame_of_ours_fits_into_an_rpc() -> None:
    ids = limits.MAX_COALESCED_IDS * (47 + 2)
    topics = limits.MAX_PEER_TOPICS * 200
    assert limits.MAX_COALESCED_SIZE + ids + topics < limits.MAX_RPC_SIZE
    assert limits.MAX_DATA_SIZE <= limits.MAX_COALESCED_SIZE
    assert limits.MAX_COALESCED_IDS <= limits.MAX_RPC_IDS
    assert limits.MAX_QUEUED_IDS <= limits.MAX_RPC_IDS


def test_protocols_are_offered_best_first() -> None:
    assert [one.value for one in Protocol] == [
        "/meshsub/1.1.0",
        "/meshsub/1.0.0",
        "/floodsub/1.0.0",
    ]
