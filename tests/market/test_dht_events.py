"""Events are values: they can be kept, compared, and not be changed."""

from __future__ import annotations

import copy
import typing

import pytest

from fondaco.identity.keys import IdentityKey
from fondaco.market.contacts import MalformedContact, contact
from fondaco.market.dht_events import (
    Dropped,
    Event,
    Found,
    Joined,
    Kept,
    Located,
    Misbehaved,
    Placed,
    Refuse,
    Renew,
    Reply,
    Send,
    Shown,
)
from fondaco.market.dht_keys import NOTARY_INDEX_KEY
from fondaco.market.dht_messages import FindNode, Nodes
from fondaco.market.records import RecordKind, sign

KEY = NOTARY_INDEX_KEY
ALICE = IdentityKey(b"\x01" * 32)
CONTACT = contact(ALICE.public_key, ("somewhere",))
RECORD = sign(ALICE, KEY, RecordKind.NOTARY_INDEX, b"1 %", 1_600_000_000, network="main")

EXAMPLES: list[Event] = [
    Send(1, CONTACT, FindNode(KEY)),
    Reply(1, Nodes((CONTACT,))),
    Refuse(1),
    Misbehaved(CONTACT, MalformedContact("none")),
    Kept(record=RECORD, network="8.8.8.0/24", is_direct=True),
    Dropped(RECORD),
    Renew(RECORD),
    Shown(1, (RECORD,)),
    Found(errand=1, key=KEY, records=(RECORD,), hops=1, queries=20),
    Placed(errand=1, record=RECORD, holders=20),
    Located(errand=1, target=KEY, contacts=(CONTACT,), hops=1, queries=20),
    Joined(20),
]


def test_there_is_an_example_of_each_kind() -> None:
    assert {type(one) for one in EXAMPLES} == set(typing.get_args(Event))


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda one: type(one).__name__)
def test_events_stay_as_they_are(event: Event) -> None:
    assert copy.copy(event) == event
    assert hash(event) == hash(copy.copy(event))
    field = event.__struct_fields__[0]
    with pytest.raises(AttributeError):
        setattr(event, field, None)
