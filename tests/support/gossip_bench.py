"""A router with peers that speak the wire format, for dialogues in tests."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

import msgspec

from fondaco.errors import Verdict
from fondaco.identity.keys import IdentityKey
from fondaco.p2p.pubsub.events import Deliver, Event, Misbehaved, Ready
from fondaco.p2p.pubsub.framing import FrameDecoder
from fondaco.p2p.pubsub.neighbour import Protocol
from fondaco.p2p.pubsub.parameters import Parameters
from fondaco.p2p.pubsub.router import Router
from fondaco.p2p.pubsub.rpc import Message, Rpc, Subscription, decode_rpc, encode_rpc
from fondaco.p2p.pubsub.signing import Author
from fondaco.p2p.scores import Bans, Offence, Scores

TOPIC = "topic"
NOW_NS = 1_600_000_000_000_000_000


def author(number: int) -> Author:
    return Author(IdentityKey(number.to_bytes(32, "big")))


ME, AUTHOR = author(1), author(999)
PEERS = [author(number).peer for number in range(100, 130)]


class Bench:
    """A router, the time, and the frames that its peers would have read."""

    def __init__(self, *, parameters: Parameters | None = None) -> None:
        self.now = 1_000.0
        self.scores, self.bans = Scores(), Bans()
        self.router = Router(
            ME,
            random.Random(10),
            self.now,
            parameters=parameters,
            scores=self.scores,
            bans=self.bans,
        )

    def join(
        self,
        *numbers: int,
        protocol: Protocol = Protocol.GOSSIPSUB_11,
        is_grafted: bool = False,
        topics: Sequence[str] = (TOPIC,),
    ) -> None:
        """Let peers come, subscribe and perhaps graft; their greetings are not kept."""
        for number in numbers:
            peer = PEERS[number]
            address = f"203.0.113.{number}"
            self.router.peer_joined(peer, self.now, protocol=protocol, address=address)
            subscriptions = [Subscription(topic, True) for topic in topics]
            graft = list(topics) if is_grafted else []
            self.says(number, subscriptions=subscriptions, graft=graft)
            self.hears(number)

    def says(self, number: int, **parts: object) -> list[Event]:
        """A peer sends an RPC, through the codec."""
        raw = encode_rpc(msgspec.structs.replace(Rpc(), **parts))
        return self.router.received_frame(PEERS[number], raw, self.now)

    def hears(self, number: int) -> Rpc:
        """Return all that waits for a peer, put together."""
        parts: dict[str, list[object]] = {name: [] for name in Rpc.__struct_fields__}
        while (frame := self.router.take(PEERS[number], self.now)) is not None:
            (payload,) = FrameDecoder().feed(frame)
            rpc = decode_rpc(payload)
            for name in parts:
                parts[name] += getattr(rpc, name)
        return msgspec.structs.replace(Rpc(), **parts)

    def beat(self, count: int = 1) -> list[Event]:
        events: list[Event] = []
        for _ in range(count):
            self.now += 1.0
            events += self.router.heartbeat(self.now)
        return events

    def accept(self, events: Sequence[Event]) -> list[Event]:
        (event,) = delivered(events)
        return self.router.verdict(event.message_id, Verdict.ACCEPT, self.now)


def delivered(events: Sequence[Event]) -> list[Deliver]:
    return [event for event in events if isinstance(event, Deliver)]


def woken(events: Sequence[Event]) -> set[bytes]:
    return {event.peer for event in events if isinstance(event, Ready)}


def blamed(events: Sequence[Event]) -> list[tuple[bytes, Offence]]:
    return [(event.peer, event.offence) for event in events if isinstance(event, Misbehaved)]


_numbers = itertools.count(NOW_NS)


def message(data: bytes = b"data", topic: str = TOPIC) -> Message:
    """Return a new message of AUTHOR, who is nobody's neighbour."""
    return AUTHOR.write(topic, data, next(_numbers))


def subscribed_bench(parameters: Parameters | None = None) -> Bench:
    """Return a bench whose router reads TOPIC and has no peers."""
    bench = Bench(parameters=parameters)
    bench.router.subscribe(TOPIC, bench.now)
    return bench
