"""What a router wants done, in the order it is to be done."""

from __future__ import annotations

import msgspec

from fondaco.p2p.pubsub.rpc import MessageId, PeerId, PeerInfo
from fondaco.p2p.scores import Ban, Offence


class Ready(msgspec.Struct, frozen=True, gc=False):
    """Something waits for a peer: write what ``Router.take`` returns until it returns None.

    Comes once; again only after that None.
    """

    peer: PeerId


class Deliver(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A new message of a subscribed topic; its signature holds. Answer with a verdict."""

    topic: str
    message_id: MessageId
    peer: PeerId
    """Who passed it on."""
    author: PeerId
    """Who signed it."""
    data: bytes


class Misbehaved(msgspec.Struct, frozen=True, gc=False):
    """A peer was blamed: for the log and the metrics; its score has been lowered."""

    peer: PeerId
    offence: Offence


class Disconnect(msgspec.Struct, frozen=True, gc=False):
    """Close all connections of a peer; it is banned and nothing is kept for it."""

    peer: PeerId
    offence: Offence
    ban: Ban


class Exchange(msgspec.Struct, frozen=True, gc=False):
    """A peer of good standing has no room for us and names others of the topic."""

    peer: PeerId
    topic: str
    peers: tuple[PeerInfo, ...]


Event = Ready | Deliver | Misbehaved | Disconnect | Exchange
