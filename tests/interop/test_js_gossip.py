"""js-libp2p's GossipSub and our router: orders both ways, bursts, verdicts, recovery."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest

from fondaco.errors import Verdict
from fondaco.p2p.linked import LinkedNetwork
from fondaco.testing.orders import CHAIN_ID, make_order
from fondaco.zeroex.codec import encode_order
from fondaco.zeroex.gossip_wire import encode_message, read_message
from fondaco.zeroex.order import ProtocolVersion
from fondaco.zeroex.order_filter import DEFAULT_SCHEMA, CustomSchema, pubsub_topic
from interop.js_peer import JsHost, JsProcess
from interop.meeting import identified, sees_subscriber
from support.driven import ProgramError
from support.peers import PATIENCE, counted, gone, read

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("interop")]

V2, V3 = ProtocolVersion.V2, ProtocolVersion.V3

BURST = 200
"""Messages of a kilobyte at once; a stock queue of 32 would lose nearly all of them."""


def topic_of(version: ProtocolVersion) -> str:
    return pubsub_topic(version, CHAIN_ID, CustomSchema(DEFAULT_SCHEMA))


def order_message(version: ProtocolVersion, *salts: int) -> tuple[bytes, list[bytes]]:
    """Return a gossip message with as many orders, and the orders."""
    bodies = [encode_order(make_order(version=version, salt=salt)) for salt in salts]
    return encode_message(bodies, (topic_of(version),), version), bodies


def kilobytes(count: int, seed: int) -> list[bytes]:
    chance = random.Random(seed)
    return [chance.randbytes(1024) for _ in range(count)]


async def meet(ours: LinkedNetwork, host: JsHost, topic: str, verdict: str = "accept") -> None:
    """Connect both, both listening to *topic* and knowing it of each other."""
    await ours.subscribe(topic)
    await host.subscribe(topic, verdict)
    await host.dial(ours.addresses[0])
    await identified(ours, host.peer_id)
    await asyncio.gather(
        sees_subscriber(ours, topic, host.peer_id), host.sees_subscriber(topic, ours.peer_id)
    )


async def part(ours: LinkedNetwork, topic: str, hosts: Sequence[JsHost]) -> None:
    """Leave the topic; the hosts see it."""
    await ours.unsubscribe(topic)
    async with asyncio.timeout(PATIENCE):
        for host in hosts:
            while ours.peer_id in await host.do("subscribers", topic=topic):
                pass


@pytest.mark.parametrize("version", [V2, V3], ids=["v2", "v3"])
async def test_orders_both_ways_on_an_order_topic(
    js: JsProcess, ours: LinkedNetwork, version: ProtocolVersion
) -> None:
    topic = topic_of(version)
    async with js.host(f"trades v{version}") as host:
        await meet(ours, host, topic)
        message, bodies = order_message(version, 1, 2, 3)
        await ours.publish(topic, message)
        ((author, received),) = await host.messages(topic, 1)
        assert author == ours.peer_id
        assert received == message

        theirs, _ = order_message(version, 4)
        assert await host.publish(topic, [theirs]) == [1]
        (seen,) = await read(ours, 1)
        assert (seen.topic, seen.peer) == (topic, host.peer_id)
        (order,) = read_message(seen.data, topic, version)
        assert bytes(order) == encode_order(make_order(version=version, salt=4))
        assert [bytes(one) for one in read_message(received, topic, version)] == bodies
        await part(ours, topic, [host])


async def test_the_newest_protocol_both_speak_is_chosen(js: JsProcess, ours: LinkedNetwork) -> None:
    """js prefers /meshsub/1.2.0, which we do not speak."""
    async with js.host("prefers 1.2") as host:
        await meet(ours, host, "versions")
        streams = await host.do("streamsOf", peer=ours.peer_id)
        gossip = [name for name in streams if name.startswith("/meshsub/")]
        assert gossip == ["/meshsub/1.1.0"] * 2
        await part(ours, "versions", [host])


async def test_a_burst_of_ours_reaches_js(js: JsProcess, ours: LinkedNetwork) -> None:
    async with js.host("is flooded") as host:
        await meet(ours, host, "burst")
        sent = kilobytes(BURST, seed=1)
        for one in sent:
            await ours.publish("burst", one)
        received = await host.messages("burst", BURST)
        assert {author for author, _ in received} == {ours.peer_id}
        assert sorted(data for _, data in received) == sorted(sent)
        await part(ours, "burst", [host])


async def test_a_burst_of_js_reaches_us(js: JsProcess, ours: LinkedNetwork) -> None:
    async with js.host("floods") as host:
        await meet(ours, host, "burst back")
        sent = kilobytes(BURST, seed=2)
        reading = asyncio.create_task(read(ours, BURST))
        assert set(await host.publish("burst back", sent)) == {1}
        received = await reading
        assert sorted(one.data for one in received) == sorted(sent)
        await part(ours, "burst back", [host])


async def test_we_pass_on_what_we_accept_and_only_that(js: JsProcess, ours: LinkedNetwork) -> None:
    """Two hosts that see each other through us only: the author's signature stays whole."""
    async with js.host("author") as author, js.host("reader") as reader:
        await meet(ours, author, "passed on")
        await meet(ours, reader, "passed on")
        for verdict in (Verdict.REJECT, Verdict.IGNORE, Verdict.ACCEPT):
            await author.publish("passed on", [verdict.value.encode()])
            await read(ours, 1, verdict)
        assert await reader.messages("passed on", 1) == [
            (author.peer_id, Verdict.ACCEPT.value.encode())
        ]
        assert len(reader.received("passed on")) == 1
        await part(ours, "passed on", [author, reader])


