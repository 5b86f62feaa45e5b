"""The records this node keeps, for itself and for others, and who has to go when it is full.

    offer(record) --shape, place, time--> held already? --room?--> signature --> kept

There is no price on a key pair, so no rule about *owners* keeps a flood out: whoever wants a
keyword for himself makes a thousand of them, each with a GUID as close to the keyword as he
likes. What costs something are networks. Each record is therefore charged to the network
(IPv4 /24, IPv6 /48, relay) of the peer that brought it, and where a key or the table is full
the network with the most bytes there gives up what it brought last:

* a flood from one network drives out itself, and from *n* networks leaves an honest one at
  least 1/(n + 1) of the room;
* what has been here for long stays: within a network the youngest goes, and what was brought
  by others goes before what its owner brought himself;
* networks with equal shares do not displace each other, so that nothing is gained by coming
  again and again.

A record brought by its owner is charged to the owner's network, even if somebody else brought
it first. Owners bring theirs every hour, so a copier cannot make an honest record part of his
own flood for long. What this node published itself is charged to nobody and never goes.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TypeVar

from fondaco.market import dht_limits
from fondaco.market.dht_keys import DhtKey
from fondaco.market.record_payloads import check_place
from fondaco.market.records import Record, check_shape, check_time, supersedes
from fondaco.market.timetable import Timetable

_Key = TypeVar("_Key", str, bytes)

Slot = tuple[DhtKey, bytes]
"""A key and an owner: what there is one record of."""

OWN = "own"
"""The network to which this node's own records are charged."""


class Outcome(enum.Enum):
    """What became of a record that was offered."""

    NEW = "new"
    """It is kept, and there was none of its owner."""
    NEWER = "newer"
    """It is kept in place of an older one."""
    SAME = "same"
    """It is what was here already."""
    OLDER = "older"
    """A newer one is here."""
    NO_ROOM = "no room"
    """Keeping it would take room from networks that use less of it."""


class _Held:
    """A record and where it came from."""

    __slots__ = ("is_direct", "network", "record", "since")

    def __init__(self, record: Record, network: str, is_direct: bool, since: int) -> None:
        self.record = record
        self.network = network
        self.is_direct = is_direct
        self.since = since
        """Order of arrival."""


