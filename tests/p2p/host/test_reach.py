"""What a node does for others, and what only where its settings say so."""

from __future__ import annotations

from fondaco.p2p.relay_messages import HOP, STOP
from fondaco.p2p.rendezvous_messages import PROTOCOL as RENDEZVOUS
from support.peers import LONELY, connect, counted, node
from support.relayed import SERVING


async def test_a_node_is_a_relay_only_where_it_was_asked_to_be() -> None:
    async with (
        node("relay", tuning=LONELY, reach=SERVING) as relay,
        node("plain", tuning=LONELY) as plain,
    ):
        await connect(plain, relay)
        [seen], [other] = plain.peers(), relay.peers()
        assert {HOP, STOP, RENDEZVOUS} <= set(seen.protocols)
        assert {STOP, RENDEZVOUS} <= set(other.protocols)
        assert HOP not in other.protocols
        stats = await counted(relay, lambda stats: "registrations" in stats)
        assert (stats["registrations"], stats["reservations"]) == (0, 0)
        assert (stats["relay-reservations"], stats["relay-circuits"]) == (0, 0)
        assert plain.stats()["relay-reservations"] == 0
