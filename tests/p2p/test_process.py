"""The p2p process as its link shows it: frames in, frames out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from fondaco.p2p import link
from fondaco.p2p.child import Child, start_child
from support.peers import PATIENCE, QUICK, key_of, node

T = TypeVar("T")


class Conversation:
    """A child, and the frames it has sent."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self._frames = self._one_by_one()
        self._passed: list[link.ToMain] = []

    async def _one_by_one(self) -> AsyncIterator[link.ToMain]:
        async for frames in self.child.frames():
            for frame in frames:
                yield frame

    async def wait_for(self, kind: type[T], wanted: Callable[[T], bool] = lambda _: True) -> T:
        """Return the first frame of a *kind* that is *wanted* and was not returned before."""
        for passed in self._passed:
            if isinstance(passed, kind) and wanted(passed):
                self._passed.remove(passed)
                return passed
        async with asyncio.timeout(PATIENCE):
            async for frame in self._frames:
                if isinstance(frame, kind) and wanted(frame):
                    return frame
                self._passed.append(frame)
        raise AssertionError("the child has ended")


@contextlib.asynccontextmanager
async def conversation(name: str) -> AsyncIterator[Conversation]:
    child = await start_child()
    try:
        child.put(
            link.Start(
                private_key=key_of(name).export_for_libp2p(),
                agent="fondaco/test",
                host="127.0.0.1",
                port=0,
                verbosity=3,
                log_json=True,
                seed=1,
                tuning=QUICK,
            )
        )
        yield Conversation(child)
    finally:
        await child.stop()


async def test_frames_do_what_they_say() -> None:
    asked: list[bytes] = []

    async def answer(peer: str, payload: bytes) -> bytes:
        asked.append(payload)
        if payload == b"hang":
            await asyncio.Event().wait()
        return payload[::-1]

    async with conversation("child") as talk, node("other") as other:
        put = talk.child.put
        listening = await talk.wait_for(link.Listening)
        assert listening.peer == key_of("child").peer_id
        await other.serve("/p/1", answer)
        await other.subscribe("t")

        put(link.AddPeer(1, "no peer", (), 1.0))
        assert (await talk.wait_for(link.Failure)).number == 1
        put(link.AddPeer(2, other.peer_id, ("/ip4/127.0.0.1/tcp/9",), 0.3))
        failure = await talk.wait_for(link.Failure)
        assert (failure.number, "tcp/9" in failure.problem) == (2, True)
        put(link.AddPeer(3, other.peer_id, other.addresses, PATIENCE))
        assert (await talk.wait_for(link.Response)).number == 3
        state = await talk.wait_for(link.PeerState, lambda one: "t" in one.topics)
        assert (state.peer, state.direction) == (other.peer_id, "outbound")
        await talk.wait_for(link.Seen)

        put(link.Request(4, other.peer_id, "/p/1", False, b"abc", 5.0))
        assert await talk.wait_for(link.Response) == link.Response(4, b"cba")
        put(link.Request(5, other.peer_id, "/p/1", False, b"hang", PATIENCE))
        put(link.Cancel(5))
        put(link.Request(6, other.peer_id, "/p/1", False, b"def", 5.0))
        assert await talk.wait_for(link.Response) == link.Response(6, b"fed")
        put(link.Request(7, key_of("nobody").peer_id, "/p/1", False, b"", 5.0))
        await talk.wait_for(link.Failure, lambda one: one.number == 7)

        put(link.Serve("/q/1", False))
        put(link.Subscribe("t"))
        request = asyncio.create_task(other.request(listening.peer, "/q/1", b"?"))
        inbound = await talk.wait_for(link.Inbound)
        assert (inbound.peer, inbound.protocol, inbound.payload) == (other.peer_id, "/q/1", b"?")
        put(link.Answer(inbound.number, b"!"))
        assert await request == b"!"

        put(link.Publish("t", b"ours"))
        assert (await talk.wait_for(link.Published)).peers == 1
        await other.publish("t", b"theirs")
        delivered = await talk.wait_for(link.Delivered)
        assert (delivered.topic, delivered.peer, delivered.data) == ("t", other.peer_id, b"theirs")
        put(link.Judge(delivered.message_id, "accept"))
        accepted = lambda one: one.values["gossip-accepted"] == 1  # noqa: E731
        await talk.wait_for(link.Counters, accepted)

        put(link.Disconnect(other.peer_id))
        assert (await talk.wait_for(link.PeerGone)).peer == other.peer_id


async def test_a_request_whose_peer_has_gone_is_taken_back() -> None:
    async with conversation("child") as talk:
        listening = await talk.wait_for(link.Listening)
        talk.child.put(link.Serve("/q/1", False))
        async with node("other") as other:
            await other.add_peer(listening.peer, listening.addresses, timeout=PATIENCE)
            request = asyncio.create_task(other.request(listening.peer, "/q/1", b"?"))
            inbound = await talk.wait_for(link.Inbound)
            request.cancel()
        assert (await talk.wait_for(link.Forgotten)).number == inbound.number
