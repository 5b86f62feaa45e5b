"""Strangers that speak the protocols of Fondaco and mean no good; see ``stranger``.

    async with liar(address, answers={RECONCILE_PROTOCOL: lie}) as mallory:
        await mallory.listen_to(TOPIC)
        await mallory.say(encode_rpc(...))
        answer = await mallory.ask(RECONCILE_PROTOCOL, payload)

They run under trio in a thread of the test (``stranger.meet``). Each is somebody new.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping

from libp2p.crypto.secp256k1 import create_new_key_pair
from libp2p.identity.identify.pb.identify_pb2 import Identify
from libp2p.network.stream.net_stream import NetStream

from fondaco.identity.keys import IdentityKey
from fondaco.p2p.framing import Framing, LengthFraming, LineFraming
from fondaco.p2p.pubsub.framing import encode_frame
from fondaco.p2p.pubsub.rpc import Message, Rpc, Subscription, encode_rpc
from fondaco.p2p.pubsub.signing import Author
from fondaco.zeroex.meshsync_wire import MESH_PROTOCOL
from support import stranger
from support.stranger import Serve, Stranger, silence

MESHSUB = "/meshsub/1.1.0"
IDENTIFY = "/ipfs/id/1.0.0"

Answer = Callable[[bytes], bytes | None]
"""What to answer a request; None ends the stream."""


class Liar:
    """A stranger with a pen: what it says is signed, and still no truth."""

    def __init__(self, someone: Stranger, key: IdentityKey) -> None:
        self.someone = someone
        self.key = key
        self.author = Author(key)
        self._gossip: NetStream | None = None
        self._asking: dict[str, tuple[NetStream, Framing]] = {}

    @property
    def name(self) -> bytes:
        """Its peer ID, raw."""
        return self.author.peer

    async def listen_to(self, *topics: str) -> None:
        """Open the gossip stream and subscribe, as everybody does."""
        wanted = [Subscription(topic, is_wanted=True) for topic in topics]
        await self.say(Rpc(subscriptions=wanted))

    async def say(self, *rpcs: Rpc) -> None:
        """Send RPCs of gossip."""
        await self.write(b"".join(encode_frame(encode_rpc(rpc)) for rpc in rpcs))

    async def write(self, data: bytes) -> None:
        """Send bytes on the gossip stream."""
        if self._gossip is None:
            self._gossip = await self.someone.open(MESHSUB)
        await self._gossip.write(data)

    def sign(self, topic: str, data: bytes) -> Message:
        """Return a message of its own."""
        return self.author.write(topic, data, time.time_ns())

    async def ask(self, protocol: str, payload: bytes) -> bytes:
        """Send a request and return its answer.

        Raises:
            Exception: whatever the library says of a stream that the node closed.
        """
        if protocol not in self._asking:
            self._asking[protocol] = await self.someone.open(protocol), framing_of(protocol)
        stream, framing = self._asking[protocol]
        try:
            await stream.write(framing.encode(payload))
            while (answer := framing.next()) is None:
                data = await stream.read(65_536)
                assert data, "closed without an answer"
                framing.feed(data)
        except Exception:
            del self._asking[protocol]
            raise
        return answer

    async def until_thrown_out(self) -> None:
        """Return when the node has closed the connection."""
        await self.someone.ended()


def framing_of(protocol: str) -> Framing:
    """Return how messages on *protocol* are parted."""
    return LineFraming() if protocol == MESH_PROTOCOL else LengthFraming()


def answering(protocol: str, answer: Answer) -> Serve:
    """Return what serves *protocol* with these answers."""

    async def serve(stream: NetStream) -> None:
        framing = framing_of(protocol)
        while data := await stream.read(65_536):
            framing.feed(data)
            while (request := framing.next()) is not None:
                if (reply := answer(request)) is None:
                    return
                await stream.write(framing.encode(reply))

    return serve


def portrait(protocols: Iterable[str]) -> Serve:
    """Return what says on the identify stream that it speaks *protocols*."""

    async def serve(stream: NetStream) -> None:
        message = Identify(agent_version="liar/1", protocols=list(protocols))
        await stream.write(LengthFraming().encode(message.SerializeToString()))
        await stream.close()

    return serve


@contextlib.asynccontextmanager
async def liar(
    address: str,
    answers: Mapping[str, Answer] | None = None,
    serves: Mapping[str, Serve] | None = None,
) -> AsyncIterator[Liar]:
    """Connect somebody new to the node at *address*.

    Args:
        answers: to requests of the node, by protocol; it says that it speaks these.
        serves: likewise, the whole of a stream each.
    """
    spoken: dict[str, Serve] = {MESHSUB: silence}
    for protocol, answer in (answers or {}).items():
        spoken[protocol] = answering(protocol, answer)
    spoken |= serves or {}
    spoken.setdefault(IDENTIFY, portrait(spoken))
    secret = secrets.token_bytes(32)
    async with stranger.connected(address, create_new_key_pair(secret), spoken) as someone:
        yield Liar(someone, IdentityKey(secret))
