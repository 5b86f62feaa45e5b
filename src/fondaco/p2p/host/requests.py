"""Requests and answers: one long-lived stream per peer, protocol and direction.

    request()  --one at a time per stream--> peer --> answer
    peer --request--> at most 8 per peer and 64 in all at the main process --> answer

A stream is opened when it is first needed and again when it turns out to have ended. Each
request has a deadline; a stream whose answer did not come in time is reset, because the
answer may still be on its way.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable

import trio

from fondaco.p2p import limits
from fondaco.p2p.framing import Framing, MalformedFrame, framing
from fondaco.p2p.host.channel import Channel, StreamEnded
from fondaco.p2p.host.peers import NotConnected, Peer, Peers
from fondaco.p2p.link import Tuning
from fondaco.p2p.scores import Offence

log = logging.getLogger(__name__)

Ask = Callable[[int, bytes, str, bytes], Awaitable[None]]
"""Hands a request of a peer to the main process: number, peer, protocol, payload."""


class _Slot:
    """The stream to one peer on one protocol, if it is open, and whose turn it is."""

    def __init__(self) -> None:
        self.turn = trio.Lock()
        self.channel: Channel | None = None
        self.framing: Framing | None = None


class _Expected:
    """An answer of the main process that a peer waits for."""

    def __init__(self) -> None:
        self.come = trio.Event()
        self.payload: bytes | None = None
        self.is_offence = False


class Requests:
    """An observer of peers that asks and answers."""

    def __init__(
        self,
        peers: Peers,
        tuning: Tuning,
        *,
        ask: Ask,
        forget: Callable[[int], None],
        report: Callable[[bytes, Offence], None],
    ) -> None:
        self._peers = peers
        self._tuning = tuning
        self._ask = ask
        self._forget = forget
        self._report = report
        self._slots: dict[bytes, dict[str, _Slot]] = {}
        self._outbound: dict[bytes, trio.CapacityLimiter] = {}
        self._inbound: dict[bytes, trio.CapacityLimiter] = {}
        self._all_inbound = trio.CapacityLimiter(limits.MAX_INBOUND)
        self._expected: dict[int, _Expected] = {}
        self._last_number = 0
        self.counts: Counter[str] = Counter()
        peers.observe(self)

    @property
    def answering(self) -> int:
        """Requests of peers at the main process."""
        return len(self._expected)

    # --- asking -------------------------------------------------------------------------

    async def request(
        self,
        peer: bytes,
        protocol: str,
        payload: bytes,
        *,
        is_lines: bool,
        timeout: float,  # noqa: ASYNC109
    ) -> bytes:
        """Ask *peer*; return its answer.

        Raises:
            NotConnected, NotSpoken, StreamEnded: there is none.
            trio.TooSlowError: it did not come within *timeout* seconds.
            MalformedFrame: it is none of this protocol; the peer has been blamed.
        """
        slots, limiter = self._slots.get(peer), self._outbound.get(peer)
        if slots is None or limiter is None:
            raise NotConnected("not connected")
        slot = slots.setdefault(protocol, _Slot())
        with trio.fail_after(timeout):
            async with limiter, slot.turn:
                self.counts["requests"] += 1
                if slot.channel is not None:
                    # It may have ended since: that says nothing about the peer.
                    try:
                        return await self._exchange(slot, payload)
                    except StreamEnded:
                        pass
                slot.channel = await self._peers.open(peer, [protocol])
                slot.framing = framing(is_lines=is_lines)
                return await self._exchange(slot, payload)

    async def _exchange(self, slot: _Slot, payload: bytes) -> bytes:
        channel, framed = slot.channel, slot.framing
        assert channel is not None
        assert framed is not None
        is_done = False
        try:
            await channel.write(framed.encode(payload))
            answer = await channel.read_message(framed)
            if answer is None:
                raise StreamEnded(f"{channel.protocol}: closed without an answer")
            is_done = True
        except MalformedFrame:
            self._report(channel.peer, Offence.MALFORMED_STREAM)
            raise
        finally:
            if not is_done:
                slot.channel = None
                await channel.reset()
        return answer

    # --- answering ----------------------------------------------------------------------

    def serve(self, protocol: str, *, is_lines: bool) -> None:
        """Take requests of peers on *protocol*."""

        async def handle(channel: Channel) -> None:
            await self._serve_stream(channel, framing(is_lines=is_lines))

        self._peers.serve(protocol, handle)

    def answer(self, number: int, payload: bytes | None, *, is_offence: bool) -> None:
        """The main process has answered; of a request that is gone it is dropped."""
        expected = self._expected.pop(number, None)
        if expected is not None:
            expected.payload, expected.is_offence = payload, is_offence
            expected.come.set()

    async def _serve_stream(self, channel: Channel, framed: Framing) -> None:
        limiter = self._inbound.get(channel.peer)
        if limiter is None:
            return
        while True:
            payload: bytes | None = None
            with trio.move_on_after(self._tuning.stream_idle):
                try:
                    payload = await channel.read_message(framed)
                except MalformedFrame:
                    self._report(channel.peer, Offence.MALFORMED_STREAM)
                    return
                except StreamEnded:
                    return
            if payload is None:
                return
            async with limiter, self._all_inbound:
                answer = await self._ask_main(channel, payload)
            if answer is None:
                return
            try:
                with trio.fail_after(self._tuning.handler_seconds):
                    await channel.write(framed.encode(answer))
            except (StreamEnded, trio.TooSlowError):
                self.counts["answers-unread"] += 1
                return

    async def _ask_main(self, channel: Channel, payload: bytes) -> bytes | None:
        self.counts["inbound-requests"] += 1
        self._last_number = number = self._last_number + 1
        expected = self._expected[number] = _Expected()
        try:
            with trio.move_on_after(self._tuning.handler_seconds) as scope:
                await self._ask(number, channel.peer, channel.protocol, payload)
                await expected.come.wait()
            if scope.cancelled_caught:
                self.counts["handlers-stopped"] += 1
        finally:
            if self._expected.pop(number, None) is not None:
                self._forget(number)
        if expected.is_offence:
            self._report(channel.peer, Offence.MALFORMED_STREAM)
        return expected.payload

    # --- peers --------------------------------------------------------------------------

    def peer_joined(self, peer: Peer) -> None:
        self._slots[peer.raw] = {}
        self._outbound[peer.raw] = trio.CapacityLimiter(limits.MAX_PEER_REQUESTS)
        self._inbound[peer.raw] = trio.CapacityLimiter(limits.MAX_PEER_INBOUND)

    def peer_identified(self, peer: Peer) -> None:
        pass

    def peer_left(self, peer: Peer) -> None:
        self._slots.pop(peer.raw, None)
        self._outbound.pop(peer.raw, None)
        self._inbound.pop(peer.raw, None)
