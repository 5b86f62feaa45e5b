"""What peers say of themselves, while they are connected."""

from __future__ import annotations

import asyncio

from fondaco.p2p.network import PeerJoined
from support import stranger
from support.peers import PATIENCE, connect, counted, first, node


async def echo(peer: str, payload: bytes) -> bytes:
    return payload


async def test_a_protocol_served_later_is_heard_of() -> None:
    async with node("a") as a, node("b") as b:
        await connect(a, b)
        later = asyncio.create_task(
            first(
                a,
                lambda event: isinstance(event, PeerJoined) and "/late/1" in event.peer.protocols,
            )
        )
        await b.serve("/late/1", echo)
        await later
        assert await a.request(b.peer_id, "/late/1", b"x") == b"x"


async def test_over_ipv6_too() -> None:
    async with node("a", host="::1") as a, node("b", host="::1") as b:
        assert a.addresses[0].startswith("/ip6/::1/tcp/")
        await connect(a, b)
        assert b.peers()[0].addresses == (a.addresses[0].partition("/p2p/")[0],)


async def test_a_peer_that_says_nothing_of_itself_is_a_peer_all_the_same() -> None:
    async def stay(address: str, seen: asyncio.Event) -> None:
        async with stranger.connected(address):
            await stranger.until(seen)

    async with node("a") as a:
        seen = asyncio.Event()
        task = asyncio.create_task(stranger.meet(stay, a.addresses[0], seen))
        await counted(a, lambda stats: stats.get("peers", 0) == 1)
        [peer] = a.peers()
        assert (peer.agent, peer.protocols, peer.is_outbound) == ("", (), False)
        seen.set()
        await task
        await counted(a, lambda stats: stats["peers"] == 0)
        assert a.peers() == []


async def test_listening_everywhere_names_addresses_that_can_be_dialled() -> None:
    async with node("a", host="0.0.0.0") as a, node("b") as b:
        assert not any("/0.0.0.0/" in address for address in a.addresses)
        local = next(one for one in a.addresses if one.startswith("/ip4/127.0.0.1/"))
        async with asyncio.timeout(PATIENCE):
            await b.add_peer(a.peer_id, [local])


async def test_quick_reconnects_of_one_identity_end_connected() -> None:
    async with node("b") as b:
        for _ in range(3):
            async with node("a") as a:
                await connect(a, b)
        async with node("a") as a:
            await connect(a, b)
            assert [peer.peer_id for peer in b.peers()] == [a.peer_id]
