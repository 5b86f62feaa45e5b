"""Whom a node knows: contacts by their distance from itself, in 160 buckets of k.

Bucket *n* holds contacts whose GUID shares the first *n* bits with ours. (Splitting only the
bucket that contains oneself gives the same sets.)

    seen --room, and few of its network--> in the bucket, at its end (just heard of)
      |                                       | unanswered
      |                                       v
      |                                    doubtful: told to nobody --seen--> as before
      '--else--> waiting ---takes the place of a doubtful member--> in the bucket

Those known for longest are the least likely to leave, and an attacker comes late: a newcomer
takes a place only when the member least recently heard of does not answer. All contacts have
proved their key.
"""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from fondaco.identity.names import Guid
from fondaco.market import dht_limits
from fondaco.market.contacts import Contact
from fondaco.market.dht_keys import KEY_BITS, DhtKey, distance


class Chance(Protocol):
    """Where choices come from; ``random.Random`` is one."""

    def random(self) -> float: ...

    def getrandbits(self, k: int, /) -> int: ...


class _Member:
    """A contact and how it fares."""

    __slots__ = ("asked_at", "contact", "failures", "network", "number", "seen_at")

    def __init__(self, contact: Contact, network: str | None, now: float) -> None:
        self.contact = contact
        self.network = network
        self.number = int.from_bytes(contact.guid)
        self.seen_at = now
        self.asked_at = now
        """When it was last asked for the sake of a newcomer."""
        self.failures = 0
        """Requests in a row that it left unanswered."""


class _Bucket:
    """Members and those who wait to be one; both in the order in which they were heard of."""

    __slots__ = ("looked_at", "members", "waiting")

    def __init__(self, now: float) -> None:
        self.members: dict[Guid, _Member] = {}
        self.waiting: dict[Guid, _Member] = {}
        self.looked_at = now
        """When something was looked up in here."""


