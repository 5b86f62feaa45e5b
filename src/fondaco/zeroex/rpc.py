"""The clients' words: ``mesh_*`` over JSON-RPC, declared once.

Sources: the JSON-RPC API document of 0x Mesh (v6, v7), and where it differs the behaviour
of the releases (reference/0x-mesh.md 1.2 to 1.7). ``since``, ``filter``, ``sequence``,
cursor paging and ``mesh_explain`` are ours.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from fondaco.api.declarations import ErrorCase, Method, Param, Registry, Result, Subscription
from fondaco.api.feed import EventFeed, FeedStream
from fondaco.api.subscriptions import Heartbeat, Session
from fondaco.clock import Clock, rfc3339
from fondaco.errors import InvalidParameter
from fondaco.jsonrpc import InvalidParams, ServerError
from fondaco.store.database import Database
from fondaco.zeroex import search
from fondaco.zeroex.admission import Origin
from fondaco.zeroex.explain import Explanation, explain
from fondaco.zeroex.feed import EventSubject, wanted_by
from fondaco.zeroex.intake import Refusal
from fondaco.zeroex.order import OrderHash
from fondaco.zeroex.query import parse_filter, parse_query
from fondaco.zeroex.repository import StoredOrder
from fondaco.zeroex.service import Accepted, OrderService
from fondaco.zeroex.snapshots import Snapshots
from fondaco.zeroex.stats import NodeStats, Stats

T = TypeVar("T")

ENCODED_INLINE = 1_000
"""Orders of an answer that are encoded on the event loop: 2 ms."""

MAX_PER_PAGE = 10_000
"""Orders on one page of ``mesh_getOrders``: 15 MB of JSON. Mesh had no limit."""

_HASH = re.compile(r"0x[0-9a-fA-F]{64}")


class AddOptions(msgspec.Struct, frozen=True):
    """Second argument of ``mesh_addOrders``. Without it orders are pinned; an object without
    the key means they are not."""

    pinned: bool | None = False


class SubscribeOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Second argument of ``mesh_subscribe``."""

    since: int | None = None
    """The last sequence that was seen."""
    filter: dict[str, Any] | None = None


