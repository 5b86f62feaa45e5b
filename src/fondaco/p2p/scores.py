"""What each peer deserves: a score from offences and good deeds, and bans that end.

    offence --points, up to its ceiling--> score --> GOOD --> SUSPECT --> BANNED
    delivery that was accepted ----------'            disconnect, refuse for a while ---> again

An offence that bad luck can cause (a message lost, an answer late) has a ceiling; all
ceilings together leave a peer in good standing. Only what no honest program does leads
further. Points fade by half in HALF_LIFE.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Iterable
from typing import TypeVar

import msgspec

from fondaco.p2p import limits
from fondaco.p2p.budget import address_group

HALF_LIFE = 600.0
"""Seconds in which points and merit fade by half: an hour after a mistake, 2 % are left."""

MAX_MERIT = 20.0
"""What good deeds may add up to: one more invalid message than a stranger may send."""

MERIT_PER_MESSAGE = 0.1
"""For the first copy of a message that was accepted."""

SUSPECT_BELOW = -25.0
"""Below it a peer is in no mesh, and its gossip is not answered."""

BANNED_BELOW = -100.0
"""Below it the connection is closed and the peer refused until its ban ends."""


class Offence(enum.Enum):
    """What a peer did. The value is its name in metrics."""

    MALFORMED_RPC = "malformed-rpc"
    """Bytes on a pubsub stream that are no RPC."""
    BAD_SIGNATURE = "bad-signature"
    """It passed on a message that its author did not sign."""
    INVALID_MESSAGE = "invalid-message"
    """It passed on a message that whoever read it rejected."""
    FLOODING = "flooding"
    """For a second it sent more messages than anybody honest does."""
    MALFORMED_STREAM = "malformed-stream"
    """Bytes on another stream that its protocol does not know."""
    FALSE_RECONCILIATION = "false-reconciliation"
    """Ids without bodies, wrong fingerprints, or a dialogue that leads nowhere."""
    INVALID_ORDER = "invalid-order"
    """It handed out an order that everybody can see is invalid."""
    BROKEN_PROMISE = "broken-promise"
    """It announced a message, was asked for it, and did not send it."""
    EARLY_GRAFT = "early-graft"
    """It wants back into the mesh before the time it was told."""
    TIMEOUT = "timeout"
    """It did not answer a request in time."""
    UNEXPECTED_CLOSE = "unexpected-close"
    """It closed a stream in the middle of a dialogue."""


class Penalty(msgspec.Struct, frozen=True, gc=False):
    """What an offence costs."""

    points: float
    ceiling: float | None = None
    """The most that this offence counts at any time; None for what no accident causes."""


# fmt: off
PENALTIES: dict[Offence, Penalty] = {
    Offence.MALFORMED_RPC:        Penalty(50.0),
    Offence.BAD_SIGNATURE:        Penalty(50.0),
    Offence.INVALID_MESSAGE:      Penalty(20.0),
    Offence.FLOODING:             Penalty(30.0),
    Offence.MALFORMED_STREAM:     Penalty(30.0),
    Offence.FALSE_RECONCILIATION: Penalty(30.0),
    Offence.INVALID_ORDER:        Penalty(5.0),
    Offence.BROKEN_PROMISE:       Penalty(0.1, ceiling=5.0),
    Offence.EARLY_GRAFT:          Penalty(1.0, ceiling=5.0),
    Offence.TIMEOUT:              Penalty(1.0, ceiling=10.0),
    Offence.UNEXPECTED_CLOSE:     Penalty(1.0, ceiling=4.0),
}
# fmt: on
"""Offence -> its cost."""


class Standing(enum.Enum):
    """What follows from a score."""

    GOOD = "good"
    SUSPECT = "suspect"
    BANNED = "banned"


class _Record:
    __slots__ = ("at", "merit", "points")

    def __init__(self, now: float) -> None:
        self.at = now
        self.merit = 0.0
        self.points: dict[Offence, float] = {}

    def fade(self, now: float) -> None:
        if now <= self.at:
            return
        factor = 0.5 ** ((now - self.at) / HALF_LIFE)
        self.merit *= factor
        for offence in self.points:
            self.points[offence] *= factor
        self.at = now

    def score(self) -> float:
        return self.merit - sum(self.points.values())


class Scores:
    """The score of every peer, connected or not. *now* is in seconds and never goes back."""

    def __init__(self) -> None:
        self._records: dict[bytes, _Record] = {}

    def report(self, peer: bytes, offence: Offence, now: float, weight: float = 1.0) -> Standing:
        """Count an offence *weight* times; return where the peer stands now."""
        record = self._record(peer, now)
        penalty = PENALTIES[offence]
        points = record.points.get(offence, 0.0) + penalty.points * max(0.0, weight)
        record.points[offence] = points if penalty.ceiling is None else min(points, penalty.ceiling)
        return _standing(record.score())

    def reward(self, peer: bytes, now: float, amount: float = MERIT_PER_MESSAGE) -> None:
        """Count a good deed."""
        record = self._record(peer, now)
        record.merit = min(MAX_MERIT, record.merit + amount)

    def score(self, peer: bytes, now: float) -> float:
        """Return the score; 0.0 for a stranger."""
        record = self._records.get(peer)
        if record is None:
            return 0.0
        record.fade(now)
        return record.score()

    def standing(self, peer: bytes, now: float) -> Standing:
        """Return where the peer stands."""
        return _standing(self.score(peer, now))

    def pardon(self, peer: bytes) -> None:
        """Forget everything about a peer: its ban stands for its past."""
        self._records.pop(peer, None)

    def tidy(self, now: float, connected: Iterable[bytes]) -> None:
        """Forget peers that left and whose score says next to nothing."""
        here = set(connected)
        for peer, record in list(self._records.items()):
            record.fade(now)
            if peer not in here and sum(record.points.values()) < 1.0:
                del self._records[peer]
        if (excess := len(self._records) - limits.MAX_SCORED_PEERS) > 0:
            noted = sorted(self._records, key=lambda peer: -self._records[peer].score())
            for peer in itertools.islice((p for p in noted if p not in here), excess):
                del self._records[peer]

    def __len__(self) -> int:
        return len(self._records)

    def _record(self, peer: bytes, now: float) -> _Record:
        record = self._records.get(peer)
        if record is None:
            record = self._records[peer] = _Record(now)
        record.fade(now)
        return record


def _standing(score: float) -> Standing:
    if score > SUSPECT_BELOW:
        return Standing.GOOD
    return Standing.SUSPECT if score > BANNED_BELOW else Standing.BANNED


_Key = TypeVar("_Key", bytes, str)


class Ban(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A peer or an address is refused."""

    until: float
    """Seconds, on the clock of the ``now`` that was given."""
    count: int
    """How many bans this one makes."""


