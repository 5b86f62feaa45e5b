"""How orders are spelled on a gossip topic, and how ours are gathered into messages.

    single, v2   {"MessageType":"order","Order":{…}}                      0x Mesh v5 to v8
    single, v3   {"messageType":"order","order":{…},"topics":["…"]}       0x Mesh v9
    batch        {"messageType":"orders","orders":[{…},…],"topics":["…"]}

A batch is ours; one that would hold a single order is spelled as the original does, so
that the original understands it. ``topics`` names every topic the message is sent on.

Source: reference/0x-mesh.md section 5.3.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fondaco.errors import PeerError
from fondaco.zeroex.limits import (
    BATCH_SECONDS,
    BATCH_SIZE,
    MAX_GOSSIP_MESSAGE,
    MAX_GOSSIP_ORDERS,
    MAX_UNSENT_BYTES,
)
from fondaco.zeroex.order import ProtocolVersion

Topics = tuple[str, ...]
"""Topics that one message is sent on, ascending."""


class MalformedGossip(PeerError):
    """A message is not one of the three forms. Whoever passes it on has not read it."""

    code = "MalformedGossip"


NO_ORDER = msgspec.Raw(b"")
"""Stands for an order that is missing. (A union of Raw and None reads nothing but null.)"""


class _SingleV2(msgspec.Struct, frozen=True, gc=False):
    MessageType: str
    Order: msgspec.Raw


class _V3(msgspec.Struct, frozen=True, gc=False):
    messageType: str
    topics: list[str]
    order: msgspec.Raw = NO_ORDER
    orders: list[msgspec.Raw] | None = None


_decode_single_v2 = msgspec.json.Decoder(_SingleV2).decode
_decode_v3 = msgspec.json.Decoder(_V3).decode


def read_message(data: bytes, topic: str, version: ProtocolVersion) -> list[msgspec.Raw]:
    """Return the orders, still unread, of a message that came on *topic*.

    Args:
        data: the message.
        topic: must be among the message's own topics, where it names any.
        version: of the orders on that topic; decides about the single form.

    Raises:
        MalformedGossip: too large, no JSON, another form, no order, or too many.
    """
    if len(data) > MAX_GOSSIP_MESSAGE:
        raise MalformedGossip(f"message of {len(data)} bytes")
    try:
        if version is ProtocolVersion.V2 and data.startswith(b'{"MessageType"'):
            single = _decode_single_v2(data)
            return [_checked(single.MessageType, single.Order)]
        message = _decode_v3(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        raise MalformedGossip(str(fault)) from None
    if topic not in message.topics:
        raise MalformedGossip("sent on a topic that it does not name")
    if message.orders is None:
        return [_checked(message.messageType, message.order)]
    if message.messageType != "orders" or not 0 < len(message.orders) <= MAX_GOSSIP_ORDERS:
        raise MalformedGossip(f"{message.messageType[:16]!r} of {len(message.orders)} orders")
    return message.orders


def _checked(message_type: str, order: msgspec.Raw) -> msgspec.Raw:
    if message_type != "order" or order is NO_ORDER:
        raise MalformedGossip(f"{message_type[:16]!r} without an order")
    return order


def encode_message(bodies: Sequence[bytes], topics: Topics, version: ProtocolVersion) -> bytes:
    """Return the message that carries *bodies*, at least one order as JSON."""
    if len(bodies) == 1 and version is ProtocolVersion.V2:
        return b'{"MessageType":"order","Order":%s}' % bodies[0]
    names = msgspec.json.encode(topics)
    if len(bodies) == 1:
        return b'{"messageType":"order","order":%s,"topics":%s}' % (bodies[0], names)
    return b'{"messageType":"orders","orders":[%s],"topics":%s}' % (b",".join(bodies), names)


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """A message of ours, ready to be sent on each of its topics."""

    topics: Topics
    data: bytes
    count: int
    """Orders in it."""


class _Batch:
    __slots__ = ("bodies", "deadline", "size", "version")

    def __init__(self, version: ProtocolVersion, deadline: float) -> None:
        self.version = version
        self.deadline = deadline
        self.bodies: list[bytes] = []
        self.size = 0


class Batches:
    """Orders of ours that wait for company. Pure: the host says what time it is.

    A batch leaves when it is full or its first order has waited for BATCH_SECONDS.
    """

    def __init__(self) -> None:
        self._open: dict[Topics, _Batch] = {}
        self._full: list[Outgoing] = []
        self._unsent = 0
        self.dropped = 0
        """Orders that had no room; reconciliation brings them to the peers."""

    def add(self, body: bytes, topics: Topics, version: ProtocolVersion, now: float) -> None:
        """Take an order for the messages on *topics*."""
        if self._unsent + len(body) > MAX_UNSENT_BYTES:
            self.dropped += 1
            return
        batch = self._open.get(topics)
        if batch is not None and (
            batch.size + len(body) > BATCH_SIZE or len(batch.bodies) >= MAX_GOSSIP_ORDERS
        ):
            self._close(topics)
            batch = None
        if batch is None:
            batch = self._open[topics] = _Batch(version, now + BATCH_SECONDS)
        batch.bodies.append(body)
        batch.size += len(body)
        self._unsent += len(body)

    def take(self, now: float) -> list[Outgoing]:
        """Return what is to be sent by now."""
        for topics in [t for t, batch in self._open.items() if batch.deadline <= now]:
            self._close(topics)
        ready, self._full = self._full, []
        self._unsent = sum(batch.size for batch in self._open.values())
        return ready

    @property
    def has_full(self) -> bool:
        """Whether a batch waits for nothing but to be taken."""
        return bool(self._full)

    @property
    def due(self) -> float | None:
        """When ``take`` will have something; None while nothing waits."""
        if self._full:
            return 0.0
        return min((batch.deadline for batch in self._open.values()), default=None)

    def _close(self, topics: Topics) -> None:
        batch = self._open.pop(topics)
        self._full.append(
            Outgoing(
                topics=topics,
                data=encode_message(batch.bodies, topics, batch.version),
                count=len(batch.bodies),
            )
        )
