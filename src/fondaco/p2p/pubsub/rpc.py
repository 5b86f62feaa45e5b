"""The pubsub RPC of libp2p on the wire: protobuf, read strictly and written canonically.

    RPC      1 subscriptions*  {1 subscribe, 2 topic}
             2 publish*        Message {1 from, 2 data, 3 seqno, 4 topic, 5 signature, 6 key}
             3 control         {1 ihave* {1 topic, 2 id*}, 2 iwant* {1 id*},
                                3 graft* {1 topic}, 4 prune* {1 topic, 2 peers*, 3 backoff}}
    PeerInfo {1 peer id, 2 signed peer record}

Unknown fields are skipped: IDONTWANT of version 1.2, and the peer records that py-libp2p
attaches. Whatever breaks the encoding or a bound of ``p2p.limits`` raises MalformedRpc and
nothing else. Source: libp2p pubsub specification, ``gossipsub-v1.1.md``.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fondaco.p2p import limits
from fondaco.p2p.protobuf import (
    Field,
    MalformedProtobuf,
    as_bytes,
    as_int,
    encode_varint,
    field,
    fields,
)

PeerId = bytes
"""A peer's raw libp2p ID, as messages carry it; 39 bytes where the key is secp256k1."""

MessageId = bytes
"""Sender and sequence number of a message, one after the other: the default of go-libp2p
and js-libp2p under strict signing."""


class MalformedRpc(MalformedProtobuf):
    """Bytes that are not a pubsub RPC, or one past a bound that every implementation keeps."""

    code = "MalformedRpc"


class Subscription(msgspec.Struct, frozen=True, gc=False):
    """A peer joins or leaves a topic."""

    topic: str
    is_wanted: bool


