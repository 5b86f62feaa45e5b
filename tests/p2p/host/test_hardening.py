"""What strangers do to a real node, and that it goes on.

One node serves through all of it: after every attack it is the same process, and an honest
peer still gets its answers and its gossip.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import struct
import sys
from collections.abc import AsyncIterator
from random import Random

import msgspec
import pytest
import pytest_asyncio
import trio
from libp2p.crypto.secp256k1 import create_new_key_pair
from libp2p.network.stream.exceptions import StreamError
from libp2p.network.stream.net_stream import NetStream

from fondaco.p2p import limits
from fondaco.p2p.host.hardening import (
    LONGEST_RETRANSMISSION,
    TCP_RTO_MAX_MS,
    UnknownLibrary,
    harden,
    retransmit_often,
)
from fondaco.p2p.linked import LinkedNetwork
from fondaco.p2p.protobuf import encode_varint
from fondaco.p2p.pubsub.framing import encode_frame
from fondaco.p2p.pubsub.rpc import Message, Rpc, Subscription, encode_rpc
from support import stranger
from support.peers import QUICK, connect, counted, gone, memory_of, node, read

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOPIC = "orders"
ECHO = "/test/echo/1"
HANG = "/test/hang/1"
MESHSUB = "/meshsub/1.1.0"
PING = "/ipfs/ping/1.0.0"


class Scene:
    """A node under attack, and an honest peer of it."""

    def __init__(self, victim: LinkedNetwork, honest: LinkedNetwork) -> None:
        self.victim = victim
        self.honest = honest
        self.address = victim.addresses[0]
        self._pid = victim.child_pid
        self._count = 0

    async def still_serves(self) -> None:
        """The same process answers the honest peer's request and takes its gossip."""
        self._count += 1
        text = f"after attack {self._count}".encode()
        assert await self.honest.request(self.victim.peer_id, ECHO, text) == text
        await self.honest.publish(TOPIC, text)
        [message] = await read(self.victim, 1)
        assert message.data == text
        assert self.victim.child_pid == self._pid


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def scene() -> AsyncIterator[Scene]:
    async def echo(peer: str, payload: bytes) -> bytes:
        return payload

    async def hang(peer: str, payload: bytes) -> bytes:
        await asyncio.Event().wait()
        return b""

    async with node("victim") as victim, node("honest") as honest:
        await victim.serve(ECHO, echo)
        await victim.serve(HANG, hang)
        await victim.subscribe(TOPIC)
        await honest.subscribe(TOPIC)
        await connect(honest, victim)
        yield Scene(victim, honest)


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def survives(scene: Scene) -> AsyncIterator[None]:
    yield
    await scene.still_serves()


# --- gossip ---------------------------------------------------------------------------

FORGED = Message(
    sender=b"\x00\x25\x08\x02\x12\x21" + b"\x02" * 33,
    data=b"x",
    seqno=bytes(8),
    topic=TOPIC,
    signature=b"\x30" * 70,
)
"""By a sender that is no point of the curve, with a signature that is none."""

OTHER_KEY = Message(
    sender=FORGED.sender,
    data=b"x",
    seqno=bytes(8),
    topic=TOPIC,
    signature=b"\x30" * 70,
    key=b"\x08\x99" * 9,
)


async def say(address: str, frames: list[bytes]) -> None:
    """Write *frames* on a gossip stream, until the node hangs up."""
    async with stranger.connected(address) as someone:
        stream = await someone.open(MESHSUB)
        hello = Rpc(subscriptions=[Subscription(TOPIC, is_wanted=True)])
        with contextlib.suppress(Exception):
            for frame in [encode_frame(encode_rpc(hello)), *frames]:
                await stream.write(frame)
        await someone.ended()


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param([encode_frame(b"\xff\xff\xff\x00garbage")] * 3, id="no protobuf"),
        pytest.param([encode_frame(encode_rpc(Rpc(publish=[FORGED])))] * 3, id="bad from"),
        pytest.param([encode_frame(encode_rpc(Rpc(publish=[OTHER_KEY])))] * 3, id="bad key"),
    ],
)
async def test_malformed_gossip_ends_the_stranger_not_the_node(
    scene: Scene, frames: list[bytes]
) -> None:
    before = scene.victim.stats()["bans"]
    await stranger.meet(say, scene.address, frames)
    await counted(scene.victim, lambda stats: stats["bans"] > before)


