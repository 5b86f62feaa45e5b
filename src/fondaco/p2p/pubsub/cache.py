"""Messages kept to be announced (IHAVE) and sent when asked for (IWANT).

window 0   being filled     .
window 1   last heartbeat   |- announced
window 2                    '
...        only sent when asked for
window n   thrown away at the next heartbeat
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from fondaco.p2p import limits
from fondaco.p2p.pubsub.rpc import MessageId, PeerId


class CachedMessage:
    """An accepted message and who has it."""

    __slots__ = ("encoded", "holders", "message_id", "sent", "topic")

    def __init__(self, message_id: MessageId, topic: str, encoded: bytes) -> None:
        self.message_id = message_id
        self.topic = topic
        self.encoded = encoded
        """Field 2 of an RPC; every queue shares these bytes."""
        self.holders: dict[PeerId, None] = {}
        """Peers that sent or announced it: they surely have it. Ordered, so that a
        simulation repeats itself."""
        self.sent: dict[PeerId, int] = {}
        """Peer -> times it was queued for it. It may not have arrived."""


class MessageCache:
    """The last *windows* heartbeats' messages, at most *max_bytes* of them."""

    def __init__(self, windows: int, *, max_bytes: int = limits.MAX_CACHE_BYTES) -> None:
        self._windows: deque[list[CachedMessage]] = deque([[]])
        self._depth = windows
        self._max_bytes = max_bytes
        self._entries: dict[MessageId, CachedMessage] = {}
        self.size = 0

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, message_id: MessageId, topic: str, encoded: bytes) -> CachedMessage:
        """Keep a message that is not in here yet."""
        entry = CachedMessage(message_id, topic, encoded)
        self._entries[message_id] = entry
        self._windows[0].append(entry)
        self.size += len(encoded)
        while self.size > self._max_bytes and len(self._windows) > 1:
            self._drop_oldest()
        return entry

    def get(self, message_id: MessageId) -> CachedMessage | None:
        return self._entries.get(message_id)

    def recent(self, topic: str, windows: int) -> list[CachedMessage]:
        """Return the messages of *topic* in the youngest *windows*, oldest first."""
        chosen = list(self._windows)[:windows]
        return [entry for window in reversed(chosen) for entry in window if entry.topic == topic]

    def shift(self) -> None:
        """A heartbeat: begin a window, throw the oldest away."""
        self._windows.appendleft([])
        while len(self._windows) > self._depth:
            self._drop_oldest()

    def forget_peer(self, peer: PeerId) -> None:
        """A peer has left: what was on its way to it is lost, and it may come back empty."""
        for entry in self._entries.values():
            entry.holders.pop(peer, None)
            entry.sent.pop(peer, None)

    def __iter__(self) -> Iterator[CachedMessage]:
        return iter(self._entries.values())

    def _drop_oldest(self) -> None:
        for entry in self._windows.pop():
            del self._entries[entry.message_id]
            self.size -= len(entry.encoded)
