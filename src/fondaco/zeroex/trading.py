"""What this node trades with others: chain, exchanges, and the filters it has joined.

    CUSTOM_ORDER_FILTER --.
    mesh_joinFilter ------+--> filters --> what is taken in     any of them
    mesh_leaveFilter -----'            |-> topics listened to   one per filter (v3), one (v2)
                                       |-> topics published on  those an order satisfies,
                                       |                        and the default one
                                       '-> what is reconciled   ``scopes``

An order is taken in when it satisfies any filter. One that satisfies none any more,
because its filter was left, stays in the book until it ends, and is shared no longer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from fondaco.chain.contracts import ChainContracts
from fondaco.errors import InvalidParameter
from fondaco.zeroex.gossip_wire import Topics
from fondaco.zeroex.limits import MAX_FILTER_SIZE, MAX_FILTERS
from fondaco.zeroex.order import Address, ProtocolVersion
from fondaco.zeroex.order_filter import (
    DEFAULT_SCHEMA,
    CustomSchema,
    pubsub_topic,
    rendezvous_points,
)
from fondaco.zeroex.scopes import Scope, compiled, scope_of
from fondaco.zeroex.sync_wire import Compare, Offer, Terms


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """A topic this node listens to, and what may travel on it."""

    topic: str
    version: ProtocolVersion
    schema: CustomSchema | None
    """What every order on it must satisfy; None where the topic does not say."""


class Trading:
    """The filters joined now. Pure; whoever changes them tells gossip and order sync.

    Args:
        contracts: chain and exchanges.
        configured: CUSTOM_ORDER_FILTER.
        joined: what was joined at run time, in an earlier run.

    Raises:
        InvalidParameter: one of them is no filter.
    """

    def __init__(
        self, contracts: ChainContracts, configured: str, joined: Iterable[str] = ()
    ) -> None:
        self.chain_id = contracts.chain_id
        self.exchanges: Mapping[ProtocolVersion, Address] = {
            version: Address(deployment.exchange)
            for version, deployment in (
                (ProtocolVersion.V3, contracts.v3),
                (ProtocolVersion.V2, contracts.v2),
            )
            if deployment is not None
        }
        self._configured = compiled(configured).text
        self._filters = [self._configured]
        self._union = _union(self._filters)
        for text in joined:
            self.join(text)

    @property
    def filters(self) -> Sequence[str]:
        """Canonical texts of the filters, in the sequence they were joined."""
        return tuple(self._filters)

    @property
    def joined(self) -> Sequence[str]:
        """Those that the configuration does not name."""
        return tuple(text for text in self._filters if text != self._configured)

    @property
    def schema(self) -> CustomSchema | None:
        """What an order must satisfy to be taken in (``validator.Policy``); None: nothing."""
        return self._union

    def join(self, text: str) -> bool:
        """Take in orders that satisfy *text* as well; return whether that is news.

        Raises:
            InvalidParameter: it is no filter, or there is no room for it.
        """
        canonical = compiled(text).text
        if canonical in self._filters:
            return False
        if len(self._filters) >= MAX_FILTERS:
            raise InvalidParameter("filter", f"at most {MAX_FILTERS} filters")
        filters = [*self._filters, canonical]
        self._union = _union(filters)
        self._filters = filters
        return True

    def leave(self, text: str) -> bool:
        """Take in no more orders for *text* alone; return whether it had been joined.

        Raises:
            InvalidParameter: it is no filter, or the last one.
        """
        canonical = compiled(text).text
        if canonical not in self._filters:
            return False
        if len(self._filters) == 1:
            raise InvalidParameter("filter", "another one, since this is the last")
        self._filters.remove(canonical)
        self._union = _union(self._filters)
        return True

    # ------------------------------------------------------------ gossip

    def channels(self) -> dict[str, Channel]:
        """Return the topics to listen to, by name."""
        channels: dict[str, Channel] = {}
        for version in self.exchanges:
            for text in self._filters:
                schema = compiled(text)
                topic = pubsub_topic(version, self.chain_id, schema)
                # v2 topics do not name their filter.
                known = version is ProtocolVersion.V3 and not schema.is_default
                channels[topic] = Channel(
                    topic=topic, version=version, schema=schema if known else None
                )
        return channels

    def rendezvous(self) -> list[str]:
        """Return the names under which nodes with these filters meet, ours first."""
        points = [
            point
            for version in self.exchanges
            for text in self._filters
            for point in rendezvous_points(version, self.chain_id, compiled(text))
        ]
        return list(dict.fromkeys(points))

    def topics_of(self, body: bytes, version: ProtocolVersion) -> Topics:
        """Return the topics on which the order spelled *body* is published."""
        topics = {pubsub_topic(version, self.chain_id, compiled(DEFAULT_SCHEMA))}
        if version is ProtocolVersion.V3 and self._filters != [DEFAULT_SCHEMA]:
            order = msgspec.json.decode(body)
            topics.update(
                pubsub_topic(version, self.chain_id, schema)
                for schema in map(compiled, self._filters)
                if schema.accepts(order)
            )
        return tuple(sorted(topics))

    # ------------------------------------------------------------ order sync

    def terms(self) -> Terms:
        """Return what a greeting says."""
        return Terms(
            chain=self.chain_id,
            deployments={int(version): bytes(at) for version, at in self.exchanges.items()},
            filters=self.filters,
        )

    def versions_shared(self, other: Terms) -> list[ProtocolVersion]:
        """Return the protocol versions both sides trade on the same exchange."""
        if other.chain != self.chain_id:
            return []
        return [v for v, at in self.exchanges.items() if other.deployments.get(int(v)) == at]

    def serves(self, request: Compare | Offer) -> bool:
        """Return whether *request* is about our chain and one of our exchanges."""
        ours = {int(version): bytes(at) for version, at in self.exchanges.items()}
        return request.chain == self.chain_id and ours.get(request.version) == request.exchange

    def own_scopes(self) -> list[Scope]:
        """Return the scope of each version and filter."""
        return [scope_of(v, (text,)) for v in self.exchanges for text in self._filters]


def _union(filters: Sequence[str]) -> CustomSchema | None:
    """Return the schema that any of *filters* satisfies, None where everything does.

    Raises:
        InvalidParameter: together they are too large.
    """
    if DEFAULT_SCHEMA in filters:
        return None
    if len(filters) == 1:
        return compiled(filters[0])
    text = f'{{"anyOf":[{",".join(filters)}]}}'
    if len(text.encode()) > MAX_FILTER_SIZE:
        raise InvalidParameter("filter", f"at most {MAX_FILTER_SIZE} bytes of filters in all")
    return CustomSchema(text)
