"""What the router knows of one connected peer."""

from __future__ import annotations

import enum

from fondaco.p2p.budget import TokenBucket
from fondaco.p2p.pubsub.outbox import Outbox
from fondaco.p2p.pubsub.parameters import Parameters
from fondaco.p2p.pubsub.rpc import PeerId

SENT_SHARE = 0.8
"""Of what a peer reads from us, what we send it. However much others pump into us, we are no
flood to those we pass it on to; what does not fit waits, and its queue is fair."""


class Protocol(enum.Enum):
    """What was agreed on for the pubsub streams with a peer, best first."""

    GOSSIPSUB_11 = "/meshsub/1.1.0"
    GOSSIPSUB_10 = "/meshsub/1.0.0"
    FLOODSUB = "/floodsub/1.0.0"


class Neighbour:
    """A connected peer. Its score and bans are kept elsewhere: they outlive connections."""

    __slots__ = (
        "address",
        "bucket",
        "flood",
        "gossiped",
        "ihave_ids",
        "ihave_rpcs",
        "is_announced",
        "is_gone",
        "is_outbound",
        "outbox",
        "owed",
        "peer",
        "protocol",
        "record",
        "sending",
        "topics",
        "validating",
    )

    def __init__(
        self,
        peer: PeerId,
        now: float,
        *,
        protocol: Protocol,
        is_outbound: bool,
        address: str | None,
        parameters: Parameters,
    ) -> None:
        self.peer = peer
        self.protocol = protocol
        self.is_outbound = is_outbound
        self.address = address
        self.record = b""
        """Its signed peer record, to be handed on in a PRUNE."""
        self.topics: dict[str, None] = {}
        """What it is subscribed to, in the sequence in which it said so."""
        self.outbox = Outbox()
        self.is_announced = False
        """Whether Ready was given out for it and its outbox not seen empty since."""
        self.bucket = TokenBucket(parameters.messages_per_second, parameters.messages_burst, now)
        self.sending = TokenBucket(
            parameters.messages_per_second * SENT_SHARE, parameters.messages_burst * SENT_SHARE, now
        )
        self.validating = 0
        """Messages it was the first to bring that wait for a verdict."""
        self.flood = 0
        """Messages over its budget since the last heartbeat."""
        self.ihave_rpcs = 0
        """IHAVEs read since the last heartbeat."""
        self.ihave_ids = 0
        """Messages asked of it since the last heartbeat."""
        self.owed: dict[str, None] = {}
        """Topics of which messages for it were dropped: it is told of them, mesh or not."""
        self.is_gone = False
        """Whether it has left, or was thrown out in the middle of an RPC."""
        self.gossiped: dict[str, float] = {}
        """Topic -> when it was last told what there is."""

    @property
    def has_mesh(self) -> bool:
        return self.protocol is not Protocol.FLOODSUB
