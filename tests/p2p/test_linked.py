"""A network whose p2p process dies, freezes, restarts: what the rest of the node notices."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from fondaco.errors import ConfigurationError, PeerError, Verdict
from fondaco.p2p import limits
from fondaco.p2p.network import PeerJoined, RequestFailed
from fondaco.p2p.scores import Offence
from support.peers import PATIENCE, connect, counted, first, gone, key_of, node, read

TOPIC = "orders"
ECHO = "/test/echo/1"


async def echo(peer: str, payload: bytes) -> bytes:
    return payload


async def test_requests_gossip_and_peers_between_two_nodes() -> None:
    async with node("a") as a, node("b") as b:
        assert a.peer_id == key_of("a").peer_id
        assert all(address.endswith(f"/p2p/{a.peer_id}") for address in a.addresses)
        asked: list[str] = []

        async def upper(peer: str, payload: bytes) -> bytes:
            asked.append(peer)
            return payload.upper()

        await b.serve(ECHO, echo)
        await b.serve_lines("/test/lines/1", upper)
        await a.subscribe(TOPIC)
        await b.subscribe(TOPIC)
        await connect(a, b)
        [seen] = b.peers()
        assert (seen.peer_id, seen.is_outbound, seen.agent[:8]) == (a.peer_id, False, "fondaco/")
        big = bytes(range(256)) * (limits.MAX_STREAM_FRAME // 256)
        assert await a.request(b.peer_id, ECHO, big) == big
        assert await a.request_lines(b.peer_id, "/test/lines/1", b"hi") == b"HI"
        assert asked == [a.peer_id]
        answers = await asyncio.gather(
            *(a.request(b.peer_id, ECHO, bytes([n])) for n in range(100))
        )
        assert answers == [bytes([n]) for n in range(100)]
        await a.publish(TOPIC, b"hello")
        [message] = await read(b, 1)
        assert (message.topic, message.peer, message.data) == (TOPIC, a.peer_id, b"hello")
        assert {row.peer for row in a.known_peers()} == {b.peer_id}


async def test_requests_that_fail_say_so() -> None:
    async def refuse(peer: str, payload: bytes) -> bytes:
        raise PeerError("nonsense")

    async def fail(peer: str, payload: bytes) -> bytes:
        raise ValueError("our own fault")

    async def hang(peer: str, payload: bytes) -> bytes:
        await asyncio.Event().wait()
        return b""

    async with node("a") as a, node("b") as b:
        with pytest.raises(RequestFailed, match="not connected"):
            await a.request(b.peer_id, ECHO, b"")
        for protocol, handler in (("/refuse", refuse), ("/fail", fail), ("/hang", hang)):
            await b.serve(protocol, handler)
        await b.serve(ECHO, echo)
        await connect(a, b)
        for protocol in ("/refuse", "/fail", "/unknown"):
            with pytest.raises(RequestFailed):
                await a.request(b.peer_id, protocol, b"x")
        with pytest.raises(RequestFailed, match="within"):
            await a.request(b.peer_id, "/hang", b"x", timeout=0.2)
        # The one that hangs keeps no other waiting, and the node goes on.
        assert await a.request(b.peer_id, ECHO, b"x") == b"x"
        await counted(b, lambda stats: stats.get("offence-malformed-stream", 0) == 1)
        with pytest.raises(RequestFailed):
            await a.add_peer("16Uiu2HAmGd949LwaV4KNvK2WDSiMVy7xEmW983VH75CMmefmMpP7", ["/x"])


async def test_nobody_notices_that_the_process_was_killed() -> None:
    async with node("a") as a, node("b") as b:
        await b.serve(ECHO, echo)
        await a.subscribe(TOPIC)
        await b.subscribe(TOPIC)
        await connect(a, b)
        addresses = b.addresses
        for victim in (a, b):
            assert victim.child_pid is not None
            left = asyncio.create_task(gone(a, b.peer_id))
            os.kill(victim.child_pid, signal.SIGKILL)
            await left
            # Topics, protocols, the port and the wanted peer are restored by themselves.
            await first(
                a, lambda event: isinstance(event, PeerJoined) and ECHO in event.peer.protocols
            )
            assert await a.request(b.peer_id, ECHO, b"again") == b"again"
        assert b.addresses == addresses
        assert a.stats()["restarts"] == b.stats()["restarts"] == 1
        await a.publish(TOPIC, b"after")
        assert [message.data for message in await read(b, 1)] == [b"after"]


async def test_what_was_published_while_the_process_was_dead_is_sent_after_all() -> None:
    async with node("a") as a, node("b") as b:
        await b.subscribe(TOPIC)
        await connect(a, b)
        assert a.child_pid is not None
        os.kill(a.child_pid, signal.SIGKILL)
        for number in range(10):
            await a.publish(TOPIC, bytes([number]))
        got = await read(b, 10)
        assert sorted(message.data for message in got) == [bytes([n]) for n in range(10)]


async def test_requests_underway_fail_when_the_process_dies() -> None:
    started = asyncio.Event()

    async def hang(peer: str, payload: bytes) -> bytes:
        started.set()
        await asyncio.Event().wait()
        return b""

    async with node("a") as a, node("b") as b:
        await b.serve("/hang", hang)
        await connect(a, b)
        request = asyncio.create_task(a.request(b.peer_id, "/hang", b"x", timeout=PATIENCE))
        await started.wait()
        assert a.child_pid is not None
        os.kill(a.child_pid, signal.SIGKILL)
        with pytest.raises(RequestFailed, match="ended"):
            await request


async def test_a_reader_that_does_not_judge_holds_up_the_sender_alone() -> None:
    """Not one message is lost or buffered without bound: they wait where they come from."""
    count = 4 * limits.MAX_PEER_UNJUDGED
    async with node("a") as a, node("b") as b, node("c") as c:
        await b.serve(ECHO, echo)
        for one in (a, b, c):
            await one.subscribe(TOPIC)
        await connect(a, b)
        await connect(c, b)
        for number in range(count):
            await a.publish(TOPIC, number.to_bytes(2, "big") + bytes(20_000))
        stats = await counted(b, lambda stats: stats.get("readers-paused", 0) > 0)
        assert stats["unjudged"] <= 2 * limits.MAX_PEER_UNJUDGED
        # Others are not held up: neither their requests nor their gossip.
        assert await a.request(b.peer_id, ECHO, b"x") == b"x"
        await c.publish(TOPIC, b"from c")
        found = set()
        async for message in b.messages():
            found.add(message.data[:2])
            b.verdict(message.message_id, Verdict.IGNORE)
            if message.peer == c.peer_id:
                assert len(found) < count // 2
            if len(found) == count + 1:
                break


async def test_rejected_messages_end_in_a_ban_that_a_restart_keeps() -> None:
    async with node("a") as a, node("b") as b:
        await a.subscribe(TOPIC)
        await b.subscribe(TOPIC)
        await connect(a, b)
        judge = asyncio.create_task(read(b, 100, Verdict.REJECT))
        for number in range(12):
            await a.publish(TOPIC, bytes([number]))
        await gone(b, a.peer_id)
        judge.cancel()
        assert b.child_pid is not None
        os.kill(b.child_pid, signal.SIGKILL)
        await counted(b, lambda stats: stats["restarts"] == 1 and stats.get("banned", 0) == 1)
        # It is wanted by a, which dials on and is refused on.
        await counted(b, lambda stats: stats.get("connections-refused", 0) > 1)
        assert b.peers() == []
        await b.add_peer(a.peer_id, [a.addresses[0].partition("/p2p/")[0]], timeout=PATIENCE)
        assert [peer.peer_id for peer in b.peers()] == [a.peer_id]


async def test_reports_of_the_main_process_lower_the_score() -> None:
    async with node("a") as a, node("b") as b:
        await connect(a, b)
        a.report(b.peer_id, Offence.INVALID_ORDER)
        a.reward(b.peer_id)
        await counted(a, lambda stats: stats.get("offence-invalid-order", 0) == 1)
        async with asyncio.timeout(PATIENCE):
            while a.peers()[0].score >= 0:
                await a.counters_changed()
        for _ in range(10):
            a.report(b.peer_id, Offence.FALSE_RECONCILIATION)
        await gone(a, b.peer_id)
        assert (await counted(a, lambda stats: stats["bans"] > 0))["banned"] == 1


async def test_a_port_that_is_taken_is_named() -> None:
    async with node("a") as a:
        port = int(a.addresses[0].split("/")[4])
        with pytest.raises(ConfigurationError, match="p2p_tcp_port"):
            async with node("b", port=port):
                pass
