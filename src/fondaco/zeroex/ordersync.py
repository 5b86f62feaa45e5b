"""Reconciliation is the truth: with each peer, again and again, until both hold the same.

    schedule --> greet --> scopes --> for each: dialogue --> need --> fetch --> service
                                                   '-------> have --> offer --> the peer fetches
                    '-- the peer speaks Mesh only --> its pages

One session serves both sides: what the peer lacks is offered to it, so that it need not
compare again to learn it. A session that moved orders is followed by a quick one that
checks; one that brought us orders hurries those with our other peers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Sequence
from typing import Protocol, TypedDict

import msgspec

from fondaco.clock import NANOSECONDS, Clock, rfc3339, until_set
from fondaco.errors import InvalidParameter, NodeError, PeerError
from fondaco.p2p.dialogue import Dialogue, DialogueState
from fondaco.p2p.network import PeerInfo, PeerLeft
from fondaco.zeroex.agreement import Agreements, Comparison
from fondaco.zeroex.bookwalk import BookWalk, FilterRefused
from fondaco.zeroex.limits import (
    IDS_AT_ONCE,
    MAX_FILTERS,
    MAX_OFFERED_IDS,
    MAX_PENDING_OFFERS,
    REQUEST_SECONDS,
    SESSIONS_AT_ONCE,
    SLOW_SESSION_SECONDS,
)
from fondaco.zeroex.meshsync_wire import MESH_PROTOCOL
from fondaco.zeroex.offences import Fault
from fondaco.zeroex.order_fetch import OrderFetch, PeerFault
from fondaco.zeroex.order_memory import OrderMemory
from fondaco.zeroex.peering import SyncNetwork
from fondaco.zeroex.scopes import Scope, compiled, shared_scopes
from fondaco.zeroex.sync_schedule import Chance, Schedule
from fondaco.zeroex.sync_server import INLINE_MESSAGE
from fondaco.zeroex.sync_wire import (
    RECONCILE_PROTOCOL,
    Answer,
    Compare,
    Compared,
    Declined,
    Greet,
    Greeted,
    MalformedSync,
    Offer,
    Request,
    Taken,
    Terms,
    decode_answer,
    encode,
    marked,
)
from fondaco.zeroex.trading import Trading

log = logging.getLogger(__name__)

NOTHING_SHARED_SECONDS = 600.0
"""Seconds until a peer that trades nothing we trade is asked again."""

BARREN_ROUNDS = 8
"""Rounds of a dialogue that may bring nothing. Fingerprints that differ lead to an id that
differs within four rounds at 33 million orders; orders that come and go cost a few."""


class PagedSync(Protocol):
    """The way of 0x Mesh. ``meshsync.MeshSync`` satisfies it."""

    async def pull(self, peer: str) -> int:
        """Take in all orders of *peer*; return how many were new.

        Raises: Unavailable, PeerError."""

    @property
    def interval(self) -> float:
        """Seconds until it is worth doing again."""


_SPOKEN = frozenset({RECONCILE_PROTOCOL, MESH_PROTOCOL})
"""Protocols by which orders can be had of a peer."""


class _Header(TypedDict):
    """What says which set a request is about."""

    chain: int
    exchange: bytes
    version: int
    filters: Sequence[str]


class _Moved(msgspec.Struct, frozen=True):
    """What a session has set in motion."""

    has_any: bool = False
    """Whether there was a difference that nobody has explained."""
    offered: int = 0
    """Orders the peer has to fetch."""

    def __add__(self, other: _Moved) -> _Moved:
        return _Moved(self.has_any or other.has_any, self.offered + other.offered)


class PeerDeclined(NodeError):
    """A peer does not compare this."""

    code = "PeerDeclined"


class SyncStats(msgspec.Struct, frozen=True, kw_only=True):
    """Counters since the start."""

    sessions: int
    sessionsFailed: int
    dialogues: int
    """One for each set that was compared."""
    rounds: int
    """Of all dialogues: questions and answers."""
    bytesSent: int
    """Of reconciliation, without orders; the next two likewise."""
    bytesReceived: int
    orderBytesReceived: int
    ordersFetched: int
    """That were new."""
    ordersRefused: int
    ordersWithheld: int
    ordersOffered: int
    peersDifferent: int
    """Now, with an unexplained difference."""
    stayedDifferent: int


class OrderSync:
    """Keeps this node's orders and its peers' the same."""

    def __init__(
        self,
        *,
        network: SyncNetwork,
        fetch: OrderFetch,
        walk: BookWalk,
        memory: OrderMemory,
        trading: Trading,
        agreements: Agreements,
        paged: PagedSync,
        clock: Clock,
        chance: Chance,
    ) -> None:
        self._network = network
        self._fetch = fetch
        self._walk = walk
        self._memory = memory
        self._trading = trading
        self._agreements = agreements
        self._paged = paged
        self._clock = clock
        self._schedule = Schedule(chance)
        self._here: dict[str, PeerInfo] = {}
        self._running: dict[asyncio.Task[None], float] = {}
        self._offered: dict[str, dict[bytes, None]] = {}
        self._offers: dict[str, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._counts: Counter[str] = Counter()

    async def run(self) -> None:
        """Reconcile until cancelled."""
        await self.prepare()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_peers(), name="peers of order sync")
            tasks.create_task(self._reconcile(tasks), name="order sync")

    async def prepare(self) -> None:
        """Fill the sets that are always kept."""
        every = [Scope(version) for version in self._trading.exchanges]
        own = self._trading.own_scopes()
        self._memory.sets.keep({*every, *own})
        for scope in {*every, *own}:
            await self._walk.get(scope)

    async def follow_filters(self) -> None:
        """Reconcile over the filters joined now, at once."""
        await self.prepare()
        self._schedule.hurry(self._clock.monotonic())
        self._wake.set()

    def offered(self, peer: str, ids: Sequence[bytes]) -> None:
        """Fetch *ids* from *peer* soon (``SyncServer``'s ``on_offer``)."""
        if peer not in self._schedule:
            return  # its arrival, or that it went, has not been told yet
        waiting = self._offered.setdefault(peer, {})
        room = MAX_PENDING_OFFERS - len(waiting)
        waiting.update(dict.fromkeys(ids[: max(0, room)]))
        self._wake.set()

    def stats(self) -> SyncStats:
        """Return the counters."""
        counts, fetched = self._counts, self._fetch.total
        return SyncStats(
            sessions=counts["sessions"],
            sessionsFailed=counts["failed"],
            dialogues=counts["dialogues"],
            rounds=counts["rounds"],
            bytesSent=counts["sent"],
            bytesReceived=counts["received"],
            orderBytesReceived=fetched.size,
            ordersFetched=fetched.stored + counts["paged"],
            ordersRefused=fetched.refused,
            ordersWithheld=fetched.withheld,
            ordersOffered=counts["offered"],
            peersDifferent=self._agreements.different,
            stayedDifferent=self._agreements.stayed_different,
        )

    # ------------------------------------------------------------ who and when

    async def _follow_peers(self) -> None:
        async for event in self._network.events():
            if isinstance(event, PeerLeft):
                self._left(event.peer_id)
            # Events may have been lost; who is there now is the truth.
            peers = {peer.peer_id: peer for peer in self._network.peers() if peer.protocols}
            for gone in self._here.keys() - peers.keys():
                self._left(gone)
            for peer_id in peers.keys() - self._here.keys():
                self._joined(peers[peer_id])
            self._here.update(peers)
            self._wake.set()

    def _joined(self, peer: PeerInfo) -> None:
        now = self._clock.monotonic()
        self._here[peer.peer_id] = peer
        self._agreements.joined(peer.peer_id, now)
        if not _SPOKEN.isdisjoint(peer.protocols):
            self._schedule.joined(peer.peer_id, now, is_outbound=peer.is_outbound)

    def _left(self, peer_id: str) -> None:
        self._here.pop(peer_id, None)
        self._schedule.left(peer_id)
        self._agreements.left(peer_id)
        self._offered.pop(peer_id, None)

    async def _reconcile(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            self._wake.clear()
            for peer in self._offered.keys() - self._offers.keys():
                task = tasks.create_task(self._fetch_offered(peer), name=f"offers of {peer}")
                self._offers[peer] = task
            now = self._clock.monotonic()
            busy = self._busy(now)
            for peer in self._schedule.start(now, SESSIONS_AT_ONCE - len(busy)):
                task = tasks.create_task(self._session(peer), name=f"order sync with {peer}")
                self._running[task] = now
            await self._until_due()

    def _busy(self, now: float) -> list[float]:
        """Return when the sessions began that keep others waiting. What drags on waits for
        its peer, not for us; a few such peers must not keep all others out."""
        return [began for began in self._running.values() if now - began < SLOW_SESSION_SECONDS]

    async def _until_due(self) -> None:
        due = self._schedule.due
        busy = self._busy(self._clock.monotonic())
        if due is not None and len(busy) >= SESSIONS_AT_ONCE:
            due = min(busy) + SLOW_SESSION_SECONDS
        if due is None:
            await self._wake.wait()
            return
        await until_set(self._wake, self._clock, due - self._clock.monotonic())

    # ------------------------------------------------------------ one session

    async def _session(self, peer: str) -> None:
        self._counts["sessions"] += 1
        try:
            moved = await self._with_peer(peer)
        except NodeError as problem:
            self._counts["failed"] += 1
            log.info("order sync put off: %s", problem, extra={"peer": peer})
            self._schedule.failed(peer, self._clock.monotonic())
        else:
            self._schedule.finished(
                peer, self._clock.monotonic(), has_moved=moved.has_any, offered=moved.offered
            )
        finally:
            task = asyncio.current_task()
            if task is not None:
                self._running.pop(task, None)
            self._wake.set()

    async def _with_peer(self, peer: str) -> _Moved:
        """Compare everything both sides trade; return what moved or will."""
        info = self._here.get(peer)
        if info is not None and RECONCILE_PROTOCOL not in info.protocols:
            return await self._pull_pages(peer)
        terms = await self._greet(peer)
        scopes = self._scopes(terms)
        now = self._clock.monotonic()
        self._agreements.agreed_on(peer, scopes, now)
        if not scopes:
            self._schedule.wait(peer, now + NOTHING_SHARED_SECONDS)
        moved = _Moved()
        for scope in scopes:
            try:
                moved += await self._compare(peer, scope)
            except (PeerDeclined, FilterRefused) as refusal:
                self._fail(peer, scope, refusal)
            except NodeError as problem:
                self._fail(peer, scope, problem)
                raise
        return moved

    def _fail(self, peer: str, scope: Scope, problem: NodeError) -> None:
        self._agreements.failed(peer, scope, str(problem), self._clock.monotonic())

    def _scopes(self, terms: Terms) -> list[Scope]:
        theirs = []
        for text in terms.filters[:MAX_FILTERS]:
            with contextlib.suppress(InvalidParameter):  # one that we cannot evaluate
                theirs.append(compiled(text).text)
        return [
            scope
            for version in self._trading.versions_shared(terms)
            for scope in shared_scopes(version, self._trading.filters, theirs)
        ]

    async def _greet(self, peer: str) -> Terms:
        terms = self._trading.terms()
        answer = await self._ask(peer, Greet(**msgspec.structs.asdict(terms)))
        if not isinstance(answer, Greeted):
            raise self._broken(peer, "no greeting")
        return answer

    async def _compare(self, peer: str, scope: Scope) -> _Moved:
        """Reconcile one scope; fetch and offer what differs; return what does."""
        need, have, dialogue = await self._dialogue(peer, scope)
        if dialogue.rounds > BARREN_ROUNDS and not need and not have:
            self._fetch.report(peer, Fault.BARREN_DIALOGUE)
        fetched = await self._fetch.fetch(peer, need)
        if fetched.stored:
            self._schedule.nudge(self._clock.monotonic(), besides=peer)
        refused_there = await self._offer(peer, scope, have)
        unexplained = await self._unexplained(peer, need)
        wanted_there = [one for one in have if one not in refused_there]
        found = Comparison(
            missing_here=len(need),
            missing_there=len(have),
            unexplained=unexplained + wanted_there,
            is_complete=dialogue.state is DialogueState.FINISHED and dialogue.is_have_complete,
        )
        now = self._clock.monotonic()
        if self._agreements.compared(peer, scope, found, now):
            since = self._agreements.of(peer)[scope].stuck_since
            log.warning(
                "a peer stays different",
                extra={
                    "peer": peer,
                    "set": scope.name,
                    "missing_here": len(unexplained),
                    "missing_there": len(wanted_there),
                    "since": rfc3339(self._clock.now_ns() - round((now - since) * NANOSECONDS)),
                },
            )
        is_open = bool(found.unexplained) or not found.is_complete
        return _Moved(has_any=is_open, offered=len(wanted_there))

    async def _unexplained(self, peer: str, need: Sequence[bytes]) -> list[bytes]:
        """Return those of *need* that were neither refused here nor withheld by *peer*."""
        memory = self._memory
        found: list[bytes] = []
        for start in range(0, len(need), IDS_AT_ONCE):
            found += [
                one
                for one in need[start : start + IDS_AT_ONCE]
                if not memory.is_refused(one, peer=peer) and not memory.is_withheld(peer, one)
            ]
            await asyncio.sleep(0)
        return found

    async def _dialogue(self, peer: str, scope: Scope) -> tuple[list[bytes], list[bytes], Dialogue]:
        is_strangers = scope not in self._trading.own_scopes()
        ids = await self._walk.get(scope, is_strangers=is_strangers)
        dialogue = Dialogue(ids.snapshot(), now=self._clock.monotonic())
        need: list[bytes] = []
        have: list[bytes] = []
        message: bytes | None = dialogue.start()
        try:
            while message is not None:
                answer = await self._ask(peer, Compare(message=message, **self._header(scope)))
                if not isinstance(answer, Compared):
                    raise self._broken(peer, "no reconciliation message")
                now = self._clock.monotonic()
                if len(answer.message) <= INLINE_MESSAGE:
                    findings = dialogue.receive(answer.message, now)
                else:
                    findings = await asyncio.to_thread(dialogue.receive, answer.message, now)
                need += findings.need
                have += findings.have
                message = findings.reply
        except PeerError as fault:
            if isinstance(fault, PeerFault):
                raise
            raise self._broken(peer, str(fault)) from None
        finally:
            self._counts["dialogues"] += 1
            self._counts["rounds"] += dialogue.rounds
            self._counts["sent"] += dialogue.bytes_sent
            self._counts["received"] += dialogue.bytes_received
        return need, have, dialogue

    async def _offer(self, peer: str, scope: Scope, have: Sequence[bytes]) -> set[bytes]:
        """Tell *peer* what it lacks; return which of it the peer has refused before."""
        refused: set[bytes] = set()
        for start in range(0, len(have), MAX_OFFERED_IDS):
            ids = have[start : start + MAX_OFFERED_IDS]
            answer = await self._ask(peer, Offer(ids=b"".join(ids), **self._header(scope)))
            if not isinstance(answer, Taken):
                raise self._broken(peer, "an offer not taken")
            self._counts["offered"] += len(ids)
            refused.update(marked(answer.refused, ids))
        return refused

    def _header(self, scope: Scope) -> _Header:
        return {
            "chain": self._trading.chain_id,
            "exchange": bytes(self._trading.exchanges[scope.version]),
            "version": int(scope.version),
            "filters": scope.filters,
        }

    async def _ask(self, peer: str, request: Request) -> Answer:
        """Raises: Unavailable, PeerFault, PeerDeclined."""
        payload = await self._network.request(
            peer, RECONCILE_PROTOCOL, encode(request), timeout=REQUEST_SECONDS
        )
        try:
            answer = decode_answer(payload)
        except MalformedSync as fault:
            raise self._broken(peer, str(fault)) from None
        if isinstance(answer, Declined):
            raise PeerDeclined(f"{answer.reason}: {answer.detail}")
        return answer

    def _broken(self, peer: str, problem: str) -> PeerFault:
        self._fetch.report(peer, Fault.MALFORMED_ANSWER)
        return PeerFault(problem)

    # ------------------------------------------------------------ orders

    async def _fetch_offered(self, peer: str) -> None:
        """Fetch what *peer* has offered, until nothing is left of it."""
        stored = 0
        try:
            while ids := self._offered.pop(peer, None):
                stored += (await self._fetch.fetch(peer, list(ids))).stored
        except NodeError as problem:
            log.info("offered orders not fetched: %s", problem, extra={"peer": peer})
            self._offered.pop(peer, None)
        finally:
            del self._offers[peer]
            if stored:
                self._schedule.nudge(self._clock.monotonic(), besides=peer)
            self._wake.set()

    async def _pull_pages(self, peer: str) -> _Moved:
        new = await self._paged.pull(peer)
        self._counts["paged"] += new
        now = self._clock.monotonic()
        if new:
            self._schedule.nudge(now, besides=peer)
        self._schedule.wait(peer, now + self._paged.interval)
        return _Moved()
