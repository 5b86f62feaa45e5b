"""How far each peer and we hold the same orders: said per peer and scope.

    UNKNOWN --compared: no difference--> AGREES <--> DIFFERS (by n, of which m are explained)
       ^----- left, declined, failed -----------------'

A difference is explained where one side has looked at the order and refused it, or was
not given it. Where orders come all the time two sets always differ a little; a peer
*stays* different when the same orders differ without explanation in STAYS_DIFFERENT
comparisons in a row, for STAYS_SECONDS at least. That is counted once, and said again
every SAID_AGAIN_SECONDS as long as it lasts. Pure; the host says what time it is.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Collection

import msgspec

from fondaco.zeroex.scopes import Scope

STAYS_DIFFERENT = 5
"""Comparisons in a row. The first finds, the second checks what was sent; a slow fetch may
cost one or two more."""

STAYS_SECONDS = 180.0
"""Seconds. A first sync of all orders takes half a minute, at a slow peer some more."""

SAID_AGAIN_SECONDS = 3_600.0
"""Seconds between two log lines about a peer that stays different: enough to be found in
the log of any hour, too seldom to fill it."""

STUCK_KEPT = 1_000
"""Ids per set and peer that are watched whether they go on to differ."""


class AgreementState(enum.Enum):
    """How a peer's set stands to ours."""

    AGREES = "agrees"
    DIFFERS = "differs"
    UNKNOWN = "unknown"


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one set of one peer."""

    state: AgreementState
    since: float
    """Monotonic seconds at which the state, not its numbers, began."""
    compared_at: float | None = None
    """Monotonic seconds of the last comparison; None before the first."""
    missing_here: int = 0
    """Orders the peer claims to hold and we do not."""
    missing_there: int = 0
    """Orders we hold and the peer does not."""
    explained: int = 0
    """Of both: refused by whoever lacks them."""
    rounds_different: int = 0
    """Comparisons in a row in which the same orders differed without explanation."""
    stuck: frozenset[bytes] = frozenset()
    """Those orders, or some of them."""
    stuck_since: float = 0.0
    """Monotonic seconds at which they were first seen to differ."""
    said_at: float | None = None
    """Monotonic seconds at which it was last said that they stay; None: not yet."""
    problem: str | None = None
    """What kept the last comparison from its end."""

    @property
    def difference(self) -> int:
        """Orders that only one side holds."""
        return self.missing_here + self.missing_there

    @property
    def unexplained(self) -> int:
        """Of them, those nobody has refused."""
        return max(0, self.difference - self.explained)


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What one reconciliation has shown, before anything was sent."""

    missing_here: int
    missing_there: int
    unexplained: Collection[bytes]
    """Those of them that whoever lacks them has not refused."""
    is_complete: bool = True
    """Whether everything was compared; if not the numbers are the least."""


class Agreements:
    """The state of every connected peer."""

    def __init__(self) -> None:
        self._peers: dict[str, dict[Scope, Agreement]] = {}
        self._since: dict[str, float] = {}
        self.stayed_different = 0
        """How often a peer was found to stay different."""

    def joined(self, peer: str, now: float) -> None:
        """A peer has connected; nothing is known yet."""
        self._peers[peer] = {}
        self._since[peer] = now

    def left(self, peer: str) -> None:
        """A peer has gone; so has what was known."""
        self._peers.pop(peer, None)
        self._since.pop(peer, None)

    def agreed_on(self, peer: str, scopes: list[Scope], now: float) -> None:
        """From now on *scopes*, and no others, are compared with *peer*."""
        known = self._peers.get(peer)
        if known is None:
            return
        unknown = Agreement(state=AgreementState.UNKNOWN, since=now)
        self._peers[peer] = {scope: known.get(scope, unknown) for scope in scopes}

    def compared(self, peer: str, scope: Scope, found: Comparison, now: float) -> bool:
        """Take in a comparison; return whether to say that *peer* stays different."""
        before = self._peers.get(peer, {}).get(scope)
        if before is None:
            return False
        difference = found.missing_here + found.missing_there
        is_equal = not difference and found.is_complete
        state = AgreementState.AGREES if is_equal else AgreementState.DIFFERS
        still = before.stuck.intersection(found.unexplained)
        rounds = before.rounds_different + 1 if still else min(1, len(found.unexplained))
        stuck_since = before.stuck_since if still else now
        said_at = before.said_at if still else None
        stays = rounds >= STAYS_DIFFERENT and now - stuck_since >= STAYS_SECONDS
        is_news = stays and said_at is None
        is_due = is_news or (said_at is not None and now - said_at >= SAID_AGAIN_SECONDS)
        self._peers[peer][scope] = Agreement(
            state=state,
            since=before.since if before.state is state else now,
            compared_at=now,
            missing_here=found.missing_here,
            missing_there=found.missing_there,
            explained=difference - len(found.unexplained),
            rounds_different=rounds,
            stuck=still or frozenset(itertools.islice(found.unexplained, STUCK_KEPT)),
            stuck_since=stuck_since,
            said_at=now if is_due else said_at,
        )
        self.stayed_different += is_news
        return is_due

    def failed(self, peer: str, scope: Scope, problem: str, now: float) -> None:
        """A comparison did not come to its end."""
        before = self._peers.get(peer, {}).get(scope)
        if before is None:
            return
        is_news = before.state is not AgreementState.UNKNOWN
        self._peers[peer][scope] = Agreement(
            state=AgreementState.UNKNOWN,
            since=now if is_news else before.since,
            compared_at=before.compared_at,
            rounds_different=before.rounds_different,
            stuck=before.stuck,
            stuck_since=before.stuck_since,
            said_at=before.said_at,
            problem=problem,
        )

    def of(self, peer: str) -> dict[Scope, Agreement]:
        """Return what is known of *peer*, by scope."""
        return dict(self._peers.get(peer, {}))

    def since(self, peer: str) -> float | None:
        """Return when *peer* connected, monotonic seconds; None when it is not there."""
        return self._since.get(peer)

    @property
    def different(self) -> int:
        """Peers with an unexplained difference in some scope at their last comparison."""
        return sum(
            any(agreement.unexplained for agreement in scopes.values())
            for scopes in self._peers.values()
        )

    @property
    def staying(self) -> int:
        """Peers that have stayed different in some scope, and still do."""
        return sum(
            any(agreement.said_at is not None for agreement in scopes.values())
            for scopes in self._peers.values()
        )

    @property
    def differences(self) -> tuple[int, int]:
        """Orders that only one side holds, over all peers and scopes: explained, and not."""
        known = [agreement for scopes in self._peers.values() for agreement in scopes.values()]
        explained = sum(min(agreement.explained, agreement.difference) for agreement in known)
        return explained, sum(agreement.unexplained for agreement in known)
