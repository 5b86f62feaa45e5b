"""The ways, beyond dialling known addresses, in which peers find and reach each other.

rendezvous   names we share            --> peers to dial
relays       places at others', ours   --> addresses to tell, connections
mDNS         the local network         --> peers to dial
UPnP         a port of the router      --> an address to tell
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from random import Random

import trio

from fondaco.clock import Clock
from fondaco.p2p.host.discovery import Discovery
from fondaco.p2p.host.mdns import Mdns
from fondaco.p2p.host.peers import Peers
from fondaco.p2p.host.relay import Relay
from fondaco.p2p.host.relay_client import Relays
from fondaco.p2p.host.rendezvous import Rendezvous
from fondaco.p2p.host.upnp import Upnp
from fondaco.p2p.link import Reach, Tuning
from fondaco.p2p.scores import Offence


class Reachability:
    """All of them, as the settings want it."""

    def __init__(
        self,
        peers: Peers,
        discovery: Discovery,
        wanted: Reach,
        tuning: Tuning,
        clock: Clock,
        chance: Random,
        *,
        report: Callable[[bytes, Offence], None],
    ) -> None:
        self._rendezvous = Rendezvous(peers, tuning, chance, found=discovery.found, report=report)
        self._relays = Relays(peers, tuning, clock, chance, wanted.relays, report=report)
        self._relay = Relay(peers, tuning, clock, report=report) if wanted.serves_relay else None
        self._mdns = Mdns(peers, tuning, chance, found=discovery.named) if wanted.mdns else None
        self._upnp = Upnp(peers, tuning, chance) if wanted.upnp else None
        discovery.want(self._relays.wanted)

    async def run(self) -> None:
        """Do what is done without being asked; for ever. Needs listeners."""
        async with trio.open_nursery() as nursery:
            for one in (self._mdns, self._upnp):
                if one is not None:
                    nursery.start_soon(one.run)

    def meet(self, names: Iterable[str]) -> None:
        """Meet peers under these names from now on, and under no others."""
        self._rendezvous.set_names(names)

    def counts(self) -> Counter[str]:
        """Return what has happened, and how much is held at this moment."""
        counts = Counter(
            {
                "registrations": len(self._rendezvous.table),
                "reservations": self._relays.held,
                "relay-reservations": self._relay.table.reservations if self._relay else 0,
                "upnp-ports": int(self._upnp is not None and self._upnp.is_mapped),
                "relay-circuits": self._relay.table.circuits if self._relay else 0,
            }
        )
        counts.update(self._rendezvous.counts)
        counts.update(self._relays.counts)
        if self._relay is not None:
            counts.update(self._relay.counts)
        for one in (self._mdns, self._upnp):
            if one is not None:
                counts.update(one.counts)
        return counts
