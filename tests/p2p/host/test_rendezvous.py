"""Nodes that meet under a name, at a third that neither of them asked for more."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio
from libp2p.crypto.keys import KeyPair
from libp2p.crypto.secp256k1 import create_new_key_pair
from libp2p.peer.id import ID
from libp2p.peer.peerstore import create_signed_peer_record
from multiaddr import Multiaddr  # type: ignore[import-untyped]

from fondaco.p2p import limits
from fondaco.p2p.framing import LengthFraming
from fondaco.p2p.linked import LinkedNetwork
from fondaco.p2p.network import PeerJoined
from fondaco.p2p.protobuf import number_field
from fondaco.p2p.rendezvous_messages import (
    PROTOCOL,
    Answer,
    Discover,
    Discovered,
    Message,
    Register,
    Registered,
    decode_message,
    encode_message,
)
from support import stranger
from support.peers import LONELY, QUICK, connect, counted, first, node

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("rendezvous")]

NAME = "/0x-mesh/network/1337/version/2"
OFTEN = msgspec.structs.replace(QUICK, exchange_interval=0.3)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def point() -> AsyncIterator[LinkedNetwork]:
    """A rendezvous point: any node."""
    async with node("point", tuning=LONELY) as network:
        yield network


async def test_nodes_meet_under_a_name(point: LinkedNetwork) -> None:
    async with node("a", tuning=OFTEN) as a:
        await a.set_rendezvous([NAME, "x" * 5_000])
        await connect(a, point)
        await counted(point, lambda stats: stats.get("registrations") == 2)
    # a has gone, and is registered still; b finds it as soon as it is back.
    async with node("b", tuning=OFTEN) as b:
        await connect(b, point)
        await b.set_rendezvous([NAME])
        await counted(b, lambda stats: stats.get("peers-met", 0) > 0)
        port = int(a.addresses[0].split("/")[4])
        async with node("a", tuning=LONELY, port=port) as again:
            await first(
                b,
                lambda event: isinstance(event, PeerJoined) and event.peer.peer_id == again.peer_id,
            )


async def test_names_survive_the_process_and_go_when_they_are_dropped(
    point: LinkedNetwork,
) -> None:
    async with node("c", tuning=OFTEN) as c:
        for _ in range(2):  # what was on its way when the last test ended
            await point.counters_changed()
        before = point.stats()["registrations"]
        await c.set_rendezvous(["one", "two"])
        await connect(c, point)
        await counted(point, lambda stats: stats["registrations"] == before + 2)
        await c.set_rendezvous(["two"])
        await counted(point, lambda stats: stats["registrations"] == before + 1)
        assert c.child_pid is not None
        os.kill(c.child_pid, signal.SIGKILL)
        await counted(
            c, lambda stats: stats["restarts"] == 1 and stats.get("registrations-made", 0) > 0
        )
        assert point.stats()["registrations"] == before + 1


class Talk:
    """A stranger that speaks the protocol."""

    def __init__(self, keys: KeyPair) -> None:
        self.keys = keys

    async def say(self, address: str, *messages: bytes) -> list[Message]:
        """Return the answers to *messages* until the node ends the stream."""
        answers: list[Message] = []
        async with stranger.connected(address, self.keys) as me:
            stream = await me.open(PROTOCOL)
            framed = LengthFraming()
            for message in messages:
                await stream.write(LengthFraming().encode(message))
                while (raw := framed.next()) is None:
                    try:
                        data = await stream.read(65_536)
                    except Exception:  # noqa: BLE001  # reset, in one of the library's words
                        data = b""
                    if not data:
                        return answers
                    framed.feed(data)
                answers.append(decode_message(raw))
        return answers

    def record(self, peer: ID | None = None, address: str = "/ip4/192.0.2.1/tcp/1") -> bytes:
        named = peer or ID.from_pubkey(self.keys.public_key)
        envelope = create_signed_peer_record(named, [Multiaddr(address)], self.keys.private_key)
        return bytes(envelope.marshal_envelope())


def talk() -> Talk:
    return Talk(create_new_key_pair(secrets.token_bytes(32)))


async def test_only_what_the_peer_has_signed_itself_is_kept(point: LinkedNetwork) -> None:
    me, other = talk(), talk()
    somebody = ID.from_pubkey(other.keys.public_key)
    wrong = [
        b"",
        b"junk",
        other.record(),
        me.record(somebody),
        other.record(ID.from_pubkey(me.keys.public_key)),
        me.record(address="/ip4/192.0.2.1/udp/1/quic-v1"),
    ]
    answers = await stranger.meet(
        me.say,
        point.addresses[0],
        *(encode_message(Register("n", record)) for record in wrong),
        encode_message(Register("", me.record())),
        encode_message(Register("n", me.record(), 60)),
        encode_message(Discover("n")),
    )
    statuses = [one.status for one in answers if isinstance(one, Registered | Discovered)]
    assert statuses == [
        *[Answer.INVALID_RECORD] * len(wrong),
        Answer.INVALID_NAMESPACE,
        Answer.OK,
        Answer.OK,
    ]
    assert answers[-2] == Registered(Answer.OK, seconds=60)
    # Another finds it, with how long it is still good.
    [found] = await stranger.meet(
        other.say, point.addresses[0], encode_message(Discover("n", cookie=b""))
    )
    assert isinstance(found, Discovered)
    [row] = found.registrations
    assert (row.namespace, 0 < row.seconds <= 60) == ("n", True)


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(b"\xff", id="no protobuf"),
        pytest.param(number_field(1, 100), id="unknown type"),
        pytest.param(encode_message(Registered(0)), id="registered"),
        pytest.param(encode_message(Discovered()), id="discovered"),
        pytest.param(bytes(limits.MAX_RENDEZVOUS_MESSAGE + 1), id="endless"),
    ],
)
async def test_what_is_no_question_ends_the_talk(point: LinkedNetwork, message: bytes) -> None:
    offences = point.stats().get("offence-malformed-stream", 0)
    assert await stranger.meet(talk().say, point.addresses[0], message) == []
    await counted(point, lambda stats: stats.get("offence-malformed-stream", 0) > offences)


async def test_too_many_questions_are_refused(point: LinkedNetwork) -> None:
    count = int(limits.RENDEZVOUS_REQUESTS_BURST) + 20
    answers = await stranger.meet(
        talk().say, point.addresses[0], *[encode_message(Discover("nobody"))] * count
    )
    statuses = {one.status for one in answers if isinstance(one, Discovered)}
    assert statuses == {Answer.OK, Answer.UNAVAILABLE}
