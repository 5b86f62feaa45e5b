"""Events are values: they can be kept, compared, and not be changed."""

from __future__ import annotations

import copy
import typing

import pytest

from fondaco.p2p.pubsub.events import Deliver, Disconnect, Event, Exchange, Misbehaved, Ready
from fondaco.p2p.pubsub.rpc import PeerInfo
from fondaco.p2p.scores import Ban, Offence

EXAMPLES: list[Event] = [
    Ready(b"p"),
    Deliver(topic="t", message_id=b"i", peer=b"p", author=b"a", data=b"d"),
    Misbehaved(b"p", Offence.FLOODING),
    Disconnect(b"p", Offence.FLOODING, Ban(until=1.0, count=1)),
    Exchange(b"p", "t", (PeerInfo(b"q"),)),
]


def test_there_is_an_example_of_each_kind() -> None:
    assert {type(one) for one in EXAMPLES} == set(typing.get_args(Event))


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda one: type(one).__name__)
def test_events_say_whom_they_are_about_and_stay_as_they_are(event: Event) -> None:
    assert event.peer == b"p"
    assert hash(event) == hash(copy.copy(event))
    with pytest.raises(AttributeError):
        event.peer = b"q"  # type: ignore[misc]
