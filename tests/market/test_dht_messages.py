"""Requests and answers that no honest node sends."""

from __future__ import annotations

import msgspec
import pytest

from fondaco.errors import PeerError, Verdict
from fondaco.identity.keys import IdentityKey
from fondaco.market.contacts import Contact, contact
from fondaco.market.dht_keys import NOTARY_INDEX_KEY, DhtKey
from fondaco.market.dht_messages import (
    Answer,
    FindNode,
    FindValue,
    Nodes,
    Request,
    Store,
    Stored,
    Values,
    check_answer,
    check_request,
)
from fondaco.market.records import Record, RecordKind, sign

KEYS = [IdentityKey(number.to_bytes(32)) for number in range(1, 60)]
CONTACTS = tuple(contact(key.public_key, ("somewhere",)) for key in KEYS)
ALICE = CONTACTS[0]
PLACE = NOTARY_INDEX_KEY


def record(owner: IdentityKey, key: DhtKey = PLACE, size: int = 3) -> Record:
    return sign(owner, key, RecordKind.NOTARY_INDEX, bytes(size), 1_600_000_000, network="main")


RECORDS = tuple(sorted((record(key) for key in KEYS), key=lambda one: one.owner))
BOGUS: Contact = msgspec.structs.replace(ALICE, peer_id="nobody")
LONG = msgspec.structs.replace(RECORDS[0], payload=bytes(300_000))


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (FindNode(PLACE), Nodes(())),
        (FindNode(PLACE), Nodes(CONTACTS[:20])),
        (FindValue(PLACE), Values(contacts=CONTACTS[:20])),
        (FindValue(PLACE), Values(records=RECORDS[:48], contacts=CONTACTS[:20], has_more=True)),
        (FindValue(PLACE, RECORDS[0].owner), Values(records=RECORDS[1:3])),
        (Store(RECORDS[:48]), Stored(48)),
        (Store(RECORDS[:2]), Stored(0)),
    ],
    ids=str,
)
def test_good_ones(request_: Request, answer: Answer) -> None:
    check_request(request_)
    check_answer(request_, answer)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(FindNode(PLACE[1:]), id="short target"),
        pytest.param(FindNode(b""), id="no target"),
        pytest.param(FindValue(DhtKey(PLACE + b"\0")), id="long key"),
        pytest.param(Store(()), id="nothing to store"),
        pytest.param(Store(RECORDS[:49]), id="too many records"),
        pytest.param(Store((LONG,)), id="too many bytes"),
    ],
)
def test_bad_requests(wrong: Request) -> None:
    with pytest.raises(PeerError) as caught:
        check_request(wrong)
    assert caught.value.verdict is Verdict.REJECT


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        pytest.param(FindNode(PLACE), Values(), id="values for nodes"),
        pytest.param(FindValue(PLACE), Nodes(()), id="nodes for values"),
        pytest.param(Store(RECORDS[:1]), Nodes(()), id="nodes for stored"),
        pytest.param(FindNode(PLACE), Nodes(CONTACTS[:21]), id="too many contacts"),
        pytest.param(FindNode(PLACE), Nodes((BOGUS,)), id="a false contact"),
        pytest.param(FindValue(PLACE), Values(contacts=(BOGUS,)), id="a false contact too"),
        pytest.param(
            FindValue(PLACE), Values(records=(record(KEYS[0], DhtKey(bytes(20))),)), id="other key"
        ),
        pytest.param(FindValue(PLACE), Values(records=RECORDS[:49]), id="too many records"),
        pytest.param(FindValue(PLACE), Values(records=(LONG,)), id="too many bytes"),
        pytest.param(FindValue(PLACE), Values(records=RECORDS[1::-1]), id="out of order"),
        pytest.param(FindValue(PLACE), Values(records=RECORDS[:1] * 2), id="one owner twice"),
        pytest.param(
            FindValue(PLACE, RECORDS[1].owner), Values(records=RECORDS[1:2]), id="the page before"
        ),
        pytest.param(FindValue(PLACE), Values(has_more=True), id="endless empty pages"),
        pytest.param(Store(RECORDS[:1]), Stored(2), id="more than was sent"),
        pytest.param(Store(RECORDS[:1]), Stored(-1), id="less than nothing"),
    ],
)
def test_bad_answers(request_: Request, answer: Answer) -> None:
    with pytest.raises(PeerError) as caught:
        check_answer(request_, answer)
    assert caught.value.verdict is Verdict.REJECT
