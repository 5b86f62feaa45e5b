"""Request streams between real nodes."""

from __future__ import annotations

import asyncio
import os
import signal

import msgspec
import pytest

from fondaco.p2p import limits
from fondaco.p2p.network import RequestFailed
from support import stranger
from support.peers import PATIENCE, QUICK, connect, counted, gone, node

ECHO = "/test/echo/1"


async def echo(peer: str, payload: bytes) -> bytes:
    return payload


async def test_one_stream_serves_many_requests_and_is_opened_again_when_it_has_ended() -> None:
    impatient = msgspec.structs.replace(QUICK, stream_idle=0.3)
    async with node("a") as a, node("b", tuning=impatient) as b:
        await b.serve(ECHO, echo)
        await connect(a, b)
        for number in range(50):
            assert await a.request(b.peer_id, ECHO, bytes([number])) == bytes([number])
        # The gossip stream and this one; b then closes it, because nobody asks.
        await counted(b, lambda stats: stats["streams"] <= 2)
        await counted(b, lambda stats: stats["streams"] == 1)
        assert await a.request(b.peer_id, ECHO, b"again") == b"again"


async def test_a_peer_gets_no_more_of_us_than_its_share() -> None:
    running = most = 0
    enough = asyncio.Event()
    release = asyncio.Event()

    async def slow(peer: str, payload: bytes) -> bytes:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == limits.MAX_PEER_INBOUND:
            enough.set()
        await release.wait()
        running -= 1
        return b""

    async with (
        node("a") as a,
        node("b", tuning=msgspec.structs.replace(QUICK, handler_seconds=60)) as b,
    ):
        protocols = [f"/test/slow/{number}" for number in range(2 * limits.MAX_PEER_INBOUND)]
        for protocol in protocols:
            await b.serve(protocol, slow)
        await connect(a, b)

        opened = asyncio.Event()

        async def attack() -> None:
            async with stranger.connected(b.addresses[0]) as someone:
                for protocol in protocols:
                    await (await someone.open(protocol)).write(b"\x01x")
                opened.set()
                await stranger.until(release)

        task = asyncio.create_task(stranger.meet(attack))
        async with asyncio.timeout(PATIENCE):
            await enough.wait()
            while not opened.is_set():
                await b.counters_changed()
        assert most == limits.MAX_PEER_INBOUND
        # Somebody else is served all the same.
        await b.serve(ECHO, echo)
        assert await a.request(b.peer_id, ECHO, b"x") == b"x"
        release.set()
        await task


async def test_requests_to_a_frozen_peer_end_in_time() -> None:
    async with node("a") as a, node("b") as b:
        await b.serve(ECHO, echo)
        await connect(a, b)
        assert b.child_pid is not None
        os.kill(b.child_pid, signal.SIGSTOP)
        try:
            with pytest.raises(RequestFailed, match="within"):
                await a.request(b.peer_id, ECHO, b"x", timeout=0.3)
            with pytest.raises(RequestFailed):
                await a.request(b.peer_id, ECHO, b"x")
            await gone(a, b.peer_id)
        finally:
            os.kill(b.child_pid, signal.SIGCONT)


async def test_nonsense_on_a_request_stream_is_an_offence() -> None:
    async def attack(address: str) -> None:
        async with stranger.connected(address) as someone:
            for _ in range(4):
                await (await someone.open(ECHO)).write(b"\xff" * 10)
            await someone.ended()

    async with node("b") as b:
        await b.serve(ECHO, echo)
        await stranger.meet(attack, b.addresses[0])
        await counted(
            b, lambda stats: stats["bans"] == 1 and stats.get("offence-malformed-stream", 0) == 4
        )
