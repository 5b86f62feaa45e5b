"""Strict signing: every message has an author, a number, and the author's signature.

Signed is ``libp2p-pubsub:`` and the message's protobuf without signature and key. Source:
libp2p pubsub specification, "Message Signing", policy StrictSign.
"""

from __future__ import annotations

import msgspec

from fondaco.errors import PeerError, Verdict
from fondaco.identity.keys import IdentityKey
from fondaco.identity.names import (
    RAW_PEER_ID_SIZE,
    InvalidPeerId,
    protobuf_public_key,
    public_key_in,
    raw_peer_id,
)
from fondaco.identity.signatures import low_signature
from fondaco.p2p.pubsub.rpc import Message, encode_unsigned

PREFIX = b"libp2p-pubsub:"

SEQNO_SIZE = 8
"""Bytes, big endian."""

MESSAGE_ID_SIZE = RAW_PEER_ID_SIZE + SEQNO_SIZE
"""Bytes of the id of every message that ``verify`` can pass."""


class BadSignature(PeerError):
    """A message that its sender did not write, or one without a proof that it did."""

    code = "BadSignature"


class UnknownKeyType(PeerError):
    """A message by a peer whose key is not of secp256k1. No blame: others may speak to it."""

    code = "UnknownKeyType"
    verdict = Verdict.IGNORE


class Author:
    """Writes and signs the messages of this node.

    Sequence numbers are nanoseconds of the wall clock, so that a restarted node does not
    repeat the numbers its peers have seen; within one process they never go back.
    """

    def __init__(self, key: IdentityKey) -> None:
        self._key = key
        self._last = 0
        self.peer = raw_peer_id(key.public_key)

    def write(self, topic: str, data: bytes, now_ns: int) -> Message:
        """Return a signed message. *now_ns* is Unix time in nanoseconds."""
        self._last = max(self._last + 1, now_ns)
        unsigned = Message(
            sender=self.peer,
            data=data,
            seqno=self._last.to_bytes(SEQNO_SIZE, "big"),
            topic=topic,
        )
        signature = self._key.sign(PREFIX + encode_unsigned(unsigned))
        return msgspec.structs.replace(unsigned, signature=signature)


def verify(message: Message) -> Message:
    """Return *message*, with a low signature, if its sender wrote it.

    Raises:
        BadSignature: it did not, or the message is not complete; whoever passed it on
            could have known.
        UnknownKeyType: we cannot tell.
    """
    if len(message.seqno) != SEQNO_SIZE or not message.signature:
        raise BadSignature("message without a number or a signature")
    try:
        key = public_key_in(message.sender)
    except InvalidPeerId as exc:
        raise UnknownKeyType(str(exc)) from None
    if message.key and message.key != protobuf_public_key(key):
        raise BadSignature("the key is not the sender's")
    signature = low_signature(key, PREFIX + encode_unsigned(message), message.signature)
    if signature is None:
        raise BadSignature("the signature does not match")
    if signature is message.signature:
        return message
    return msgspec.structs.replace(message, signature=signature)
