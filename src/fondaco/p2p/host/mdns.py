"""Peers on the local network, found by multicast; only where the settings ask for it.

    start, then every minute --question--> 224.0.0.251:5353 --> others answer
    a question of others     --answer----> our addresses on that interface
    an answer of others      --> dialled as those that peers name, if it is on this network

IPv4 only. What is told here nobody has signed: an address counts only where it is the
sender's own, so that nobody on the network makes us dial elsewhere. (The library's module
waits in its reader's thread, up to 30 s for a silent peer, and reads one address of each.)
"""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import socket
from collections import Counter
from collections.abc import Callable
from random import Random

import trio

from fondaco.p2p import limits
from fondaco.p2p.budget import TokenBucket
from fondaco.p2p.host.addresses import (
    CIRCUIT,
    UnusableAddress,
    dialable,
    ip_of,
    parse_address,
)
from fondaco.p2p.host.mdns_messages import (
    SERVICE,
    encode_answer,
    encode_question,
    encode_services,
    read_packet,
)
from fondaco.p2p.host.peers import Peers
from fondaco.p2p.link import Tuning

log = logging.getLogger(__name__)

GROUP, PORT = "224.0.0.251", 5353
"""Source: RFC 6762."""

FIRST_PAUSE = 1.0
"""Seconds between the first two questions; doubled until they are a minute apart."""

Found = Callable[[bytes, tuple[str, ...]], None]
"""Takes a peer and addresses that nobody has signed."""


class Mdns:
    """Asks and answers on the interfaces that have the addresses we listen at."""

    def __init__(self, peers: Peers, tuning: Tuning, chance: Random, *, found: Found) -> None:
        self._peers = peers
        self._tuning = tuning
        self._chance = chance
        self._found = found
        # Another at each start, and another than that of a node with the same seed.
        start = f"{peers.get_id()} {chance.random()}"
        self._name = hashlib.sha256(start.encode()).hexdigest()[:32]
        self._due = trio.Event()
        self._due_services = False
        self._bucket = TokenBucket(
            limits.MDNS_PACKETS_PER_SECOND, limits.MDNS_PACKETS_BURST, trio.current_time()
        )
        self.counts: Counter[str] = Counter()

    async def run(self) -> None:
        """Ask and answer; for ever, or until it turns out that it cannot be done here."""
        interfaces = self._interfaces()
        try:
            ears = open_ears(interfaces)
        except OSError as exc:
            log.warning("no peers on the local network: %s", exc)
            return
        if not interfaces:
            log.warning("no peers on the local network: it has no IPv4 address")
            ears.close()
            return
        with ears:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._listen, ears)
                nursery.start_soon(self._answer, ears)
                nursery.start_soon(self._ask, ears)

    def _interfaces(self) -> list[str]:
        """Return the IPv4 addresses at which we listen; this machine's own only if alone."""
        found = [str(ip) for one in self._peers.listening() if (ip := ip_of(one)) is not None]
        ours = [text for text in dict.fromkeys(found) if ":" not in text]
        outside = [text for text in ours if not ipaddress.ip_address(text).is_loopback]
        return outside or ours

    # --- what we say --------------------------------------------------------------------

    async def _ask(self, ears: trio.socket.SocketType) -> None:
        pause = FIRST_PAUSE
        self._due.set()  # whoever is there already learns of us, too
        while True:
            for interface in self._interfaces():
                await self._send(ears, interface, encode_question(self._name))
            await trio.sleep(pause * self._chance.uniform(0.8, 1.2))
            pause = min(2 * pause, self._tuning.exchange_interval)

    async def _answer(self, ears: trio.socket.SocketType) -> None:
        while True:
            await self._due.wait()
            # All answer at once else (RFC 6762, section 6).
            await trio.sleep(self._chance.uniform(0.02, 0.12))
            self._due = trio.Event()
            for interface in self._interfaces():
                if addresses := self._addresses_on(interface):
                    port = int(addresses[0].split("/")[4])
                    await self._send(
                        ears, interface, encode_answer(self._name, addresses, interface, port)
                    )
                    if self._due_services:
                        await self._send(ears, interface, encode_services())
            self._due_services = False
            self.counts["mdns-answers"] += 1
            await trio.sleep(limits.MDNS_ANSWER_PAUSE)

    def _addresses_on(self, interface: str) -> list[str]:
        name = self._peers.get_id()
        return [
            f"{one}/p2p/{name}" for one in self._peers.listening() if str(ip_of(one)) == interface
        ]

    async def _send(self, ears: trio.socket.SocketType, interface: str, packet: bytes) -> None:
        try:
            ears.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(interface))
            await ears.sendto(packet, (GROUP, PORT))
        except OSError as exc:
            self.counts["mdns-unsent"] += 1
            log.debug("not said on the local network", extra={"why": str(exc), "on": interface})

    # --- what others say ----------------------------------------------------------------

    async def _listen(self, ears: trio.socket.SocketType) -> None:
        while True:
            try:
                data, sender = await ears.recvfrom(limits.MAX_MDNS_PACKET + 1)
            except OSError as exc:
                log.debug("nothing heard on the local network", extra={"why": str(exc)})
                await trio.sleep(limits.MDNS_ANSWER_PAUSE)
                continue
            # Who asks from another port wants an answer for itself alone.
            if sender[1] != PORT or not self._bucket.take(1, trio.current_time()):
                self.counts["mdns-ignored"] += 1
                continue
            self._take(data, sender[0])

    def _take(self, data: bytes, sender: str) -> None:
        packet = read_packet(data)
        if packet is None:
            self.counts["mdns-ignored"] += 1
            return
        mine = {f"{self._name}.{SERVICE}", f"{self._name}.local."}
        wants_peers = packet.asks_for_peers and self._name not in packet.known
        if wants_peers or packet.asks_for_services or mine & set(packet.names_asked):
            self._due_services |= packet.asks_for_services
            self._due.set()
        for name, texts in packet.told:
            if name != self._name:
                for peer, addresses in peers_at(texts, sender).items():
                    self.counts["mdns-peers"] += 1
                    self._found(peer, addresses)


def peers_at(texts: tuple[str, ...], sender: str) -> dict[bytes, tuple[str, ...]]:
    """Return the peers that addresses name, with those that are at the IP address *sender*."""
    found: dict[bytes, list[str]] = {}
    for text in texts:
        try:
            peer, address = parse_address(text)
        except UnusableAddress:
            continue
        is_there = str(ip_of(address)) == sender and CIRCUIT not in str(address)
        if peer is not None and is_there:
            found.setdefault(peer.to_bytes(), []).append(str(address))
    return {peer: usable for peer, some in found.items() if (usable := dialable(some))}


def open_ears(interfaces: list[str]) -> trio.socket.SocketType:
    """Return a socket that hears the group on the interfaces with these addresses.

    Raises:
        OSError: it may not, or cannot.
    """
    ears = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        ears.setblocking(False)
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            ears.setsockopt(socket.SOL_SOCKET, option, 1)
        ears.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
        ears.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
        for interface in interfaces:
            ears.setsockopt(
                socket.IPPROTO_IP,
                socket.IP_ADD_MEMBERSHIP,
                socket.inet_aton(GROUP) + socket.inet_aton(interface),
            )
        # At the group's address and no other: nothing that is sent to us alone comes in.
        ears.bind((GROUP, PORT))
    except BaseException:
        ears.close()
        raise
    return trio.socket.from_stdlib_socket(ears)
