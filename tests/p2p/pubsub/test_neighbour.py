"""What is known of one connected peer."""

from __future__ import annotations

import pytest

from fondaco.p2p.pubsub.neighbour import SENT_SHARE, Neighbour, Protocol
from fondaco.p2p.pubsub.parameters import Parameters


def neighbour(protocol: Protocol = Protocol.GOSSIPSUB_11) -> Neighbour:
    return Neighbour(
        b"p",
        0.0,
        protocol=protocol,
        is_outbound=False,
        address=None,
        parameters=Parameters(messages_per_second=10.0, messages_burst=100.0),
    )


@pytest.mark.parametrize(
    ("protocol", "has_mesh"),
    [
        (Protocol.GOSSIPSUB_11, True),
        (Protocol.GOSSIPSUB_10, True),
        (Protocol.FLOODSUB, False),
    ],
)
def test_only_gossipsub_has_meshes(protocol: Protocol, has_mesh: bool) -> None:
    assert neighbour(protocol).has_mesh is has_mesh


def test_what_we_send_is_never_a_flood_to_a_peer_with_our_limits() -> None:
    """Whatever the rhythm, all that the sender lets go the receiver lets in."""
    sender, receiver, now = neighbour().sending, neighbour().bucket, 0.0
    sent = 0
    for step in range(5_000):
        now += (step * 7 % 13) * 0.01
        if sender.take(1, now):
            sent += 1
            assert receiver.take(1, now)
    assert sent == pytest.approx(now * 10.0 * SENT_SHARE + 100.0 * SENT_SHARE, rel=0.01)
