"""Frames that are almost right, on every protocol a node speaks, in both directions.

    asked      streams that the stranger opens, with valid requests, bent
    answered   streams that the node opens, with valid answers, bent
    below      multistream, the handshake and Yamux, bent where each begins

What is bent, and how, follows from a seed. A stranger that is thrown out comes back as somebody
else, until all frames are sent.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Sequence
from random import Random

import trio
from libp2p.identity.identify.pb.identify_pb2 import Identify
from libp2p.network.stream.net_stream import NetStream

from fondaco.p2p.framing import LengthFraming
from fondaco.p2p.pubsub.framing import encode_frame
from fondaco.p2p.pubsub.rpc import IHave, PeerInfo, Prune, Rpc, Subscription, encode_rpc
from fondaco.p2p.relay_messages import (
    HOP,
    STOP,
    HopKind,
    HopMessage,
    Limit,
    StopKind,
    StopMessage,
    encode_hop,
    encode_stop,
)
from fondaco.p2p.rendezvous_messages import PROTOCOL as RENDEZVOUS
from fondaco.p2p.rendezvous_messages import Discover, Register, Unregister, encode_message
from fondaco.zeroex.codec import encode_order
from fondaco.zeroex.meshsync_wire import (
    MESH_PROTOCOL,
    PageRequest,
    encode_request,
    encode_response,
)
from fondaco.zeroex.sync_wire import (
    ORDERS_PROTOCOL,
    RECONCILE_PROTOCOL,
    AskOrders,
    Compare,
    Compared,
    Declined,
    Greet,
    Greeted,
    Offer,
    OrdersFrame,
    Taken,
    encode,
    pack_frame,
)
from support import stranger
from support.hostile_scene import CHAIN_ID, TOPIC, V3
from support.liar import IDENTIFY, MESHSUB, Liar, framing_of, liar
from support.lies import Bait, all_my_ids, message, new_ids, wrong_fingerprint
from support.stranger import Serve

MESHSUB_10 = "/meshsub/1.0.0"
PUSH = "/ipfs/id/push/1.0.0"
PING = "/ipfs/ping/1.0.0"
EXCHANGE = "/fondaco/peers/1"

FOR_AN_ANSWER = 0.05
"""Seconds: most bent frames have none."""

FOR_QUESTIONS = 4.0
"""Seconds a stranger waits for what the node asks a newcomer."""


# --- how frames are bent ----------------------------------------------------------------


def bent(chance: Random, frames: Sequence[bytes]) -> bytes:
    """Return one of *frames*, or some, with something wrong in most of them."""
    data = bytearray(chance.choice(frames))
    for _ in range(chance.choice((0, 1, 1, 1, 2, 5, 20))):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(8):
            case 0:  # one bit
                if at < len(data):
                    data[at] ^= 1 << chance.randrange(8)
            case 1:  # a byte that means much in lengths and types
                data[at : at + 1] = bytes((chance.choice((0, 1, 0x7F, 0x80, 0xC1, 0xFF)),))
            case 2:  # cut off
                del data[at:]
            case 3:  # cut out
                del data[at : at + chance.randrange(1, 40)]
            case 4:  # put in
                data[at:at] = chance.randbytes(chance.randrange(1, 40))
            case 5:  # a part twice
                data[at:at] = data[at : at + chance.randrange(1, 400)]
            case 6:  # another frame in the middle
                data[at:at] = chance.choice(frames)
            case 7:  # a number far too large
                data[at : at + 4] = b"\xff\xff\xff\x7f"
    return bytes(data)


# --- valid frames -----------------------------------------------------------------------


def framed(protocol: str, *payloads: bytes) -> list[bytes]:
    """Return *payloads* as they travel on *protocol*."""
    return [framing_of(protocol).encode(payload) for payload in payloads]


def gossip(bait: Bait, mallory: Liar) -> list[bytes]:
    known = mallory.sign(TOPIC, message(*bait.orders[:2]))
    ids = (known.message_id, bytes(49))
    topics = [Subscription(TOPIC, is_wanted=True), Subscription("x", is_wanted=False)]
    rpcs = (
        Rpc(subscriptions=topics),
        Rpc(publish=[known, mallory.sign("x", b"y")]),
        Rpc(ihave=[IHave(TOPIC, ids)], iwant=ids, graft=[TOPIC, "x"]),
        Rpc(prune=[Prune(TOPIC, (PeerInfo(mallory.name, b"record"),), 60)]),
    )
    return [encode_frame(encode_rpc(rpc)) for rpc in rpcs]


def requests(bait: Bait) -> list[bytes]:
    deployments, scope = {3: bait.exchange}, ["{}"]
    about = {"chain": CHAIN_ID, "exchange": bait.exchange, "version": int(V3), "filters": scope}
    return framed(
        RECONCILE_PROTOCOL,
        encode(Greet(chain=CHAIN_ID, deployments=deployments, filters=scope)),
        encode(Compare(message=all_my_ids(new_ids(3)), **about)),  # type: ignore[arg-type]
        encode(Compare(message=wrong_fingerprint(), **about)),  # type: ignore[arg-type]
        encode(Offer(ids=new_ids(3), **about)),  # type: ignore[arg-type]
    )


def answers(bait: Bait) -> dict[str, list[bytes]]:
    """Return what a node may be answered, by protocol."""
    body = encode_order(bait.orders[0])
    page = encode_response([body], is_last=True, page=0, snapshot_id="x")
    peers = b'{"peers":[{"peer":"16Uiu2HAm","addresses":["/ip4/127.0.0.1/tcp/1"]}]}'
    deployments = {3: bait.exchange}
    return {
        RECONCILE_PROTOCOL: framed(
            RECONCILE_PROTOCOL,
            encode(Greeted(chain=CHAIN_ID, deployments=deployments, filters=["{}"])),
            encode(Compared(message=all_my_ids(new_ids(3)))),
            encode(Taken(refused=b"\x01")),
            encode(Declined(reason="Busy", detail="x")),
        ),
        ORDERS_PROTOCOL: framed(
            ORDERS_PROTOCOL, encode(OrdersFrame(handled=1, frame=pack_frame([body])))
        ),
        MESH_PROTOCOL: framed(MESH_PROTOCOL, page),
        EXCHANGE: framed(EXCHANGE, peers),
        PING: [bytes(32)],
        MESHSUB: [encode_frame(b"")],
    }


def questions(bait: Bait, mallory: Liar) -> dict[str, list[bytes]]:
    """Return what a node may be sent on streams a stranger opens, by protocol."""
    portrayed = Identify(agent_version="x", protocols=[MESHSUB], listen_addrs=[b"\x04" + bytes(4)])
    page = encode_request(PageRequest(page=0, snapshotID=""), is_first=True)
    said = gossip(bait, mallory)
    return {
        MESHSUB: said,
        MESHSUB_10: said,
        RECONCILE_PROTOCOL: requests(bait),
        ORDERS_PROTOCOL: framed(ORDERS_PROTOCOL, encode(AskOrders(ids=new_ids(3)))),
        MESH_PROTOCOL: framed(MESH_PROTOCOL, page),
        EXCHANGE: framed(EXCHANGE, b""),
        PUSH: framed(PUSH, portrayed.SerializeToString()),
        IDENTIFY: [b"\x00"],
        PING: [bytes(32)],
        HOP: framed(
            HOP,
            encode_hop(HopMessage(kind=HopKind.RESERVE)),
            encode_hop(HopMessage(kind=HopKind.CONNECT, peer=mallory.name)),
        ),
        STOP: framed(
            STOP,
            encode_stop(StopMessage(kind=StopKind.CONNECT, peer=mallory.name, limit=Limit(1, 1))),
        ),
        RENDEZVOUS: framed(
            RENDEZVOUS,
            encode_message(Register("x", b"record", 60)),
            encode_message(Discover("x", 10, b"cookie")),
            encode_message(Unregister("x")),
        ),
    }


# --- sending them -----------------------------------------------------------------------


async def fuzz(bait: Bait, seed: int, count: int) -> None:
    """Send *count* bent frames on each protocol that the node speaks, both ways, and below."""
    async with liar(bait.address) as mallory, trio.open_nursery() as nursery:
        known = set(questions(bait, mallory))
        for protocol in await spoken(mallory):
            assert protocol in known, protocol
            nursery.start_soon(_ask, bait, protocol, Random(f"{seed} {protocol}"), count)
        for number in range(count):
            nursery.start_soon(_answer, bait, Random(f"{seed} answer {number}"))
        nursery.start_soon(_knock, bait, Random(f"{seed} knock"), count)
        nursery.start_soon(_multiplex, bait, Random(f"{seed} yamux"), count)


async def spoken(mallory: Liar) -> list[str]:
    """Return the protocols that the node says it speaks."""
    stream = await mallory.someone.open(IDENTIFY)
    framing = LengthFraming()
    while (said := framing.next()) is None:
        framing.feed(await stream.read(65_536))
    return sorted(Identify.FromString(said).protocols)


async def _ask(bait: Bait, protocol: str, chance: Random, count: int) -> None:
    left = count
    while left:
        # Thrown out: whatever the library makes of it.
        with contextlib.suppress(Exception):
            async with liar(bait.address) as mallory:
                frames = questions(bait, mallory)[protocol]
                while left:
                    stream = await mallory.someone.open(protocol)
                    left -= 1
                    await stream.write(bent(chance, frames))
                    await _listen(stream)
                    if chance.random() < 0.5:
                        await stream.reset()


async def _listen(stream: NetStream) -> None:
    with trio.move_on_after(FOR_AN_ANSWER), contextlib.suppress(Exception):
        while await stream.read(65_536):
            pass


async def _answer(bait: Bait, chance: Random) -> None:
    """Be a peer that is asked, and answers almost right; half of them say well who they are."""
    valid = answers(bait)
    serves: dict[str, Serve] = {
        protocol: _answering(chance, frames) for protocol, frames in valid.items()
    }
    if chance.random() < 0.5:
        said = Identify(agent_version="x", protocols=list(valid)).SerializeToString()
        serves[IDENTIFY] = _answering(chance, framed(IDENTIFY, said), waits=False)
    with contextlib.suppress(Exception):
        async with liar(bait.address, serves=serves):
            await trio.sleep(FOR_QUESTIONS)


def _answering(chance: Random, frames: Sequence[bytes], *, waits: bool = True) -> Serve:
    async def serve(stream: NetStream) -> None:
        while not waits or await stream.read(65_536):
            await stream.write(bent(chance, frames))
            if not waits:
                return

    return serve


async def _knock(bait: Bait, chance: Random, count: int) -> None:
    """Begin like a peer, and go on like none."""
    lines = [b"/multistream/1.0.0\n", b"/noise\n", b"ls\n", b"/yamux/1.0.0\n"]
    said = [bytes((len(line),)) + line for line in lines]
    hello = said[0] + said[1] + (32).to_bytes(2, "big") + bytes(32)
    for _ in range(count):
        with contextlib.suppress(OSError):
            socket = await stranger.tcp(bait.address)
            await stranger.read_to_end(socket, bent(chance, [hello, *said]), is_all=True)


async def _multiplex(bait: Bait, chance: Random, count: int) -> None:
    """Bent frames of Yamux, inside of a good connection: version, type, flags, stream, length."""
    header = struct.Struct(">BBHII")
    frames = [
        header.pack(0, kind, flags, stream, length) + body
        for kind in range(4)
        for flags in (0, 1, 2, 4, 8)
        for stream, length, body in ((0, 0, b""), (1, 4, b"abcd"), (2**31, 2**31, b""))
    ]
    for _ in range(count):
        with contextlib.suppress(Exception):
            async with liar(bait.address) as mallory:
                for _ in range(10):
                    await mallory.someone.write_raw(bent(chance, frames))
                with trio.move_on_after(FOR_AN_ANSWER):
                    await mallory.until_thrown_out()
