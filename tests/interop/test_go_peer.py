"""go-libp2p and our p2p process: connections, identify, ping, streams, gossip; js joins in."""

from __future__ import annotations

import asyncio
import contextlib
import random
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from fondaco.errors import Verdict
from fondaco.p2p.framing import LengthFraming
from fondaco.p2p.linked import LinkedNetwork
from fondaco.p2p.network import RequestFailed
from fondaco.testing.orders import CHAIN_ID, make_order
from fondaco.zeroex.codec import encode_order
from fondaco.zeroex.gossip_wire import encode_message
from fondaco.zeroex.order import ProtocolVersion
from fondaco.zeroex.order_filter import DEFAULT_SCHEMA, CustomSchema, pubsub_topic
from interop.js_peer import JsProcess
from interop.meeting import identified, sees_subscriber
from support.p2pd import DaemonError, GoMessage, GoPeer, GoStream, open_p2pd
from support.peers import PATIENCE, counted, gone, key_of, read

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("interop")]

TOPIC = pubsub_topic(ProtocolVersion.V3, CHAIN_ID, CustomSchema(DEFAULT_SCHEMA))

BURST = 30
"""Messages of a kilobyte at once; go-libp2p-pubsub queues 32 for a peer or a subscriber."""

ROUNDS = 10

JUNK = 10
"""Messages: some more than a peer may send that has done good before."""

MEGABYTE = 1024 * 1024


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def go(p2pd: Path) -> AsyncIterator[GoPeer]:
    with tempfile.TemporaryDirectory(prefix="go") as folder:
        async with open_p2pd(p2pd, Path(folder), key_of("go")) as peer:
            yield peer


async def meet(ours: LinkedNetwork, go: GoPeer) -> None:
    """Connect both."""
    await go.connect(ours.peer_id, ours.addresses)
    await identified(ours, go.peer_id)


async def listen(ours: LinkedNetwork, go: GoPeer, topic: str) -> None:
    """Have both hear each other on *topic*, to which go listens already.

    go sends its messages to the peers in its mesh alone, and grafts at its heartbeats.
    """
    await ours.subscribe(topic)
    await sees_subscriber(ours, topic, go.peer_id)
    async with asyncio.timeout(PATIENCE):
        while ours.peer_id not in await go.topic_peers(topic):
            pass
        heard = asyncio.create_task(read(ours, 1))
        while not heard.done():
            await go.publish(topic, b"is anybody there")
            await asyncio.wait((heard,), timeout=0.1)
        await go.publish(topic, b"so be it")
        while (await read(ours, 1))[0].data != b"so be it":
            pass


async def test_go_dials_us(ours: LinkedNetwork, go: GoPeer) -> None:
    assert go.peer_id == key_of("go").peer_id  # made by go of the key file alone
    await meet(ours, go)
    assert ours.peer_id in await go.peers()
    (peer,) = [one for one in ours.peers() if one.peer_id == go.peer_id]
    assert not peer.is_outbound
    assert peer.agent == "p2pd/0.1"
    assert set(peer.protocols) >= {"/ipfs/id/1.0.0", "/ipfs/ping/1.0.0", "/meshsub/1.1.0"}
    assert peer.addresses == tuple(one.partition("/p2p/")[0] for one in go.addresses)


async def test_pings_both_ways(ours: LinkedNetwork, go: GoPeer) -> None:
    await meet(ours, go)
    stream = await go.open_stream(ours.peer_id, "/ipfs/ping/1.0.0")
    for number in range(3):
        question = random.Random(number).randbytes(32)
        assert await stream.exchange(question, 32) == question
    await stream.close()
    answered = ours.stats().get("pings-answered", 0)
    stats = await counted(ours, lambda one: one.get("pings-answered", 0) >= answered + 2)
    assert "frozen-peers" not in stats


async def test_go_asks_us_on_a_stream(ours: LinkedNetwork, go: GoPeer) -> None:
    asked: list[tuple[str, int]] = []

    async def answer(peer: str, payload: bytes) -> bytes:
        asked.append((peer, len(payload)))
        return payload[::-1]

    await ours.serve("/fondaco/reverse/1", answer)
    await meet(ours, go)
    stream = await go.open_stream(ours.peer_id, "/fondaco/reverse/1")
    for question in (b"question", bytes(MEGABYTE) + b"the end", b"one more"):
        framed, expected = (LengthFraming().encode(one) for one in (question, question[::-1]))
        assert await stream.exchange(framed, len(expected)) == expected
    await stream.close()
    assert asked == [(go.peer_id, size) for size in (8, MEGABYTE + 7, 8)]
    with pytest.raises(DaemonError):
        await go.open_stream(ours.peer_id, "/fondaco/unknown/1")


