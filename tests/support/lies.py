"""What peers can lie about: in gossip, in what they offer and deliver, in reconciliation.

Each lie is told by a stranger of its own (``liar``) to one node, until it is thrown out or
the test has seen enough. ``LIES`` says what the node calls each.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
import zlib
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import NamedTuple

import msgspec
import trio

from fondaco.p2p.negentropy_wire import (
    FINGERPRINT_SIZE,
    INFINITY,
    VERSION,
    Bound,
    Mode,
    RangeWriter,
)
from fondaco.p2p.pubsub.rpc import Rpc
from fondaco.p2p.scores import Offence
from fondaco.zeroex.codec import encode_order
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.gossip_wire import encode_message
from fondaco.zeroex.meshsync_wire import MESH_PROTOCOL, encode_response
from fondaco.zeroex.order import SignedOrder
from fondaco.zeroex.sync_wire import (
    ORDERS_PROTOCOL,
    RECONCILE_PROTOCOL,
    Compare,
    Compared,
    Greet,
    Greeted,
    Offer,
    OrdersFrame,
    Taken,
    decode_ask,
    decode_request,
    encode,
    pack_frame,
)
from support.hostile_scene import CHAIN_ID, TOPIC, V3
from support.liar import Answer, Liar, liar

OTHER_CHAIN = 1

BETWEEN_OFFERS = 0.1
"""Seconds: what a node is fetching already it need not be offered again."""


class Bait(NamedTuple):
    """What a liar has to go by."""

    address: str
    """Of the node."""
    exchange: bytes
    orders: Sequence[SignedOrder]
    """Good ones that nobody has seen; a liar spoils them."""
    unfunded: Sequence[SignedOrder]
    """Good ones, but for their maker's money."""
    enough: asyncio.Event
    """Set when the test has seen what it waits for."""


Lie = Callable[[Bait], Awaitable[None]]


async def until_enough(bait: Bait) -> None:
    """Return when the test, in its own thread, has seen what it waits for."""
    while not bait.enough.is_set():  # noqa: ASYNC110
        await trio.sleep(0.05)


def spoiled(order: SignedOrder) -> SignedOrder:
    """Return another order with the signature of *order*."""
    return msgspec.structs.replace(order, salt=order.salt + 10**9)


# --- in gossip --------------------------------------------------------------------------


def message(*orders: SignedOrder) -> bytes:
    return encode_message([encode_order(one) for one in orders], (TOPIC,), V3)


async def tell(bait: Bait, payloads: Sequence[bytes]) -> None:
    """Say *payloads* in gossip, one message each."""
    async with liar(bait.address) as mallory:
        await mallory.listen_to(TOPIC)
        with contextlib.suppress(Exception):  # it may be thrown out before the end
            await mallory.say(*(Rpc(publish=[mallory.sign(TOPIC, data)]) for data in payloads))
        await mallory.until_thrown_out()


async def bad_signatures(bait: Bait) -> None:
    await tell(bait, [message(spoiled(one)) for one in bait.orders])


async def orders_of_another_chain(bait: Bait) -> None:
    orders = [msgspec.structs.replace(one, chain_id=OTHER_CHAIN) for one in bait.orders]
    await tell(bait, [message(one) for one in orders])


async def a_bad_order_among_good_ones(bait: Bait) -> None:
    good = bait.orders[:3]
    await tell(bait, [message(*good, spoiled(one)) for one in bait.orders])


async def gossip_without_orders(bait: Bait) -> None:
    chance = Random(1)
    await tell(bait, [b"{}", b"[" * 10_000, *(chance.randbytes(500) for _ in range(10))])


async def messages_of_somebody_else(bait: Bait) -> None:
    """Signed, but not by the author they name."""
    async with liar(bait.address) as other, liar(bait.address) as mallory:
        await mallory.listen_to(TOPIC)
        mine = [mallory.sign(TOPIC, message(one)) for one in bait.orders]
        forged = [msgspec.structs.replace(one, sender=other.name) for one in mine]
        with contextlib.suppress(Exception):
            await mallory.say(*(Rpc(publish=[one]) for one in forged))
        await mallory.until_thrown_out()


# --- in what is offered and delivered ---------------------------------------------------


def new_ids(count: int) -> bytes:
    """Return ids of orders that do not exist."""
    return secrets.token_bytes(32 * count)


def polite(bait: Bait) -> Answer:
    """Return the answers of somebody who trades the same and holds nothing."""

    def answer(payload: bytes) -> bytes:
        match decode_request(payload):
            case Greet():
                deployments = {3: bait.exchange}
                return encode(Greeted(chain=CHAIN_ID, deployments=deployments, filters=["{}"]))
            case Compare():
                return encode(Compared(message=all_my_ids(b"")))
            case Offer():
                return encode(Taken(refused=b""))

    return answer


async def offer(bait: Bait, ids: Callable[[], bytes], deliver: Answer) -> None:
    """Offer orders again and again, and answer with *deliver* when asked for them."""
    answers = {RECONCILE_PROTOCOL: polite(bait), ORDERS_PROTOCOL: deliver}
    async with liar(bait.address, answers) as mallory:
        # Those that come before the node knows what we speak are dropped.
        with contextlib.suppress(Exception):
            while True:
                await _offer(bait, mallory, ids())
                await trio.sleep(BETWEEN_OFFERS)
        await mallory.until_thrown_out()


async def _offer(bait: Bait, mallory: Liar, ids: bytes) -> None:
    request = Offer(
        chain=CHAIN_ID, exchange=bait.exchange, version=int(V3), filters=["{}"], ids=ids
    )
    await mallory.ask(RECONCILE_PROTOCOL, encode(request))


