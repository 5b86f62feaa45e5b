"""js-libp2p and our p2p process: TCP, Noise, Yamux, identify and ping, whoever dials."""

from __future__ import annotations

import asyncio

import pytest

from fondaco.p2p.linked import LinkedNetwork
from interop.js_peer import JsProcess
from interop.meeting import identified
from support.driven import ProgramError
from support.peers import LONELY, PATIENCE, counted, gone, node

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("interop")]

KEYS = ("secp256k1", "ed25519")

BASICS = {"/ipfs/id/1.0.0", "/ipfs/id/push/1.0.0", "/ipfs/ping/1.0.0", "/meshsub/1.1.0"}


@pytest.mark.parametrize("key", KEYS)
async def test_js_dials_us(js: JsProcess, ours: LinkedNetwork, key: str) -> None:
    async with js.host("dials", key) as host:
        await host.dial(ours.addresses[0])
        seen = await host.identified(ours.peer_id)
        peer = await identified(ours, host.peer_id)
        assert await host.do("ping", peer=ours.peer_id) < 10_000
    await gone(ours, host.peer_id)

    assert seen["agent"].startswith("fondaco/")
    assert set(seen["protocols"]) >= BASICS
    place = ours.addresses[0].partition("/p2p/")[0]
    assert seen["addresses"] == [place]
    assert seen["observed"].startswith("/ip4/127.0.0.1/tcp/")
    assert seen["isSigned"]
    # With the peer ID at their end, as the library signs them; every reader strips it.
    assert seen["signedAddresses"] == list(ours.addresses)
    assert (seen["security"], seen["muxer"]) == ("/noise", "/yamux/1.0.0")
    assert seen["direction"] == "outbound"

    assert not peer.is_outbound
    assert peer.agent.startswith("js-libp2p/3.3.11")
    assert set(peer.protocols) >= BASICS
    assert peer.addresses == tuple(one.partition("/p2p/")[0] for one in host.addresses)


@pytest.mark.parametrize("key", KEYS)
async def test_we_dial_js(js: JsProcess, ours: LinkedNetwork, key: str) -> None:
    async with js.host("is dialled", key) as host:
        await ours.add_peer(host.peer_id, [host.addresses[0].partition("/p2p/")[0]])
        seen = await host.identified(ours.peer_id)
        peer = await identified(ours, host.peer_id)
        assert await host.do("ping", peer=ours.peer_id) < 10_000
    await gone(ours, host.peer_id)
    assert seen["direction"] == "inbound"
    assert (seen["security"], seen["muxer"]) == ("/noise", "/yamux/1.0.0")
    assert peer.is_outbound
    assert set(peer.protocols) >= BASICS


async def test_we_ping_js(js: JsProcess, ours: LinkedNetwork) -> None:
    answered = ours.stats().get("pings-answered", 0)
    async with js.host("is pinged") as host:
        await host.dial(ours.addresses[0])
        stats = await counted(ours, lambda one: one.get("pings-answered", 0) >= answered + 2)
        assert await host.do("pingsFrom", peer=ours.peer_id) >= 2
        assert host.peer_id in {peer.peer_id for peer in ours.peers()}
    assert "frozen-peers" not in stats


async def test_we_hang_up_and_js_notices(js: JsProcess, ours: LinkedNetwork) -> None:
    """And the other way round in every test above."""
    async with js.host("is left") as host:
        async with node("leaves js", tuning=LONELY) as leaving:
            await host.dial(leaving.addresses[0])
            await identified(leaving, host.peer_id)
        await host.left(leaving.peer_id)


async def test_bytes_for_nobody_end_only_their_stream(js: JsProcess, ours: LinkedNetwork) -> None:
    """What js opens and we do not speak is refused, and the connection goes on."""
    async with js.host("asks for more") as host:
        await host.dial(ours.addresses[0])
        await identified(ours, host.peer_id)
        with pytest.raises(ProgramError, match="UnsupportedProtocolError"):
            await host.do("openStream", peer=ours.peer_id, protocol="/ipfs/kad/1.0.0")
        assert await host.do("ping", peer=ours.peer_id) < 10_000


async def test_js_hears_what_we_speak_from_now_on(js: JsProcess, ours: LinkedNetwork) -> None:
    async def answer(peer: str, payload: bytes) -> bytes:
        return payload

    async with js.host("hears of it") as host:
        await host.dial(ours.addresses[0])
        seen = await host.identified(ours.peer_id)
        assert "/fondaco/echo/1" not in seen["protocols"]
        await ours.serve("/fondaco/echo/1", answer)
        async with asyncio.timeout(PATIENCE):
            while "/fondaco/echo/1" not in await host.do("protocolsOf", peer=ours.peer_id):
                pass
