"""What peers can send too much of, and what they can do too slowly.

Each flood is made by strangers of its own (``liar``) on one node. Those of ``SHUT_OUT`` are
nothing that an honest program does, and end with a ban. Those of ``HELD_OFF`` run into a limit
for as long as they go on, which is until the test has seen enough.
"""

from __future__ import annotations

import contextlib
import itertools
import secrets
from collections.abc import Iterator
from random import Random

import trio
import trio.lowlevel
from libp2p.network.stream.net_stream import NetStream

from fondaco.p2p.negentropy_wire import (
    FINGERPRINT_SIZE,
    INFINITY,
    VERSION,
    Bound,
    Mode,
    RangeWriter,
)
from fondaco.p2p.pubsub.framing import encode_frame
from fondaco.p2p.pubsub.rpc import (
    IHave,
    Rpc,
    Subscription,
    encode_rpc,
)
from fondaco.p2p.scores import Offence
from fondaco.zeroex.sync_wire import ORDERS_PROTOCOL, RECONCILE_PROTOCOL, Compare, Greet, encode
from support.hostile_scene import CHAIN_ID, TOPIC, V3
from support.liar import IDENTIFY, MESHSUB, Liar, liar
from support.lies import Bait, Lie, message, until_enough

Flood = Lie

PING = "/ipfs/ping/1.0.0"
EXCHANGE = "/fondaco/peers/1"


async def pour(mallory: Liar, water: Iterator[bytes]) -> None:
    """Write all of it on the gossip stream, until thrown out."""
    with contextlib.suppress(Exception):
        for data in water:
            await mallory.write(data)
    await mallory.until_thrown_out()


async def messages_nobody_wants(bait: Bait) -> None:
    """Too many to look at, were it only to see that nobody wants them."""
    async with liar(bait.address) as mallory:
        await mallory.listen_to(TOPIC)
        frame = encode_frame(encode_rpc(Rpc(publish=[mallory.sign("weather", b"rain")] * 4_000)))
        await pour(mallory, itertools.repeat(frame))


async def topics_without_number(bait: Bait) -> None:
    def frames() -> Iterator[bytes]:
        for start in itertools.count(0, 500):
            topics = (f"/0x-orders/network/{n}/version/1" for n in range(start, start + 500))
            yield encode_frame(
                encode_rpc(Rpc(subscriptions=[Subscription(t, True) for t in topics]))
            )

    async with liar(bait.address) as mallory:
        await pour(mallory, frames())


async def announcements_without_number(bait: Bait) -> None:
    """Messages that do not exist, and questions for those that do not."""

    def frames() -> Iterator[bytes]:
        while True:
            ids = tuple(secrets.token_bytes(49) for _ in range(5_000))
            rpc = Rpc(ihave=[IHave(TOPIC, ids)], iwant=ids, graft=[TOPIC] * 500)
            yield encode_frame(encode_rpc(rpc))

    async with liar(bait.address) as mallory:
        await mallory.listen_to(TOPIC)
        await pour(mallory, frames())


async def garbage(bait: Bait) -> None:
    chance = Random(2)
    async with liar(bait.address) as mallory:
        await pour(mallory, (encode_frame(chance.randbytes(900)) for _ in itertools.count()))


SHUT_OUT: dict[Flood, Offence] = {
    messages_nobody_wants: Offence.FLOODING,
    topics_without_number: Offence.FLOODING,
    announcements_without_number: Offence.FLOODING,
    garbage: Offence.MALFORMED_RPC,
}
"""Flood -> what its source is banned for."""


# --- what no counter can blame anybody for ----------------------------------------------


async def rumours(bait: Bait) -> None:
    """Good orders without a maker's money behind them, as fast as the node takes them."""
    async with liar(bait.address) as mallory:
        await mallory.listen_to(TOPIC)
        poor = itertools.cycle(bait.unfunded)
        while not bait.enough.is_set():
            batch = [message(*itertools.islice(poor, 10)) for _ in range(10)]
            await mallory.say(Rpc(publish=[mallory.sign(TOPIC, data) for data in batch]))


async def old_news(bait: Bait) -> None:
    """The same good order again and again, each time in a message of its own."""
    data = message(bait.orders[0])
    async with liar(bait.address) as mallory:
        await mallory.listen_to(TOPIC)
        while not bait.enough.is_set():
            await mallory.say(Rpc(publish=[mallory.sign(TOPIC, data) for _ in range(50)]))


async def streams_without_number(bait: Bait) -> None:
    """Opened and left open, then opened and closed."""
    async with liar(bait.address) as mallory, trio.open_nursery() as nursery:
        for protocol in itertools.cycle((ORDERS_PROTOCOL, PING, IDENTIFY, EXCHANGE, MESHSUB)):
            if bait.enough.is_set():
                break
            with contextlib.suppress(Exception), trio.move_on_after(1):
                await mallory.someone.open(protocol)
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()


