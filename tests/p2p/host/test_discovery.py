"""Peers that find each other."""

from __future__ import annotations

import asyncio
import random
import socket

import msgspec
import pytest

from fondaco.p2p import link
from fondaco.p2p.framing import MalformedFrame
from fondaco.p2p.host.discovery import EXCHANGED_PEERS, NamedPeer, backoff, parse_exchange
from fondaco.p2p.network import KnownPeer, Network, PeerJoined
from support.peers import PATIENCE, QUICK, connect, counted, first, gone, key_of, node


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def met(network: Network, name: str) -> None:
    peer_id = key_of(name).peer_id
    await first(
        network, lambda event: isinstance(event, PeerJoined) and event.peer.peer_id == peer_id
    )


async def test_bootstrap_nodes_are_dialled_until_they_are_there_and_again() -> None:
    port = free_port()
    address = f"/ip4/127.0.0.1/tcp/{port}/ipfs/{key_of('boot').peer_id}"
    nonsense = ["/ip4/127.0.0.1/tcp/1", "nonsense"]
    async with node("a", bootstrap=[*nonsense, address]) as a:
        await counted(a, lambda stats: stats.get("dials-failed", 0) >= 2)
        for _ in range(2):
            async with node("boot", port=port) as boot:
                await met(a, "boot")
                await met(boot, "a")
            await gone(a, boot.peer_id)
    assert [row.peer for row in a.known_peers()] == [boot.peer_id]


async def test_peers_name_each_other_and_remember() -> None:
    quick = msgspec.structs.replace(QUICK, exchange_interval=0.3)
    async with node("hub", tuning=quick) as hub, node("b", tuning=quick) as b:
        await connect(b, hub)
        async with node("a", tuning=quick) as a:
            await connect(a, hub)
            await met(a, "b")
            await met(b, "a")
            async with asyncio.timeout(PATIENCE):
                while {row.peer for row in a.known_peers()} != {hub.peer_id, b.peer_id}:
                    await a.counters_changed()
        known = a.known_peers()
        async with node("a", tuning=quick, known_peers=known) as again:
            await asyncio.gather(met(again, "hub"), met(again, "b"))


async def test_the_first_peer_that_is_back_brings_the_others_with_it() -> None:
    """An outage can last longer than any back-off is pleasant to wait for."""
    slow = msgspec.structs.replace(QUICK, first_dial_backoff=1e6, longest_dial_backoff=1e6)
    port, b = free_port(), key_of("b").peer_id
    known = [KnownPeer(peer=b, addresses=(f"/ip4/127.0.0.1/tcp/{port}",), seen_at=1)]
    async with node("hub") as hub, node("a", tuning=slow, known_peers=known) as a:
        await counted(a, lambda stats: stats.get("dials-failed", 0) == 1)
        async with node("b", port=port):
            await connect(a, hub)
            await met(a, "b")


async def test_no_more_known_peers_are_dialled_than_wanted() -> None:
    few = msgspec.structs.replace(QUICK, wanted_connections=1)
    async with node("b") as b, node("c") as c:
        known = [
            KnownPeer(
                peer=one.peer_id,
                addresses=(one.addresses[0].partition("/p2p/")[0],),
                seen_at=1,
            )
            for one in (b, c)
        ]
        async with node("a", tuning=few, known_peers=known) as a:
            await first(a, lambda event: isinstance(event, PeerJoined))
            assert len(a.peers()) == 1
            # Who is asked for by name is dialled whatever the number.
            for one in (b, c):
                await a.add_peer(one.peer_id, one.addresses, timeout=PATIENCE)
            assert len(a.peers()) == 2
            await counted(a, lambda stats: stats["known-peers"] == 2)


async def test_two_nodes_that_dial_each_other_at_once_stay_connected() -> None:
    async with node("a") as a, node("b") as b:
        await asyncio.gather(connect(a, b), connect(b, a))
        stats = await counted(a, lambda stats: 1 <= stats["connections"] <= 2)
        assert stats["peers"] == 1


def test_exchange_round_trip() -> None:
    peer = NamedPeer("16Uiu2", ("/ip4/192.0.2.1/tcp/1",))
    raw = msgspec.json.encode({"peers": [peer] * (EXCHANGED_PEERS + 5), "later": 1})
    assert parse_exchange(raw) == (peer,) * EXCHANGED_PEERS


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"{}", b'{"peers":[{"peer":1}]}', b"\xff", b"[" * 5000]
)
def test_what_is_no_exchange_is_refused(raw: bytes) -> None:
    with pytest.raises(MalformedFrame):
        parse_exchange(raw)


def test_spoiled_exchanges_raise_nothing_else() -> None:
    chance = random.Random(9)
    good = msgspec.json.encode({"peers": [NamedPeer("16Uiu2", ("/ip4/192.0.2.1/tcp/1",))]})
    for _ in range(500):
        spoiled = bytearray(good)
        spoiled[chance.randrange(len(spoiled))] = chance.randrange(256)
        try:
            parse_exchange(bytes(spoiled))
        except MalformedFrame:
            continue


def test_a_peer_that_was_asked_for_is_never_long_left_alone() -> None:
    tuning = link.Tuning()
    wanted, known = (
        [backoff(tuning, failures, is_wanted=is_wanted) for failures in range(40)]
        for is_wanted in (True, False)
    )
    assert wanted[:4] == [1.0, 2.0, 4.0, 5.0]
    assert known[:4] == [1.0, 2.0, 4.0, 8.0]
    assert (max(wanted), max(known)) == (5.0, 300.0)


def test_the_tuning_of_tests_is_shorter_than_that_of_nodes() -> None:
    assert QUICK.first_dial_backoff < 1.0 <= link.Tuning().first_dial_backoff
