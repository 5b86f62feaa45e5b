"""Order sync as 0x Mesh v9 does it: served to its nodes, and used where a peer knows no other.

    request --> set of the filter, frozen under a snapshotID --> 500 hashes --> bodies --> line

A page costs its 500 rows, whatever its number. It brings nothing that reconciliation does
not bring with fewer bytes, so a peer is asked for its pages about once an hour.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import msgspec

from fondaco.clock import Clock
from fondaco.errors import InvalidParameter, Unavailable
from fondaco.p2p.idset import Snapshot
from fondaco.store.database import Database
from fondaco.zeroex import repository
from fondaco.zeroex.admission import Origin
from fondaco.zeroex.allowance import HOUR, Allowance
from fondaco.zeroex.bookwalk import BookWalk, FilterRefused
from fondaco.zeroex.gossip import OrderDoor
from fondaco.zeroex.limits import (
    MAX_MESH_PAGES,
    MESH_PAGE,
    MESH_REQUESTS_AT_ONCE,
    MESH_REQUESTS_PER_SECOND,
    MESH_SNAPSHOT_SECONDS,
    MESH_SNAPSHOTS,
    REQUEST_SECONDS,
)
from fondaco.zeroex.meshsync_wire import (
    MESH_PROTOCOL,
    MalformedPage,
    PageRequest,
    WireFilter,
    encode_request,
    encode_response,
    read_request,
    read_response,
)
from fondaco.zeroex.offences import WEIGHTS, Fault
from fondaco.zeroex.order import OrderHash, ProtocolVersion
from fondaco.zeroex.order_fetch import count_invalid
from fondaco.zeroex.order_memory import OrderMemory
from fondaco.zeroex.peering import SyncNetwork
from fondaco.zeroex.scopes import scope_of
from fondaco.zeroex.sync_schedule import Chance
from fondaco.zeroex.trading import Trading

PATIENCE = 5.0
"""Seconds a request waits for its turn under the rate limit before it is refused."""

STEP = 0.1
"""Seconds between two looks whether it is its turn."""

EMPTY_PAGES_TOLERATED = 20
"""Pages in a row without an order: 10,000 that have ended since the peer's snapshot."""


class PageRefused(Unavailable):
    """A page is not served; the stream is closed without blame."""

    code = "PageRefused"


class _Held(msgspec.Struct, frozen=True):
    ids: Snapshot
    version: ProtocolVersion
    until: float