class MeshRpc:
    """Handlers of the ``mesh`` namespace."""

    def __init__(
        self,
        *,
        service: OrderService,
        database: Database,
        snapshots: Snapshots,
        stats: NodeStats,
        feed: EventFeed[EventSubject],
        clock: Clock,
    ) -> None:
        self._service = service
        self._database = database
        self._snapshots = snapshots
        self._stats = stats
        self._feed = feed
        self._clock = clock

    def declare(self, registry: Registry) -> None:
        """Offer every method and subscription."""
        registry.add(*self._order_methods(), *self._node_methods(), *self._subscriptions())

    def _order_methods(self) -> tuple[Method, ...]:
        return (
            Method(
                name="mesh_addOrders",
                handler=self.add_orders,
                params=(
                    Param(
                        name="orders",
                        type=list[msgspec.Raw],
                        schema={"type": "array", "items": {"type": "object"}},
                        summary="signed orders, v2 or v3",
                    ),
                    Param(
                        name="options",
                        type=AddOptions,
                        required=False,
                        summary="pinned: true when left out altogether",
                    ),
                ),
                result=Result(
                    schema={
                        "type": "object",
                        "properties": {
                            "accepted": {"type": "array", "items": {"type": "object"}},
                            "rejected": {"type": "array", "items": {"type": "object"}},
                        },
                    }
                ),
                summary="Check orders and put them on offer.",
            ),
            Method(
                name="mesh_getOrders",
                handler=self.get_orders,
                params=(
                    Param(
                        name="page",
                        type=int | dict[str, Any],
                        summary="0 is the first; or an options object: filter, sort, limit, after",
                    ),
                    Param(name="perPage", type=int, required=False),
                    Param(
                        name="snapshotID",
                        type=str,
                        required=False,
                        summary="empty makes a new snapshot",
                    ),
                ),
                result=Result(schema={"type": "object"}),
                summary="Read the orders on offer, page by page.",
                errors=(
                    ErrorCase(code=-32000, message="perPage cannot be zero"),
                    ErrorCase(code=-32000, message="No snapshot found with id: …"),
                ),
            ),
        )

    def _node_methods(self) -> tuple[Method, ...]:
        return (
            Method(
                name="mesh_getStats",
                handler=self.get_stats,
                result=Result(type=Stats),
                summary="What the node is, how full and how current.",
            ),
            Method(
                name="mesh_explain",
                handler=self.explain,
                params=(Param(name="orderHash", type=str),),
                result=Result(type=Explanation),
                summary="What happened to an order, or why it is not here.",
            ),
        )

    def _subscriptions(self) -> tuple[Subscription, ...]:
        return (
            Subscription(
                namespace="mesh",
                name="orders",
                handler=self.subscribe_orders,
                params=(
                    Param(
                        name="options",
                        type=SubscribeOptions,
                        required=False,
                        summary="since: replay what came after; filter: as in mesh_getOrders",
                    ),
                ),
                result=Result(schema={"type": "array", "items": {"type": "object"}}),
                summary="Every change of every order, as arrays of events.",
            ),
            Subscription(
                namespace="mesh",
                name="heartbeat",
                handler=self.subscribe_heartbeat,
                result=Result(schema={"const": "tick"}),
                summary="A tick at once and every 5 seconds, so that a dead connection is noticed.",
                # Clients hang up after 20 s without a tick, and a start may take longer.
                waits_for_node=False,
            ),
        )

    async def add_orders(
        self, session: Session, orders: list[msgspec.Raw], options: AddOptions | None
    ) -> msgspec.Raw:
        """``mesh_addOrders``: one refused order does not stop the others."""
        # In Go, a null leaves a boolean as it was: false.
        pinned = options is None or bool(options.pinned)
        added = await self._service.add(orders, Origin.LOCAL, pinned=pinned)
        accepted = await _joined(_encode_accepted, added.accepted)
        rejected = await _joined(_encode_rejected, added.rejected)
        return msgspec.Raw(b'{"accepted":[%s],"rejected":[%s]}' % (accepted, rejected))

    async def get_orders(
        self,
        session: Session,
        page: int | dict[str, Any],
        per_page: int | None,
        snapshot_id: str | None,
    ) -> msgspec.Raw:
        """``mesh_getOrders [page, perPage, snapshotID]``, or ``[options]`` for cursor paging."""
        if isinstance(page, dict):
            return await self._search(page)
        if per_page is None:
            raise InvalidParams("missing value for required argument 1")
        if snapshot_id is None:
            raise InvalidParams("missing value for required argument 2")
        if per_page <= 0:
            raise ServerError("perPage cannot be zero")
        if page < 0:
            raise InvalidParameter("page", "0 or more")
        if per_page > MAX_PER_PAGE:
            raise InvalidParameter("perPage", f"at most {MAX_PER_PAGE}")
        snapshot = (
            self._snapshots.get(snapshot_id) if snapshot_id else await self._snapshots.create()
        )
        rows = await snapshot.page(page, per_page)
        return msgspec.Raw(
            b'{"snapshotID":"%s","snapshotTimestamp":"%s","ordersInfos":[%s]}'
            % (
                snapshot.snapshot_id.encode(),
                rfc3339(snapshot.created_ns).encode(),
                await _joined(_encode_stored, rows),
            )
        )

    async def _search(self, options: dict[str, Any]) -> msgspec.Raw:
        query = parse_query(options)
        found = await self._database.read(lambda connection: search.search(connection, query))
        return msgspec.Raw(
            b'{"ordersInfos":[%s],"after":%s}'
            % (
                await _joined(_encode_stored, found.orders),
                msgspec.json.encode(found.next_cursor),
            )
        )

    async def get_stats(self, session: Session) -> Stats:
        """``mesh_getStats``."""
        return self._stats.get()

    async def explain(self, session: Session, order_hash: str) -> Explanation:
        """``mesh_explain [orderHash]``."""
        if not _HASH.fullmatch(order_hash):
            raise InvalidParameter("orderHash", "0x and 64 hexadecimal digits")
        wanted = OrderHash(bytes.fromhex(order_hash[2:]))
        return await self._database.read(lambda connection: explain(connection, wanted))

    async def subscribe_heartbeat(self, session: Session) -> Heartbeat:
        """``mesh_subscribe ["heartbeat"]``."""
        return Heartbeat(self._clock)

    async def subscribe_orders(
        self, session: Session, options: SubscribeOptions | None
    ) -> FeedStream[EventSubject]:
        """``mesh_subscribe ["orders", {since, filter}]``."""
        if options is None:
            return await self._feed.open()
        wants = None if options.filter is None else wanted_by(parse_filter(options.filter))
        return await self._feed.open(since=options.since, wants=wants)


def _encode_stored(order: StoredOrder) -> bytes:
    return b'{"orderHash":"0x%s","signedOrder":%s,"fillableTakerAssetAmount":"%d"}' % (
        order.order_hash.hex().encode(),
        order.body,
        order.fillable,
    )


def _encode_accepted(order: Accepted) -> bytes:
    return b'{"orderHash":"0x%s","signedOrder":%s,"fillableTakerAssetAmount":"%d","isNew":%s}' % (
        order.order_hash.hex().encode(),
        order.body,
        order.fillable,
        b"true" if order.is_new else b"false",
    )


def _encode_rejected(refusal: Refusal) -> bytes:
    rejection = refusal.rejection
    fields: dict[str, object] = {
        "orderHash": f"0x{refusal.order_hash.hex()}",
        "signedOrder": msgspec.Raw(refusal.signed_order),
        "kind": rejection.kind.value,
        "status": {"code": rejection.code, "message": rejection.message},
    }
    if rejection.detail:
        fields["detail"] = rejection.detail
    if refusal.received is not None:
        fields["received"] = refusal.received
    return msgspec.json.encode(fields)


async def _joined(encode: Callable[[T], bytes], items: Sequence[T]) -> bytes:
    """Return *items* as JSON with commas between; many are encoded in a thread."""
    if len(items) <= ENCODED_INLINE:
        return b",".join(map(encode, items))
    return await asyncio.to_thread(lambda: b",".join(map(encode, items)))
