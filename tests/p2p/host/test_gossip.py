"""Gossip between real nodes: it goes on, comes once, and is recovered."""

from __future__ import annotations

import asyncio
import functools

import msgspec
import trio
from libp2p.crypto.secp256k1 import create_new_key_pair
from libp2p.network.stream.net_stream import NetStream

from fondaco.errors import Verdict
from fondaco.p2p.pubsub.framing import encode_frame
from fondaco.p2p.pubsub.rpc import Rpc, Subscription, encode_rpc
from support import stranger
from support.peers import LONELY, PATIENCE, connect, counted, node, read

TOPIC = "orders"
MESHSUB = "/meshsub/1.1.0"

lonely = functools.partial(node, tuning=LONELY)


async def test_messages_cross_a_node_that_accepts_them_and_reach_who_comes_late() -> None:
    async with lonely("a") as a, lonely("b") as b, lonely("c") as c:
        for one in (a, b, c):
            await one.subscribe(TOPIC)
        await connect(a, b)
        await connect(b, c)
        await counted(b, lambda stats: stats["peers"] == 2)
        count = 200
        relays = asyncio.create_task(read(b, count + 1))
        for number in range(count):
            await a.publish(TOPIC, number.to_bytes(2, "big") * 50)
        got = await read(c, count)
        assert {message.data[:2] for message in got} == {n.to_bytes(2, "big") for n in range(count)}
        assert {message.peer for message in got} == {b.peer_id}
        # Published before anybody was there to hear it; d is told of what is kept.
        async with lonely("d") as d:
            await d.subscribe(TOPIC)
            await a.publish(TOPIC, b"before d came")
            await relays
            await connect(d, b)
            late = {message.data for message in await read(d, 1)}
            assert late <= {b"before d came"} | {n.to_bytes(2, "big") * 50 for n in range(count)}
        assert (await counted(b, lambda stats: stats["unjudged"] == 0))["gossip-rejected"] == 0


async def test_ignored_messages_stop() -> None:
    async with lonely("a") as a, lonely("b") as b, lonely("c") as c:
        for one in (a, b, c):
            await one.subscribe(TOPIC)
        await connect(a, b)
        await connect(b, c)
        await a.publish(TOPIC, b"ignored")
        await read(b, 1, Verdict.IGNORE)
        await a.publish(TOPIC, b"accepted")
        await read(b, 1, Verdict.ACCEPT)
        assert [message.data for message in await read(c, 1)] == [b"accepted"]
        stats = await counted(b, lambda stats: stats["gossip-ignored"] == 1)
        assert stats["bans"] == 0


async def test_others_messages_wait_for_company_and_our_own_take_them_along() -> None:
    patient = msgspec.structs.replace(LONELY, frame_interval=3_600.0)
    async with lonely("a") as a, node("b", tuning=patient) as b, lonely("c") as c:
        for one in (a, b, c):
            await one.subscribe(TOPIC)
        await connect(a, b)
        await connect(b, c)
        await counted(b, lambda stats: stats["peers"] == 2)
        reading = asyncio.create_task(read(c, 3))
        # As soon as c is in b's mesh, which takes a heartbeat, two of these wait for it.
        async with asyncio.timeout(PATIENCE):
            while b.stats()["queued-messages"] < 2:
                await a.publish(TOPIC, b"passed on")
                await read(b, 1)
                await b.counters_changed()
        assert not reading.done()
        await b.publish(TOPIC, b"our own")
        assert sorted(message.data for message in await reading) == [
            b"our own",
            b"passed on",
            b"passed on",
        ]


async def test_topics_are_joined_and_left() -> None:
    async with node("a") as a, node("b") as b:
        await a.subscribe(TOPIC)
        await connect(a, b)

        async def topics_of_b(wanted: tuple[str, ...]) -> None:
            async with asyncio.timeout(PATIENCE):
                while a.peers()[0].topics != wanted:
                    await a.counters_changed()

        await topics_of_b(())
        await b.subscribe(TOPIC)
        await topics_of_b((TOPIC,))
        await b.unsubscribe(TOPIC)
        await topics_of_b(())


async def test_a_peer_may_open_its_stream_again() -> None:
    async def talk(address: str, heard: asyncio.Event) -> None:
        async with stranger.connected(address) as someone:
            first_stream = await someone.open("/meshsub/1.0.0")
            await first_stream.write(encode_frame(encode_rpc(Rpc())))
            again = await someone.open("/meshsub/1.0.0")
            hello = Rpc(subscriptions=[Subscription(TOPIC, is_wanted=True)])
            await again.write(encode_frame(encode_rpc(hello)))
            await stranger.until(heard)

    async with node("a") as a:
        heard = asyncio.Event()
        task = asyncio.create_task(stranger.meet(talk, a.addresses[0], heard))
        async with asyncio.timeout(PATIENCE):
            while not any(TOPIC in peer.topics for peer in a.peers()):
                await a.counters_changed()
        heard.set()
        await task


async def test_a_peer_with_another_connection_is_told_everything_again_on_it() -> None:
    """It has come back before its old connection was found dead, perhaps as a new process."""

    async def come_back(address: str) -> None:
        keys = create_new_key_pair(b"\x07" * 32)
        heard = [trio.Event(), trio.Event()]

        def hearing(number: int) -> stranger.Serve:
            async def hear(stream: NetStream) -> None:
                come = b""
                while data := await stream.read(65_536):
                    come += data
                    if TOPIC.encode() in come:
                        heard[number].set()

            return hear

        async with stranger.connected(address, keys, {MESHSUB: hearing(0)}) as first:
            with trio.fail_after(PATIENCE):
                await heard[0].wait()
                async with stranger.connected(address, keys, {MESHSUB: hearing(1)}):
                    await first.muxed.close()
                    await heard[1].wait()

    async with lonely("a") as a:
        await a.subscribe(TOPIC)
        await stranger.meet(come_back, a.addresses[0])
        stats = await counted(a, lambda stats: stats["connections-opened"] == 2)
        assert stats.get("gossip-streams-lost", 0) == 0