class RecordTable:
    """Records by key and owner. Time is in Unix seconds.

    Args:
        check: raises PeerError for a record that its owner did not sign.
    """

    def __init__(
        self,
        check: Callable[[Record], None],
        *,
        key_records: int = dht_limits.MAX_KEY_RECORDS,
        key_weight: int = dht_limits.MAX_KEY_WEIGHT,
        owner_weight: int = dht_limits.MAX_OWNER_WEIGHT,
        table_weight: int = dht_limits.MAX_TABLE_WEIGHT,
    ) -> None:
        self._check = check
        self._key_records, self._key_weight = key_records, key_weight
        self._owner_weight, self._table_weight = owner_weight, table_weight
        self._keys: dict[DhtKey, dict[bytes, _Held]] = {}
        self._by_network: dict[str, dict[Slot, None]] = {}
        """Network -> its slots, the last charged last."""
        self._networks: Counter[str] = Counter()
        self._owners: Counter[bytes] = Counter()
        self._expiry: Timetable[Slot] = Timetable()
        self._arrivals = 0
        self._size = 0
        self.dropped: list[Record] = []
        """What had to go since somebody last emptied this list."""

    # --- what can be asked ---------------------------------------------------------------

    def __len__(self) -> int:
        return self._size

    @property
    def weight(self) -> int:
        """Bytes of all that is kept for others."""
        return self._networks.total() - self._networks[OWN]

    def keys(self) -> Iterator[DhtKey]:
        """Return the keys under which something is kept."""
        return iter(self._keys)

    def get(self, key: DhtKey, now: float) -> tuple[Record, ...]:
        """Return what is kept under *key*, withdrawals too, in the order of the owners."""
        held = self._keys.get(key, {})
        return tuple(
            held[owner].record for owner in sorted(held) if held[owner].record.expires_at > now
        )

    def find(self, key: DhtKey, owner: bytes) -> Record | None:
        """Return what an owner said under a key, expired or not."""
        held = self._keys.get(key, {}).get(owner)
        return None if held is None else held.record

    def page(self, key: DhtKey, after: bytes, now: float) -> tuple[tuple[Record, ...], bool]:
        """Return records under *key* of owners above *after*, and whether there are more.

        As many as fit into an answer.
        """
        found: list[Record] = []
        size = 0
        for record in self.get(key, now):
            if record.owner <= after:
                continue
            size += record.size
            if len(found) == dht_limits.MAX_ANSWER_RECORDS or size > dht_limits.MAX_ANSWER_SIZE:
                return tuple(found), True
            found.append(record)
        return tuple(found), False

    def network_of(self, key: DhtKey, owner: bytes) -> str | None:
        """Return which network a record is charged to."""
        held = self._keys.get(key, {}).get(owner)
        return None if held is None else held.network

    # --- what comes ----------------------------------------------------------------------

    def offer(self, record: Record, network: str, now: float, *, is_direct: bool) -> Outcome:
        """Keep *record* if it is good, new and has room.

        Args:
            network: of the peer that brought it, or OWN.
            is_direct: that peer is its owner.

        Raises:
            MalformedRecord, ForgedRecord: no honest peer brings such a thing.
            UntimelyRecord: it has expired.
        """
        held = self._keys.get(record.key, {}).get(record.owner)
        if held is not None and held.record == record:
            check_time(record, now)
            if is_direct and (not held.is_direct or held.network != network):
                self._charge_to(held, network)
            return Outcome.SAME
        check_shape(record)
        check_time(record, now)
        if held is not None and not supersedes(record, held.record):
            return Outcome.OLDER
        check_place(record)
        victims = self._victims(record, held, network)
        if victims is None:
            return Outcome.NO_ROOM
        self._check(record)
        for slot in victims:
            self.dropped.append(self._remove(slot))
        if held is not None:
            self._replace(held, record, network, is_direct=is_direct)
            return Outcome.NEWER
        self._insert(record, network, is_direct=is_direct)
        return Outcome.NEW

    def expire(self, now: float) -> list[Record]:
        """Remove and return what has expired by *now*."""
        return [self._remove(slot) for slot in self._expiry.due(now)]

    def next_expiry(self) -> float | None:
        """Return when something may expire, None for never."""
        return self._expiry.next()

    # --- room ----------------------------------------------------------------------------

    def _victims(self, record: Record, held: _Held | None, network: str) -> set[Slot] | None:
        """Return what has to go so that *record* can come, None where it may not."""
        if network == OWN:
            return set()
        weight = weight_of(record)
        before = 0 if held is None else weight_of(held.record)
        if self._owners[record.owner] - before + weight > self._owner_weight:
            return None
        gone: set[Slot] = set()
        slot = (record.key, record.owner)
        if not self._make_room_under_key(record, slot, network, gone):
            return None
        if not self._make_room_in_table(weight - before, slot, network, gone):
            return None
        return gone

    def _make_room_under_key(
        self, record: Record, slot: Slot, network: str, gone: set[Slot]
    ) -> bool:
        others = {
            owner: held
            for owner, held in self._keys.get(record.key, {}).items()
            if owner != record.owner and held.network != OWN
        }
        weight = weight_of(record)
        total = weight + sum(weight_of(held.record) for held in others.values())
        if total <= self._key_weight and len(others) < self._key_records:
            return True
        shares: Counter[str] = Counter({network: weight})
        for held in others.values():
            shares[held.network] += weight_of(held.record)
        while total > self._key_weight or len(others) >= self._key_records:
            heaviest = _heaviest(shares, network)
            if heaviest is None:
                return False
            owner = max(
                (owner for owner, held in others.items() if held.network == heaviest),
                key=lambda owner: (not others[owner].is_direct, others[owner].since),
            )
            lost = weight_of(others.pop(owner).record)
            shares[heaviest] -= lost
            total -= lost
            gone.add((record.key, owner))
        return True

    def _make_room_in_table(self, more: int, slot: Slot, network: str, gone: set[Slot]) -> bool:
        lost: Counter[str] = Counter()
        for key, owner in gone:
            held = self._keys[key][owner]
            lost[held.network] += weight_of(held.record)
        total = self.weight + more - lost.total()
        if total <= self._table_weight:
            return True
        shares = self._networks - lost
        shares[network] += more
        del shares[OWN]
        while total > self._table_weight:
            heaviest = _heaviest(shares, network)
            if heaviest is None:
                return False
            slots = reversed(self._by_network[heaviest])
            youngest = next((one for one in slots if one not in gone and one != slot), None)
            if youngest is None:
                return False
            weight = weight_of(self._keys[youngest[0]][youngest[1]].record)
            gone.add(youngest)
            shares[heaviest] -= weight
            total -= weight
        return True

    # --- books ---------------------------------------------------------------------------

    def _insert(self, record: Record, network: str, *, is_direct: bool) -> None:
        self._arrivals += 1
        held = _Held(record, network, is_direct, self._arrivals)
        self._keys.setdefault(record.key, {})[record.owner] = held
        self._size += 1
        self._count(held, 1)
        self._expiry.set((record.key, record.owner), record.expires_at)

    def _replace(self, held: _Held, record: Record, network: str, *, is_direct: bool) -> None:
        self._count(held, -1)
        held.record = record
        # A copier does not take over what its owner brought.
        if is_direct or not held.is_direct:
            held.network, held.is_direct = network, is_direct
        self._count(held, 1)
        self._expiry.set((record.key, record.owner), record.expires_at)

    def _charge_to(self, held: _Held, network: str) -> None:
        self._count(held, -1)
        held.network, held.is_direct = network, True
        self._count(held, 1)

    def _remove(self, slot: Slot) -> Record:
        key, owner = slot
        held = self._keys[key].pop(owner)
        if not self._keys[key]:
            del self._keys[key]
        self._size -= 1
        self._count(held, -1)
        self._expiry.drop(slot)
        return held.record

    def _count(self, held: _Held, sign: int) -> None:
        """Add *held* to the books, or with -1 take it out."""
        weight = sign * weight_of(held.record)
        slot = (held.record.key, held.record.owner)
        slots = self._by_network.setdefault(held.network, {})
        if sign > 0:
            slots[slot] = None
        else:
            del slots[slot]
            if not slots:
                del self._by_network[held.network]
        _add(self._networks, held.network, weight)
        _add(self._owners, held.record.owner, weight)


def weight_of(record: Record) -> int:
    """Return the bytes of memory that a record takes."""
    return record.size + dht_limits.RECORD_COST


def _heaviest(shares: Counter[str], newcomer: str) -> str | None:
    """Return the network with the most bytes; None where nobody has more than the newcomer."""
    heaviest = max(shares, key=lambda network: (shares[network], network == newcomer))
    return None if heaviest == newcomer else heaviest


def _add(counter: Counter[_Key], key: _Key, amount: int) -> None:
    counter[key] += amount
    if not counter[key]:
        del counter[key]