async def questions_without_reading(bait: Bait) -> None:
    """On all the streams there may be, and whatever the window takes."""
    greet = encode(Greet(chain=CHAIN_ID, deployments={}, filters=[]))
    question = bytes((len(greet),)) + greet

    async def ask(mallory: Liar) -> None:
        with contextlib.suppress(Exception):
            stream = await mallory.someone.open(RECONCILE_PROTOCOL)
            while True:
                await stream.write(question * 100)

    async with liar(bait.address) as mallory, trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(ask, mallory)
        await until_enough(bait)
        nursery.cancel_scope.cancel()


async def costly_comparisons(bait: Bait) -> None:
    """Reconciliation messages of the largest size, eight at a time."""
    question = encode(
        Compare(
            chain=CHAIN_ID,
            exchange=bait.exchange,
            version=int(V3),
            filters=["{}"],
            message=costly_message(),
        )
    )

    async def ask(mallory: Liar) -> None:
        # A stream of its own each: one stream has one question at a time.
        one = Liar(mallory.someone, mallory.key)
        with contextlib.suppress(Exception):
            while True:
                await one.ask(RECONCILE_PROTOCOL, question)

    async with liar(bait.address) as mallory, trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(ask, mallory)
        await until_enough(bait)
        nursery.cancel_scope.cancel()


def costly_message() -> bytes:
    """Return a message of a reconciliation with as many ranges as there is room for."""
    writer = RangeWriter()
    ranges = [
        writer.encode(Bound(0, number.to_bytes(3, "big")), Mode.FINGERPRINT, bytes(16))
        for number in range(1, 2 * 20_000, 2)
    ]
    end = writer.encode(Bound(INFINITY, b""), Mode.FINGERPRINT, bytes(FINGERPRINT_SIZE))
    return bytes((VERSION,)) + b"".join(ranges) + end


async def pings_without_pause(bait: Bait) -> None:
    async with liar(bait.address) as mallory:
        stream = await mallory.someone.open(PING)
        with contextlib.suppress(Exception):
            while not bait.enough.is_set():
                await stream.write(bytes(32 * 500))
                await stream.read(32 * 500)
        await until_enough(bait)


async def many_at_the_door(bait: Bait) -> None:
    """More strangers than have room, who stay, and come back as soon as they are sent away."""

    async def one() -> None:
        while True:
            with contextlib.suppress(Exception):
                async with liar(bait.address) as mallory:
                    await mallory.until_thrown_out()

    async with trio.open_nursery() as nursery:
        for _ in range(120):
            nursery.start_soon(one)
        await until_enough(bait)
        nursery.cancel_scope.cancel()


HELD_OFF: dict[str, tuple[tuple[Flood, ...], tuple[str, ...]]] = {
    "gossip": ((rumours, old_news), ("readers-paused",)),
    "requests": (
        (
            streams_without_number,
            questions_without_reading,
            costly_comparisons,
            pings_without_pause,
        ),
        ("streams-refused", "inbound-requests", "pings-held-up"),
    ),
    "connections": ((many_at_the_door,), ("connections-refused",)),
}
"""Floods that go on together, and the counters that rise."""


# --- too slowly -------------------------------------------------------------------------


async def deaf(stream: NetStream) -> None:
    """Read nothing, ever."""
    await trio.sleep_forever()


async def nothing_is_read(bait: Bait) -> None:
    """It subscribes, and then does not read what it is told."""
    async with liar(bait.address, serves={MESHSUB: deaf}) as mallory:
        await mallory.listen_to(TOPIC)
        await until_enough(bait)


async def nothing_is_answered(bait: Bait) -> None:
    """It is asked for its terms, its pages, its peers, and says nothing."""
    protocols = (RECONCILE_PROTOCOL, ORDERS_PROTOCOL, EXCHANGE, PING)
    async with liar(bait.address, serves=dict.fromkeys(protocols, deaf)):
        await until_enough(bait)


async def a_byte_at_a_time(bait: Bait) -> None:
    """A good message, a good question, and never the end of either."""

    async def drip(stream: NetStream, data: bytes) -> None:
        with contextlib.suppress(Exception):  # the node gives up before we do
            for byte in data:
                await stream.write(bytes((byte,)))
                await trio.sleep(0.01)

    async with liar(bait.address) as mallory, trio.open_nursery() as nursery:
        said = encode_frame(encode_rpc(Rpc(publish=[mallory.sign(TOPIC, bytes(60_000))])))
        for protocol, data in (
            (MESHSUB, said),
            (RECONCILE_PROTOCOL, b"\xff\xff\x03" + bytes(60_000)),
            (EXCHANGE, b"\xff\xff\x03" + bytes(60_000)),
        ):
            nursery.start_soon(drip, await mallory.someone.open(protocol), data)
        await until_enough(bait)
        nursery.cancel_scope.cancel()


SLOW: tuple[Flood, ...] = (nothing_is_read, nothing_is_answered, a_byte_at_a_time)
