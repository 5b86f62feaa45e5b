"""Behind a relay: reached, found again, and let alone by others."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio

from fondaco.p2p import limits
from fondaco.p2p.framing import LengthFraming
from fondaco.p2p.host.addresses import parse_peer
from fondaco.p2p.host.relay_client import relays_in
from fondaco.p2p.linked import LinkedNetwork
from fondaco.p2p.network import KnownPeer
from fondaco.p2p.relay_messages import (
    STOP,
    Status,
    StopKind,
    StopMessage,
    decode_stop,
    encode_stop,
)
from fondaco.testing.until import until
from support import stranger
from support.peers import (
    LONELY,
    PATIENCE,
    QUICK,
    connect,
    counted,
    gone,
    key_of,
    node,
    read,
)
from support.relayed import ECHO, SERVING, echo, guest, hidden, met, relay_between, through

TOPIC = "orders"
Town = tuple[LinkedNetwork, LinkedNetwork, LinkedNetwork]
"""A relay, a node behind it, and a guest."""

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("relay client")]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def town() -> AsyncIterator[Town]:
    async with (
        node("relay", tuning=LONELY, reach=SERVING) as relay,
        hidden(relay) as a,
        guest() as c,
    ):
        yield relay, a, c


async def test_requests_and_gossip_through_a_relay(town: Town) -> None:
    relay, a, c = town
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


async def test_peers_tell_each_other_of_addresses_behind_relays(town: Town) -> None:
    relay, a, _ = town
    quick = msgspec.structs.replace(QUICK, exchange_interval=0.3)
    async with guest("another", tuning=quick) as c:
        await a.serve(ECHO, echo)
        await connect(c, relay)
        await met(c, a)
        assert relay_between(c, a) == relay.peer_id
        place = through(a).removesuffix(f"/p2p/{a.peer_id}")
        await until(lambda: any(place in row.addresses for row in c.known_peers()))


async def test_a_relay_that_dies_is_found_again(town: Town) -> None:
    relay, a, c = town
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


async def test_without_its_relay_a_node_announces_no_address_there(town: Town) -> None:
    relay, a, _ = town
    assert through(a)
    assert relay.child_pid is not None
    os.kill(relay.child_pid, signal.SIGSTOP)
    try:
        # Frozen, not gone: the ping notices.
        await counted(a, lambda stats: stats["reservations"] == 0)
        assert not any("/p2p-circuit/" in one for one in a.addresses)
    finally:
        os.kill(relay.child_pid, signal.SIGCONT)


async def test_an_address_that_does_not_answer_does_not_hold_up_the_relay(town: Town) -> None:
    """As the private addresses of a peer behind a router."""
    relay, a, _ = town
    await a.serve(ECHO, echo)
    await counted(a, lambda stats: stats.get("reservations") == 1)
    with socket.socket() as silent:
        silent.bind(("127.0.0.4", 0))
        silent.listen(1)
        row = KnownPeer(
            peer=a.peer_id,
            addresses=(
                f"/ip4/127.0.0.4/tcp/{silent.getsockname()[1]}",
                through(a).removesuffix(f"/p2p/{a.peer_id}"),
            ),
            seen_at=1,
        )
        # The handshake alone would take longer than this test.
        patient = msgspec.structs.replace(
            QUICK, handshake_timeout=4 * PATIENCE, direct_patience=0.3
        )
        async with guest("patient", tuning=patient, known_peers=[row]) as c:
            await met(c, a)
            assert relay_between(c, a) == relay.peer_id


async def bring(address: str, raw: bytes) -> StopMessage:
    """Bring a connection to a node, as its relay would; return its answer."""
    async with stranger.connected(address) as me:
        stream = await me.open(STOP)
        await stream.write(LengthFraming().encode(raw))
        framed = LengthFraming()
        while (answer := framed.next()) is None:
            framed.feed(await stream.read(1024))
        return decode_stop(answer)


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        pytest.param(
            encode_stop(StopMessage(kind=StopKind.CONNECT, peer=b"me")),
            Status.PERMISSION_DENIED,
            id="no relay of ours",
        ),
        pytest.param(
            encode_stop(StopMessage(kind=StopKind.STATUS, status=Status.OK)),
            Status.UNEXPECTED_MESSAGE,
            id="answer without a question",
        ),
        pytest.param(b"\xff" * 9, Status.MALFORMED_MESSAGE, id="no protobuf"),
        pytest.param(bytes(limits.MAX_RELAY_MESSAGE + 1), Status.MALFORMED_MESSAGE, id="endless"),
    ],
)
async def test_who_is_no_relay_of_ours_brings_us_nobody(
    town: Town, raw: bytes, status: Status
) -> None:
    _, a, _ = town
    offences = a.stats().get("offence-malformed-stream", 0)
    answer = await stranger.meet(bring, a.addresses[0], raw)
    assert (answer.kind, answer.status) == (StopKind.STATUS, status)
    if status is Status.MALFORMED_MESSAGE:
        await counted(a, lambda stats: stats.get("offence-malformed-stream", 0) > offences)


async def test_which_relays_of_the_settings_are_used(caplog: pytest.LogCaptureFixture) -> None:
    named = [f"/ip4/192.0.2.{n}/tcp/1/p2p/{key_of(str(n)).peer_id}" for n in range(1, 7)]
    wrong = ["nonsense", "/ip4/192.0.2.9/tcp/1", f"{named[0]}/p2p-circuit/p2p/{named[1][-53:]}"]
    found = relays_in([*wrong, named[0], *named])
    expected = {
        parse_peer(key_of(str(n)).peer_id).to_bytes(): f"/ip4/192.0.2.{n}/tcp/1"
        for n in range(1, limits.MAX_RELAYS + 1)
    }
    assert found == expected
    assert len(caplog.records) == len(wrong) + 2
