"""What clients are shown of peers: who is there, and how far each and we hold the same.

    mesh_getPeers   peers, setDigests, counters
    mesh_getStats   peers, setDigests

Two nodes whose digests of a set are equal hold the same orders of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import msgspec

from fondaco.clock import NANOSECONDS, Clock, rfc3339
from fondaco.p2p.network import PeerInfo
from fondaco.zeroex.agreement import Agreement, Agreements, AgreementState
from fondaco.zeroex.orderset import OrderSets
from fondaco.zeroex.scopes import Scope
from fondaco.zeroex.trading import Trading

_WORST_FIRST = (AgreementState.UNKNOWN, AgreementState.DIFFERS, AgreementState.AGREES)


class SetReport(msgspec.Struct, frozen=True, kw_only=True):
    """How one set of a peer stands to ours. *set* is the name that ``SetDigest`` has."""

    set: str
    state: str
    """``agrees``, ``differs`` or ``unknown``."""
    since: str
    """When the state began, RFC 3339."""
    compared: str | None
    """When the last comparison ended; null before the first."""
    missingHere: int
    """Orders the peer claims and we lack, at the last comparison."""
    missingThere: int
    explained: int
    """Of both: looked at and refused, or not delivered."""
    problem: str | None
    """What kept the last comparison from its end."""


class PeerReport(msgspec.Struct, frozen=True, kw_only=True):
    """A connected peer."""

    peerID: str
    addresses: Sequence[str]
    direction: str
    """``inbound`` or ``outbound``."""
    agent: str
    connectedSince: str
    topics: Sequence[str]
    """What it listens to: gossip reaches it on these."""
    score: float
    state: str
    """The worst of its sets': ``unknown`` before ``differs`` before ``agrees``."""
    since: str
    differs: int
    """Orders that only one side holds, over all sets."""
    explained: int
    sets: Sequence[SetReport]


class SetDigest(msgspec.Struct, frozen=True, kw_only=True):
    """A set of ours."""

    set: str
    version: int
    filters: Sequence[str]
    """Canonical JSON schemas, all of which its orders satisfy."""
    orders: int
    digest: str
    """32 hexadecimal digits; equal sets have equal ones."""


class PeerReports:
    """Puts the reports together."""

    def __init__(
        self,
        *,
        peers: Callable[[], Sequence[PeerInfo]],
        agreements: Agreements,
        trading: Trading,
        sets: OrderSets,
        clock: Clock,
    ) -> None:
        """*peers* returns who is connected (``Network.peers``)."""
        self._peers = peers
        self._agreements = agreements
        self._trading = trading
        self._sets = sets
        self._clock = clock

    @property
    def count(self) -> int:
        """How many peers are connected."""
        return len(self._peers())

    def states(self) -> Counter[AgreementState]:
        """Return how many peers are in each state, as ``PeerReport.state`` has it."""
        return Counter(_overall(self._agreements.of(peer.peer_id))[0] for peer in self._peers())

    def peers(self) -> list[PeerReport]:
        """Return the peers, ascending by name."""
        return [self._report(peer) for peer in sorted(self._peers(), key=lambda p: p.peer_id)]

    def digests(self) -> list[SetDigest]:
        """Return our sets, one for each version and filter."""
        digests = []
        for scope in dict.fromkeys(self._trading.own_scopes()):
            ids = self._sets.get(scope)
            if ids is not None:
                digests.append(
                    SetDigest(
                        set=scope.name,
                        version=int(scope.version),
                        filters=scope.filters,
                        orders=len(ids),
                        digest=ids.digest().hex(),
                    )
                )
        return digests

    def _report(self, peer: PeerInfo) -> PeerReport:
        known = self._agreements.of(peer.peer_id)
        state, since = _overall(known)
        return PeerReport(
            peerID=peer.peer_id,
            addresses=peer.addresses,
            direction="outbound" if peer.is_outbound else "inbound",
            agent=peer.agent,
            connectedSince=rfc3339(peer.since_ns),
            topics=peer.topics,
            score=round(peer.score, 3),
            state=state.value,
            since=rfc3339(peer.since_ns) if since is None else self._time(since),
            differs=sum(agreement.difference for agreement in known.values()),
            explained=sum(agreement.explained for agreement in known.values()),
            sets=[self._set_report(scope, agreement) for scope, agreement in known.items()],
        )

    def _set_report(self, scope: Scope, agreement: Agreement) -> SetReport:
        compared = agreement.compared_at
        return SetReport(
            set=scope.name,
            state=agreement.state.value,
            since=self._time(agreement.since),
            compared=None if compared is None else self._time(compared),
            missingHere=agreement.missing_here,
            missingThere=agreement.missing_there,
            explained=agreement.explained,
            problem=agreement.problem,
        )

    def _time(self, monotonic: float) -> str:
        ago = self._clock.monotonic() - monotonic
        return rfc3339(self._clock.now_ns() - round(ago * 1_000) * (NANOSECONDS // 1_000))


def _overall(known: Mapping[Scope, Agreement]) -> tuple[AgreementState, float | None]:
    """Return the worst state and since when it is that; unknown where nothing is shared."""
    for state in _WORST_FIRST:
        found = [agreement.since for agreement in known.values() if agreement.state is state]
        if found:
            return state, min(found)
    return AgreementState.UNKNOWN, None
