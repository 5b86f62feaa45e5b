"""Asking the router at home to let peers in: a mapped port, only where the settings ask for it.

    search by multicast --> router --AddPortMapping, for an hour--> its address and the port
    half an hour later   again;  at the end   DeletePortMapping

The router says which address it has; only one that the whole internet can use is told to
peers. (The library's module maps without end, so that a crash leaves the port open.)
"""

from __future__ import annotations

import ipaddress
import logging
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import TypeVar

import miniupnpc  # type: ignore[import-not-found]
import msgspec
import trio
from multiaddr import Multiaddr  # type: ignore[import-untyped]

from fondaco.errors import Unavailable
from fondaco.p2p import limits
from fondaco.p2p.host.addresses import ip_of
from fondaco.p2p.host.peers import Peers
from fondaco.p2p.link import Tuning

log = logging.getLogger(__name__)

SOURCE = "upnp"
"""Who announces the address, for ``Peers.announce``."""

NAME = "fondaco"
"""What the router's page shows beside the mapping."""

PROTOCOL = "TCP"


class NoRouter(Unavailable):
    """There is no router that maps ports, or it does not want to."""

    code = "NoRouter"


class MappedPort(msgspec.Struct, frozen=True, kw_only=True):
    """A port of the router that leads to us."""

    ip: str
    """The router's address on the side of the internet, as it says."""
    port: int


class Upnp:
    """Keeps a port mapped while ``run`` runs."""

    def __init__(self, peers: Peers, tuning: Tuning, chance: Random) -> None:
        self._peers = peers
        self._tuning = tuning
        self._chance = chance
        self._router: miniupnpc.UPnP | None = None
        self._mapped: MappedPort | None = None
        self.counts: Counter[str] = Counter()

    @property
    def is_mapped(self) -> bool:
        """Whether a port leads to us."""
        return self._mapped is not None

    async def run(self) -> None:
        """Map and renew; for ever."""
        pause = limits.FIRST_UPNP_PAUSE
        try:
            while True:
                try:
                    await self._map()
                except NoRouter as exc:
                    self.counts["upnp-failures"] += 1
                    log.info("the router maps no port", extra={"why": str(exc)})
                    self._router = self._mapped = None
                    self._peers.announce(SOURCE, [])
                    await trio.sleep(pause)
                    pause = min(2 * pause, limits.LONGEST_UPNP_PAUSE)
                else:
                    pause = limits.FIRST_UPNP_PAUSE
                    await trio.sleep(self._tuning.upnp_lease / 2)
        finally:
            if self._mapped is not None:
                # A router that does not answer forgets it by itself, within the lease.
                with trio.CancelScope(shield=True, deadline=trio.current_time() + UNMAP_SECONDS):
                    await _in_thread(unmap, self._router, self._mapped.port)

    async def _map(self) -> None:
        if self._router is None:
            self._router = await _in_thread(find_router, self._interface())
        before, own = self._mapped, self._port()
        # The port of before, ours, and some that nobody else may have wanted.
        ports = [own, *(self._chance.randrange(20_000, 60_000) for _ in range(3))]
        if before is not None:
            ports.insert(0, before.port)
        lease = int(self._tuning.upnp_lease)
        inner = self._interface(), own
        self._mapped = await _in_thread(map_port, self._router, inner, tuple(ports), lease)
        self.counts["upnp-mappings"] += 1
        place = f"/ip4/{self._mapped.ip}/tcp/{self._mapped.port}"
        if self._mapped != before:
            log.info("the router lets peers in", extra={"at": place})
        self._peers.announce(SOURCE, [Multiaddr(place)])

    def _interface(self) -> str:
        """Return the address of the interface to search on; empty for the usual one."""
        [ip, *_] = [ip_of(address) for address in self._peers.get_transport_addrs()]
        return "" if ip is None or ip.is_unspecified or ip.version == 6 else str(ip)

    def _port(self) -> int:
        return int(self._peers.get_transport_addrs()[0].value_for_protocol("tcp"))


UNMAP_SECONDS = 3.0
"""Seconds to take the mapping back before the process ends."""

_T = TypeVar("_T")


async def _in_thread(work: Callable[..., _T], *args: object) -> _T:
    """Return what *work* does; when nobody waits any more, its thread ends by itself."""
    # The types of another package, made for an older trio, come first.
    result: _T = await trio.to_thread.run_sync(  # type: ignore[call-arg]
        work, *args, abandon_on_cancel=True
    )
    return result


# --- in a thread: the library waits, up to seconds for each answer ---------------------


def find_router(interface: str) -> miniupnpc.UPnP:
    """Return a router that maps ports, on the interface at an address or on the usual one.

    Raises:
        NoRouter: none has answered.
    """
    router = miniupnpc.UPnP(
        multicastif=interface or None, discoverdelay=int(limits.UPNP_SEARCH_SECONDS * 1000)
    )
    try:
        router.discover()
        router.selectigd()
    # The library has no exceptions of its own; it says "Success" where nobody has answered.
    except Exception as exc:
        raise NoRouter("no router that maps ports has answered") from exc
    return router


def map_port(
    router: miniupnpc.UPnP, inner: tuple[str, int], ports: tuple[int, ...], lease: int
) -> MappedPort:
    """Let the first of *ports* that is free lead to ours, for *lease* seconds.

    Args:
        inner: our address, empty for the one that the router sees, and our port.

    Raises:
        NoRouter: it does not, or its own address is not of the internet.
    """
    try:
        ip = str(router.externalipaddress())
        is_outside = ipaddress.ip_address(ip).is_global
    except Exception as exc:
        raise NoRouter(f"the router does not say where it is: {exc}") from exc
    if not is_outside:
        raise NoRouter(f"the router is behind another one, at {ip}")
    host, problem = inner[0] or router.lanaddr, ""
    for port in dict.fromkeys(ports):
        for seconds in (lease, 0):
            try:
                router.addportmapping(port, PROTOCOL, host, inner[1], NAME, "", seconds)
            except Exception as exc:  # noqa: BLE001  # as above
                problem = str(exc)
                if problem != "OnlyPermanentLeasesSupported":
                    break
            else:
                return MappedPort(ip=ip, port=port)
    raise NoRouter(problem or "it refuses")


def unmap(router: miniupnpc.UPnP, port: int) -> None:
    """Take a mapping back, if the router still has it."""
    try:
        router.deleteportmapping(port, PROTOCOL)
    except Exception as exc:  # noqa: BLE001  # as above, and the lease ends without us
        log.debug("the mapping was not taken back", extra={"why": str(exc)})
