"""What a gossip message costs one node at mesh degree 6, beside a bare signature check.

First the router alone, which is pure; then real p2p processes (``bench.router_child``).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from functools import partial

from coincurve import PublicKey

from bench import router_child
from bench.figures import Figure, interleaved
from fondaco.errors import Verdict
from fondaco.identity.keys import IdentityKey
from fondaco.identity.names import public_key_in
from fondaco.p2p.pubsub.events import Deliver
from fondaco.p2p.pubsub.framing import FrameDecoder, encode_frame
from fondaco.p2p.pubsub.router import Router
from fondaco.p2p.pubsub.rpc import (
    Message,
    Rpc,
    Subscription,
    encode_publish,
    encode_rpc,
    encode_unsigned,
)
from fondaco.p2p.pubsub.signing import PREFIX, Author

RUNS = 5
"""Pairs of measurements; the median counts, the range is shown."""

MESSAGES = 1_000
"""Different messages of 1 KB gone through per measurement."""

DEGREE = 6
"""Members of the mesh."""

TOPIC = "/0x-orders/version/3/chain/1337/schema/e30="

BUDGET = 0.6
"""Milliseconds of one core that a message may take."""


def _key(number: int) -> IdentityKey:
    return IdentityKey(number.to_bytes(32, "big"))


def _frames(messages: Sequence[Message], batch: int) -> list[list[bytes]]:
    """Return, per member, its frames of *batch* messages each: every member brings all."""
    encoded = [encode_publish(message) for message in messages]
    frames = [
        encode_frame(b"".join(encoded[start : start + batch]))
        for start in range(0, len(encoded), batch)
    ]
    return [frames] * DEGREE


def _route(frames: list[list[bytes]], messages: int = MESSAGES, pause: float = 0.0) -> float:
    """Return the milliseconds a fresh router spends on one of *messages*.

    The worst case: the first copy is verified, accepted and queued for the five others,
    whose own copies cross ours on the way.

    Args:
        pause: seconds without work after each turn. What a message finds in the caches of
            the processor is then somebody else's.
    """
    router = Router(Author(_key(1)), random.Random(6), 0.0)
    peers = [Author(_key(number)).peer for number in range(2, 2 + DEGREE)]
    hello = Rpc(subscriptions=[Subscription(TOPIC, True)], graft=[TOPIC])
    router.subscribe(TOPIC, 0.0)
    for peer in peers:
        router.peer_joined(peer, 0.0)
        router.received_frame(peer, encode_rpc(hello), 0.0)
        while router.take(peer, 1.0):
            pass
    if len(router.mesh(TOPIC)) != DEGREE:
        raise AssertionError("the benchmark's mesh is not complete")
    decoders = [FrameDecoder() for _ in frames]
    start = time.thread_time()
    for turn in zip(*frames, strict=True):
        for peer, decoder, frame in zip(peers, decoders, turn, strict=True):
            for payload in decoder.feed(frame):
                for event in router.received_frame(peer, payload, 1.0):
                    if isinstance(event, Deliver):
                        router.verdict(event.message_id, Verdict.ACCEPT, 1.0)
        for peer in peers:
            while router.take(peer, 1.0):
                pass
        if pause:
            time.sleep(pause)
    spent = time.thread_time() - start
    counters = router.counters
    if counters.accepted != messages or counters.forwarded != (DEGREE - 1) * messages:
        raise AssertionError(f"the benchmark's messages got lost: {counters}")
    return spent * 1e3 / messages


def _bare(messages: Sequence[Message]) -> float:
    """Return the milliseconds of checking a message's signature with the bare library."""
    questions = [
        (public_key_in(one.sender), one.signature, PREFIX + encode_unsigned(one))
        for one in messages
    ]
    start = time.thread_time()
    for key, signature, text in questions:
        if not PublicKey(key).verify(signature, text):
            raise AssertionError("the benchmark's own signature is not valid")
    return (time.thread_time() - start) * 1e3 / MESSAGES


def measure() -> list[Figure]:
    """Return the cost of a message that comes alone, and of one that comes with fifteen others."""
    rng = random.Random(1)
    authors = [Author(_key(number)) for number in range(100, 120)]
    messages = [
        authors[number % len(authors)].write(TOPIC, rng.randbytes(1_000), 10**18 + number)
        for number in range(MESSAGES)
    ]
    figures: list[Figure] = []
    for batch, how in ((1, "one a frame"), (20, "twenty a frame")):
        frames = _frames(messages, batch)
        value, floor, spread = interleaved(RUNS, partial(_route, frames), partial(_bare, messages))
        figures.append(
            Figure(
                name=f"gossip message of 1 KB, mesh degree {DEGREE}, {how}",
                value=value,
                unit="ms CPU per node",
                floor=floor,
                floor_name="bare verify",
                target=f"at most {BUDGET} ms",
                reached=value <= BUDGET,
                spread=spread,
            )
        )
    count = router_child.PACED_MESSAGES
    paced = [each[:count] for each in _frames(messages, 1)]
    return figures + asyncio.run(
        router_child.measure(
            one_by_one=_route(paced, count, router_child.PAUSE), many=figures[-1].value
        )
    )
