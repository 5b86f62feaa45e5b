"""The mesh of one topic: who gets every message at once.

    candidate --join, too few, better score--> member : GRAFT sent
    candidate --GRAFT received---------------> member, or PRUNE sent back
    member    --too many, bad score, we left-> backoff : PRUNE sent
    member    --PRUNE received, peer left----> backoff
    backoff   --its time is over-------------> candidate

Source: libp2p ``gossipsub-v1.0.md`` and ``gossipsub-v1.1.md``.
"""

from __future__ import annotations

import enum
import statistics
from collections.abc import Iterable

import msgspec

from fondaco.p2p import limits
from fondaco.p2p.pubsub.parameters import Chance, Parameters
from fondaco.p2p.pubsub.rpc import PeerId


class Graft(enum.Enum):
    """What a received GRAFT led to."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    TOO_EARLY = "too early"
    """Refused, and the peer had been told to wait."""


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """A peer that is subscribed to the topic and speaks GossipSub."""

    peer: PeerId
    score: float
    is_good: bool
    """Whether its standing allows it into the mesh."""
    is_outbound: bool
    """Whether we dialled it."""


class Changes(msgspec.Struct, frozen=True):
    """Whom to tell of a change."""

    graft: list[PeerId]
    prune: list[PeerId]


class Mesh:
    """Members and waiting times of one topic. Candidates come with every call: this class
    knows nothing of connections."""

    def __init__(self, parameters: Parameters, chance: Chance) -> None:
        self._parameters = parameters
        self._chance = chance
        self.members: dict[PeerId, bool] = {}
        """Member -> whether we dialled it."""
        self._backoff: dict[PeerId, float] = {}
        self._beats = 0

    def join(self, candidates: Iterable[Candidate], now: float) -> list[PeerId]:
        """We subscribe: return the first members, to be told by GRAFT."""
        return self._fill(self._eligible(candidates, now), self._parameters.degree)

    def leave(self, now: float) -> list[PeerId]:
        """We unsubscribe: return who is to be told by PRUNE."""
        pruned = list(self.members)
        for peer in pruned:
            self._remove(peer, now + self._parameters.unsubscribe_backoff)
        return pruned

    def received_graft(self, candidate: Candidate, now: float) -> Graft:
        """A peer takes us into its mesh."""
        peer = candidate.peer
        if peer in self.members:
            return Graft.ACCEPTED
        if now < self._backoff.get(peer, 0.0):
            self._backoff[peer] = now + self._parameters.prune_backoff
            return Graft.TOO_EARLY
        is_full = len(self.members) >= self._parameters.degree_high
        if not candidate.is_good or (is_full and not candidate.is_outbound):
            self._backoff[peer] = now + self._parameters.prune_backoff
            return Graft.REFUSED
        self.members[peer] = candidate.is_outbound
        return Graft.ACCEPTED

    def received_prune(self, peer: PeerId, backoff: int | None, now: float) -> None:
        """A peer takes us out of its mesh; *backoff* is in seconds, None where it is silent."""
        seconds = self._parameters.prune_backoff if backoff is None else float(backoff)
        seconds = min(seconds, limits.MAX_BACKOFF_SECONDS) + self._parameters.backoff_slack
        self._remove(peer, max(self._backoff.get(peer, 0.0), now + seconds))

    def dropped(self, peer: PeerId) -> None:
        """The peer left the topic or the network; its waiting time stays."""
        self.members.pop(peer, None)

    def is_backed_off(self, peer: PeerId, now: float) -> bool:
        return now < self._backoff.get(peer, 0.0)

    def is_waiting(self, now: float) -> bool:
        """Whether anybody has to wait before it may graft."""
        return any(now < until for until in self._backoff.values())

    def heartbeat(self, candidates: Iterable[Candidate], now: float) -> Changes:
        """Keep the mesh in shape; *candidates* are members too, and all of them."""
        everyone = {one.peer: one for one in candidates}
        numbers = self._parameters
        self._beats += 1
        for peer in [one for one, until in self._backoff.items() if until <= now]:
            del self._backoff[peer]
        prune = [
            peer for peer in self.members if peer not in everyone or not everyone[peer].is_good
        ]
        for peer in prune:
            self._remove(peer, now + numbers.prune_backoff)
        eligible = self._eligible(everyone.values(), now)
        graft: list[PeerId] = []
        if len(self.members) < numbers.degree_low:
            graft += self._fill(eligible, numbers.degree - len(self.members))
        elif len(self.members) > numbers.degree_high:
            prune += self._cut(everyone, now)
        missing = numbers.degree_outbound - sum(self.members.values())
        if len(self.members) >= numbers.degree_low and missing > 0:
            graft += self._fill([one for one in eligible if one.is_outbound], missing)
        if self._beats % numbers.opportunistic_beats == 0 and len(self.members) > 1:
            graft += self._improve(everyone, eligible)
        return Changes(graft, prune)

    def _eligible(self, candidates: Iterable[Candidate], now: float) -> list[Candidate]:
        return [
            one
            for one in candidates
            if one.is_good
            and one.peer not in self.members
            and not self.is_backed_off(one.peer, now)
        ]

    def _fill(self, eligible: list[Candidate], count: int) -> list[PeerId]:
        chosen = [one for one in eligible if one.peer not in self.members]
        self._chance.shuffle(chosen)
        for one in chosen[:count]:
            self.members[one.peer] = one.is_outbound
        return [one.peer for one in chosen[:count]]

    def _cut(self, everyone: dict[PeerId, Candidate], now: float) -> list[PeerId]:
        """Keep the best, some that we dialled, and others by lot."""
        numbers = self._parameters
        members = list(self.members)
        self._chance.shuffle(members)
        members.sort(key=lambda peer: -everyone[peer].score)  # stable: ties stay shuffled
        best, rest = members[: numbers.degree_score], members[numbers.degree_score :]
        self._chance.shuffle(rest)
        missing = numbers.degree_outbound - sum(self.members[peer] for peer in best)
        outbound = [peer for peer in rest if self.members[peer]][: max(0, missing)]
        others = [peer for peer in rest if peer not in outbound]
        pruned = others[max(0, numbers.degree - len(best) - len(outbound)) :]
        for peer in pruned:
            self._remove(peer, now + numbers.prune_backoff)
        return pruned

    def _improve(
        self, everyone: dict[PeerId, Candidate], eligible: list[Candidate]
    ) -> list[PeerId]:
        """Opportunistic grafting: a mesh that brings little gets members that bring more."""
        median = statistics.median(everyone[peer].score for peer in self.members)
        if median >= self._parameters.opportunistic_score:
            return []
        better = [one for one in eligible if one.score > median]
        return self._fill(better, self._parameters.opportunistic_peers)

    def _remove(self, peer: PeerId, until: float) -> None:
        self.members.pop(peer, None)
        self._backoff[peer] = until
