from __future__ import annotations

import pytest

from fondaco.errors import Verdict
from fondaco.p2p.absent import AbsentNetwork
from fondaco.p2p.network import KnownPeer, Network, RequestFailed
from fondaco.p2p.scores import Offence


async def never(peer: str, payload: bytes) -> bytes:
    raise AssertionError("nobody can ask")


async def test_nothing_happens_and_requests_fail_at_once() -> None:
    row = KnownPeer(peer="16Uiu2", addresses=("/ip4/192.0.2.1/tcp/1",), seen_at=1)
    network: Network = AbsentNetwork("16Uiu2HA", [row])
    assert network.peer_id == "16Uiu2HA"
    assert not network.is_available
    assert await network.ready() == network.addresses == ()
    await network.subscribe("t")
    await network.publish("t", b"x")
    await network.unsubscribe("t")
    await network.set_rendezvous(["name"])
    await network.serve("/p", never)
    await network.serve_lines("/p", never)
    network.verdict(b"id", Verdict.ACCEPT)
    network.report("x", Offence.TIMEOUT)
    network.reward("x")
    assert network.peers() == []
    assert network.stats() == {}
    # They are kept for the day that the extra is installed again.
    assert network.known_peers() == [row]
    with pytest.raises(RequestFailed):
        await network.request("x", "/p", b"")
    with pytest.raises(RequestFailed):
        await network.request_lines("x", "/p", b"")
    with pytest.raises(RequestFailed, match="install"):
        await network.add_peer("x", [])
