"""When to reconcile with whom. Pure: time and chance are handed in.

    joined    we dialled: at once; we were dialled: a second later
    finished  something moved: again soon, to see that it arrived; else in 30 to 60 s
    nudged    orders came from elsewhere by sync: soon, for the peers behind us

*Soon* is at most QUICK_ROUNDS times in a row; then a peer waits like all others.
"""

from __future__ import annotations

from typing import Protocol

INTERVAL = (30.0, 60.0)
"""Seconds between two reconciliations with a peer where nothing moves."""

QUICK = (1.0, 2.5)
"""Seconds until the next one where something did."""

QUICK_ROUNDS = 5
"""Quick ones in a row. A peer that feeds us a trickle does not get us to run for it."""

FIRST_OUTBOUND = (0.0, 0.2)
"""Seconds after dialling."""

FIRST_INBOUND = (1.0, 2.0)
"""Seconds after being dialled. The other side begins, and what it finds is offered to us;
our own look comes after it, since only who asks learns that both are equal."""

ORDERS_A_SECOND = 2_000.0
"""How fast a peer takes in what it is offered, so that it is not asked before it can have it."""

LONGEST_DIGESTION = 60.0
"""Seconds it is given at most."""

RETRY = (5.0, 10.0)
"""Seconds after a session that failed; doubled with each failure in a row."""

LONGEST_RETRY = 300.0
"""Seconds."""


class Chance(Protocol):
    """A seeded generator; ``random.Random`` satisfies it."""

    def uniform(self, a: float, b: float) -> float: ...


class _Peer:
    __slots__ = ("at", "failures", "is_nudged", "is_running", "not_before", "quick_rounds")

    def __init__(self, at: float) -> None:
        self.at = at
        self.failures = 0
        self.is_nudged = False
        self.is_running = False
        self.not_before = at
        self.quick_rounds = 0


class Schedule:
    """Who is next."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self._peers: dict[str, _Peer] = {}

    def joined(self, peer: str, now: float, *, is_outbound: bool) -> None:
        """A peer has connected."""
        span = FIRST_OUTBOUND if is_outbound else FIRST_INBOUND
        self._peers[peer] = _Peer(now + self._chance.uniform(*span))

    def left(self, peer: str) -> None:
        """A peer has gone."""
        self._peers.pop(peer, None)

    def __contains__(self, peer: str) -> bool:
        return peer in self._peers

    def start(self, now: float, most: int) -> list[str]:
        """Return up to *most* peers that are due, longest overdue first, as running."""
        due = sorted(
            (state.at, peer)
            for peer, state in self._peers.items()
            if state.at <= now and not state.is_running
        )
        chosen = [peer for _, peer in due[:most]]
        for peer in chosen:
            self._peers[peer].is_running = True
            self._peers[peer].is_nudged = False
        return chosen

    def finished(self, peer: str, now: float, *, has_moved: bool, offered: int = 0) -> None:
        """A session has come to its end.

        Args:
            peer: the other side.
            now: monotonic seconds.
            has_moved: whether orders went one way or the other, or will.
            offered: how many the peer has still to fetch.
        """
        state = self._peers.get(peer)
        if state is None:
            return
        state.is_running = False
        state.failures = 0
        state.quick_rounds = state.quick_rounds + 1 if has_moved else 0
        is_quick = (has_moved and state.quick_rounds <= QUICK_ROUNDS) or state.is_nudged
        wait = self._chance.uniform(*(QUICK if is_quick else INTERVAL))
        wait += min(LONGEST_DIGESTION, offered / ORDERS_A_SECOND)
        state.at = max(now + wait, state.not_before)

    def failed(self, peer: str, now: float) -> None:
        """A session has failed."""
        state = self._peers.get(peer)
        if state is None:
            return
        state.is_running = False
        wait = self._chance.uniform(*RETRY) * 2.0 ** min(state.failures, 10)
        state.failures += 1
        state.at = now + min(wait, LONGEST_RETRY)

    def nudge(self, now: float, *, besides: str | None = None) -> None:
        """Reconcile soon with everybody but *besides*: there is news for them."""
        for peer, state in self._peers.items():
            if peer != besides and state.quick_rounds < QUICK_ROUNDS and not state.failures:
                # A session under way may have taken its snapshot before the news.
                state.is_nudged = state.is_running
                soon = now + self._chance.uniform(*QUICK)
                state.at = min(state.at, max(soon, state.not_before))

    def hurry(self, now: float) -> None:
        """Reconcile with everybody at once: what we want has changed."""
        for state in self._peers.values():
            state.is_nudged = state.is_running
            state.not_before = now
            state.at = min(state.at, now)

    def wait(self, peer: str, until: float) -> None:
        """Not before *until* with *peer*, unless what we want changes."""
        if (state := self._peers.get(peer)) is not None:
            state.not_before = until
            state.at = max(state.at, until)

    @property
    def due(self) -> float | None:
        """When the next session is due; None when nobody is waiting for one."""
        return min((s.at for s in self._peers.values() if not s.is_running), default=None)