def frame(request: bytes, bodies: Sequence[bytes]) -> bytes:
    """Deliver *bodies*, whatever was asked for."""
    return encode(OrdersFrame(handled=len(decode_ask(request)), frame=pack_frame(bodies)))


async def ids_without_orders(bait: Bait) -> None:
    await offer(bait, lambda: new_ids(2_000), lambda request: frame(request, []))


async def a_million_ids(bait: Bait) -> None:
    """Far more than an offer may have, in the largest frames there can be."""
    async with liar(bait.address) as mallory:
        for _ in range(8):
            with contextlib.suppress(Exception):
                await _offer(bait, mallory, new_ids(125_000))
        await mallory.until_thrown_out()


async def unasked_orders(bait: Bait) -> None:
    bodies = [encode_order(bait.orders[0])]
    await offer(bait, lambda: new_ids(1), lambda request: frame(request, bodies))


async def invalid_orders(bait: Bait) -> None:
    """Each is what was asked for: a hash does not cover the signature."""
    spoils = {bytes(order_hash(one)): encode_order(one) for one in map(spoiled, bait.orders)}

    def deliver(request: bytes) -> bytes:
        return frame(request, [spoils[one] for one in decode_ask(request)])

    await offer(bait, lambda: b"".join(spoils), deliver)


async def bombs(bait: Bait) -> None:
    """Frames that unpack to far too much, to nothing, or not at all."""
    packed = zlib.compressobj(9)
    bomb = b"".join(packed.compress(bytes(2**24)) for _ in range(4)) + packed.flush()
    frames = itertools.cycle([bomb, b"no zlib data", zlib.compress(b"[]")[:-3]])

    def deliver(request: bytes) -> bytes:
        return encode(OrdersFrame(handled=1, frame=next(frames)))

    await offer(bait, lambda: new_ids(1), deliver)


async def nonsense_for_orders(bait: Bait) -> None:
    await offer(bait, lambda: new_ids(1), lambda request: secrets.token_bytes(1_000))


# --- in reconciliation, and in pages ----------------------------------------------------


def all_my_ids(ids: bytes) -> bytes:
    """Return a message of a reconciliation: these are all I hold."""
    return bytes((VERSION,)) + RangeWriter().encode(Bound(INFINITY, b""), Mode.ID_LIST, ids)


def wrong_fingerprint() -> bytes:
    """Return a message of a reconciliation: whatever you hold, I hold something else."""
    lie = secrets.token_bytes(FINGERPRINT_SIZE)
    return bytes((VERSION,)) + RangeWriter().encode(Bound(INFINITY, b""), Mode.FINGERPRINT, lie)


async def compare(bait: Bait, answer: Callable[[], bytes]) -> None:
    """Wait to be compared with, and answer what *answer* returns, every time."""

    def lie(request: bytes) -> bytes | None:
        if isinstance(decode_request(request), Compare):
            return answer()
        return polite(bait)(request)

    answers: dict[str, Answer] = {
        RECONCILE_PROTOCOL: lie,
        ORDERS_PROTOCOL: lambda request: frame(request, []),
    }
    async with liar(bait.address, answers):
        await until_enough(bait)


async def fingerprints_without_end(bait: Bait) -> None:
    await compare(bait, lambda: encode(Compared(message=wrong_fingerprint())))


async def ids_without_end(bait: Bait) -> None:
    await compare(bait, lambda: encode(Compared(message=all_my_ids(new_ids(10_000)))))


async def no_reconciliation(bait: Bait) -> None:
    await compare(bait, lambda: encode(Compared(message=secrets.token_bytes(1_000))))


async def pages_without_end(bait: Bait) -> None:
    """Mesh's way of order sync; the last page never comes, and no order is any good."""
    bodies = [encode_order(spoiled(one)) for one in bait.orders]
    pages = itertools.count()

    def page(request: bytes) -> bytes:
        number = next(pages)
        chosen = bodies[number % len(bodies)]
        return encode_response([chosen], is_last=False, page=number, snapshot_id="endless")

    async with liar(bait.address, {MESH_PROTOCOL: page}):
        await until_enough(bait)


BANNED: dict[Lie, Offence] = {
    bad_signatures: Offence.INVALID_MESSAGE,
    orders_of_another_chain: Offence.INVALID_MESSAGE,
    a_bad_order_among_good_ones: Offence.INVALID_MESSAGE,
    gossip_without_orders: Offence.INVALID_MESSAGE,
    messages_of_somebody_else: Offence.BAD_SIGNATURE,
    ids_without_orders: Offence.FALSE_RECONCILIATION,
    a_million_ids: Offence.MALFORMED_STREAM,
    unasked_orders: Offence.FALSE_RECONCILIATION,
    invalid_orders: Offence.INVALID_ORDER,
    bombs: Offence.MALFORMED_STREAM,
    nonsense_for_orders: Offence.MALFORMED_STREAM,
}
"""Lie -> what its teller is banned for."""

BLAMED: dict[Lie, Offence] = {
    fingerprints_without_end: Offence.FALSE_RECONCILIATION,
    ids_without_end: Offence.FALSE_RECONCILIATION,
    no_reconciliation: Offence.MALFORMED_STREAM,
    pages_without_end: Offence.INVALID_ORDER,
}
"""Lie that waits to be asked -> what each of its tellings is called. A node asks such a peer
so seldom that its ban takes minutes."""
