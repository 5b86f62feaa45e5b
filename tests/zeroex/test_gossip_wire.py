"""The three forms of a gossip message, and the gathering of orders into batches."""

from __future__ import annotations

import json

import pytest

from fondaco.errors import Verdict
from fondaco.testing.orders import make_order
from fondaco.zeroex.codec import encode_order
from fondaco.zeroex.gossip_wire import Batches, MalformedGossip, encode_message, read_message
from fondaco.zeroex.limits import (
    BATCH_SECONDS,
    BATCH_SIZE,
    MAX_GOSSIP_MESSAGE,
    MAX_GOSSIP_ORDERS,
    MAX_UNSENT_BYTES,
)
from fondaco.zeroex.order import ProtocolVersion

V2, V3 = ProtocolVersion.V2, ProtocolVersion.V3
TOPIC = {V2: "/0x-orders/network/1337/version/1", V3: "/0x-orders/version/3/chain/1337/schema/e30="}


def bodies(count: int, version: ProtocolVersion = V3) -> list[bytes]:
    return [encode_order(make_order(version=version, salt=n)) for n in range(count)]


FORMS = [
    pytest.param(b'{"MessageType":"order","Order":{"a":1}}', V2, [b'{"a":1}'], id="single v2"),
    pytest.param(
        b'{"messageType":"order","order":{"a":1},"topics":["%s"]}' % TOPIC[V3].encode(),
        V3,
        [b'{"a":1}'],
        id="single v3",
    ),
    pytest.param(
        b'{"messageType":"orders","orders":[{"a":1},{"b":2}],"topics":["%s"]}' % TOPIC[V3].encode(),
        V3,
        [b'{"a":1}', b'{"b":2}'],
        id="batch v3",
    ),
    pytest.param(
        b'{"messageType":"orders","orders":[{"a":1},{"b":2}],"topics":["%s"]}' % TOPIC[V2].encode(),
        V2,
        [b'{"a":1}', b'{"b":2}'],
        id="batch v2",
    ),
]


@pytest.mark.parametrize(("wire", "version", "orders"), FORMS)
def test_each_form_is_read_and_written(
    wire: bytes, version: ProtocolVersion, orders: list[bytes]
) -> None:
    assert [bytes(raw) for raw in read_message(wire, TOPIC[version], version)] == orders
    assert encode_message(orders, (TOPIC[version],), version) == wire


@pytest.mark.parametrize(
    ("wire", "version"),
    [
        pytest.param(b"", V3, id="empty"),
        pytest.param(b"\xff\xfe", V3, id="no text"),
        pytest.param(b"[" * 5000, V3, id="deep"),
        pytest.param(b"{}", V3, id="no form"),
        pytest.param(b'{"MessageType":"order"}', V2, id="v2 without order"),
        pytest.param(b'{"MessageType":"ping","Order":{}}', V2, id="another type"),
        pytest.param(b'{"messageType":"order","order":{},"topics":[]}', V3, id="no topic"),
        pytest.param(b'{"messageType":"order","order":{},"topics":["/x"]}', V3, id="other topic"),
        pytest.param(
            b'{"messageType":"orders","orders":[],"topics":["%s"]}' % TOPIC[V3].encode(),
            V3,
            id="empty batch",
        ),
        pytest.param(
            b'{"messageType":"order","orders":[{}],"topics":["%s"]}' % TOPIC[V3].encode(),
            V3,
            id="batch under the name of a single",
        ),
        pytest.param(
            b'{"messageType":"orders","orders":[%s],"topics":["%s"]}'
            % (b",".join([b"{}"] * (MAX_GOSSIP_ORDERS + 1)), TOPIC[V3].encode()),
            V3,
            id="too many",
        ),
        pytest.param(b" " * (MAX_GOSSIP_MESSAGE + 1), V3, id="too large"),
        pytest.param(b'{"MessageType":"order","Order":{"a":1}}', V3, id="v2 form on a v3 topic"),
    ],
)
def test_anything_else_is_blamed_on_the_sender(wire: bytes, version: ProtocolVersion) -> None:
    with pytest.raises(MalformedGossip) as caught:
        read_message(wire, TOPIC[version], version)
    assert caught.value.verdict is Verdict.REJECT


def test_orders_share_a_message_until_it_is_full_or_late() -> None:
    batches, topics = Batches(), (TOPIC[V3],)
    orders = bodies(40)
    assert batches.due is None
    for body in orders:
        batches.add(body, topics, V3, now=10.0)
    assert batches.has_full
    assert batches.due == 0.0, "a full batch does not wait"
    full = batches.take(10.0)
    assert not batches.has_full
    assert batches.due == 10.0 + BATCH_SECONDS
    assert batches.take(10.0 + BATCH_SECONDS / 2) == []
    rest = batches.take(10.0 + BATCH_SECONDS)
    assert batches.due is None
    sent = full + rest
    assert all(len(message.data) < BATCH_SIZE + 500 for message in sent)
    assert len(sent) == -(-sum(map(len, orders)) // BATCH_SIZE)
    read = [bytes(raw) for m in sent for raw in read_message(m.data, TOPIC[V3], V3)]
    assert read == orders
    assert sum(message.count for message in sent) == len(orders)


def test_each_group_of_topics_has_messages_of_its_own() -> None:
    batches = Batches()
    one, two = bodies(2)
    batches.add(one, ("/a", "/b"), V3, now=0.0)
    batches.add(two, ("/a",), V3, now=0.0)
    sent = {message.topics: message.data for message in batches.take(1.0)}
    assert json.loads(sent["/a", "/b"])["topics"] == ["/a", "/b"]
    assert json.loads(sent["/a",])["order"] == json.loads(two)


def test_a_single_order_is_spelled_as_the_original_does() -> None:
    [v2], [v3] = bodies(1, V2), bodies(1, V3)
    assert json.loads(encode_message([v2], (TOPIC[V2],), V2)) == {
        "MessageType": "order",
        "Order": json.loads(v2),
    }
    assert json.loads(encode_message([v3], (TOPIC[V3],), V3))["messageType"] == "order"


def test_what_cannot_be_sent_soon_enough_is_dropped_and_counted() -> None:
    batches = Batches()
    body = b"x" * 10_000
    for _ in range(MAX_UNSENT_BYTES // len(body) + 5):
        batches.add(body, ("/a",), V3, now=0.0)
    assert batches.dropped == 5
    assert sum(message.count for message in batches.take(1.0)) == MAX_UNSENT_BYTES // len(body)
    batches.add(body, ("/a",), V3, now=1.0)
    assert batches.dropped == 5
