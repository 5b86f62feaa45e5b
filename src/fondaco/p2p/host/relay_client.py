"""Being reached through relays, and reaching others through theirs.

    behind a router   relay is connected --HOP RESERVE--> a place, renewed half-way
                      --> our address: <relay>/p2p-circuit, told to peers
                      <--STOP CONNECT-- relay brings a connection
    anywhere          <relay>/p2p-circuit of a peer --HOP CONNECT--> a connection to it

The relays of the settings are wanted peers: dialled for ever, with back-off.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random

import trio
from libp2p.peer.id import ID
from multiaddr import Multiaddr  # type: ignore[import-untyped]

from fondaco import clock
from fondaco.clock import Clock
from fondaco.errors import NodeError
from fondaco.p2p import limits
from fondaco.p2p.framing import LengthFraming, MalformedFrame
from fondaco.p2p.host.addresses import (
    CIRCUIT,
    UnusableAddress,
    dialable,
    parse_address,
)
from fondaco.p2p.host.channel import Channel, StreamEnded
from fondaco.p2p.host.circuit import Circuit, relay_of
from fondaco.p2p.host.identify import addresses_in
from fondaco.p2p.host.peers import Peer, Peers
from fondaco.p2p.link import Tuning
from fondaco.p2p.protobuf import MalformedProtobuf
from fondaco.p2p.relay_messages import (
    HOP,
    STOP,
    HopKind,
    HopMessage,
    Reservation,
    Status,
    StopKind,
    StopMessage,
    decode_hop,
    decode_stop,
    encode_hop,
    encode_stop,
)
from fondaco.p2p.relay_table import RelayRefusal
from fondaco.p2p.scores import Offence

log = logging.getLogger(__name__)

SOURCE = "relay"
"""Who announces the addresses, for ``Peers.announce``."""


class Relays:
    """An observer of peers that keeps reservations and dials through relays.

    Args:
        places: multiaddresses of the relays we want to be reached through; with peer IDs.
    """

    def __init__(
        self,
        peers: Peers,
        tuning: Tuning,
        clock: Clock,
        chance: Random,
        places: Sequence[str],
        *,
        report: Callable[[bytes, Offence], None],
    ) -> None:
        self._peers = peers
        self._report = report
        self._tuning = tuning
        self._clock = clock
        self._chance = chance
        self._places = relays_in(places)
        self._keeping: set[bytes] = set()
        self._held: dict[bytes, tuple[Multiaddr, ...]] = {}
        self._turns: dict[bytes, trio.Lock] = {}
        self.counts: Counter[str] = Counter()
        peers.serve(STOP, self._accept)
        peers.swarm.open_circuit = self.open
        peers.observe(self)

    @property
    def wanted(self) -> list[str]:
        """The relays to stay connected to."""
        return [f"{place}/p2p/{ID(raw)}" for raw, place in self._places.items()]

    @property
    def held(self) -> int:
        """Reservations that hold now."""
        return len(self._held)

    # --- reservations -------------------------------------------------------------------

    def peer_joined(self, peer: Peer) -> None:
        pass

    def peer_identified(self, peer: Peer) -> None:
        is_relay = peer.raw in self._places and HOP in peer.portrait.protocols
        if is_relay and peer.raw not in self._keeping:
            self._keeping.add(peer.raw)
            self._peers.spawn(self._keep, peer)

    def peer_left(self, peer: Peer) -> None:
        self._hold(peer.raw, None)

    async def _keep(self, peer: Peer) -> None:
        failures = 0
        try:
            while not peer.left.is_set():
                try:
                    with trio.fail_after(limits.REQUEST_TIMEOUT):
                        reservation = await self._reserve(peer)
                except (NodeError, trio.TooSlowError) as exc:
                    failures += 1
                    self.counts["reservations-refused"] += 1
                    log.info("no place at a relay", extra={"peer": peer.name, "why": str(exc)})
                    self._hold(peer.raw, None)
                    pause = min(
                        self._tuning.longest_dial_backoff,
                        self._tuning.first_dial_backoff * 2.0 ** min(failures, 32),
                    )
                else:
                    failures = 0
                    self.counts["reservations-made"] += 1
                    if not peer.left.is_set():
                        self._hold(peer.raw, reservation)
                    pause = self._renewal_of(reservation)
                with trio.move_on_after(pause * self._chance.uniform(0.8, 1.0)):
                    await peer.left.wait()
        finally:
            self._keeping.discard(peer.raw)

    def _renewal_of(self, reservation: Reservation) -> float:
        left = reservation.expires_at - clock.seconds(self._clock.now_ns())
        return min(limits.RESERVATION_SECONDS / 2, max(left / 2, limits.SHORTEST_RENEWAL))

    async def _reserve(self, peer: Peer) -> Reservation:
        channel = await self._peers.open_directly(peer.raw, [HOP])
        try:
            answer, _ = await _ask(channel, HopMessage(kind=HopKind.RESERVE))
        finally:
            await channel.reset()
        if answer.reservation is None:
            raise MalformedProtobuf("a reservation without its terms")
        return answer.reservation

    def _hold(self, relay: bytes, reservation: Reservation | None) -> None:
        before = self._held.pop(relay, None)
        if reservation is not None:
            # The address that we use leads there; what a relay says of itself may not.
            told = addresses_in(reservation.addresses)
            direct = [text for text in told if CIRCUIT not in text]
            places = dialable([self._places[relay], *direct], names_too=True)
            name = ID(relay)
            self._held[relay] = tuple(
                Multiaddr(f"{place}/p2p/{name}{CIRCUIT}")
                for place in places[: limits.MAX_RELAY_ADDRESSES]
            )
        if before is not None or reservation is not None:
            self._peers.announce(SOURCE, [one for some in self._held.values() for one in some])

    # --- connections that a relay brings --------------------------------------------------

    async def _accept(self, channel: Channel) -> None:
        framed = LengthFraming(limits.MAX_RELAY_MESSAGE)
        with trio.fail_after(limits.HANDSHAKE_TIMEOUT):
            try:
                if (raw := await channel.read_message(framed)) is None:
                    return
                status = self._judge(channel, decode_stop(raw))
            except (MalformedFrame, MalformedProtobuf):
                self._report(channel.peer, Offence.MALFORMED_STREAM)
                status = Status.MALFORMED_MESSAGE
            answer = StopMessage(kind=StopKind.STATUS, status=status)
            await channel.write(framed.encode(encode_stop(answer)))
        if status is not Status.OK:
            self.counts["circuits-refused"] += 1
            await channel.close()
            return
        self.counts["circuits-accepted"] += 1
        await self._peers.swarm.accept(Circuit(channel, framed.take_rest()))

    def _judge(self, channel: Channel, question: StopMessage) -> Status:
        if question.kind is not StopKind.CONNECT:
            return Status.UNEXPECTED_MESSAGE
        # Nobody else has been asked to bring us strangers.
        if channel.peer not in self._held or relay_of(channel.stream):
            return Status.PERMISSION_DENIED
        return Status.OK

    # --- connections through a relay ------------------------------------------------------

    async def open(self, relay: ID, place: Multiaddr, peer: ID) -> Circuit:
        """Let *relay*, which is at *place*, connect us to *peer*.

        Raises:
            NodeError, SwarmException, OSError, trio.TooSlowError: it did not.
        """
        raw = relay.to_bytes()
        turn = self._turns.setdefault(raw, trio.Lock())
        async with turn:
            is_guest = raw not in self._peers.table
            if is_guest:
                await self._peers.swarm.connect(relay, place)
        try:
            return await self._open(raw, peer)
        except BaseException:
            # It was dialled for this alone, on the word of whoever named the address.
            if is_guest:
                self._peers.spawn(self._peers.disconnect_peer, raw)
            raise
        finally:
            if turn.statistics().owner is None and not turn.statistics().tasks_waiting:
                self._turns.pop(raw, None)

    async def _open(self, relay: bytes, peer: ID) -> Circuit:
        channel = await self._peers.open_directly(relay, [HOP])
        try:
            question = HopMessage(kind=HopKind.CONNECT, peer=peer.to_bytes())
            _, framed = await _ask(channel, question)
        except BaseException:
            await channel.reset()
            raise
        self.counts["circuits-dialled"] += 1
        return Circuit(channel, framed.take_rest())


async def _ask(channel: Channel, question: HopMessage) -> tuple[HopMessage, LengthFraming]:
    """Return a relay's answer, and what is read of the stream behind it.

    Raises:
        RelayRefusal, StreamEnded, MalformedFrame, MalformedProtobuf: it does not say yes.
    """
    framed = LengthFraming(limits.MAX_RELAY_MESSAGE)
    await channel.write(framed.encode(encode_hop(question)))
    raw = await channel.read_message(framed)
    if raw is None:
        raise StreamEnded(f"{HOP}: no answer")
    answer = decode_hop(raw)
    if answer.kind is not HopKind.STATUS:
        raise MalformedProtobuf("a relay that asks instead of answering")
    if answer.status != Status.OK:
        raise RelayRefusal(answer.status, "the relay refuses")
    return answer, framed


def relays_in(texts: Sequence[str]) -> dict[bytes, str]:
    """Return the usable ones of the configured relays, MAX_RELAYS at most: who it is, raw,
    and where. The log says why one is not used."""
    found: dict[bytes, str] = {}
    for text in texts:
        try:
            peer, address = parse_address(text)
        except UnusableAddress as exc:
            log.warning("relay is not used", extra={"why": str(exc)})
            continue
        if peer is None or CIRCUIT in str(address):
            log.warning("relay is not used: name it by /ip4/…/tcp/…/p2p/…", extra={"at": text})
        elif len(found) < limits.MAX_RELAYS:
            found[peer.to_bytes()] = str(address)
        else:
            log.warning("relay is not used: there are enough", extra={"at": text})
    return found
