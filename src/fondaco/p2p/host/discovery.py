"""Finding peers and keeping them: whom to dial, when, and whom to tell of whom.

    bootstrap list, mesh_addPeer ---> wanted: dialled for ever, with back-off
    remembered, exchanged, PRUNE ---> known: dialled while there are too few connections
    /fondaco/peers/1             <--> each peer tells a few others it is connected to

An identity is dialled at most once a second: quicker reconnects fail (``p2p.md`` §10).
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterable
from random import Random

import msgspec
import trio
from libp2p.exceptions import BaseLibp2pError
from libp2p.peer.id import ID

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
    parse_peer,
    selected,
    to_tell,
)
from fondaco.p2p.host.channel import Channel
from fondaco.p2p.host.identify import addresses_of_record
from fondaco.p2p.host.peers import Peer, Peers
from fondaco.p2p.link import KnownPeer, Tuning
from fondaco.p2p.pubsub.rpc import PeerInfo

log = logging.getLogger(__name__)

EXCHANGE = "/fondaco/peers/1"
"""Asked with an empty message; the answer is JSON, see ``Exchanged``."""

EXCHANGED_PEERS = 32
"""Peers named in one answer."""

TICK = 0.5
"""Seconds between two looks at whom to dial, where nothing happens in between."""

HOPELESS_AFTER = 8
"""Failures in a row after which a peer nobody asked for is forgotten."""


class NamedPeer(msgspec.Struct, frozen=True):
    """A peer and where it may be reached."""

    peer: str
    addresses: tuple[str, ...]


class Exchanged(msgspec.Struct, frozen=True):
    """The answer of the exchange protocol."""

    peers: tuple[NamedPeer, ...]


class _Record:
    """What is known of a peer that may be dialled."""

    def __init__(self, addresses: tuple[str, ...], *, is_wanted: bool, seen_at: int = 0) -> None:
        self.addresses = addresses
        self.is_wanted = is_wanted
        self.seen_at = seen_at
        self.failures = 0
        self.not_before = 0.0
        self.is_dialling = False
        self.problem = "not tried yet"
        self.changed = trio.Event()


class Discovery:
    """An observer of peers that looks for more."""

    def __init__(self, peers: Peers, tuning: Tuning, clock: Clock, chance: Random) -> None:
        self._peers = peers
        self._tuning = tuning
        self._clock = clock
        self._chance = chance
        self._records: dict[bytes, _Record] = {}
        self._unsent: dict[bytes, None] = {}
        self._asked: set[bytes] = set()
        self._dials = trio.CapacityLimiter(limits.MAX_DIALS)
        self._wake = trio.Event()
        self.counts: Counter[str] = Counter()
        peers.serve(EXCHANGE, self._answer_exchange)
        peers.observe(self)

    @property
    def known(self) -> int:
        """Peers that may be dialled."""
        return len(self._records)

    # --- calls of the main process ------------------------------------------------------

    def want(self, addresses: Iterable[str]) -> None:
        """Stay connected to the peers at *addresses*."""
        for text in addresses:
            try:
                peer, address = parse_address(text)
            except UnusableAddress as exc:
                log.warning("bootstrap address is not used", extra={"why": str(exc)})
                continue
            if peer is None:
                log.warning("bootstrap address names no peer", extra={"address": text})
                continue
            self._learn(peer.to_bytes(), (str(address),), is_wanted=True)

    def remember(self, rows: Iterable[KnownPeer]) -> None:
        """Take peers known from before."""
        for row in rows:
            try:
                raw = parse_peer(row.peer).to_bytes()
            except UnusableAddress:
                continue
            self._learn(raw, dialable(row.addresses, names_too=True), seen_at=row.seen_at)

    async def add(self, peer: bytes, addresses: Iterable[str]) -> None:
        """Connect to *peer* and keep it; returns when it is connected.

        Raises:
            UnusableAddress: none of the addresses can be dialled.
        """
        usable = dialable(addresses, names_too=True)
        if not usable and peer not in self._peers.table and peer not in self._records:
            raise UnusableAddress("no address by TCP")
        record = self._learn(peer, usable, is_wanted=True)
        record.failures = 0
        record.not_before = 0.0
        self._look()
        while peer not in self._peers.table:
            await record.changed.wait()

    def problem_of(self, peer: bytes) -> str:
        """Return why *peer* is not connected."""
        record = self._records.get(peer)
        return "not known" if record is None else record.problem

    def exchanged(self, named: Iterable[PeerInfo]) -> None:
        """Take the peers of a PRUNE; only those whose addresses they have signed."""
        for info in named:
            if addresses := addresses_of_record(info.signed_record, ID(info.peer)):
                self._learn(info.peer, addresses)

    def found(self, peer: bytes, addresses: tuple[str, ...]) -> None:
        """Take a peer and the addresses it has signed."""
        self._learn(peer, addresses)

    def named(self, peer: bytes, addresses: tuple[str, ...]) -> None:
        """Take a peer and addresses that somebody else says it has: they are tried behind
        what we know."""
        record = self._records.get(peer)
        if record is None:
            self._learn(peer, addresses)
        elif peer not in self._peers.table:
            record.addresses = selected(dict.fromkeys((*record.addresses, *addresses)))

    def take_seen(self) -> tuple[KnownPeer, ...]:
        """Return the peers worth storing that have changed since the last call."""
        rows = []
        for raw in self._unsent:
            record = self._records.get(raw)
            if record is not None and record.addresses:
                rows.append(
                    KnownPeer(peer=str(ID(raw)), addresses=record.addresses, seen_at=record.seen_at)
                )
        self._unsent.clear()
        return tuple(rows)

    # --- peers --------------------------------------------------------------------------

    def peer_joined(self, peer: Peer) -> None:
        record = self._records.get(peer.raw)
        if record is not None:
            record.failures = 0
            record.problem = ""
            self._touch(record)
        if len(self._peers.table) == 1:
            self._forget_failures()

    def _forget_failures(self) -> None:
        """The network is back: who could not be reached while it was away is tried soon."""
        now = trio.current_time()
        for raw, record in self._records.items():
            if raw not in self._peers.table and record.failures:
                record.failures = 0
                record.not_before = min(record.not_before, now + self._chance.uniform(0.0, 2.0))
        self._look()

    def peer_identified(self, peer: Peer) -> None:
        record = self._learn(peer.raw, peer.portrait.addresses)
        record.seen_at = clock.seconds(self._clock.now_ns())
        self._unsent[peer.raw] = None
        if EXCHANGE in peer.portrait.protocols and peer.raw not in self._asked:
            self._asked.add(peer.raw)
            self._peers.spawn(self._keep_asking, peer)

    def peer_left(self, peer: Peer) -> None:
        self._asked.discard(peer.raw)
        record = self._records.get(peer.raw)
        if record is not None:
            record.not_before = trio.current_time() + self._pause(record)
        self._look()

    # --- dialling -----------------------------------------------------------------------

    async def run(self, nursery: trio.Nursery) -> None:
        """Dial whoever is due; for ever."""
        while True:
            with trio.move_on_after(TICK):
                await self._wake.wait()
            self._wake = trio.Event()
            now = trio.current_time()
            for raw in self._due(now):
                self._records[raw].is_dialling = True
                nursery.start_soon(self._dial, raw)

    def _due(self, now: float) -> list[bytes]:
        room = self._tuning.wanted_connections - len(self._peers.table)
        due = [
            raw
            for raw, record in self._records.items()
            if raw not in self._peers.table
            and not record.is_dialling
            and now >= record.not_before
            and record.addresses
        ]
        wanted = [raw for raw in due if self._records[raw].is_wanted]
        others = [raw for raw in due if not self._records[raw].is_wanted]
        self._chance.shuffle(others)
        # As many as have room, and no more at once than can be dialled.
        return wanted + others[: max(0, min(room - len(wanted), limits.MAX_DIALS))]

    async def _dial(self, raw: bytes) -> None:
        record = self._records[raw]
        peer = ID(raw)
        try:
            async with self._dials:
                for text in record.addresses:
                    if raw in self._peers.table:
                        return
                    if await self._try(record, peer, text):
                        return
            if raw not in self._peers.table:
                record.failures += 1
                self.counts["dials-failed"] += 1
                if record.failures >= HOPELESS_AFTER and not record.is_wanted:
                    self._records.pop(raw, None)
        finally:
            record.is_dialling = False
            record.not_before = trio.current_time() + self._pause(record)
            self._touch(record)

    async def _try(self, record: _Record, peer: ID, text: str) -> bool:
        try:
            _, address = parse_address(text)
            with trio.fail_after(self._patience(record, text)):
                await self._peers.swarm.connect(peer, address)
        except (BaseLibp2pError, OSError, trio.TooSlowError, NodeError) as exc:
            record.problem = f"{text}: {_story(exc)}"
            log.debug("dial failed", extra={"peer": str(peer), "why": record.problem})
            return False
        # The library's resolver and handshake read a stranger's bytes.
        except Exception as exc:
            record.problem = f"{text}: {_story(exc)}"
            log.warning("dial failed", exc_info=True)
            return False
        return True

    def _patience(self, record: _Record, text: str) -> float:
        """Return the seconds for one address, where there is another to fall back on."""
        has_relay = any(CIRCUIT in each for each in record.addresses)
        return self._tuning.direct_patience if has_relay and CIRCUIT not in text else math.inf

    def _pause(self, record: _Record) -> float:
        pause = backoff(self._tuning, record.failures, is_wanted=record.is_wanted)
        return pause * self._chance.uniform(1.0, 1.25)

    def _learn(
        self, raw: bytes, addresses: tuple[str, ...], *, is_wanted: bool = False, seen_at: int = 0
    ) -> _Record:
        record = self._records.get(raw)
        if record is None:
            record = self._records[raw] = _Record(addresses, is_wanted=is_wanted, seen_at=seen_at)
            self._forget_oldest(raw)
        else:
            # New ones first: the peer may have moved.
            record.addresses = selected(dict.fromkeys((*addresses, *record.addresses)))
            record.is_wanted |= is_wanted
            record.seen_at = max(record.seen_at, seen_at)
        self._look()
        return record

    def _forget_oldest(self, newest: bytes) -> None:
        if raw_self := self._records.pop(self._peers.swarm.self_id.to_bytes(), None):
            raw_self.changed.set()
        if len(self._records) <= limits.MAX_KNOWN_PEERS:
            return
        spare = [
            raw
            for raw, record in self._records.items()
            if not record.is_wanted and raw != newest and raw not in self._peers.table
        ]
        if spare:
            del self._records[min(spare, key=lambda raw: self._records[raw].seen_at)]

    def _touch(self, record: _Record) -> None:
        record.changed.set()
        record.changed = trio.Event()

    def _look(self) -> None:
        self._wake.set()

    # --- exchange -----------------------------------------------------------------------

    async def _keep_asking(self, peer: Peer) -> None:
        while not peer.left.is_set():
            if len(self._peers.table) < self._tuning.wanted_connections:
                try:
                    with trio.fail_after(limits.REQUEST_TIMEOUT):
                        await self._ask(peer)
                except (NodeError, trio.TooSlowError) as exc:
                    log.debug("peer names no peers", extra={"peer": peer.name, "why": str(exc)})
            with trio.move_on_after(
                self._tuning.exchange_interval * self._chance.uniform(0.8, 1.2)
            ):
                await peer.left.wait()

    async def _ask(self, peer: Peer) -> None:
        channel = await self._peers.open(peer.raw, [EXCHANGE])
        try:
            await channel.write(LengthFraming().encode(b""))
            raw = await channel.read_message(LengthFraming(limits.MAX_EXCHANGE_SIZE))
        finally:
            await channel.reset()
        for named in parse_exchange(raw or b""):
            try:
                other = parse_peer(named.peer).to_bytes()
            except UnusableAddress:
                continue
            if addresses := dialable(named.addresses):
                self.counts["peers-named"] += 1
                self.named(other, addresses)

    async def _answer_exchange(self, channel: Channel) -> None:
        with trio.fail_after(limits.REQUEST_TIMEOUT):
            if await channel.read_message(LengthFraming(limits.MAX_EXCHANGE_SIZE)) is None:
                return
            asker = self._peers.table.get(channel.peer)
            others = [one for one in self._peers.table.values() if one is not asker]
            self._chance.shuffle(others)
            told = [
                NamedPeer(one.name, addresses)
                for one in others
                if asker and (addresses := to_tell(one.portrait.addresses, asker.address))
            ]
            answer = msgspec.json.encode(Exchanged(tuple(told[:EXCHANGED_PEERS])))
            await channel.write(LengthFraming().encode(answer))
            await channel.close()


def backoff(tuning: Tuning, failures: int, *, is_wanted: bool) -> float:
    """Return the seconds before a peer is dialled again after so many failures in a row."""
    longest = tuning.longest_wanted_backoff if is_wanted else tuning.longest_dial_backoff
    return min(longest, tuning.first_dial_backoff * 2.0 ** min(failures, 32))


def parse_exchange(raw: bytes) -> tuple[NamedPeer, ...]:
    """Return the peers in an answer, no more than EXCHANGED_PEERS.

    Raises:
        MalformedFrame: it is none.
    """
    try:
        return msgspec.json.decode(raw, type=Exchanged).peers[:EXCHANGED_PEERS]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise MalformedFrame("exchange of peers") from exc


def _story(exc: BaseException) -> str:
    """Return the texts of an exception and of what it came from."""
    texts: list[str] = []
    cause: BaseException | None = exc
    while cause is not None and len(texts) < 4:
        texts.append(str(cause) or type(cause).__name__)
        cause = cause.__cause__
    return ": ".join(texts)