class Bans:
    """Who is refused, and until when. Each further ban of the same peer is twice as long."""

    def __init__(self, *, first: float = limits.FIRST_BAN) -> None:
        self._first = first
        self._peers: dict[bytes, Ban] = {}
        self._addresses: dict[str, Ban] = {}
        self._banned_from: dict[str, dict[bytes, float]] = {}

    def ban(self, peer: bytes, address: str | None, now: float) -> Ban:
        """Ban *peer*; also its IP *address*, where it is not the first banned from there."""
        ban = self._longer(self._peers.pop(peer, None), now)
        self._peers[peer] = ban
        group = address_group(address) if address else None
        if group is not None:
            banned = self._banned_from.setdefault(group, {})
            banned[peer] = now
            if len(banned) >= limits.PEERS_TO_BAN_AN_ADDRESS:
                self._addresses[group] = self._longer(self._addresses.pop(group, None), now)
        if max(len(self._peers), len(self._addresses), len(self._banned_from)) > limits.MAX_BANNED:
            self.tidy(now)
        return ban

    def refuses(self, peer: bytes | None, address: str | None, now: float) -> Ban | None:
        """Return the ban in force; either may be None as long as it is not known."""
        group = address_group(address) if address else None
        for ban in (
            self._peers.get(peer) if peer is not None else None,
            self._addresses.get(group) if group is not None else None,
        ):
            if ban is not None and now < ban.until:
                return ban
        return None

    def count(self, now: float) -> int:
        """Return how many bans of peers and addresses are in force."""
        every = itertools.chain(self._peers.values(), self._addresses.values())
        return sum(now < ban.until for ban in every)

    def lift(self, peer: bytes) -> None:
        """The operator wants this peer after all (mesh_addPeer)."""
        self._peers.pop(peer, None)
        for banned in self._banned_from.values():
            banned.pop(peer, None)

    def tidy(self, now: float) -> None:
        """Forget what is long over, and the oldest over the limit."""
        _drop_old(self._peers, now)
        _drop_old(self._addresses, now)
        for group, banned in list(self._banned_from.items()):
            for peer in [p for p, at in banned.items() if now - at > limits.BAN_MEMORY]:
                del banned[peer]
            if not banned:
                del self._banned_from[group]
        while len(self._banned_from) > limits.MAX_BANNED:
            del self._banned_from[next(iter(self._banned_from))]

    def _longer(self, last: Ban | None, now: float) -> Ban:
        count = 1 if last is None or now - last.until > limits.BAN_MEMORY else last.count + 1
        # The exponent stays small: the cap is reached long before.
        length = min(limits.LONGEST_BAN, self._first * 2.0 ** min(count - 1, 32))
        return Ban(until=now + length, count=count)


def _drop_old(bans: dict[_Key, Ban], now: float) -> None:
    for key in [k for k, ban in bans.items() if now - ban.until > limits.BAN_MEMORY]:
        del bans[key]
    while len(bans) > limits.MAX_BANNED:
        del bans[next(iter(bans))]
