"""What waits for one peer, put together into as few RPCs as possible.

subscribe, graft, prune   the last word on each topic; never dropped
ihave, iwant              ids, each once; over the bound dropped, asked or told again later
messages                  one queue per source, taken in turn; over the bound the longest
                          queue loses its youngest, and the caller is told which; what the
                          peer shows to have meanwhile is not sent
"""

from __future__ import annotations

from fondaco.p2p import limits
from fondaco.p2p.pubsub.framing import encode_frame
from fondaco.p2p.pubsub.rpc import (
    IHave,
    MessageId,
    PeerId,
    Prune,
    Rpc,
    Subscription,
    encode_control,
    encode_subscription,
)

Source = PeerId
"""Whom a message came from; the queues are fair between these, so that nobody who floods us
crowds out what others say."""

OWN: Source = b""
"""Of our own messages."""

REQUESTED: Source = b"?"
"""Of messages that the peer asked for."""


MAX_FRAME_MESSAGES = limits.MAX_RPC_MESSAGES // 2
"""Messages in one frame: well below what a receiver calls too many."""


class Outbox:
    """The queue to one peer."""

    __slots__ = (
        "_bytes",
        "_count",
        "_ids",
        "_ihave",
        "_iwant",
        "_max_bytes",
        "_max_messages",
        "_mesh",
        "_queues",
        "_subscriptions",
    )

    def __init__(
        self,
        *,
        max_bytes: int = limits.MAX_QUEUED_BYTES,
        max_messages: int = limits.MAX_QUEUED_MESSAGES,
    ) -> None:
        self._max_bytes = max_bytes
        self._max_messages = max_messages
        self._subscriptions: dict[str, bool] = {}
        self._mesh: dict[str, Prune | None] = {}
        self._ihave: dict[str, dict[MessageId, None]] = {}
        self._iwant: dict[MessageId, None] = {}
        self._ids = 0
        self._queues: dict[Source, dict[MessageId, bytes]] = {}
        self._bytes = 0
        self._count = 0

    @property
    def messages(self) -> int:
        """Messages that wait."""
        return self._count

    @property
    def size(self) -> int:
        """Bytes of the messages that wait."""
        return self._bytes

    def __bool__(self) -> bool:
        return bool(self._count or self._subscriptions or self._mesh or self._ids)

    def subscription(self, topic: str, *, is_wanted: bool) -> None:
        self._subscriptions.pop(topic, None)
        self._subscriptions[topic] = is_wanted

    def graft(self, topic: str) -> None:
        self._mesh[topic] = None

    def prune(self, prune: Prune) -> None:
        self._mesh[prune.topic] = prune

    def ihave(self, topic: str, message_ids: list[MessageId]) -> int:
        """Queue an announcement; return how many ids had no room."""
        waiting = self._ihave.setdefault(topic, {})
        before = len(waiting)
        room = limits.MAX_QUEUED_IDS - self._ids
        waiting.update(dict.fromkeys(message_ids[:room]))
        self._ids += len(waiting) - before
        return max(0, len(message_ids) - room)

    def iwant(self, message_ids: list[MessageId]) -> int:
        """Queue a request; return how many ids had no room."""
        before = len(self._iwant)
        room = limits.MAX_QUEUED_IDS - self._ids
        self._iwant.update(dict.fromkeys(message_ids[:room]))
        self._ids += len(self._iwant) - before
        return max(0, len(message_ids) - room)

    def message(self, source: Source, message_id: MessageId, encoded: bytes) -> list[MessageId]:
        """Queue a message (field 2 of an RPC); return the ids that had to go for it."""
        queue = self._queues.setdefault(source, {})
        if message_id in queue:
            return []
        queue[message_id] = encoded
        self._bytes += len(encoded)
        self._count += 1
        dropped: list[MessageId] = []
        while self._bytes > self._max_bytes or self._count > self._max_messages:
            longest = max(self._queues, key=lambda one: len(self._queues[one]))
            dropped_id, dropped_bytes = self._queues[longest].popitem()
            if not self._queues[longest]:
                del self._queues[longest]
            self._bytes -= len(dropped_bytes)
            self._count -= 1
            dropped.append(dropped_id)
        return dropped

    def withdraw(self, message_id: MessageId) -> None:
        """The peer has a message: send it no more."""
        for source, queue in list(self._queues.items()):
            encoded = queue.pop(message_id, None)
            if encoded is not None:
                self._bytes -= len(encoded)
                self._count -= 1
                if not queue:
                    del self._queues[source]

    def take(self, most: int) -> bytes | None:
        """Return one frame with as much of what waits as fits, *most* messages at most; None
        when there is nothing to send."""
        has_messages = self._count > 0 and most > 0
        if not (has_messages or self._subscriptions or self._mesh or self._ids):
            return None
        parts = [
            encode_subscription(Subscription(topic, is_wanted))
            for topic, is_wanted in self._subscriptions.items()
        ]
        self._subscriptions.clear()
        if has_messages:
            self._take_messages(parts, most)
        if self._mesh or self._ids:
            parts.append(encode_control(self._take_control()))
        return encode_frame(b"".join(parts))

    def _take_messages(self, parts: list[bytes], most: int) -> None:
        size = 0
        queues = self._queues
        last = len(parts) + min(most, MAX_FRAME_MESSAGES)
        while queues and len(parts) < last:
            source, queue = next(iter(queues.items()))
            message_id, encoded = next(iter(queue.items()))
            if size and size + len(encoded) > limits.MAX_COALESCED_SIZE:
                return
            del queue[message_id]
            size += len(encoded)
            self._bytes -= len(encoded)
            self._count -= 1
            parts.append(encoded)
            del queues[source]
            if queue:
                queues[source] = queue  # at the end: every source has its turn

    def _take_control(self) -> Rpc:
        room = limits.MAX_COALESCED_IDS
        iwant = list(self._iwant)[:room]
        for one in iwant:
            del self._iwant[one]
        room -= len(iwant)
        ihave = []
        for topic in list(self._ihave):
            waiting = self._ihave[topic]
            chosen = tuple(waiting)[:room]
            for one in chosen:
                del waiting[one]
            room -= len(chosen)
            if chosen:
                ihave.append(IHave(topic, chosen))
            if not waiting:
                del self._ihave[topic]
        self._ids = len(self._iwant) + sum(map(len, self._ihave.values()))
        mesh = self._mesh
        self._mesh = {}
        return Rpc(
            ihave=ihave,
            iwant=iwant,
            graft=[topic for topic, prune in mesh.items() if prune is None],
            prune=[prune for prune in mesh.values() if prune is not None],
        )
