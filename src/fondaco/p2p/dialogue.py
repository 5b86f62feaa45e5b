"""A whole reconciliation with one peer, kept within bounds whatever the peer says.

    OPEN --receive--> OPEN | FINISHED | CUT          (a malformed message: CUT, and raises)

    FINISHED   the peer has answered to the end
    CUT        a limit was reached; what was learned is good, another dialogue does the rest

The bounds are those of ``DialogueLimits``. Reaching one is no offence: two sets may differ
by more than one dialogue is worth. A peer that never comes to an end only wastes the
rounds, bytes and seconds it is given.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Sequence
from typing import Protocol

from fondaco.p2p import limits
from fondaco.p2p.negentropy import Initiator, Store
from fondaco.p2p.negentropy_wire import MalformedMessage


class LookUpStore(Store, Protocol):
    """A store that can also say whether it holds an id at all."""

    def __contains__(self, wanted: bytes) -> bool: ...


class DialogueState(enum.Enum):
    """How far a dialogue has come."""

    OPEN = "open"
    """A message of the peer is awaited."""

    FINISHED = "finished"
    """Everything was compared."""

    CUT = "cut"
    """Ended by a limit or a malformed message before everything was compared."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DialogueLimits:
    """Where a dialogue ends at the latest."""

    rounds: int = limits.MAX_DIALOGUE_ROUNDS
    """Messages sent."""
    size: int = limits.MAX_DIALOGUE_BYTES
    """Bytes, both ways."""
    ids: int = limits.MAX_DIALOGUE_IDS
    """Ids needed; and, on their own account, ids had."""
    seconds: float = limits.MAX_DIALOGUE_SECONDS
    """From the first message to the last."""
    frame: int = limits.FRAME_LIMIT
    """Bytes of a message of ours."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What one message of the peer has added. An id is told once in a dialogue."""

    reply: bytes | None
    """To be sent; None when the dialogue is over."""

    have: Sequence[bytes]
    """Ids we hold and the peer lacks."""

    need: Sequence[bytes]
    """Ids the peer claims to hold and we lack. Their records can be asked for at once."""


class Dialogue:
    """The initiator's side from the first message to the last, sans-I/O.

    Args:
        store: a snapshot; it must not change until the dialogue is over.
        now: seconds of a clock that never goes back, here and in ``receive``.
        bounds: see ``DialogueLimits``.
    """

    def __init__(
        self, store: LookUpStore, *, now: float, bounds: DialogueLimits | None = None
    ) -> None:
        self._store = store
        self._bounds = bounds or DialogueLimits()
        self._deadline = now + self._bounds.seconds
        self._initiator = Initiator(
            store,
            frame_limit=self._bounds.frame,
            have_limit=self._bounds.ids,
            tells_ids=False,
        )
        self._have: set[bytes] = set()
        self._need: set[bytes] = set()
        self.state = DialogueState.OPEN
        self.rounds = 0
        """Messages sent so far."""
        self.bytes_sent = 0
        self.bytes_received = 0
        self.is_have_complete = True
        """False when the peer lacks more ids than were reported as ``have``."""

    @property
    def have_count(self) -> int:
        """Ids reported as ``have`` so far."""
        return len(self._have)

    @property
    def need_count(self) -> int:
        """Ids reported as ``need`` so far."""
        return len(self._need)

    @property
    def is_equal(self) -> bool:
        """Whether the peer, if it told the truth, held exactly our set."""
        return self.state is DialogueState.FINISHED and not (self._have or self._need)

    def start(self) -> bytes:
        """Return the first message."""
        return self._sent(self._initiator.start())

    def receive(self, message: bytes, now: float) -> Findings:
        """Take the peer's answer; return what it tells and what to send.

        Raises:
            MalformedMessage: the peer breaks the protocol, or answers when nothing was
                asked. The dialogue is over.
        """
        if self.state is not DialogueState.OPEN:
            raise MalformedMessage("an answer to nothing")
        self.bytes_received += len(message)
        # A peer that says it holds nothing, and says so again, makes us walk only once.
        self._initiator.have_limit = self._bounds.ids - len(self._have)
        try:
            step = self._initiator.receive(message)
        except MalformedMessage:
            self.state = DialogueState.CUT
            raise
        # An id named in a wrong range is one we may hold elsewhere.
        unheld = [one for one in step.need if one not in self._store]
        have, is_have_cut = self._fresh(step.have, self._have)
        need, is_need_cut = self._fresh(unheld, self._need)
        if step.is_have_cut or is_have_cut:
            self.is_have_complete = False
        if is_need_cut or (step.reply is not None and self._is_used_up(step.reply, now)):
            self.state = DialogueState.CUT
        elif step.reply is None:
            self.state = DialogueState.FINISHED
        else:
            return Findings(reply=self._sent(step.reply), have=have, need=need)
        return Findings(reply=None, have=have, need=need)

    def _fresh(self, ids: list[bytes], known: set[bytes]) -> tuple[list[bytes], bool]:
        """Return those of *ids* not in *known*, which they join, and whether some had no room."""
        fresh = list(dict.fromkeys(one for one in ids if one not in known))
        taken = fresh[: max(0, self._bounds.ids - len(known))]
        known.update(taken)
        return taken, len(taken) < len(fresh)

    def _is_used_up(self, reply: bytes, now: float) -> bool:
        """Whether sending *reply* would go past a limit, or cannot be worth its answer."""
        return (
            self.rounds >= self._bounds.rounds
            or self.bytes_sent + self.bytes_received + len(reply) > self._bounds.size
            or len(self._need) >= self._bounds.ids
            or now >= self._deadline
        )

    def _sent(self, message: bytes) -> bytes:
        self.rounds += 1
        self.bytes_sent += len(message)
        return message