async def test_an_endless_frame_ends_its_stream(scene: Scene) -> None:
    async def attack() -> None:
        async with stranger.connected(scene.address) as someone:
            stream = await someone.open(MESHSUB)
            await stream.write(encode_varint(2**40) + b"x")
            with trio.fail_after(stranger.PATIENCE), pytest.raises(StreamError):
                await stream.read(1)

    await stranger.meet(attack)


# --- below the streams ------------------------------------------------------------------


async def test_random_bytes_on_the_port(scene: Scene) -> None:
    chance = Random(3)

    async def attack() -> None:
        for _ in range(50):
            socket = await stranger.tcp(scene.address)
            noise = chance.randbytes(chance.randrange(1, 500))
            await stranger.read_to_end(socket, noise, is_all=True)

    await stranger.meet(attack)


async def test_half_open_sockets_are_closed_and_keep_nobody_out(scene: Scene) -> None:
    async def attack() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(200):
                socket = await stranger.tcp(scene.address)
                nursery.start_soon(stranger.read_to_end, socket)
            # All of them are open or in the queue of the port when somebody honest comes.
            async with stranger.connected(scene.address) as someone:
                await someone.open(ECHO)

    await stranger.meet(attack)


async def test_an_endless_line_of_multistream_is_not_read(scene: Scene) -> None:
    """The library would take in what comes for as long as a handshake may last."""
    line = encode_varint(2**31)

    async def at_the_door() -> int:
        sent = 0
        async with await stranger.tcp(scene.address) as socket:
            with contextlib.suppress(trio.BrokenResourceError):
                await socket.send_all(b"\x13/multistream/1.0.0\n" + line)
                while sent < 100 * limits.MAX_UNREAD_BYTES:
                    await socket.send_all(bytes(65_536))
                    sent += 65_536
        return sent

    async def on_a_stream() -> int:
        async with stranger.connected(scene.address) as someone:
            stream, sent = NetStream(await someone.muxed.open_stream(), None, None), 0
            with contextlib.suppress(StreamError):
                await stream.write(b"\x13/multistream/1.0.0\n" + line)
                while sent < 100 * limits.MAX_UNREAD_BYTES:
                    await stream.write(bytes(65_536))
                    sent += 65_536
            return sent

    # Not more than what the buffers of TCP, or the window of a stream, have room for.
    assert await stranger.meet(at_the_door) < 2 * limits.MAX_UNREAD_BYTES
    assert await stranger.meet(on_a_stream) < 2 * limits.MAX_UNREAD_BYTES


@pytest.mark.parametrize("protocol", ["/plaintext/2.0.0", "/tls/1.0.0", "/secio/1.0.0"])
async def test_only_noise_is_spoken(scene: Scene, protocol: str) -> None:
    async def attack() -> bytes:
        lines = [line.encode() + b"\n" for line in ("/multistream/1.0.0", protocol)]
        hello = b"".join(encode_varint(len(line)) + line for line in lines)
        return await stranger.read_to_end(await stranger.tcp(scene.address), hello, is_all=True)

    assert (await stranger.meet(attack)).endswith(b"\x03na\n")


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(b"\xff" * 12, id="unknown type"),
        pytest.param(struct.pack("!BBHII", 0, 0, 0, 999, 10) + bytes(10), id="unknown stream"),
        pytest.param(struct.pack("!BBHII", 0, 0, 1, 1, 2**31), id="endless frame"),
        pytest.param(struct.pack("!BBHII", 0, 1, 1, 0, 0) * 20, id="stream number zero"),
        pytest.param(struct.pack("!BBHII", 0, 3, 0, 0, 77), id="go away"),
        pytest.param(Random(5).randbytes(4096), id="random"),
    ],
)
async def test_multiplexer_garbage(scene: Scene, garbage: bytes) -> None:
    async def attack() -> None:
        async with stranger.connected(scene.address) as someone:
            await someone.write_raw(garbage)
            with trio.move_on_after(0.2):
                await someone.muxed.event_shutting_down.wait()

    await stranger.meet(attack)


async def test_a_sender_that_ignores_flow_control_loses_its_connection(scene: Scene) -> None:
    assert scene.victim.child_pid is not None
    before = memory_of(scene.victim.child_pid)

    async def attack() -> int:
        async with stranger.connected(scene.address) as someone:
            stream = await someone.open(HANG)
            # One request, so that the node is busy and reads no more of this stream.
            await stream.write(b"\x01x")
            number = stream.muxed_stream.stream_id  # type: ignore[attr-defined]
            frame = struct.pack("!BBHII", 0, 0, 0, number, 65_000) + bytes(65_000)
            sent = 0
            with contextlib.suppress(Exception):
                while sent < 200_000_000 and not someone.muxed.event_shutting_down.is_set():
                    await someone.write_raw(frame)
                    sent += len(frame)
            await someone.ended()
            return sent

    assert await stranger.meet(attack) < 50_000_000
    assert memory_of(scene.victim.child_pid) - before < 32_000_000
    await counted(scene.victim, lambda stats: stats.get("flow-violations", 0) > 0)


