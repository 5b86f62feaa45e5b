"""What clients are shown of peers."""

from __future__ import annotations

from fondaco.clock import NANOSECONDS, rfc3339
from fondaco.p2p.idset import IdSet
from fondaco.p2p.network import PeerInfo
from fondaco.testing.clock import FakeClock
from fondaco.zeroex.agreement import Agreements, AgreementState, Comparison
from fondaco.zeroex.order import ProtocolVersion
from fondaco.zeroex.orderset import OrderSets
from fondaco.zeroex.peer_reports import PeerReports
from fondaco.zeroex.scopes import Scope
from fondaco.zeroex.trading import Trading
from support.chain_words import CONTRACTS

V2, V3 = Scope(ProtocolVersion.V2), Scope(ProtocolVersion.V3)


class Desk:
    """Reports about two peers, of which one is compared with."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.agreements = Agreements()
        self.sets = OrderSets()
        self.peers = [self.peer("bob", is_outbound=False), self.peer("ann")]
        self.reports = PeerReports(
            peers=lambda: self.peers,
            agreements=self.agreements,
            trading=Trading(CONTRACTS, "{}"),
            sets=self.sets,
            clock=self.clock,
        )
        self.agreements.joined("ann", 0.0)
        self.agreements.agreed_on("ann", [V3, V2], 0.0)

    def peer(self, name: str, *, is_outbound: bool = True) -> PeerInfo:
        return PeerInfo(
            peer_id=name,
            addresses=("/ip4/192.0.2.1/tcp/1",),
            since_ns=self.clock.now_ns() - 5 * NANOSECONDS,
            is_outbound=is_outbound,
            score=1.23456,
            topics=(),
            agent="fondaco/1",
            protocols=(),
        )

    def compare(self, scope: Scope, here: int = 0, explained: int = 0) -> None:
        found = Comparison(
            missing_here=here,
            missing_there=0,
            unexplained=[bytes([n]) * 32 for n in range(here - explained)],
        )
        self.agreements.compared("ann", scope, found, self.clock.monotonic())


async def test_the_worst_set_speaks_for_a_peer() -> None:
    desk = Desk()
    began = desk.clock.now_ns()
    ann, bob = desk.reports.peers()
    assert (ann.peerID, ann.direction, bob.direction) == ("ann", "outbound", "inbound")
    assert (ann.state, ann.score, ann.agent) == ("unknown", 1.235, "fondaco/1")
    await desk.clock.advance(10.0)
    desk.compare(V3)
    assert desk.reports.peers()[0].state == "unknown", "v2 is not compared yet"
    desk.compare(V2, here=4, explained=1)
    await desk.clock.advance(10.0)
    [ann, _] = desk.reports.peers()
    assert (ann.state, ann.differs, ann.explained) == ("differs", 4, 1)
    assert desk.reports.states() == {AgreementState.DIFFERS: 1, AgreementState.UNKNOWN: 1}
    assert ann.since == rfc3339(began + 10 * NANOSECONDS)
    assert [(s.set, s.state, s.missingHere, s.compared) for s in ann.sets] == [
        ("v3", "agrees", 0, rfc3339(began + 10 * NANOSECONDS)),
        ("v2", "differs", 4, rfc3339(began + 10 * NANOSECONDS)),
    ]
    desk.compare(V2)
    [ann, _] = desk.reports.peers()
    assert (ann.state, ann.differs) == ("agrees", 0)
    assert ann.since == rfc3339(began + 10 * NANOSECONDS)


def test_a_peer_that_shares_nothing_is_unknown_since_it_came() -> None:
    desk = Desk()
    bob = desk.reports.peers()[1]
    assert (bob.state, bob.since, bob.sets) == ("unknown", bob.connectedSince, [])
    assert desk.reports.count == 2


def test_a_problem_is_told() -> None:
    desk = Desk()
    desk.agreements.failed("ann", V3, "no answer within 30 s", 0.0)
    assert desk.reports.peers()[0].sets[0].problem == "no answer within 30 s"


def test_digests_of_the_sets_that_are_ready() -> None:
    desk = Desk()
    assert desk.reports.digests() == []
    ids = IdSet([b"\x01" * 32])
    desk.sets.fill(desk.sets.begin(V3), ids)
    [digest] = desk.reports.digests()
    assert (digest.set, digest.version, digest.orders) == ("v3", 3, 1)
    assert digest.digest == ids.digest().hex()
