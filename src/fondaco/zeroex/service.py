"""Take orders in: the one path that JSON-RPC, gossip and order sync share.

 mesh_addOrders            gossip                       order sync
      \\ LOCAL                 | GOSSIP                    / SYNC
       '-----------.          |          .---------------'
                   v          v          v
     small ones of clients: those that wait, together
             intake.read_orders: decode, hash, policy        (thread)
             repository: known? stop
             intake.check_orders: rules, signatures          (threads)
             assessor: one batched read at one block
             admission: orders + event log, one transaction

An order is *pending* in the watch index from before the chain is asked until it is
stored, so that a block that arrives in between is not missed: it marks the order, and a
marked order is looked at again at once, as any stored order that a block touches.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Protocol, TypeVar

import msgspec

from fondaco.chain.errors import BlockGone
from fondaco.chain.headers import Header
from fondaco.clock import Clock
from fondaco.errors import StorageError, Unavailable, Verdict
from fondaco.store.database import Database
from fondaco.zeroex import intake, repository
from fondaco.zeroex.admission import Admission, Assessed, Origin
from fondaco.zeroex.assessor import HashedOrder, MayAsk
from fondaco.zeroex.contract_events import ContractEvent
from fondaco.zeroex.errors import OrderRejected, RejectionCode
from fondaco.zeroex.intake import Candidate, Refusal
from fondaco.zeroex.lifecycle import Outcome, Rejected, Valid
from fondaco.zeroex.order import OrderHash, ProtocolVersion, SignedOrder
from fondaco.zeroex.together import Together
from fondaco.zeroex.validator import Policy

T = TypeVar("T")

log = logging.getLogger(__name__)

CHUNK = 500
"""Orders that go through the pipeline together: one batched read, one transaction."""

CHUNKS_IN_FLIGHT = 2
"""Chunks at once over all callers, so that one computes while another waits for chain or
disk. More would only queue before the same two cores."""

ANSWER_SECONDS = 20.0
"""Seconds after which a request is answered whatever the chain does: what it has not said
by then is refused as ``EthRPCRequestFailed``, to be sent again. The published clients give
a call up after 30 s; Mesh let them wait a minute."""

SMALL = 50
"""Orders of a client's request that may share a chunk with other clients' when both chunks
are busy: alone they would cost 2 to 4 ms of a core each, whatever is in them."""

CHECK_SLICE = 125
"""Orders whose signatures one thread recovers at a time: about 6 ms."""


class Accepted(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An order that is on offer."""

    order_hash: OrderHash
    body: bytes
    fillable: int
    """Taker base units."""
    is_new: bool


class AddResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a request's orders. Repeats of one order count once."""

    accepted: list[Accepted]
    """New ones first, then those that were stored already."""
    rejected: list[Refusal]
    """Unreadable ones first."""


class _Small(msgspec.Struct, frozen=True):
    """A small request."""

    texts: Sequence[bytes | msgspec.Raw]
    deadline: float


class OrderAssessor(Protocol):
    """What this module asks about orders. ``assessor.Assessor`` satisfies it."""

    async def assess(
        self,
        orders: Sequence[HashedOrder],
        at: Header,
        *,
        are_stored: bool = False,
        may_ask: MayAsk | None = None,
    ) -> list[Outcome]:
        """Raises: Unavailable."""


class PendingOrders(Protocol):
    """Where orders wait while they are asked about. ``watch_index.WatchIndex`` satisfies it."""

    def add_pending(self, order_hash: OrderHash, order: SignedOrder) -> None: ...

    def drop_pending(self, order_hash: OrderHash) -> list[ContractEvent] | None:
        """Return the events that touched the order meanwhile; None when none did."""


LookAgain = Callable[[Mapping[OrderHash, Sequence[ContractEvent]]], None]
"""Has stored orders looked at again, with what touched them (``OrderWatcher.look_again``)."""


class ChainProgress(Protocol):
    """What this module asks of the chain's progress. ``watcher.OrderWatcher`` satisfies it."""

    @property
    def head(self) -> Header | None:
        """The block at which new orders are read."""

    async def newer_head(self, than: Header) -> Header:
        """Look for a newer block; return the head then, which may still be *than*."""