# --- streams without end ----------------------------------------------------------------


async def test_streams_are_counted_and_end_with_their_connection(scene: Scene) -> None:
    async def attack() -> int:
        opened = 0
        async with stranger.connected(scene.address) as someone:
            for _ in range(2 * limits.MAX_STREAMS_PER_PEER):
                with contextlib.suppress(Exception):
                    stream = await someone.open(HANG)
                    await stream.write(b"\x01x")
                    opened += 1
        return opened

    assert await stranger.meet(attack) <= limits.MAX_STREAMS_PER_PEER
    refused = limits.MAX_STREAMS_PER_PEER
    await counted(scene.victim, lambda stats: stats.get("streams-refused", 0) >= refused)
    await counted(scene.victim, lambda stats: stats["streams"] <= 3 and stats["answering"] == 0)


async def test_a_handler_that_never_ends_is_stopped(scene: Scene) -> None:
    async def attack() -> None:
        async with stranger.connected(scene.address) as someone:
            stream = await someone.open(HANG)
            await stream.write(b"\x01x")
            with trio.fail_after(stranger.PATIENCE), pytest.raises(StreamError):
                await stream.read(1)

    await stranger.meet(attack)
    await counted(scene.victim, lambda stats: stats.get("handlers-stopped", 0) > 0)


@pytest.mark.parametrize("protocol", ["/ipfs/id/1.0.0", "/ipfs/id/push/1.0.0", ECHO, MESHSUB])
async def test_fuzzed_streams(scene: Scene, protocol: str) -> None:
    chance = Random(protocol)

    async def attack() -> None:
        for _ in range(5):
            async with stranger.connected(scene.address) as someone:
                with contextlib.suppress(Exception):
                    for _ in range(10):
                        stream = await someone.open(protocol)
                        await stream.write(chance.randbytes(chance.randrange(1, 3000)))

    await stranger.meet(attack)


# --- connections ------------------------------------------------------------------------


async def test_four_hundred_connections_over_a_lifetime(scene: Scene) -> None:
    """The library takes a place for each, and refuses everybody after some 250."""

    async def one(limiter: trio.CapacityLimiter) -> None:
        async with limiter, stranger.connected(scene.address):
            pass

    async def attack() -> None:
        limiter = trio.CapacityLimiter(8)
        async with trio.open_nursery() as nursery:
            for _ in range(400):
                nursery.start_soon(one, limiter)

    await stranger.meet(attack)
    await counted(scene.victim, lambda stats: stats["connections-opened"] > 400)
    await counted(scene.victim, lambda stats: stats["connections"] == 1)
    async with node("late") as late:
        await connect(late, scene.victim)


async def test_the_oldest_connection_of_a_peer_makes_room(scene: Scene) -> None:
    """A peer that lost its network and comes back must not find its own ghosts in the way."""

    async def attack() -> None:
        keys = create_new_key_pair(b"\x05" * 32)
        async with (
            stranger.connected(scene.address, keys) as first,
            stranger.connected(scene.address, keys) as second,
            stranger.connected(scene.address, keys) as third,
        ):
            await first.ended()
            assert not second.muxed.event_shutting_down.is_set()
            await third.open(ECHO)

    await stranger.meet(attack)


async def test_a_frozen_peer_is_found_by_a_ping(scene: Scene) -> None:
    async with node("frozen") as frozen:
        await connect(frozen, scene.victim)
        assert frozen.child_pid is not None
        os.kill(frozen.child_pid, signal.SIGSTOP)
        try:
            await gone(scene.victim, frozen.peer_id)
        finally:
            os.kill(frozen.child_pid, signal.SIGCONT)
    await counted(scene.victim, lambda stats: stats.get("frozen-peers", 0) == 1)


