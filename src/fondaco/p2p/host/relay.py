"""Being a relay: bringing connections to peers that cannot be dialled.

    target --HOP RESERVE--> a place while it is connected
    source --HOP CONNECT--> relay --STOP CONNECT--> target
           <=========== bytes, both ways =========>    until an hour, 256 MiB or an end

The library's own relay mixes up the circuits of one peer and writes status messages between
the bytes it carries. Source: libp2p specification ``relay/circuit-v2.md``.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable

import trio
from libp2p.peer.envelope import Envelope, make_unsigned
from libp2p.peer.id import ID

from fondaco import clock
from fondaco.clock import Clock
from fondaco.errors import NodeError
from fondaco.p2p import limits
from fondaco.p2p.framing import LengthFraming, MalformedFrame
from fondaco.p2p.host.channel import Channel, StreamEnded
from fondaco.p2p.host.circuit import relay_of
from fondaco.p2p.host.peers import Peer, Peers
from fondaco.p2p.link import Tuning
from fondaco.p2p.protobuf import MalformedProtobuf
from fondaco.p2p.relay_messages import (
    HOP,
    STOP,
    VOUCHER_DOMAIN,
    VOUCHER_TYPE,
    HopKind,
    HopMessage,
    Limit,
    Reservation,
    Status,
    StopKind,
    StopMessage,
    decode_hop,
    decode_stop,
    encode_hop,
    encode_stop,
    encode_voucher,
)
from fondaco.p2p.relay_table import RelayRefusal, RelayTable
from fondaco.p2p.scores import Offence

log = logging.getLogger(__name__)


class Relay:
    """An observer of peers that serves HOP."""

    def __init__(
        self,
        peers: Peers,
        tuning: Tuning,
        clock: Clock,
        *,
        report: Callable[[bytes, Offence], None],
    ) -> None:
        self._peers = peers
        self._clock = clock
        self._report = report
        self._tuning = tuning
        self._limit = Limit(max(1, int(tuning.circuit_seconds)), tuning.circuit_bytes)
        """What both ends are told."""
        self.table = RelayTable()
        self.counts: Counter[str] = Counter()
        peers.serve(HOP, self._serve)
        peers.observe(self)

    def peer_joined(self, peer: Peer) -> None:
        pass

    def peer_identified(self, peer: Peer) -> None:
        pass

    def peer_left(self, peer: Peer) -> None:
        self.table.forget(peer.raw)

    # --- questions ----------------------------------------------------------------------

    async def _serve(self, channel: Channel) -> None:
        framed = LengthFraming(limits.MAX_RELAY_MESSAGE)
        try:
            with trio.fail_after(limits.HANDSHAKE_TIMEOUT):
                raw = await channel.read_message(framed)
                if raw is None:
                    return
                message = decode_hop(raw)
                if relay_of(channel.stream):
                    raise RelayRefusal(Status.PERMISSION_DENIED, "asked through a relay")
                if message.kind is HopKind.RESERVE:
                    await self._reserve(channel)
            if message.kind is HopKind.CONNECT:
                await self._connect(channel, message.peer, framed)
            elif message.kind is HopKind.STATUS:
                raise RelayRefusal(Status.UNEXPECTED_MESSAGE, "a status without a question")
        except RelayRefusal as exc:
            self.counts["relay-refusals"] += 1
            log.debug("relay refuses", extra={"peer": str(ID(channel.peer)), "why": str(exc)})
            await _say(channel, HopMessage(kind=HopKind.STATUS, status=exc.status))
        except (MalformedFrame, MalformedProtobuf):
            self._report(channel.peer, Offence.MALFORMED_STREAM)
            status = Status.MALFORMED_MESSAGE
            await _say(channel, HopMessage(kind=HopKind.STATUS, status=status))
        except (StreamEnded, trio.TooSlowError):
            return

    async def _reserve(self, channel: Channel) -> None:
        peer = self._peers.table.get(channel.peer)
        if peer is None:
            return
        now = trio.current_time()
        until = self.table.reserve(peer.raw, peer.address, now)
        self.counts["relay-reservations-made"] += 1
        expires_at = clock.seconds(self._clock.now_ns()) + int(until - now)
        answer = HopMessage(
            kind=HopKind.STATUS,
            status=Status.OK,
            reservation=Reservation(
                expires_at,
                tuple(address.to_bytes() for address in self._peers.get_addrs()),
                self._voucher(peer.raw, expires_at),
            ),
            limit=self._limit,
        )
        await channel.write(LengthFraming().encode(encode_hop(answer)))
        await channel.close()

    def _voucher(self, peer: bytes, expires_at: int) -> bytes:
        payload = encode_voucher(self._peers.get_id().to_bytes(), peer, expires_at)
        key = self._peers.get_private_key()
        signature = key.sign(make_unsigned(VOUCHER_DOMAIN, VOUCHER_TYPE, payload))
        envelope = Envelope(key.get_public_key(), VOUCHER_TYPE, payload, signature)
        return envelope.marshal_envelope()

    # --- circuits -----------------------------------------------------------------------

    async def _connect(self, source: Channel, target: bytes, asked: LengthFraming) -> None:
        self.table.open_circuit(source.peer, target, trio.current_time())
        try:
            far, said = await self._call(source.peer, target)
            try:
                answer = HopMessage(kind=HopKind.STATUS, status=Status.OK, limit=self._limit)
                with trio.fail_after(limits.HANDSHAKE_TIMEOUT):
                    await source.write(LengthFraming().encode(encode_hop(answer)))
                self.counts["relay-circuits-made"] += 1
                await self._carry((source, asked.take_rest()), (far, said.take_rest()))
            finally:
                await far.reset()
        finally:
            self.table.close_circuit(source.peer, target)

    async def _call(self, source: bytes, target: bytes) -> tuple[Channel, LengthFraming]:
        """Return the stream to *target*, which has agreed, and what is read of it."""
        framed = LengthFraming(limits.MAX_RELAY_MESSAGE)
        try:
            with trio.fail_after(limits.HANDSHAKE_TIMEOUT):
                far = await self._peers.open_directly(target, [STOP])
                try:
                    question = StopMessage(kind=StopKind.CONNECT, peer=source, limit=self._limit)
                    await far.write(framed.encode(encode_stop(question)))
                    answer = decode_stop(await far.read_message(framed) or b"")
                    if answer.kind is not StopKind.STATUS or answer.status != Status.OK:
                        raise RelayRefusal(Status.CONNECTION_FAILED, "the peer does not want it")
                except BaseException:
                    await far.reset()
                    raise
        except RelayRefusal:
            raise
        except (NodeError, trio.TooSlowError) as exc:
            raise RelayRefusal(Status.CONNECTION_FAILED, str(exc) or "no answer") from exc
        return far, framed

    async def _carry(self, one: tuple[Channel, bytes], other: tuple[Channel, bytes]) -> None:
        """Pass bytes on in both directions until one end closes, or the limit is reached."""
        carried = 0

        async def pump(near: Channel, data: bytes, far: Channel) -> None:
            nonlocal carried
            try:
                while True:
                    carried += len(data)
                    self.counts["relay-bytes"] += len(data)
                    if carried > self._tuning.circuit_bytes:
                        self.counts["relay-circuits-too-large"] += 1
                        break
                    if data:
                        await far.write(data)
                    if not (data := await near.read_some()):
                        break
            except StreamEnded as exc:
                log.debug("a circuit has ended", extra={"why": str(exc)})
            nursery.cancel_scope.cancel()

        with trio.move_on_after(self._tuning.circuit_seconds) as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(pump, *one, other[0])
                nursery.start_soon(pump, *other, one[0])
        if scope.cancelled_caught:
            self.counts["relay-circuits-too-long"] += 1


async def _say(channel: Channel, message: HopMessage) -> None:
    """Answer, and leave it to the peer to read it before the stream is gone."""
    try:
        with trio.fail_after(limits.HANDSHAKE_TIMEOUT):
            await channel.write(LengthFraming().encode(encode_hop(message)))
            await channel.close()
    except (StreamEnded, trio.TooSlowError):
        log.debug("a refusal was not read")