class OrderService:
    """Checks, stores and announces orders."""

    def __init__(
        self,
        *,
        database: Database,
        assessor: OrderAssessor,
        admission: Admission,
        pending: PendingOrders,
        look_again: LookAgain,
        policy: Callable[[], Policy],
        progress: ChainProgress,
        may_ask: MayAsk,
        threads: Executor,
        clock: Clock,
        default_version: ProtocolVersion,
    ) -> None:
        """*policy* returns what holds at the moment it is called; *may_ask* bounds what
        orders of other nodes cost."""
        self._database = database
        self._assessor = assessor
        self._admission = admission
        self._pending = pending
        self._look_again = look_again
        self._policy = policy
        self._progress = progress
        self._may_ask = may_ask
        self._threads = threads
        self._clock = clock
        self._default_version = default_version
        self._chunks = asyncio.Semaphore(CHUNKS_IN_FLIGHT)
        self._pinned, self._unpinned = (
            Together(self._chunks, partial(self._add_small, pinned=pinned), most=CHUNK)
            for pinned in (True, False)
        )
        self._in_flight: dict[OrderHash, asyncio.Future[None]] = {}

    async def add(
        self, texts: Sequence[bytes | msgspec.Raw], origin: Origin, *, pinned: bool
    ) -> AddResult:
        """Put orders on offer; one refused order does not stop the others.

        Args:
            texts: orders as JSON, of either version.
            origin: the door they came through.
            pinned: whether new ones are exempt from making room for others. Orders that
                are stored already keep what they are.
        """
        deadline = self._clock.monotonic() + ANSWER_SECONDS
        if origin is Origin.LOCAL and 0 < len(texts) <= SMALL:
            together = self._pinned if pinned else self._unpinned
            parts = [await together.answer(_Small(texts, deadline), len(texts))]
        else:
            seen: set[OrderHash] = set()
            parts = await asyncio.gather(
                *(
                    self._add_chunk(
                        texts[start : start + CHUNK], seen, origin, deadline, pinned=pinned
                    )
                    for start in range(0, len(texts), CHUNK)
                )
            )
        rejected = [refusal for part in parts for refusal in part.rejected]
        accepted = [order for part in parts for order in part.accepted]
        return AddResult(
            accepted=sorted(accepted, key=lambda order: not order.is_new),
            rejected=sorted(rejected, key=lambda refusal: refusal.received is None),
        )

    async def _add_chunk(
        self,
        texts: Sequence[bytes | msgspec.Raw],
        seen: set[OrderHash],
        origin: Origin,
        deadline: float,
        *,
        pinned: bool,
    ) -> AddResult:
        async with self._chunks:
            policy = self._policy()
            [read] = await self._read([texts], policy)
            return await self._take_in(
                intake.once(read, seen), policy, origin, deadline, pinned=pinned
            )

    async def _add_small(self, requests: Sequence[_Small], *, pinned: bool) -> list[AddResult]:
        """Take the orders of small requests of clients in together."""
        policy = self._policy()
        read = await self._read([request.texts for request in requests], policy)
        orders = [list(intake.once(each, set())) for each in read]
        answers: dict[int, AddResult] = {}
        # Requests with an order in common go one after the other, as if they had come so.
        while left := [number for number in range(len(requests)) if number not in answers]:
            names: set[OrderHash] = set()
            chosen: list[int] = []
            for number in left:
                of_this = {one.order_hash for one in orders[number]} - {intake.NO_HASH}
                if names.isdisjoint(of_this):
                    names |= of_this
                    chosen.append(number)
            result = await self._take_in(
                [one for number in chosen for one in orders[number]],
                policy,
                Origin.LOCAL,
                min(requests[number].deadline for number in chosen),
                pinned=pinned,
            )
            parts = _split(result, [orders[number] for number in chosen])
            answers |= zip(chosen, parts, strict=True)
        return [answers[number] for number in range(len(requests))]

    async def _read(
        self, texts: Sequence[Sequence[bytes | msgspec.Raw]], policy: Policy
    ) -> list[list[Candidate | Refusal]]:
        version = self._default_version
        return await self._in_thread(
            lambda: [intake.read_orders(each, policy, version) for each in texts]
        )

    async def _take_in(
        self,
        orders: Iterable[Candidate | Refusal],
        policy: Policy,
        origin: Origin,
        deadline: float,
        *,
        pinned: bool,
    ) -> AddResult:
        """Take orders in that have been read; none is among them twice."""
        candidates, refusals = intake.parted(orders)
        await self._wait_for_others(candidates)
        claims = self._claim(candidates)
        try:
            known, candidates, more = await self._look_up(candidates)
            checked, bad = intake.parted(await self._check(candidates, policy))
            stored = await self._ask_and_store(checked, origin, deadline, pinned=pinned)
        finally:
            self._release(claims)
        refusals += [*more, *bad, *stored.rejected]
        await self._remember(refusals, origin)
        return AddResult(accepted=stored.accepted + known, rejected=refusals)

    async def _remember(self, refusals: Sequence[Refusal], origin: Origin) -> None:
        try:
            await self._admission.record_refusals(refusals, origin)
        except StorageError as problem:
            # Only mesh_explain is the poorer for it; the answer must not be lost as well.
            log.warning("refusals not remembered: %s", problem, extra={"refusals": len(refusals)})

    async def _check(
        self, candidates: Sequence[Candidate], policy: Policy
    ) -> list[Candidate | Refusal]:
        slices = await asyncio.gather(
            *(
                self._in_thread(
                    partial(intake.check_orders, candidates[start : start + CHECK_SLICE], policy)
                )
                for start in range(0, len(candidates), CHECK_SLICE)
            )
        )
        return [checked for part in slices for checked in part]

    async def _look_up(
        self, candidates: Sequence[Candidate]
    ) -> tuple[list[Accepted], list[Candidate], list[Refusal]]:
        """Part *candidates* into those on offer, unknown, and kept though unfillable."""
        hashes = [candidate.order_hash for candidate in candidates]
        try:
            stored = await self._database.read(
                lambda connection: repository.find(connection, hashes)
            )
        except StorageError as problem:
            return [], [], [_failed(candidate, problem) for candidate in candidates]
        known: list[Accepted] = []
        unknown: list[Candidate] = []
        unfillable: list[Refusal] = []
        for candidate in candidates:
            row = stored.get(candidate.order_hash)
            if row is None:
                unknown.append(candidate)
            elif row.is_removed:
                unfillable.append(
                    intake.refuse(
                        candidate, OrderRejected(RejectionCode.ALREADY_STORED_AND_UNFILLABLE)
                    )
                )
            else:
                known.append(
                    Accepted(
                        order_hash=row.order_hash,
                        body=row.body,
                        fillable=row.fillable,
                        is_new=False,
                    )
                )
        return known, unknown, unfillable

    async def _ask_and_store(
        self, candidates: list[Candidate], origin: Origin, deadline: float, *, pinned: bool
    ) -> AddResult:
        for candidate in candidates:
            self._pending.add_pending(candidate.order_hash, candidate.order)
        try:
            outcomes = await self._assess(candidates, origin, deadline)
            valid: list[Assessed] = []
            refusals: list[Refusal] = []
            for candidate in candidates:
                outcome = outcomes[candidate.order_hash]
                if isinstance(outcome, Valid):
                    valid.append(Assessed(candidate=candidate, fillable=outcome.fillable))
                else:
                    refusals.append(_refused(candidate, outcome))
            stored = await self._store(valid, origin, pinned=pinned)
            return AddResult(accepted=stored.accepted, rejected=refusals + stored.rejected)
        finally:
            touched = {}
            for candidate in candidates:
                events = self._pending.drop_pending(candidate.order_hash)
                if events is not None:
                    touched[candidate.order_hash] = events
            if touched:
                self._look_again(touched)

    async def _store(
        self, orders: Sequence[Assessed], origin: Origin, *, pinned: bool
    ) -> AddResult:
        if not orders:
            return AddResult(accepted=[], rejected=[])
        try:
            admitted = await self._admission.admit(orders, origin, pinned=pinned)
        except StorageError as problem:
            return AddResult(
                accepted=[], rejected=[_failed(order.candidate, problem) for order in orders]
            )
        accepted = [
            Accepted(
                order_hash=order.candidate.order_hash,
                body=order.candidate.body,
                fillable=order.fillable,
                is_new=True,
            )
            for order in admitted.new
        ]
        return AddResult(accepted=accepted, rejected=admitted.refused)

    async def _assess(
        self, candidates: Sequence[Candidate], origin: Origin, deadline: float
    ) -> dict[OrderHash, Outcome]:
        if not candidates:
            return {}
        orders = [(candidate.order_hash, candidate.order) for candidate in candidates]
        asking = asyncio.ensure_future(self._ask_chain(orders, origin))
        pause = asyncio.ensure_future(self._clock.sleep(deadline - self._clock.monotonic()))
        try:
            await asyncio.wait((asking, pause), return_when=asyncio.FIRST_COMPLETED)
            if asking.done():
                return asking.result()
            problem = f"no answer of the Ethereum endpoint within {ANSWER_SECONDS:g} s"
        except Unavailable as failure:
            problem = str(failure)
        finally:
            asking.cancel()
            pause.cancel()
        failed = Rejected(RejectionCode.ETH_RPC_REQUEST_FAILED, problem)
        return dict.fromkeys((order_hash for order_hash, _ in orders), failed)

    async def _ask_chain(
        self, orders: Sequence[HashedOrder], origin: Origin
    ) -> dict[OrderHash, Outcome]:
        """Return every order's outcome, at the newest block that matters to it.

        A client may know of a block that we have not seen yet: the one that funds its
        order, or the one that replaced ours. So nobody is refused before we have looked.

        Raises:
            Unavailable: no outcome is known.
        """
        is_local = origin is Origin.LOCAL
        may_ask = None if is_local else self._may_ask
        head = self._progress.head
        if head is None:
            raise Unavailable("no block has been seen yet")
        found: dict[OrderHash, Outcome] = {}
        again = orders
        gone: BlockGone | None = None
        try:
            outcomes = await self._assessor.assess(orders, head, may_ask=may_ask)
            found = {name: found for (name, _), found in zip(orders, outcomes, strict=True)}
            again = [(name, order) for name, order in orders if _may_improve(found[name])]
        except BlockGone as problem:
            gone = problem
        if gone is not None or (is_local and again):
            newer = await self._progress.newer_head(head)
            if newer != head:
                outcomes = await self._assessor.assess(again, newer, may_ask=may_ask)
                found |= {name: found for (name, _), found in zip(again, outcomes, strict=True)}
            elif gone is not None:
                raise gone
        return found

    async def _wait_for_others(self, candidates: Iterable[Candidate]) -> None:
        """Let a request that has the same order under way finish with it first."""
        while others := [
            self._in_flight[c.order_hash] for c in candidates if c.order_hash in self._in_flight
        ]:
            await asyncio.wait(others)

    def _claim(self, candidates: Iterable[Candidate]) -> list[OrderHash]:
        claims = [candidate.order_hash for candidate in candidates]
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._in_flight.update(dict.fromkeys(claims, done))
        return claims

    def _release(self, claims: Iterable[OrderHash]) -> None:
        for order_hash in claims:
            done = self._in_flight.pop(order_hash)
            if not done.done():
                done.set_result(None)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _split(result: AddResult, requests: Sequence[Sequence[Candidate | Refusal]]) -> list[AddResult]:
    """Return the part of *result* that each of *requests* asked for, without the unreadable
    ones' repeats."""
    accepted = {order.order_hash: order for order in result.accepted}
    rejected = {refusal.order_hash: refusal for refusal in result.rejected}
    parts: list[AddResult] = []
    for orders in requests:
        unreadable = [
            one for one in orders if isinstance(one, Refusal) and one.order_hash == intake.NO_HASH
        ]
        names = [one.order_hash for one in orders if one.order_hash != intake.NO_HASH]
        parts.append(
            AddResult(
                accepted=[accepted[name] for name in names if name in accepted],
                rejected=unreadable + [rejected[name] for name in names if name in rejected],
            )
        )
    return parts


def _may_improve(outcome: Outcome) -> bool:
    """Return whether a transaction that we have not seen yet may make an order valid."""
    return isinstance(outcome, Rejected) and outcome.code in (
        RejectionCode.UNFUNDED,
        RejectionCode.INVALID_SIGNATURE,
    )


def _refused(candidate: Candidate, outcome: Outcome) -> Refusal:
    if isinstance(outcome, Valid):
        raise ValueError("a valid order cannot be refused")
    # Said at one block: at another a wallet may accept what it refuses now, so whoever
    # sent the order could not have known better.
    rejection = OrderRejected(outcome.code, outcome.detail, verdict=Verdict.IGNORE)
    return intake.refuse(candidate, rejection)


def _failed(candidate: Candidate, problem: StorageError) -> Refusal:
    rejection = OrderRejected(RejectionCode.INTERNAL_ERROR, str(problem))
    return intake.refuse(candidate, rejection)