class RoutingTable:
    """The contacts of the node *own*. Times are in seconds."""

    def __init__(self, own: Guid, *, size: int = dht_limits.BUCKET_SIZE) -> None:
        self._own = own
        self._number = int.from_bytes(own)
        self._size = size
        self._buckets: dict[int, _Bucket] = {}
        self._networks: Counter[str] = Counter()
        self._members = 0

    # --- what can be asked ---------------------------------------------------------------

    def __len__(self) -> int:
        return self._members

    def __contains__(self, guid: Guid) -> bool:
        bucket = self._buckets.get(self.bucket_of(guid))
        return bucket is not None and guid in bucket.members

    def contacts(self) -> list[Contact]:
        """Return all members, the closest last."""
        return [
            member.contact
            for index in sorted(self._buckets)
            for member in self._buckets[index].members.values()
        ]

    def bucket_of(self, place: bytes) -> int:
        """Return how many bits of *place* are ours; KEY_BITS for our own."""
        return KEY_BITS - (int.from_bytes(place) ^ self._number).bit_length()

    def closest(
        self, target: bytes, count: int = dht_limits.BUCKET_SIZE, *, leave_out: bytes = b""
    ) -> list[Contact]:
        """Return the members closest to *target*, the closest first.

        Left out are those in doubt, as long as there is another, and whoever asks.
        """
        found = self._closest(target, count, leave_out, are_doubtful=False)
        return found or self._closest(target, count, leave_out, are_doubtful=True)

    def _closest(
        self, target: bytes, count: int, leave_out: bytes, *, are_doubtful: bool
    ) -> list[Contact]:
        number = int.from_bytes(target)
        found: list[Contact] = []
        for ring in self._rings(self.bucket_of(target)):
            near = sorted(
                (member.number ^ number, member.contact)
                for index in ring
                for member in self._buckets[index].members.values()
                if bool(member.failures) is are_doubtful and member.contact.guid != leave_out
            )
            found += [contact for _, contact in near]
            if len(found) >= count:
                break
        return found[:count]

    def closer_than_own(self, target: bytes, at_most: int) -> int:
        """Return how many members are closer to *target* than we are; no more are counted."""
        own = distance(self._own, target)
        near = self.closest(target, at_most)
        return sum(distance(contact.guid, target) < own for contact in near)

    def _rings(self, index: int) -> list[list[int]]:
        """Return our buckets in groups, all of one closer to a place in *index* than the next.

        Whoever shares more bits with the place is closer. In its own bucket are those who
        share at least one bit more with it than we do; all whom we share more bits with than
        with the place are as far from it as we are.
        """
        there = sorted(self._buckets)
        nearest = [[index]] if index in self._buckets else []
        inside = [one for one in there if one > index]
        outside = [[one] for one in reversed(there) if one < index]
        return [*nearest, *([inside] if inside else []), *outside]

    # --- what happens --------------------------------------------------------------------

    def seen(self, contact: Contact, network: str | None, now: float) -> Contact | None:
        """A contact, proved by a connection from *network*, has said something.

        Returns:
            A member to ask whether it lives, because the newcomer would take its place.
        """
        if contact.guid == self._own:
            return None
        bucket = self._bucket(contact.guid, now)
        member = bucket.members.get(contact.guid)
        if not contact.addresses:
            if member is None:
                return None  # nobody could ask it anything
            contact = member.contact
        if member is not None:
            self._leave(bucket, member)
        newcomer = _Member(contact, network, now)
        bucket.waiting.pop(contact.guid, None)
        if len(bucket.members) >= self._size:
            doubtful = next((one for one in bucket.members.values() if one.failures), None)
            if doubtful is not None and self._has_room_for(bucket, network):
                self._leave(bucket, doubtful)
        if len(bucket.members) < self._size and self._has_room_for(bucket, network):
            self._enter(bucket, newcomer)
            return None
        self._wait(bucket, newcomer)
        self._fill(bucket)  # where a member has moved to a network that has enough already
        return self._to_ask(bucket, now)

    def failed(self, guid: Guid) -> None:
        """A contact has left a request unanswered."""
        bucket = self._buckets.get(self.bucket_of(guid))
        if bucket is None:
            return
        bucket.waiting.pop(guid, None)
        member = bucket.members.get(guid)
        if member is None:
            return
        member.failures += 1
        self._leave(bucket, member)
        if not self._fill(bucket):
            # First in line to go, and there again if it was only our own connection.
            bucket.members = {guid: member, **bucket.members}
            self._count(member, 1)

    def remove(self, guid: Guid) -> None:
        """A contact has said goodbye, or has misbehaved."""
        bucket = self._buckets.get(self.bucket_of(guid))
        if bucket is None:
            return
        bucket.waiting.pop(guid, None)
        member = bucket.members.get(guid)
        if member is not None:
            self._leave(bucket, member)
            self._fill(bucket)

    # --- refreshing ----------------------------------------------------------------------

    def looked_up(self, target: bytes, now: float) -> None:
        """Something was looked up; its bucket need not be refreshed for a while."""
        bucket = self._buckets.get(self.bucket_of(target))
        if bucket is not None:
            bucket.looked_at = now

    def to_refresh(self, now: float, chance: Chance) -> list[DhtKey]:
        """Return a place in every bucket where nothing was looked up for REFRESH_SECONDS."""
        return [
            self.place_in(index, chance)
            for index, bucket in sorted(self._buckets.items())
            if bucket.looked_at + dht_limits.REFRESH_SECONDS <= now
        ]

    def far_places(self, chance: Chance) -> list[DhtKey]:
        """Return a place in every bucket farther from us than our closest neighbour: where a
        newcomer has to look around."""
        return [self.place_in(index, chance) for index in range(max(self._buckets, default=0))]

    def place_in(self, index: int, chance: Chance) -> DhtKey:
        """Return a place, any, that shares exactly the first *index* bits with us."""
        below = KEY_BITS - index - 1
        flipped = (self._number >> below) ^ 1
        rest = chance.getrandbits(below) if below else 0
        return DhtKey((flipped << below | rest).to_bytes(KEY_BITS // 8))

    # --- books ---------------------------------------------------------------------------

    def _bucket(self, guid: Guid, now: float) -> _Bucket:
        index = self.bucket_of(guid)
        bucket = self._buckets.get(index)
        if bucket is None:
            bucket = self._buckets[index] = _Bucket(now)
        return bucket

    def _has_room_for(self, bucket: _Bucket, network: str | None) -> bool:
        if network is None:
            return True
        if self._networks[network] >= dht_limits.MAX_GROUP_PER_TABLE:
            return False
        here = sum(member.network == network for member in bucket.members.values())
        return here < dht_limits.MAX_GROUP_PER_BUCKET

    def _wait(self, bucket: _Bucket, newcomer: _Member) -> None:
        waiting = bucket.waiting
        if newcomer.network is not None:
            same = [guid for guid, one in waiting.items() if one.network == newcomer.network]
            if len(same) >= dht_limits.MAX_GROUP_PER_BUCKET:
                del waiting[same[0]]
        waiting[newcomer.contact.guid] = newcomer
        if len(waiting) > self._size:
            del waiting[next(iter(waiting))]

    def _to_ask(self, bucket: _Bucket, now: float) -> Contact | None:
        """Return the member of a full bucket that has been silent for longest, if for long."""
        oldest = next(iter(bucket.members.values()), None)
        if oldest is None or len(bucket.members) < self._size:
            return None
        if max(oldest.seen_at, oldest.asked_at) + dht_limits.STALE_SECONDS > now:
            return None
        oldest.asked_at = now
        return oldest.contact

    def _fill(self, bucket: _Bucket) -> bool:
        """Let the youngest who waits, and whose network may, take a free place."""
        if len(bucket.members) >= self._size:
            return False
        for one in reversed(bucket.waiting.values()):
            if self._has_room_for(bucket, one.network):
                del bucket.waiting[one.contact.guid]
                self._enter(bucket, one)
                return True
        return False

    def _enter(self, bucket: _Bucket, member: _Member) -> None:
        bucket.members[member.contact.guid] = member
        self._count(member, 1)

    def _leave(self, bucket: _Bucket, member: _Member) -> None:
        del bucket.members[member.contact.guid]
        self._count(member, -1)

    def _count(self, member: _Member, sign: int) -> None:
        self._members += sign
        if member.network is not None:
            self._networks[member.network] += sign
            if not self._networks[member.network]:
                del self._networks[member.network]
