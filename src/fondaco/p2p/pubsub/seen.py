"""Which messages have been here: ids remembered for a time, in generations.

A generation is a dictionary; the oldest is thrown away whole. So an id costs one entry,
forgetting costs nothing, and an id lives between once and one and a half times SEEN_SECONDS.
"""

from __future__ import annotations

from fondaco.p2p import limits
from fondaco.p2p.pubsub.rpc import MessageId

GENERATIONS = 3
"""Two full ones make SEEN_SECONDS; the third is being filled."""


class SeenMessages:
    """Ids of messages that came, and whether they were rejected."""

    def __init__(
        self,
        now: float,
        *,
        seconds: float = limits.SEEN_SECONDS,
        most: int = limits.MAX_SEEN,
    ) -> None:
        self._span = seconds / (GENERATIONS - 1)
        self._share = most // GENERATIONS
        self._generations: list[dict[MessageId, bool]] = [{}]
        self._started = now

    def __contains__(self, message_id: MessageId) -> bool:
        for generation in self._generations:  # noqa: SIM110 - any() takes thrice as long
            if message_id in generation:
                return True
        return False

    def __len__(self) -> int:
        return sum(map(len, self._generations))

    def add(self, message_id: MessageId, now: float) -> None:
        """Remember *message_id* from now on."""
        self.tidy(now)
        self._generations[0][message_id] = False

    def reject(self, message_id: MessageId) -> None:
        """Whoever brings this message from now on is to blame."""
        for generation in self._generations:
            if message_id in generation:
                generation[message_id] = True

    def is_rejected(self, message_id: MessageId) -> bool:
        """Whether ``reject`` was called, as long as the id is remembered."""
        return any(generation.get(message_id, False) for generation in self._generations)

    def tidy(self, now: float) -> None:
        """Begin a generation where it is time, or where the youngest is full."""
        if now - self._started >= self._span or len(self._generations[0]) >= self._share:
            idle = int((now - self._started) // self._span)
            del self._generations[max(1, GENERATIONS - max(1, idle)) :]
            if idle >= GENERATIONS:
                self._generations.clear()
            self._generations.insert(0, {})
            self._started = now
