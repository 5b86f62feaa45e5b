"""Messages asked for: who promised, until when, and who else has them.

IHAVE --ask--> IWANT sent --message comes--> kept
                   | PROMISE_SECONDS
                   '--> broken: asked of the next that announced it, or given up
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

import msgspec

from fondaco.p2p import limits
from fondaco.p2p.pubsub.rpc import MessageId, PeerId

MAX_ALTERNATIVES = 3
"""Further peers remembered that announced a message: the chance to lose it four times."""

MAX_ATTEMPTS = 4
"""Requests for one message; with nobody else to ask, the same peer is asked again."""


class _Promise(msgspec.Struct):
    peer: PeerId
    others: deque[PeerId]
    attempts: int = 1


class Broken(msgspec.Struct, frozen=True):
    """What came of the promises that ran out."""

    blamed: dict[PeerId, int]
    """Peer -> messages it announced and did not send."""
    again: dict[PeerId, list[MessageId]]
    """Peer -> messages to ask it for now."""


class Promises:
    """Messages we wait for, because peers announced them."""

    def __init__(self, patience: float, *, most: int = limits.MAX_PROMISES) -> None:
        self._patience = patience
        self._most = most
        self._promises: dict[MessageId, _Promise] = {}
        self._deadlines: deque[tuple[float, MessageId, PeerId]] = deque()

    def __len__(self) -> int:
        return len(self._promises)

    def ask(self, peer: PeerId, message_ids: Iterable[MessageId], now: float) -> list[MessageId]:
        """Return which of the announced messages to ask *peer* for."""
        wanted: list[MessageId] = []
        for message_id in message_ids:
            promise = self._promises.get(message_id)
            if promise is None:
                if len(self._promises) >= self._most:
                    continue
                self._promises[message_id] = _Promise(peer, deque(maxlen=MAX_ALTERNATIVES))
                self._deadlines.append((now + self._patience, message_id, peer))
                wanted.append(message_id)
            elif peer != promise.peer and peer not in promise.others:
                promise.others.append(peer)
        return wanted

    def kept(self, message_id: MessageId) -> bool:
        """The message has come, from whomever; return whether it was asked for."""
        return self._promises.pop(message_id, None) is not None

    def expire(self, now: float, is_here: Callable[[PeerId], bool]) -> Broken:
        """Return what to do about promises older than the patience.

        A peer that has left is not blamed and not asked again.
        """
        blamed: dict[PeerId, int] = {}
        again: dict[PeerId, list[MessageId]] = {}
        while self._deadlines and self._deadlines[0][0] <= now:
            _, message_id, peer = self._deadlines.popleft()
            promise = self._promises.get(message_id)
            if promise is None or promise.peer != peer:
                continue
            if is_here(peer):
                blamed[peer] = blamed.get(peer, 0) + 1
            promise.others.append(promise.peer)
            heir = next((one for one in promise.others if is_here(one)), None)
            if heir is None or promise.attempts >= MAX_ATTEMPTS:
                del self._promises[message_id]
                continue
            promise.others.remove(heir)
            promise.peer = heir
            promise.attempts += 1
            again.setdefault(heir, []).append(message_id)
            self._deadlines.append((now + self._patience, message_id, heir))
        return Broken(blamed, again)