async def test_we_ask_go_on_a_stream(ours: LinkedNetwork, go: GoPeer) -> None:
    streams = []

    async def echo(stream: GoStream) -> None:
        streams.append(stream)
        while data := await stream.reader.read(65_536):
            stream.writer.write(data)
            await stream.writer.drain()

    await meet(ours, go)
    async with go.serving("/fondaco/echo/1", echo):
        for question in (b"question", random.Random(1).randbytes(MEGABYTE)):
            assert await ours.request(go.peer_id, "/fondaco/echo/1", question) == question
    assert len(streams) == 1  # one stream for one question after another
    with pytest.raises(RequestFailed, match="NotSpoken"):
        await ours.request(go.peer_id, "/fondaco/unknown/1", b"question")


async def test_orders_both_ways_on_an_order_topic(ours: LinkedNetwork, go: GoPeer) -> None:
    await meet(ours, go)
    bodies = [encode_order(make_order(salt=salt)) for salt in (1, 2)]
    mine, theirs = (encode_message([one], (TOPIC,), ProtocolVersion.V3) for one in bodies)
    async with go.subscribe(TOPIC) as heard:
        await listen(ours, go, TOPIC)
        while not heard.empty():
            heard.get_nowait()
        await ours.publish(TOPIC, mine)
        async with asyncio.timeout(PATIENCE):
            assert await heard.get() == GoMessage(ours.peer_id, mine)
        await go.publish(TOPIC, theirs)
        (seen,) = await read(ours, 1)
        assert (seen.topic, seen.peer, seen.data) == (TOPIC, go.peer_id, theirs)
    await ours.unsubscribe(TOPIC)


async def test_bursts_both_ways(ours: LinkedNetwork, go: GoPeer) -> None:
    """As large as go's queues are: of more in one go it drops some, which sync has to bring."""
    chance = random.Random(3)
    await meet(ours, go)
    async with go.subscribe("burst") as heard:
        await listen(ours, go, "burst")
        for _ in range(ROUNDS):
            theirs, mine = ({chance.randbytes(1024) for _ in range(BURST)} for _ in range(2))
            reading = asyncio.create_task(read(ours, BURST))
            for one in theirs:
                await go.publish("burst", one)
            assert {one.data for one in await reading} == theirs

            for one in mine:
                await ours.publish("burst", one)
            async with asyncio.timeout(PATIENCE):
                while mine:
                    mine.discard((await heard.get()).data)
    await ours.unsubscribe("burst")


async def test_three_makes_share_a_topic(ours: LinkedNetwork, go: GoPeer, js: JsProcess) -> None:
    """go and js see each other through us only, and each verifies the other's signature."""
    await meet(ours, go)
    async with js.host("third") as host, go.subscribe("three") as heard:
        await host.subscribe("three")
        await host.dial(ours.addresses[0])
        await listen(ours, go, "three")
        await sees_subscriber(ours, "three", host.peer_id)
        await host.sees_subscriber("three", ours.peer_id)
        while not heard.empty():
            heard.get_nowait()
        await go.publish("three", b"by go")
        assert (await read(ours, 1))[0].data == b"by go"
        author, _ = await host.message_with("three", b"by go")
        assert author == go.peer_id
        await host.publish("three", [b"by js"])
        assert (await read(ours, 1))[0].data == b"by js"
        async with asyncio.timeout(PATIENCE):
            while await heard.get() != GoMessage(host.peer_id, b"by js"):
                pass
    await ours.unsubscribe("three")


async def test_a_peer_that_sends_what_we_reject_loses_its_connection(
    ours: LinkedNetwork, go: GoPeer
) -> None:
    await meet(ours, go)
    async with go.subscribe("rejected"):
        await listen(ours, go, "rejected")
        bans = ours.stats().get("bans", 0)
        rejecting = asyncio.create_task(read(ours, JUNK, Verdict.REJECT))
        for number in range(JUNK):
            await go.publish("rejected", b"junk %d" % number)
        await gone(ours, go.peer_id)
        rejecting.cancel()
        await counted(ours, lambda one: one.get("bans", 0) == bans + 1)
        refused = ours.stats().get("connections-refused", 0)
        with contextlib.suppress(DaemonError):  # go may take the handshake for a success
            await go.connect(ours.peer_id, ours.addresses)
        await counted(ours, lambda one: one.get("connections-refused", 0) > refused)
        async with asyncio.timeout(PATIENCE):
            while ours.peer_id in await go.peers():
                pass
    # Until whoever runs our node wants the peer, whatever it did.
    await ours.add_peer(go.peer_id, [go.addresses[0].partition("/p2p/")[0]])
    (peer,) = [one for one in ours.peers() if one.peer_id == go.peer_id]
    assert peer.is_outbound
