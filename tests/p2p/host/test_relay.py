"""A relay with narrow limits, and what strangers say to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio
from libp2p.peer.envelope import Envelope, unmarshal_envelope
from libp2p.peer.id import ID
from libp2p.relay.circuit_v2.pb.circuit_pb2 import Voucher

from fondaco.p2p import limits
from fondaco.p2p.framing import LengthFraming
from fondaco.p2p.linked import LinkedNetwork
from fondaco.p2p.network import RequestFailed
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
from support.peers import LONELY, PATIENCE, counted, gone, key_of, node
from support.relayed import ECHO, SERVING, echo, guest, hidden, met, through

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("relay")]

NARROW = msgspec.structs.replace(LONELY, circuit_bytes=200_000, circuit_seconds=5.0)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def relay() -> AsyncIterator[LinkedNetwork]:
    async with node("relay", tuning=NARROW, reach=SERVING) as network:
        yield network


async def test_what_a_relay_carries_has_an_end(relay: LinkedNetwork) -> None:
    async with hidden(relay) as a, guest() as c:
        await a.serve(ECHO, echo)
        await c.add_peer(a.peer_id, [through(a)], timeout=PATIENCE)
        # In bytes ...
        while "relay-circuits-too-large" not in relay.stats():
            await met(c, a)
            with pytest.raises(RequestFailed):
                await c.request(a.peer_id, ECHO, bytes(300_000), timeout=PATIENCE)
            await gone(c, a.peer_id)
            await relay.counters_changed()
        # ... and in time.
        await met(c, a)
        assert await c.request(a.peer_id, ECHO, b"little", timeout=PATIENCE) == b"little"
        await gone(c, a.peer_id)
        await counted(relay, lambda stats: stats.get("relay-circuits-too-long", 0) > 0)


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
    assert answer.limit == Limit(5, 200_000)
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
            stats.get("relay-reservations-made", 0) > 0 and stats["relay-reservations"] == 0
        ),
    )


def open_voucher(raw: bytes) -> tuple[Envelope, Voucher]:
    """Read a voucher as the library does; raises where its signature does not hold."""
    envelope = unmarshal_envelope(raw)
    envelope.validate("libp2p-relay-rsvp")
    return envelope, Voucher.FromString(envelope.raw_payload)
