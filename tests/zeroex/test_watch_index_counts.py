"""How many orders there are, of each version and in all, is counted as the book changes."""

from __future__ import annotations

import random
from collections.abc import Collection

from fondaco.testing.orders import make_order
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.order import OrderHash, ProtocolVersion
from fondaco.zeroex.watch_index import WatchIndex
from support.chain_words import CONTRACTS


def counted(flags: Collection[tuple[bool, bool]]) -> tuple[int, int, int]:
    """Return how many there are, how many of them are removed, how many are pinned."""
    return len(flags), sum(removed for removed, _ in flags), sum(pinned for _, pinned in flags)


def test_the_book_is_counted_as_it_changes() -> None:
    """Against a plain dictionary, through everything that can happen to an order."""
    chance = random.Random(5)
    index = WatchIndex(CONTRACTS)
    book = [
        make_order(salt=salt, version=version) for salt in range(4) for version in ProtocolVersion
    ]
    versions = {order_hash(order): order.version for order in book}
    stored: dict[OrderHash, tuple[bool, bool]] = {}
    for _ in range(3_000):
        order = chance.choice(book)
        name = order_hash(order)
        match chance.randrange(5):
            case 0 if name not in stored:
                flags = chance.random() < 0.5, chance.random() < 0.5
                index.add(name, order, is_removed=flags[0], is_pinned=flags[1])
                stored[name] = flags
            case 1:
                index.discard(name)
                stored.pop(name, None)
            case 2:
                is_removed = chance.random() < 0.5
                index.set_removed(name, is_removed)
                if name in stored:
                    stored[name] = is_removed, stored[name][1]
            case 3:
                index.add_pending(name, order)
            case 4:
                index.drop_pending(name)
        for version, census in index.census.items():
            of_version = [stored[name] for name in stored if versions[name] is version]
            assert (census.stored, census.removed, census.pinned) == counted(of_version)
        assert (index.count, index.removed_count, index.pinned_count) == counted(stored.values())
