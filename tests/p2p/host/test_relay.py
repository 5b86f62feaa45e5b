"""A relay, the nodes behind it and those that come through it: each a process of its own.

The hidden node and its guest deny each other's addresses: there is no way but the relay.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio
from libp2p.peer.envelope import Envelope, unmarshal_envelope
from libp2p.peer.id import ID
from libp2p.relay.circuit_v2.pb.circuit_pb2 import Voucher

from fondaco.p2p import limits
from fondaco.p2p.framing import LengthFraming
from fondaco.p2p.link import Reach, Tuning
from fondaco.p2p.linked import LinkedNetwork
from fondaco.p2p.network import PeerJoined, RequestFailed
from fondaco.p2p.protobuf import field, number_field
from fondaco.p2p.relay_messages import (
    HOP,
    HopKind,
    HopMessage,
    Limit,
    Status,
    decode_hop,
    encode_hop,
)
from support import stranger
from support.peers import (
    LONELY,
    PATIENCE,
    QUICK,
    connect,
    counted,
    first,
    gone,
    key_of,
    node,
    read,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOPIC = "orders"
ECHO = "/test/echo/1"
SERVING = Reach(serves_relay=True)


async def echo(peer: str, payload: bytes) -> bytes:
    return payload


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def relay() -> AsyncIterator[LinkedNetwork]:
    async with node("relay for all", tuning=LONELY, reach=SERVING) as network:
        yield network


@contextlib.asynccontextmanager
async def hidden(
    relay: LinkedNetwork, name: str = "hidden", tuning: Tuning = LONELY
) -> AsyncIterator[LinkedNetwork]:
    """Open a node that nobody reaches but through *relay*."""
    reach = Reach(relays=(relay.addresses[0],))
    async with node(
        name, host="127.0.0.2", deny=["127.0.0.3"], tuning=tuning, reach=reach
    ) as network:
        await counted(network, lambda stats: stats.get("reservations") == 1)
        yield network


@contextlib.asynccontextmanager
async def guest(name: str = "guest", tuning: Tuning = LONELY) -> AsyncIterator[LinkedNetwork]:
    """Open a node that cannot reach any that is ``hidden``."""
    async with node(name, host="127.0.0.3", deny=["127.0.0.2"], tuning=tuning) as network:
        yield network


def through(network: LinkedNetwork) -> str:
    """Return the address of a node behind a relay."""
    [address] = [one for one in network.addresses if "/p2p-circuit/" in one]
    return address


async def met(one: LinkedNetwork, other: LinkedNetwork) -> None:
    """Return when *one* knows that *other* answers ECHO."""
    await first(
        one,
        lambda event: (
            isinstance(event, PeerJoined)
            and event.peer.peer_id == other.peer_id
            and ECHO in event.peer.protocols
        ),
    )


def relay_between(one: LinkedNetwork, other: LinkedNetwork) -> str:
    [peer] = [peer for peer in one.peers() if peer.peer_id == other.peer_id]
    return peer.relay


async def test_requests_and_gossip_through_a_relay() -> None:
    async with (
        node("relay", tuning=LONELY, reach=SERVING) as relay,
        hidden(relay) as a,
        guest() as c,
    ):
        assert through(a) == f"{relay.addresses[0]}/p2p-circuit/p2p/{a.peer_id}"
        for one in (a, c):
            await one.subscribe(TOPIC)
            await one.serve(ECHO, echo)
        await c.add_peer(a.peer_id, [through(a)], timeout=PATIENCE)
        big = bytes(range(256)) * 4096
        for one, other in ((a, c), (c, a)):
            await met(one, other)
            assert relay_between(one, other) == relay.peer_id
            assert await one.request(other.peer_id, ECHO, big, timeout=PATIENCE) == big
            # A connection to the relay itself has none in between.
            assert relay_between(one, relay) == ""
        await c.publish(TOPIC, b"hello")
        [message] = await read(a, 1)
        assert (message.peer, message.data) == (c.peer_id, b"hello")
        await a.publish(TOPIC, b"good day")
        [message] = await read(c, 1)
        assert (message.peer, message.data) == (a.peer_id, b"good day")
        stats = await counted(relay, lambda stats: stats.get("relay-bytes", 0) > 4 * len(big))
        assert (stats["relay-circuits"], stats["relay-reservations"]) == (1, 1)
        # What it carried it did not answer.
        assert stats.get("inbound-requests", 0) == 0


async def test_peers_tell_each_other_of_addresses_behind_relays() -> None:
    quick = msgspec.structs.replace(QUICK, exchange_interval=0.3)
    async with (
        node("relay", tuning=LONELY, reach=SERVING) as relay,
        hidden(relay, tuning=quick) as a,
        guest(tuning=quick) as c,
    ):
        await a.serve(ECHO, echo)
        await connect(c, relay)
        await met(c, a)
        assert relay_between(c, a) == relay.peer_id
        known = {row.peer: row.addresses for row in c.known_peers()}
        assert through(a).removesuffix(f"/p2p/{a.peer_id}") in known[a.peer_id]


async def test_a_relay_that_dies_is_found_again() -> None:
    async with (
        node("relay", tuning=LONELY, reach=SERVING) as relay,
        hidden(relay) as a,
        guest() as c,
    ):
        await a.serve(ECHO, echo)
        await c.add_peer(a.peer_id, [through(a)], timeout=PATIENCE)
        await met(c, a)
        assert relay.child_pid is not None
        left = asyncio.create_task(gone(c, a.peer_id))
        os.kill(relay.child_pid, signal.SIGKILL)
        await left
        # The place is taken anew, and the wanted peer is dialled through it again.
        await met(c, a)
        assert await c.request(a.peer_id, ECHO, b"again", timeout=PATIENCE) == b"again"
        assert (await counted(a, lambda stats: stats["reservations-made"] > 1))["reservations"] == 1


async def test_without_its_relay_a_node_announces_no_address_there() -> None:
    async with node("relay", tuning=LONELY, reach=SERVING) as relay, hidden(relay) as a:
        assert through(a)
        assert relay.child_pid is not None
        os.kill(relay.child_pid, signal.SIGSTOP)
        try:
            # Frozen, not gone: the ping notices.
            await counted(a, lambda stats: stats["reservations"] == 0)
            assert not any("/p2p-circuit/" in one for one in a.addresses)
        finally:
            os.kill(relay.child_pid, signal.SIGCONT)


async def test_what_a_relay_carries_has_an_end() -> None:
    little = msgspec.structs.replace(LONELY, circuit_bytes=200_000)
    async with (
        node("relay", tuning=little, reach=SERVING) as relay,
        hidden(relay) as a,
        guest() as c,
    ):
        await a.serve(ECHO, echo)
        await c.add_peer(a.peer_id, [through(a)], timeout=PATIENCE)
        await met(c, a)
        left = asyncio.create_task(gone(c, a.peer_id))
        with pytest.raises(RequestFailed):
            await c.request(a.peer_id, ECHO, bytes(300_000), timeout=PATIENCE)
        await left
        await counted(relay, lambda stats: stats.get("relay-circuits-over-limit") == 1)


async def test_a_connection_through_a_relay_ends_in_time() -> None:
    short = msgspec.structs.replace(LONELY, circuit_seconds=2.0)
    async with (
        node("relay", tuning=short, reach=SERVING) as relay,
        hidden(relay) as a,
        guest() as c,
    ):
        await a.serve(ECHO, echo)
        await c.add_peer(a.peer_id, [through(a)], timeout=PATIENCE)
        await gone(c, a.peer_id)
        assert relay.stats()["relay-circuits-over-limit"] >= 1
        await met(c, a)


async def test_nobody_is_reached_where_no_place_was_taken(relay: LinkedNetwork) -> None:
    async with node("plain", tuning=LONELY) as plain, guest() as c:
        refusals = relay.stats().get("relay-refusals", 0)
        nowhere = [
            (c, key_of("y").peer_id, f"{relay.addresses[0]}/p2p-circuit"),
            # Through one that is no relay, and through ourselves.
            (c, key_of("x").peer_id, f"{plain.addresses[0]}/p2p-circuit"),
            (plain, key_of("x").peer_id, f"{plain.addresses[0]}/p2p-circuit"),
        ]
        dials = [
            asyncio.create_task(one.add_peer(peer, [address], timeout=PATIENCE))
            for one, peer, address in nowhere
        ]
        await counted(relay, lambda stats: stats.get("relay-refusals", 0) > refusals + 1)
        await counted(c, lambda stats: stats.get("dials-failed", 0) >= 4)
        await counted(plain, lambda stats: stats.get("dials-failed", 0) >= 2)
        assert relay.stats()["relay-circuits"] == 0
        # Whoever was dialled for this alone is not kept.
        await counted(c, lambda stats: stats.get("connections-closed", 0) >= 2)
        for dial in dials:
            dial.cancel()
        done = await asyncio.gather(*dials, return_exceptions=True)
        assert all(isinstance(one, BaseException) for one in done)


async def ask_relay(address: str, raw: bytes) -> HopMessage:
    """Say something to a relay; return its answer."""
    async with stranger.connected(address) as me:
        stream = await me.open(HOP)
        await stream.write(LengthFraming().encode(raw))
        framed = LengthFraming()
        while (answer := framed.next()) is None:
            framed.feed(await stream.read(1024))
        return decode_hop(answer)


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        pytest.param(number_field(1, 9), Status.MALFORMED_MESSAGE, id="unknown type"),
        pytest.param(b"\xff" * 9, Status.MALFORMED_MESSAGE, id="no protobuf"),
        pytest.param(bytes(limits.MAX_RELAY_MESSAGE + 1), Status.MALFORMED_MESSAGE, id="endless"),
        pytest.param(
            encode_hop(HopMessage(kind=HopKind.STATUS, status=Status.OK)),
            Status.UNEXPECTED_MESSAGE,
            id="answer without a question",
        ),
        pytest.param(
            number_field(1, HopKind.CONNECT) + field(2, field(1, b"nobody")),
            Status.NO_RESERVATION,
            id="no such peer",
        ),
    ],
)
async def test_what_strangers_say_to_a_relay(
    relay: LinkedNetwork, raw: bytes, status: Status
) -> None:
    offences = relay.stats().get("offence-malformed-stream", 0)
    answer = await stranger.meet(ask_relay, relay.addresses[0], raw)
    assert (answer.kind, answer.status) == (HopKind.STATUS, status)
    if status is Status.MALFORMED_MESSAGE:
        await counted(relay, lambda stats: stats.get("offence-malformed-stream", 0) > offences)


async def test_a_reservation_says_its_terms(relay: LinkedNetwork) -> None:
    raw = encode_hop(HopMessage(kind=HopKind.RESERVE))
    answer = await stranger.meet(ask_relay, relay.addresses[0], raw)
    assert answer.status == Status.OK
    assert answer.limit == Limit(int(limits.CIRCUIT_SECONDS), limits.CIRCUIT_BYTES)
    assert answer.reservation is not None
    assert len(answer.reservation.addresses) == 1
    envelope, voucher = open_voucher(answer.reservation.voucher)
    assert str(ID.from_pubkey(envelope.public_key)) == relay.peer_id
    assert str(ID(voucher.relay)) == relay.peer_id
    assert voucher.expiration == answer.reservation.expires_at
    # Whoever leaves gives its place back.
    await counted(
        relay,
        lambda stats: (
            stats.get("relay-reservations-made") == 1 and stats["relay-reservations"] == 0
        ),
    )


def open_voucher(raw: bytes) -> tuple[Envelope, Voucher]:
    """Read a voucher as the library does; raises where its signature does not hold."""
    envelope = unmarshal_envelope(raw)
    envelope.validate("libp2p-relay-rsvp")
    return envelope, Voucher.FromString(envelope.raw_payload)