async def test_js_passes_on_what_it_accepts_and_only_that(
    js: JsProcess, ours: LinkedNetwork
) -> None:
    async with js.host("judge") as judge, js.host("behind it") as behind:
        await meet(ours, judge, "judged", verdict="reject")
        await behind.subscribe("judged")
        await behind.dial(judge.addresses[0])
        await judge.has_in_mesh("judged", behind.peer_id)
        await ours.publish("judged", b"refused")
        # Both on one stream, so that the second comes after the first.
        await ours.subscribe("judged too")
        await judge.subscribe("judged too")
        await sees_subscriber(ours, "judged too", judge.peer_id)
        await ours.publish("judged too", b"taken")
        await judge.messages("judged too", 1)
        await judge.subscribe("judged", "accept")
        await ours.publish("judged", b"passed on")
        assert await behind.messages("judged", 1) == [(ours.peer_id, b"passed on")]
        assert judge.received("judged") == behind.received("judged") == [b"passed on"]
        for topic in ("judged", "judged too"):
            await part(ours, topic, [judge])


async def test_a_peer_that_sends_what_we_reject_loses_its_connection(
    js: JsProcess, ours: LinkedNetwork
) -> None:
    async with js.host("insists") as host:
        await meet(ours, host, "rejected")
        bans = ours.stats().get("bans", 0)
        reading = asyncio.create_task(read(ours, 6, Verdict.REJECT))
        await host.publish("rejected", [b"junk %d" % number for number in range(6)])
        await reading
        await gone(ours, host.peer_id)
        await host.left(ours.peer_id)
        stats = await counted(ours, lambda one: one.get("bans", 0) == bans + 1)
        assert stats["offence-invalid-message"] >= 6
        # It may come back when its ban has ended, not before.
        with pytest.raises(ProgramError):
            await host.do("dialAndPing", address=ours.addresses[0])
        await ours.unsubscribe("rejected")


async def test_js_recovers_what_was_said_before_it_came(js: JsProcess, ours: LinkedNetwork) -> None:
    """By IHAVE and IWANT: we tell a newcomer what is still here, it asks, we send."""
    await ours.subscribe("missed")
    await ours.publish("missed", b"said to nobody")
    async with js.host("is late") as host:
        await meet(ours, host, "missed")
        assert await host.messages("missed", 1) == [(ours.peer_id, b"said to nobody")]
        await part(ours, "missed", [host])


async def test_other_keys_connect_and_pass_on_but_are_not_heard(
    js: JsProcess, ours: LinkedNetwork
) -> None:
    """An identity of Fondaco is a secp256k1 key. Messages of authors with others are left
    aside, without blame; what such a peer passes on counts."""
    async with (
        js.host("author with our kind", "secp256k1") as author,
        js.host("of another kind", "ed25519") as other,
    ):
        await meet(ours, other, "keys")
        await author.subscribe("keys")
        await author.dial(other.addresses[0])
        await author.sees_subscriber("keys", other.peer_id)
        for peer_id in (ours.peer_id, author.peer_id):
            await other.has_in_mesh("keys", peer_id)
        unwanted = ours.stats()["gossip-unwanted"]
        await other.publish("keys", [b"by ed25519"])
        await counted(ours, lambda one: one["gossip-unwanted"] > unwanted)
        await author.publish("keys", [b"by secp256k1"])
        (seen,) = await read(ours, 1)
        assert (seen.data, seen.peer) == (b"by secp256k1", other.peer_id)
        await ours.publish("keys", b"ours")
        assert (ours.peer_id, b"ours") in await author.messages("keys", 2)
        (peer,) = [one for one in ours.peers() if one.peer_id == other.peer_id]
        assert peer.score >= 0
        await part(ours, "keys", [other])
