"""Who wants to be found under which name: the registrations of a rendezvous point.

REGISTER --> register --> kept for two hours at most
DISCOVER --> discover --> those later than the cookie, a new cookie for those later still
"""

from __future__ import annotations

from collections import Counter

import msgspec

from fondaco.errors import PeerError, Verdict
from fondaco.p2p import limits
from fondaco.p2p.budget import TokenBucket, address_group, count_down
from fondaco.p2p.rendezvous_messages import Answer

COOKIE_SIZE = 16
"""Bytes: which table it is of, and the number of the last registration told."""


class RendezvousRefusal(PeerError):
    """A question about registrations that is refused. No offence."""

    code = "RendezvousRefusal"
    verdict = Verdict.IGNORE

    def __init__(self, status: int, why: str) -> None:
        super().__init__(f"{why} ({status})")
        self.status = status
        self.why = why


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """A peer under a name."""

    peer: bytes
    namespace: str
    record: bytes
    until: float
    number: int
    group: str | None
    """What the peer's address is counted as."""


class RendezvousTable:
    """The registrations. Time is in seconds and never goes back.

    Args:
        instance: eight bytes of chance, so that cookies of an earlier life are known.
    """

    def __init__(self, instance: bytes, *, most: int = limits.MAX_REGISTRATIONS) -> None:
        self._instance = instance
        self._most = most
        self._rows: dict[tuple[bytes, str], Registration] = {}
        """In the order of their numbers."""
        self._peers: Counter[bytes] = Counter()
        self._groups: Counter[str] = Counter()
        self._questions: dict[bytes, TokenBucket] = {}
        self._number = 0

    def __len__(self) -> int:
        return len(self._rows)

    def question(self, peer: bytes, now: float) -> None:
        """Count one message of *peer*.

        Raises:
            RendezvousRefusal: it asks too often.
        """
        bucket = self._questions.get(peer)
        if bucket is None:
            bucket = self._questions[peer] = TokenBucket(
                limits.RENDEZVOUS_REQUESTS_PER_SECOND, limits.RENDEZVOUS_REQUESTS_BURST, now
            )
        if not bucket.take(1, now):
            raise RendezvousRefusal(Answer.UNAVAILABLE, "too many questions")

    def register(
        self, peer: bytes, address: str, namespace: str, record: bytes, seconds: int, now: float
    ) -> int:
        """Keep *peer*, at the IP *address*, under a name; return for how many seconds.

        Args:
            record: its signed record, which has been checked.
            seconds: how long it would like; 0 for what is usual.

        Raises:
            RendezvousRefusal: it is not kept.
        """
        if not 0 < len(namespace.encode()) <= limits.MAX_NAMESPACE_SIZE:
            raise RendezvousRefusal(Answer.INVALID_NAMESPACE, "no name, or too long a one")
        granted = min(seconds or limits.REGISTRATION_SECONDS, limits.REGISTRATION_SECONDS)
        group = address_group(address)
        before = self._rows.get((peer, namespace))
        if before is None:
            self._drop_ended(now)
            self._check_room(peer, group)
        else:
            self._drop(before)
        self._number += 1
        self._rows[peer, namespace] = Registration(
            peer=peer,
            namespace=namespace,
            record=record,
            until=now + granted,
            number=self._number,
            group=group,
        )
        self._peers[peer] += 1
        if group is not None:
            self._groups[group] += 1
        return granted

    def unregister(self, peer: bytes, namespace: str) -> None:
        """Forget *peer* under a name."""
        if (row := self._rows.get((peer, namespace))) is not None:
            self._drop(row)

    def discover(
        self, asker: bytes, namespace: str, limit: int, cookie: bytes, now: float
    ) -> tuple[list[Registration], bytes]:
        """Return others under a name (the empty one: under any), and the cookie to go on with.

        Raises:
            RendezvousRefusal: the cookie is none of ours.
        """
        after = self._open_cookie(cookie)
        wanted = min(limit or limits.MAX_DISCOVERED, limits.MAX_DISCOVERED)
        found: list[Registration] = []
        size = 0
        for row in self._rows.values():
            if row.number <= after or row.until <= now or row.peer == asker:
                continue
            if namespace and row.namespace != namespace:
                continue
            size += len(row.record) + len(row.namespace.encode()) + 32
            if len(found) >= wanted or size > limits.MAX_RENDEZVOUS_MESSAGE - 256:
                break
            found.append(row)
            after = row.number
        return found, self._instance + after.to_bytes(8, "big")

    def forget(self, peer: bytes) -> None:
        """A peer has left. It can still be found, for as long as it was promised."""
        self._questions.pop(peer, None)

    def _open_cookie(self, cookie: bytes) -> int:
        if not cookie:
            return 0
        if len(cookie) != COOKIE_SIZE or cookie[:8] != self._instance:
            raise RendezvousRefusal(Answer.INVALID_COOKIE, "a cookie of somebody else's")
        return int.from_bytes(cookie[8:], "big")

    def _check_room(self, peer: bytes, group: str | None) -> None:
        if self._peers[peer] >= limits.MAX_NAMESPACES:
            raise RendezvousRefusal(Answer.UNAVAILABLE, "registered under too many names")
        if group is not None and self._groups[group] >= limits.MAX_REGISTRATIONS_PER_ADDRESS:
            raise RendezvousRefusal(Answer.UNAVAILABLE, "too many peers at one address")
        if len(self._rows) >= self._most:
            raise RendezvousRefusal(Answer.UNAVAILABLE, "all places are taken")

    def _drop_ended(self, now: float) -> None:
        for row in [row for row in self._rows.values() if row.until <= now]:
            self._drop(row)

    def _drop(self, row: Registration) -> None:
        del self._rows[row.peer, row.namespace]
        count_down(self._peers, row.peer)
        if row.group is not None:
            count_down(self._groups, row.group)
