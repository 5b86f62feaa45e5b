from __future__ import annotations

import asyncio
import itertools
from random import Random

import pytest

from fondaco.errors import PeerError, Verdict
from fondaco.p2p.network import GossipMessage, Network, PeerJoined, PeerLeft, RequestFailed
from fondaco.p2p.scores import Offence
from fondaco.testing.clock import FakeClock
from fondaco.testing.network import MemoryHub, MemoryNetwork


def make_hub(*, latency: float = 0.0, loss: float = 0.0) -> tuple[MemoryHub, FakeClock]:
    clock = FakeClock()
    return MemoryHub(clock, Random(7), latency=latency, loss=loss), clock


async def line_of(hub: MemoryHub, count: int, topic: str) -> list[MemoryNetwork]:
    nodes = [hub.join(f"n{number}") for number in range(count)]
    for node in nodes:
        await node.subscribe(topic)
    for one, other in itertools.pairwise(nodes):
        hub.connect(one, other)
    return nodes


async def read(node: MemoryNetwork) -> GossipMessage:
    return await anext(aiter(node.messages()))


async def test_it_is_a_network() -> None:
    hub, _ = make_hub()
    network: Network = hub.join("a")
    assert network.is_available
    assert await network.ready() == ("/memory/a",)


async def test_what_is_accepted_goes_on_and_what_is_ignored_stops() -> None:
    hub, _ = make_hub()
    async with hub:
        a, b, c, d = await line_of(hub, 4, "t")
        await a.publish("t", b"x")
        first = await read(b)
        b.verdict(first.message_id, Verdict.ACCEPT)
        second = await read(c)
        assert (second.peer, second.data, second.message_id) == ("n1", b"x", first.message_id)
        c.verdict(second.message_id, Verdict.IGNORE)
        assert d.counts["messages"] == 0


async def test_only_subscribers_of_the_topic_get_it_and_each_once() -> None:
    hub, _ = make_hub()
    async with hub:
        a, b, c = await line_of(hub, 3, "t")
        hub.connect(a, c)
        await b.unsubscribe("t")
        await a.publish("t", b"x")
        message = await read(c)
        c.verdict(message.message_id, Verdict.ACCEPT)
        assert b.counts["messages"] == 0
        assert c.counts["messages"] == 1


async def test_rejected_messages_cost_the_connection() -> None:
    hub, _ = make_hub()
    async with hub:
        a, b = await line_of(hub, 2, "t")
        for number in range(10):
            await a.publish("t", bytes([number]))
            if b.counts["messages"] > len(b.verdicts):
                b.verdict((await read(b)).message_id, Verdict.REJECT)
        assert a.peers() == b.peers() == []
        with pytest.raises(RequestFailed, match="banned"):
            hub.connect(a, b)
        await b.add_peer("n0", [])
        assert [peer.peer_id for peer in b.peers()] == ["n0"]


async def test_latency_is_the_clock_s() -> None:
    hub, clock = make_hub(latency=0.05)
    async with hub:
        a, b = await line_of(hub, 2, "t")
        await a.publish("t", b"x")
        await clock.advance(0.04)
        assert b.counts["messages"] == 0
        await clock.advance(0.02)
        assert b.counts["messages"] == 1


async def test_loss_is_of_gossip_alone() -> None:
    hub, _ = make_hub(loss=0.25)
    async with hub:
        a, b = await line_of(hub, 2, "t")
        await b.serve("/p", echo)
        for _ in range(400):
            await a.publish("t", b"x")
            assert await a.request("n1", "/p", b"y") == b"n0:y"
        assert 60 < a.counts["lost"] < 140
        assert b.counts["messages"] == 400 - a.counts["lost"]


async def echo(peer: str, payload: bytes) -> bytes:
    return f"{peer}:".encode() + payload


async def test_a_partition_ends_connections_and_heals() -> None:
    hub, _ = make_hub()
    async with hub:
        a, b, c = await line_of(hub, 3, "t")
        await c.serve("/p", echo)
        hub.partition([a], [b, c])
        assert a.peers() == []
        assert [peer.peer_id for peer in b.peers()] == ["n2"]
        with pytest.raises(RequestFailed):
            await a.request("n2", "/p", b"")
        with pytest.raises(RequestFailed):
            await a.add_peer("n2", [])
        hub.heal()
        await a.add_peer("n2", [])
        assert await a.request("n2", "/p", b"z") == b"n0:z"


async def test_a_handler_that_fails_shows_as_a_closed_stream() -> None:
    async def accuse(peer: str, payload: bytes) -> bytes:
        raise PeerError("nonsense")

    async def fail(peer: str, payload: bytes) -> bytes:
        raise ValueError("our own fault")

    hub, _ = make_hub()
    async with hub:
        a, b = await line_of(hub, 2, "t")
        await b.serve("/accuse", accuse)
        await b.serve_lines("/fail", fail)
        with pytest.raises(RequestFailed):
            await a.request("n1", "/accuse", b"")
        with pytest.raises(RequestFailed):
            await a.request_lines("n1", "/fail", b"")
        with pytest.raises(RequestFailed):
            await a.request("n1", "/unknown", b"")
        assert b.offences == [("n0", Offence.MALFORMED_STREAM)]


async def test_events_begin_with_who_is_there() -> None:
    hub, _ = make_hub()
    async with hub:
        a, b = await line_of(hub, 2, "t")
        events = aiter(a.events())
        joined = await anext(events)
        assert isinstance(joined, PeerJoined)
        assert joined.peer.peer_id == "n1"
        hub.disconnect("n0", "n1")
        assert await anext(events) == PeerLeft("n1")
        hub.connect(b, a)
        back = await anext(events)
        assert isinstance(back, PeerJoined)
        assert not back.peer.is_outbound


async def test_a_request_that_takes_too_long_fails() -> None:
    async def hang(peer: str, payload: bytes) -> bytes:
        await asyncio.Event().wait()
        return b""

    hub, _ = make_hub()
    async with hub:
        a, b = await line_of(hub, 2, "t")
        await b.serve("/p", hang)
        with pytest.raises(RequestFailed, match="within"):
            await a.request("n1", "/p", b"", timeout=0.01)
