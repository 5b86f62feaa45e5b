"""Meeting under names: every node keeps registrations for its peers, and asks its peers for
theirs.

    peer that speaks it --REGISTER ours, DISCOVER others, every minute--> signed addresses
                        --> dialled as those that peers name (``discovery``)

The library's modules take and give addresses that nobody signed; see ``rendezvous_messages``.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from random import Random

import trio
from libp2p.peer.id import ID
from libp2p.peer.peerstore import env_to_send_in_RPC

from fondaco.errors import NodeError
from fondaco.p2p import limits
from fondaco.p2p.framing import LengthFraming, MalformedFrame
from fondaco.p2p.host.channel import Channel, StreamEnded
from fondaco.p2p.host.identify import addresses_of_record, read_record
from fondaco.p2p.host.peers import Peer, Peers
from fondaco.p2p.link import Tuning
from fondaco.p2p.protobuf import MalformedProtobuf
from fondaco.p2p.rendezvous_messages import (
    PROTOCOL,
    Answer,
    Discover,
    Discovered,
    Message,
    Register,
    Registered,
    Unregister,
    decode_message,
    encode_message,
    namespace_of,
)
from fondaco.p2p.rendezvous_table import RendezvousRefusal, RendezvousTable
from fondaco.p2p.scores import Offence

log = logging.getLogger(__name__)

Found = Callable[[bytes, tuple[str, ...]], None]
"""Takes a peer and the addresses it has signed."""


class _Standing:
    """What has been agreed with one rendezvous point about one name."""

    def __init__(self) -> None:
        self.record = b""
        self.renew_at = 0.0
        self.cookie = b""


class Rendezvous:
    """An observer of peers that serves registrations and makes its own.

    Args:
        found: takes whoever is registered under our names.
        report: takes peers that do not keep to the protocol.
    """

    def __init__(
        self,
        peers: Peers,
        tuning: Tuning,
        chance: Random,
        *,
        found: Found,
        report: Callable[[bytes, Offence], None],
    ) -> None:
        self._peers = peers
        self._tuning = tuning
        self._chance = chance
        self._found = found
        self._report = report
        self._names: tuple[str, ...] = ()
        self._changed = trio.Event()
        self._meeting: set[bytes] = set()
        self.table = RendezvousTable(chance.randbytes(8))
        self.counts: Counter[str] = Counter()
        peers.serve(PROTOCOL, self._serve)
        peers.observe(self)

    def set_names(self, names: Iterable[str]) -> None:
        """Meet under these names from now on, and under no others."""
        wanted = tuple(dict.fromkeys(map(namespace_of, names)))
        if len(wanted) > limits.MAX_NAMESPACES:
            log.warning("too many names to meet under", extra={"names": len(wanted)})
        self._names = wanted[: limits.MAX_NAMESPACES]
        self._changed.set()
        self._changed = trio.Event()

    # --- peers --------------------------------------------------------------------------

    def peer_joined(self, peer: Peer) -> None:
        pass

    def peer_identified(self, peer: Peer) -> None:
        if PROTOCOL in peer.portrait.protocols and peer.raw not in self._meeting:
            self._meeting.add(peer.raw)
            self._peers.spawn(self._meet, peer)

    def peer_left(self, peer: Peer) -> None:
        self.table.forget(peer.raw)

    # --- what we ask --------------------------------------------------------------------

    async def _meet(self, peer: Peer) -> None:
        standings: dict[str, _Standing] = {}
        try:
            while not peer.left.is_set():
                changed = self._changed
                if self._names or standings:
                    try:
                        with trio.fail_after(limits.REQUEST_TIMEOUT):
                            await self._ask_all(peer, standings)
                    except (NodeError, trio.TooSlowError) as exc:
                        log.debug("no rendezvous", extra={"peer": peer.name, "why": str(exc)})
                pause = self._tuning.exchange_interval * self._chance.uniform(0.8, 1.2)
                with trio.move_on_after(pause):
                    await _either(peer.left, changed)
        finally:
            self._meeting.discard(peer.raw)

    async def _ask_all(self, peer: Peer, standings: dict[str, _Standing]) -> None:
        channel = await self._peers.open(peer.raw, [PROTOCOL])
        conversation = _Conversation(channel)
        try:
            for name in standings.keys() - set(self._names):
                del standings[name]
                await conversation.say(Unregister(name))
            for name in self._names:
                standing = standings.setdefault(name, _Standing())
                await self._register(conversation, name, standing)
                if len(self._peers.table) < self._tuning.wanted_connections:
                    await self._discover(conversation, name, standing)
        finally:
            await channel.reset()

    async def _register(self, talk: _Conversation, name: str, standing: _Standing) -> None:
        record, _ = env_to_send_in_RPC(self._peers)
        now = trio.current_time()
        if record == standing.record and now < standing.renew_at:
            return
        answer = await talk.ask(Register(name, record, limits.REGISTRATION_SECONDS))
        if not isinstance(answer, Registered):
            raise MalformedProtobuf("another answer than to a registration")
        if answer.status != Answer.OK:
            self.counts["registrations-refused"] += 1
            log.debug("not registered", extra={"why": answer.text, "status": answer.status})
            return
        self.counts["registrations-made"] += 1
        standing.record = record
        standing.renew_at = now + min(answer.seconds, limits.REGISTRATION_SECONDS) / 2

    async def _discover(self, talk: _Conversation, name: str, standing: _Standing) -> None:
        answer = await talk.ask(Discover(name, limits.MAX_DISCOVERED, standing.cookie))
        if not isinstance(answer, Discovered):
            raise MalformedProtobuf("another answer than to a search")
        # At the end, and where the other side has restarted: from the beginning next time.
        standing.cookie = answer.cookie if answer.registrations else b""
        for row in answer.registrations:
            found = read_record(row.record)
            if found is None or row.namespace != name:
                # Whoever keeps such a one has not looked at it.
                self.counts["registrations-false"] += 1
                self._report(talk.peer, Offence.MALFORMED_STREAM)
            elif found[1]:
                self.counts["peers-met"] += 1
                self._found(found[0].to_bytes(), found[1])

    # --- what we are asked --------------------------------------------------------------

    async def _serve(self, channel: Channel) -> None:
        framed = LengthFraming(limits.MAX_RENDEZVOUS_MESSAGE)
        while True:
            try:
                with trio.fail_after(limits.REQUEST_TIMEOUT):
                    raw = await channel.read_message(framed)
                    if raw is None:
                        return
                    answer = self._answer(channel.peer, decode_message(raw))
                    if answer is not None:
                        await channel.write(framed.encode(encode_message(answer)))
            except (MalformedFrame, MalformedProtobuf):
                self._report(channel.peer, Offence.MALFORMED_STREAM)
                return
            except (StreamEnded, trio.TooSlowError):
                return

    def _answer(self, asker: bytes, message: Message) -> Message | None:
        now = trio.current_time()
        self.counts["rendezvous-questions"] += 1
        match message:
            case Register():
                return self._registered(asker, message, now)
            case Discover():
                return self._discovered(asker, message, now)
            case Unregister():
                self.table.unregister(asker, message.namespace)
                return None
            case _:
                raise MalformedProtobuf("an answer without a question")

    def _registered(self, asker: bytes, message: Register, now: float) -> Registered:
        peer = self._peers.table.get(asker)
        try:
            self.table.question(asker, now)
            if not addresses_of_record(message.record, ID(asker)):
                raise RendezvousRefusal(Answer.INVALID_RECORD, "not signed, or leads nowhere")
            seconds = self.table.register(
                asker,
                peer.address if peer else "",
                message.namespace,
                message.record,
                message.seconds,
                now,
            )
        except RendezvousRefusal as exc:
            self.counts["rendezvous-refusals"] += 1
            return Registered(exc.status, exc.why)
        return Registered(Answer.OK, seconds=seconds)

    def _discovered(self, asker: bytes, message: Discover, now: float) -> Discovered:
        try:
            self.table.question(asker, now)
            rows, cookie = self.table.discover(
                asker, message.namespace, message.limit, message.cookie, now
            )
        except RendezvousRefusal as exc:
            self.counts["rendezvous-refusals"] += 1
            return Discovered(status=exc.status, text=exc.why)
        return Discovered(
            tuple(Register(row.namespace, row.record, int(row.until - now)) for row in rows),
            cookie,
        )


class _Conversation:
    """Questions and answers on one stream."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._framed = LengthFraming(limits.MAX_RENDEZVOUS_MESSAGE)
        self.peer = channel.peer

    async def say(self, message: Message) -> None:
        """Send what has no answer."""
        await self._channel.write(self._framed.encode(encode_message(message)))

    async def ask(self, message: Message) -> Message:
        """Return the answer.

        Raises:
            StreamEnded, MalformedFrame, MalformedProtobuf: there is none.
        """
        await self.say(message)
        if (raw := await self._channel.read_message(self._framed)) is None:
            raise StreamEnded(f"{PROTOCOL}: no answer")
        return decode_message(raw)


async def _either(*events: trio.Event) -> None:
    """Return when one of *events* has happened."""

    async def watch(event: trio.Event) -> None:
        await event.wait()
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        for event in events:
            nursery.start_soon(watch, event)