class MeshSync:
    """The paged sync, both sides."""

    def __init__(
        self,
        *,
        network: SyncNetwork,
        database: Database,
        service: OrderDoor,
        walk: BookWalk,
        memory: OrderMemory,
        trading: Trading,
        clock: Clock,
        chance: Chance,
        new_id: Callable[[], str],
    ) -> None:
        """*new_id* returns a fresh UUID as text."""
        self._network = network
        self._database = database
        self._service = service
        self._walk = walk
        self._memory = memory
        self._trading = trading
        self._clock = clock
        self._chance = chance
        self._new_id = new_id
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._allowance = Allowance(
            MESH_REQUESTS_PER_SECOND * HOUR, MESH_REQUESTS_AT_ONCE, clock.monotonic()
        )

    async def open(self) -> None:
        """Serve pages from now on."""
        await self._network.serve_lines(MESH_PROTOCOL, self.page)

    # ------------------------------------------------------------ provider

    async def page(self, peer: str, line: bytes) -> bytes:
        """Answer a request.

        Raises:
            MalformedPage: it is none.
            PageRefused: too many requests, no common subprotocol, or a filter that costs
                too much.
            StorageError: the store cannot be read.
        """
        wanted = read_request(line)
        if wanted is None:
            raise PageRefused("no common subprotocol")
        await self._turn()
        snapshot_id, held = await self._snapshot(wanted)
        start = wanted.page * MESH_PAGE
        names = [OrderHash(one) for one in held.ids.iterate(start, start + MESH_PAGE)]
        found = await self._database.read(lambda connection: repository.find(connection, names))
        bodies = [
            row.body
            for name in names
            if (row := found.get(name)) is not None and not row.is_removed
        ]
        is_last = start + MESH_PAGE >= len(held.ids)
        return encode_response(bodies, is_last=is_last, page=wanted.page, snapshot_id=snapshot_id)

    async def _turn(self) -> None:
        """Return when one more page may be served."""
        waited = 0.0
        while not self._allowance.take(self._clock.monotonic()):
            if waited >= PATIENCE:
                raise PageRefused("too many requests")
            await self._clock.sleep(STEP)
            waited += STEP

    async def _snapshot(self, wanted: PageRequest) -> tuple[str, _Held]:
        """Return the snapshot named, or a new one where it is unknown or has ended."""
        now = self._clock.monotonic()
        held = self._held.get(wanted.snapshotID)
        if held is not None and now < held.until:
            self._held.move_to_end(wanted.snapshotID)
            return wanted.snapshotID, held
        version = self._version
        try:
            scope = scope_of(version, self._schemas(wanted.orderfilter))
            ids = (await self._walk.get(scope, is_strangers=True)).snapshot()
        except (InvalidParameter, FilterRefused) as problem:
            raise PageRefused(str(problem)) from None
        snapshot_id = self._new_id()
        self._held[snapshot_id] = held = _Held(ids, version, now + MESH_SNAPSHOT_SECONDS)
        while len(self._held) > MESH_SNAPSHOTS:
            self._held.popitem(last=False)
        return snapshot_id, held

    def _schemas(self, wanted: WireFilter | None) -> tuple[str, ...]:
        """Raises: PageRefused: for another chain or exchange."""
        if wanted is None:
            return ()
        ours = f"0x{self._trading.exchanges[self._version].hex()}"
        # Mesh leaves out what is the default.
        if wanted.chainID not in {0, self._trading.chain_id} or (
            wanted.exchangeAddress and wanted.exchangeAddress.lower() != ours
        ):
            raise PageRefused("another chain or exchange")
        return (wanted.customOrderSchema or "{}",)

    @property
    def _version(self) -> ProtocolVersion:
        """Of the orders on pages: the original's has v3 only."""
        return next(iter(self._trading.exchanges))

    # ------------------------------------------------------------ requester

    @property
    def interval(self) -> float:
        """Seconds until a peer is asked again: an hour, 10 % more or less."""
        return self._chance.uniform(0.9 * HOUR, 1.1 * HOUR)

    async def pull(self, peer: str) -> int:
        """Take in every order *peer* shows; return how many were new.

        Raises:
            Unavailable: it has gone, is late, or knows no order sync at all.
            MalformedPage: it has been reported.
        """
        schema = self._trading.schema
        wanted_orders = WireFilter(
            customOrderSchema="{}" if schema is None else schema.text,
            chainID=self._trading.chain_id,
            exchangeAddress=f"0x{self._trading.exchanges[self._version].hex()}",
        )
        new, empty, snapshot_id = 0, 0, ""
        for number in range(MAX_MESH_PAGES):
            wanted = PageRequest(page=number, snapshotID=snapshot_id, orderfilter=wanted_orders)
            line = await self._network.request_lines(
                peer,
                MESH_PROTOCOL,
                encode_request(wanted, is_first=number == 0),
                timeout=REQUEST_SECONDS,
            )
            try:
                page = read_response(line)
            except MalformedPage:
                self._report(peer, Fault.MALFORMED_ANSWER)
                raise
            result = await self._service.add(page.orders, Origin.SYNC, pinned=False)
            self._memory.note(result, peer=peer)
            if invalid := count_invalid(result):
                self._report(peer, Fault.INVALID_ORDER, invalid)
            new += sum(accepted.is_new for accepted in result.accepted)
            snapshot_id = page.snapshot_id
            empty = 0 if page.orders else empty + 1
            if page.is_last:
                break
            if empty > EMPTY_PAGES_TOLERATED:
                self._report(peer, Fault.BARREN_DIALOGUE)
                break
        return new

    def _report(self, peer: str, fault: Fault, times: int = 1) -> None:
        offence, weight = WEIGHTS[fault]
        self._network.report(peer, offence, weight * times)
