"""A port of a router that leads to a node: mapped, told, renewed and taken back."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from fondaco.p2p.host.upnp import NoRouter, find_router, map_port, unmap
from fondaco.p2p.link import Reach
from fondaco.p2p.linked import LinkedNetwork
from fondaco.testing.router import ONLY_PERMANENT, Mapping, open_router
from support.peers import LONELY, connect, counted, node

ASKING = Reach(upnp=True)


def port_of(network: LinkedNetwork) -> int:
    return int(network.addresses[0].split("/")[4])


async def test_a_port_is_mapped_told_and_renewed_and_taken_back_at_the_end() -> None:
    short = msgspec.structs.replace(LONELY, upnp_lease=2.0)
    async with open_router("127.0.0.21", external_ip="8.8.4.4") as router:
        async with (
            node("upnp a", host="127.0.0.21", reach=ASKING, tuning=short) as a,
            node("upnp b") as b,
        ):
            stats = await counted(a, lambda stats: stats.get("upnp-mappings", 0) >= 2)
            assert stats["upnp-ports"] == 1
            port = port_of(a)
            assert router.mappings == {(port, "TCP"): Mapping("127.0.0.21", port, 2)}
            outside = f"/ip4/8.8.4.4/tcp/{port}"
            assert f"{outside}/p2p/{a.peer_id}" in a.addresses
            # At its own port first: that is what a restart goes back to.
            assert a.addresses[0].startswith("/ip4/127.0.0.21/")
            await connect(b, a)
            [seen] = b.peers()
            assert seen.addresses[0] == outside
        assert router.mappings == {}


async def test_a_router_that_comes_later_or_refuses_is_no_trouble() -> None:
    async with open_router("127.0.0.22") as router:
        router.fault = 606  # not authorised
        async with node("upnp c", host="127.0.0.22", reach=ASKING, tuning=LONELY) as c:
            await counted(c, lambda stats: stats.get("upnp-failures", 0) > 0)
            assert c.stats()["upnp-ports"] == 0
            assert len(c.addresses) == 1
            assert router.mappings == {}


async def test_ports_that_others_have_are_left_to_them() -> None:
    async with open_router("127.0.0.23") as router:
        router.taken = {1, 2}
        found = await asyncio.to_thread(find_router, "127.0.0.23")
        mapped = await asyncio.to_thread(map_port, found, ("127.0.0.23", 9), (1, 2, 3), 60)
        assert (mapped.ip, mapped.port) == ("8.8.4.4", 3)
        assert router.mappings == {(3, "TCP"): Mapping("127.0.0.23", 9, 60)}
        router.taken = {1}
        with pytest.raises(NoRouter, match="Conflict"):
            await asyncio.to_thread(map_port, found, ("", 9), (1,), 60)


async def test_a_router_without_leases_maps_for_ever_and_is_told_at_the_end() -> None:
    async with open_router("127.0.0.24") as router:
        router.fault = ONLY_PERMANENT
        found = await asyncio.to_thread(find_router, "127.0.0.24")
        await asyncio.to_thread(map_port, found, ("", 9), (3,), 60)
        assert router.mappings == {(3, "TCP"): Mapping("127.0.0.1", 9, 0)}
        await asyncio.to_thread(unmap, found, 3)
        assert router.mappings == {}
        await asyncio.to_thread(unmap, found, 3)  # it has forgotten it itself
        assert router.calls["DeletePortMapping"] == 2


async def test_an_address_that_leads_nowhere_is_not_told() -> None:
    async with open_router("127.0.0.25") as router:
        found = await asyncio.to_thread(find_router, "127.0.0.25")
        for ip in ("192.168.1.1", "100.64.0.1", "127.0.0.1", "0.0.0.0", "", "junk"):
            router.external_ip = ip
            with pytest.raises(NoRouter):
                await asyncio.to_thread(map_port, found, ("", 9), (3,), 60)
        assert router.mappings == {}


async def test_where_there_is_no_router() -> None:
    with pytest.raises(NoRouter, match="no router"):
        await asyncio.to_thread(find_router, "127.0.0.77")


async def test_a_node_that_was_not_asked_to_maps_nothing() -> None:
    async with (
        open_router("127.0.0.26") as router,
        node("upnp d", host="127.0.0.26", tuning=LONELY) as d,
    ):
        await counted(d, lambda stats: "upnp-ports" in stats)
        assert (d.stats()["upnp-ports"], router.calls.total()) == (0, 0)