class Message(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A published message. What is absent on the wire is empty here."""

    sender: PeerId
    """Who wrote it (``from``), not who passed it on."""
    data: bytes
    seqno: bytes
    topic: str
    signature: bytes = b""
    key: bytes = b""
    """The sender's public key as a libp2p protobuf; superfluous where the ID contains it."""

    @property
    def message_id(self) -> MessageId:
        return self.sender + self.seqno


class IHave(msgspec.Struct, frozen=True, gc=False):
    """The sender holds these messages of a topic and will send what is asked for."""

    topic: str
    message_ids: tuple[MessageId, ...]


class PeerInfo(msgspec.Struct, frozen=True, gc=False):
    """Another peer of the topic, to connect to instead."""

    peer: PeerId
    signed_record: bytes = b""


class Prune(msgspec.Struct, frozen=True, gc=False):
    """The sender takes us out of its mesh of a topic."""

    topic: str
    peers: tuple[PeerInfo, ...] = ()
    backoff: int | None = None
    """Seconds before we may graft again; None from a peer that speaks version 1.0."""


class Rpc(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one peer tells another in one frame."""

    subscriptions: Sequence[Subscription] = ()
    publish: Sequence[Message] = ()
    ihave: Sequence[IHave] = ()
    iwant: Sequence[MessageId] = ()
    graft: Sequence[str] = ()
    prune: Sequence[Prune] = ()


# --- reading ---------------------------------------------------------------------------


def decode_rpc(raw: bytes) -> Rpc:
    """Read one RPC (without the length before it).

    Raises:
        MalformedRpc: it is cut, not protobuf, or past a bound; the peer is to blame.
    """
    if len(raw) > limits.MAX_RPC_SIZE:
        raise MalformedRpc(f"RPC of {len(raw)} bytes")
    try:
        return _rpc(raw)
    except MalformedProtobuf as exc:
        raise MalformedRpc(str(exc)) from None


def _rpc(raw: bytes) -> Rpc:
    subscriptions: list[Subscription] = []
    publish: list[Message] = []
    ihave: list[IHave] = []
    iwant: list[MessageId] = []
    graft: list[str] = []
    prune: list[Prune] = []
    for number, value in fields(raw):
        if number == 2:
            publish.append(_message(as_bytes(value)))
        elif number == 1:
            subscriptions.append(_subscription(as_bytes(value)))
        elif number == 3:
            for kind, part in fields(as_bytes(value)):
                if kind == 1:
                    ihave.append(_ihave(as_bytes(part)))
                elif kind == 2:
                    iwant += _ids(1, fields(as_bytes(part)))
                elif kind == 3:
                    graft.append(_topic_alone(as_bytes(part)))
                elif kind == 4:
                    prune.append(_prune(as_bytes(part)))
    _check_counts(subscriptions, publish, ihave, iwant, graft, prune)
    return Rpc(
        subscriptions=subscriptions,
        publish=publish,
        ihave=ihave,
        iwant=iwant,
        graft=graft,
        prune=prune,
    )


def decode_message(raw: bytes) -> Message:
    """Read one published message.

    Raises:
        MalformedRpc: as ``decode_rpc``; also for two topics, which were legal until 2020.
    """
    try:
        return _message(raw)
    except MalformedProtobuf as exc:
        raise MalformedRpc(str(exc)) from None


def _message(raw: bytes) -> Message:
    sender = data = seqno = signature = key = b""
    topic: str | None = None
    for number, value in fields(raw):
        if number > 6:
            continue
        part = as_bytes(value)
        if number == 1:
            sender = part
        elif number == 2:
            data = part
        elif number == 3:
            seqno = part
        elif number == 4:
            if topic is not None:
                raise MalformedRpc("message of two topics")
            topic = _text(part)
        elif number == 5:
            signature = part
        else:
            key = part
    if len(data) > limits.MAX_DATA_SIZE:
        raise MalformedRpc(f"message of {len(data)} bytes")
    if max(len(sender), len(seqno), len(signature), len(key)) > limits.MAX_NAME_SIZE:
        raise MalformedRpc("message with an endless sender, number, signature or key")
    return Message(
        sender=sender, data=data, seqno=seqno, topic=topic or "", signature=signature, key=key
    )


def _subscription(raw: bytes) -> Subscription:
    topic, is_wanted = "", False
    for number, value in fields(raw):
        if number == 1:
            is_wanted = bool(as_int(value))
        elif number == 2:
            topic = _text(as_bytes(value))
    return Subscription(topic, is_wanted)


def _ihave(raw: bytes) -> IHave:
    found = fields(raw)
    return IHave(_topic(found), tuple(_ids(2, found)))


def _topic_alone(raw: bytes) -> str:
    return _topic(fields(raw))


def _prune(raw: bytes) -> Prune:
    peers: list[PeerInfo] = []
    backoff: int | None = None
    found = fields(raw)
    for number, value in found:
        if number == 2:
            peers.append(_peer_info(as_bytes(value)))
        elif number == 3:
            backoff = as_int(value)
    if len(peers) > limits.MAX_EXCHANGED_PEERS:
        raise MalformedRpc(f"PRUNE with {len(peers)} peers")
    return Prune(_topic(found), tuple(peers), backoff)


def _peer_info(raw: bytes) -> PeerInfo:
    peer = record = b""
    for number, value in fields(raw):
        if number == 1:
            peer = as_bytes(value)
        elif number == 2:
            record = as_bytes(value)
    if len(peer) > limits.MAX_NAME_SIZE or len(record) > limits.MAX_PEER_RECORD_SIZE:
        raise MalformedRpc("PRUNE with an endless peer ID or record")
    return PeerInfo(peer, record)


def _topic(found: Sequence[Field]) -> str:
    topic = ""
    for number, value in found:
        if number == 1:
            topic = _text(as_bytes(value))
    return topic


def _ids(wanted: int, found: Sequence[Field]) -> list[MessageId]:
    ids = [as_bytes(value) for number, value in found if number == wanted]
    if any(len(one) > limits.MAX_NAME_SIZE for one in ids):
        raise MalformedRpc("endless message id")
    return ids


def _check_counts(
    subscriptions: Sequence[Subscription],
    publish: Sequence[Message],
    ihave: Sequence[IHave],
    iwant: Sequence[MessageId],
    graft: Sequence[str],
    prune: Sequence[Prune],
) -> None:
    if (
        len(subscriptions) > limits.MAX_RPC_SUBSCRIPTIONS
        or len(publish) > limits.MAX_RPC_MESSAGES
        or len(graft) > limits.MAX_RPC_MESH_CHANGES
        or len(prune) > limits.MAX_RPC_MESH_CHANGES
        or len(ihave) > limits.MAX_RPC_MESH_CHANGES
        or sum(len(one.message_ids) for one in ihave) + len(iwant) > limits.MAX_RPC_IDS
    ):
        raise MalformedRpc("RPC with too many parts")


def _text(raw: bytes) -> str:
    if len(raw) > limits.MAX_TOPIC_SIZE:
        raise MalformedRpc(f"topic of {len(raw)} bytes")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise MalformedRpc("topic that is not UTF-8") from None


# --- writing ---------------------------------------------------------------------------


def encode_rpc(rpc: Rpc) -> bytes:
    """Return *rpc* as protobuf, in the order of the field numbers."""
    return (
        b"".join(encode_subscription(one) for one in rpc.subscriptions)
        + b"".join(encode_publish(one) for one in rpc.publish)
        + encode_control(rpc)
    )


def encode_subscription(one: Subscription) -> bytes:
    """Return field 1 of an RPC."""
    flag = b"\x08\x01" if one.is_wanted else b"\x08\x00"
    return field(1, flag + field(2, one.topic.encode()))


def encode_publish(message: Message) -> bytes:
    """Return field 2 of an RPC: the whole message with its tag, ready to be joined."""
    raw = encode_unsigned(message)
    if message.signature:
        raw += field(5, message.signature)
    if message.key:
        raw += field(6, message.key)
    return field(2, raw)


def encode_unsigned(message: Message) -> bytes:
    """Return the fields of *message* that its signature covers, all four present."""
    return b"".join(
        (
            field(1, message.sender),
            field(2, message.data),
            field(3, message.seqno),
            field(4, message.topic.encode()),
        )
    )


def encode_control(rpc: Rpc) -> bytes:
    """Return field 3 of an RPC; nothing where there is no control."""
    parts = [
        field(1, field(1, one.topic.encode()) + b"".join(field(2, i) for i in one.message_ids))
        for one in rpc.ihave
    ]
    if rpc.iwant:
        parts.append(field(2, b"".join(field(1, one) for one in rpc.iwant)))
    parts += [field(3, field(1, topic.encode())) for topic in rpc.graft]
    parts += [field(4, _prune_fields(one)) for one in rpc.prune]
    return field(3, b"".join(parts)) if parts else b""


def _prune_fields(one: Prune) -> bytes:
    raw = field(1, one.topic.encode())
    for info in one.peers:
        record = field(2, info.signed_record) if info.signed_record else b""
        raw += field(2, field(1, info.peer) + record)
    if one.backoff is not None:
        raw += b"\x18" + encode_varint(one.backoff)
    return raw
