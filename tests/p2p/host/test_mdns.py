"""Peers that find each other by multicast on this machine's own interface.

Names of nodes are of this file alone: suites that run at the same time hear each other.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from zeroconf import ServiceBrowser, ServiceInfo, ServiceListener, Zeroconf

from fondaco.p2p.host.addresses import parse_peer
from fondaco.p2p.host.mdns import GROUP, PORT, peers_at
from fondaco.p2p.host.mdns_messages import SERVICE, encode_answer
from fondaco.p2p.link import Reach
from fondaco.p2p.linked import LinkedNetwork
from fondaco.p2p.network import PeerJoined
from fondaco.testing.until import until
from support.peers import LONELY, QUICK, counted, first, key_of, node

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("mdns")]

HERE = Reach(mdns=True)
PEER = key_of("mdns somebody").peer_id


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def a() -> AsyncIterator[LinkedNetwork]:
    async with node("mdns a", reach=HERE, tuning=LONELY) as network:
        yield network


async def test_two_nodes_find_each_other_with_nobody_named(a: LinkedNetwork) -> None:
    async with node("mdns b", reach=HERE, tuning=QUICK) as b:
        await first(
            b,
            lambda event: isinstance(event, PeerJoined) and event.peer.peer_id == a.peer_id,
        )
        await counted(b, lambda stats: stats.get("mdns-answers", 0) > 0)
        await until(lambda: a.peer_id in {row.peer for row in b.known_peers()})
        # Nor does it find itself.
        assert b.peer_id not in {row.peer for row in b.known_peers()}


async def test_one_that_was_not_told_to_says_and_hears_nothing(a: LinkedNetwork) -> None:
    async with node("mdns c", tuning=QUICK) as c:
        answers = a.stats().get("mdns-answers", 0)
        await asyncio.to_thread(say, encode_answer("x", [], "127.0.0.1", 1))
        await counted(c, lambda stats: "known-peers" in stats)
        assert c.stats()["known-peers"] == 0
        assert not any(name.startswith("mdns") for name in c.stats())
        assert a.stats().get("mdns-answers", 0) >= answers


def say(packet: bytes, port: int = PORT) -> None:
    """Say something to everybody, as from the port that this is done from."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mouth:
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            mouth.setsockopt(socket.SOL_SOCKET, option, 1)
        mouth.bind(("127.0.0.1", port))
        mouth.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        mouth.sendto(packet, (GROUP, PORT))


async def test_junk_is_ignored(a: LinkedNetwork) -> None:
    ignored = a.stats().get("mdns-ignored", 0)
    for packet, port in ((b"\xff" * 100, PORT), (encode_answer("x", [], "127.0.0.1", 1), 0)):
        await asyncio.to_thread(say, packet, port)
    await counted(a, lambda stats: stats.get("mdns-ignored", 0) >= ignored + 2)


class Heard(ServiceListener):
    """What zeroconf's own browser hears."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.come = threading.Event()

    def add_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        self.names.add(name)
        self.come.set()

    def update_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        self.names.add(name)

    def remove_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        self.names.discard(name)


async def test_programs_that_are_not_ours_hear_us_and_are_heard(a: LinkedNetwork) -> None:
    """zeroconf's resolver, which the library's module and many programs are made of."""
    port = int(a.addresses[0].split("/")[4])
    seen = await asyncio.to_thread(resolve, a.addresses[0])
    assert (seen.port, seen.parsed_addresses()) == (port, ["127.0.0.1"])
    named = f"/ip4/127.0.0.1/tcp/9/p2p/{PEER}"
    info = ServiceInfo(
        SERVICE,
        f"someone.{SERVICE}",
        port=9,
        properties={"dnsaddr": named},
        server="someone.local.",
        addresses=[socket.inet_aton("127.0.0.1")],
    )
    before = a.stats().get("mdns-peers", 0)
    zero = Zeroconf(interfaces=["127.0.0.1"])
    try:
        await asyncio.to_thread(zero.register_service, info, allow_name_change=True)
        await counted(a, lambda stats: stats.get("mdns-peers", 0) > before)
    finally:
        await asyncio.to_thread(zero.close)


def resolve(address: str) -> ServiceInfo:
    """Return the service that has *address* in its TXT record. Datagrams may be lost on a busy
    machine, so a program that hears nothing begins anew."""
    for _ in range(8):
        if (info := _heard_of(address)) is not None:
            return info
    raise AssertionError(f"not heard of: {address}")


def _heard_of(address: str) -> ServiceInfo | None:
    zero = Zeroconf(interfaces=["127.0.0.1"])
    heard = Heard()
    browser = ServiceBrowser(zero, SERVICE, heard)
    try:
        for _ in range(25):
            for name in list(heard.names):
                info = ServiceInfo(SERVICE, name)
                if info.request(zero, 1_000) and f"dnsaddr={address}".encode() in info.text:
                    return info
            heard.come.wait(0.2)
        return None
    finally:
        browser.cancel()
        zero.close()


async def test_nobody_makes_us_dial_elsewhere() -> None:
    raw = parse_peer(PEER).to_bytes()
    here = "/ip4/192.168.1.7/tcp/60558"
    relay = f"{here}/p2p/{key_of('r').peer_id}/p2p-circuit"
    told = (
        f"{here}/p2p/{PEER}",
        f"/ip4/192.168.1.8/tcp/60558/p2p/{PEER}",
        f"/ip4/192.168.1.7/udp/60558/quic-v1/p2p/{PEER}",
        f"/dns4/example.org/tcp/1/p2p/{PEER}",
        f"{relay}/p2p/{PEER}",
        here,
        "junk",
    )
    assert peers_at(told, "192.168.1.7") == {raw: (here,)}
    assert peers_at(told, "192.0.2.1") == {}