async def test_a_peer_that_speaks_is_kept_though_it_owes_answers_to_pings(scene: Scene) -> None:
    """On a slow line a ping waits behind everything that was sent before it."""

    async def stay(address: str, enough: asyncio.Event) -> bool:
        async with stranger.connected(address, serves={PING: stranger.silence}) as someone:
            await stranger.until(enough)
            return not someone.muxed.event_shutting_down.is_set()

    before = dict(scene.victim.stats())
    enough = asyncio.Event()
    staying = asyncio.create_task(stranger.meet(stay, scene.address, enough))
    wanted = before.get("pings-late", 0) + 3
    await counted(scene.victim, lambda stats: stats.get("pings-late", 0) >= wanted)
    enough.set()
    assert await staying


async def test_a_killed_peer_is_noticed(scene: Scene) -> None:
    async with node("killed") as killed:
        await connect(killed, scene.victim)
        assert killed.child_pid is not None
        os.kill(killed.child_pid, signal.SIGKILL)
        await gone(scene.victim, killed.peer_id)


async def test_no_more_connections_than_allowed() -> None:
    few = msgspec.structs.replace(QUICK, max_connections=3)

    async def one(address: str, outcome: list[bool], enough: trio.Event) -> None:
        try:
            async with stranger.connected(address) as someone:
                # Refused after the handshake: only then the peer is known.
                with trio.move_on_after(0.5):
                    await someone.muxed.event_shutting_down.wait()
                outcome.append(not someone.muxed.event_shutting_down.is_set())
                if len(outcome) == 8:
                    enough.set()
                await enough.wait()
        # Whatever the stock library makes of a closed socket.
        except Exception:  # noqa: BLE001
            outcome.append(False)
            if len(outcome) == 8:
                enough.set()

    async def attack(address: str) -> int:
        outcome: list[bool] = []
        enough = trio.Event()
        async with trio.open_nursery() as nursery:
            for _ in range(8):
                nursery.start_soon(one, address, outcome, enough)
        return sum(outcome)

    async with node("small", tuning=few) as small:
        assert await stranger.meet(attack, small.addresses[0]) == 3
        await counted(small, lambda stats: stats.get("connections-refused", 0) == 5)


async def test_denied_networks_are_not_answered() -> None:
    async def attack(address: str) -> tuple[bytes, bytes]:
        answers = []
        for source in ("127.0.0.2", "127.0.0.1"):
            socket = await stranger.tcp(address, source)
            answers.append(await stranger.read_to_end(socket, is_all=True))
        return answers[0], answers[1]

    async with node("choosy", deny=["127.0.0.2/32"]) as choosy:
        denied, welcome = await stranger.meet(attack, choosy.addresses[0])
        assert denied == b""
        assert b"/multistream/1.0.0" in welcome


async def test_a_connection_resumes_soon_after_the_network_was_away() -> None:
    """As far as this machine's kernel can; tests/netns shows it on a network that is cut."""
    with socket.socket() as ours, socket.socket() as untouched:
        retransmit_often(ours)
        try:
            before = untouched.getsockopt(socket.IPPROTO_TCP, TCP_RTO_MAX_MS)
        except OSError:
            before = None  # a kernel without it; the connection is none the worse
        if before is None:
            assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        else:
            assert before > LONGEST_RETRANSMISSION
            after = ours.getsockopt(socket.IPPROTO_TCP, TCP_RTO_MAX_MS)
            assert after == LONGEST_RETRANSMISSION


# --- the module itself -------------------------------------------------------------------


async def test_another_version_of_the_library_is_refused() -> None:
    with pytest.raises(UnknownLibrary, match=r"0\.8\.2"):
        harden(agent="x", installed="0.8.2")


async def test_every_cure_finds_its_place() -> None:
    """In a process of its own: the cures change the library for good."""
    text = """
from fondaco.p2p.host import hardening, quick, yamux
hardening.harden(agent="fondaco/x")
from libp2p.identity.identify import identify
from libp2p.network import swarm
from libp2p.io.trio import TrioTCPStream
from libp2p.network.stream.net_stream import NetStream
from libp2p.stream_muxer import muxer_multistream
from libp2p.stream_muxer.yamux import yamux as library
assert swarm._HAPPY_EYEBALLS_DELAY == 0.005
assert identify.AGENT_VERSION == "fondaco/x"
assert muxer_multistream.Yamux is yamux.Connection
assert library.YamuxStream is yamux.Stream
assert TrioTCPStream.__init__ is hardening._open_socket
assert TrioTCPStream.read is quick.read
assert NetStream.__init__ is hardening._open_stream
assert library.MAX_WINDOW_SIZE == 2 * 1024 * 1024
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", text)
    assert await process.wait() == 0
