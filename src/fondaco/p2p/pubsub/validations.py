"""Messages that wait for a verdict: who brought them, and for how long.

A message that comes again meanwhile is not delivered again; who brought it shares the blame
if it is rejected, and is not sent it if it is accepted.
"""

from __future__ import annotations

from fondaco.p2p import limits
from fondaco.p2p.pubsub.neighbour import Neighbour
from fondaco.p2p.pubsub.rpc import Message, MessageId, PeerId


class Waiting:
    """One message that was delivered and not judged yet."""

    __slots__ = ("author", "bearers", "encoded", "first", "since", "topic")

    def __init__(self, message: Message, encoded: bytes, first: Neighbour, now: float) -> None:
        self.topic = message.topic
        self.author = message.sender
        self.encoded = encoded
        self.first = first
        """Who brought it first; it may have left since."""
        self.bearers: dict[PeerId, None] = {first.peer: None}
        """Everybody who brought it."""
        self.since = now


class Validations:
    """All messages that wait, oldest first."""

    def __init__(
        self,
        *,
        most: int = limits.MAX_VALIDATIONS,
        max_bytes: int = limits.MAX_VALIDATION_BYTES,
        patience: float = limits.VERDICT_PATIENCE,
    ) -> None:
        self._most = most
        self._max_bytes = max_bytes
        self._patience = patience
        self._waiting: dict[MessageId, Waiting] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def is_full(self) -> bool:
        return len(self._waiting) >= self._most or self._bytes >= self._max_bytes

    def add(self, message: Message, encoded: bytes, first: Neighbour, now: float) -> None:
        """Wait for the verdict on a message that is not waited for yet."""
        self._waiting[message.message_id] = Waiting(message, encoded, first, now)
        self._bytes += len(encoded)
        first.validating += 1

    def get(self, message_id: MessageId) -> Waiting | None:
        return self._waiting.get(message_id)

    def take(self, message_id: MessageId) -> Waiting | None:
        """The verdict has come; None where nobody waits for it (any more)."""
        waiting = self._waiting.pop(message_id, None)
        if waiting is not None:
            self._bytes -= len(waiting.encoded)
            waiting.first.validating -= 1
        return waiting

    def overdue(self, now: float) -> list[MessageId]:
        """Return what has waited for longer than the patience."""
        found: list[MessageId] = []
        for message_id, waiting in self._waiting.items():
            if now - waiting.since < self._patience:
                break
            found.append(message_id)
        return found
