"""Sets of order hashes follow the book, whatever happens while they are made."""

from __future__ import annotations

import itertools
import random

import msgspec

from fondaco.p2p.idset import IdSet
from fondaco.testing.orders import make_order
from fondaco.zeroex import lifecycle
from fondaco.zeroex.codec import encode_order
from fondaco.zeroex.lifecycle import EndState, Standing
from fondaco.zeroex.order import Amount, OrderHash, ProtocolVersion, SignedOrder
from fondaco.zeroex.orderset import LIVE_STATES, OrderSets
from fondaco.zeroex.scopes import Scope, scope_of

V2, V3 = ProtocolVersion.V2, ProtocolVersion.V3
SHORT = '{"properties":{"makerAssetAmount":{"maxLength":2}}}'
ALL, FEW = Scope(V3), scope_of(V3, [SHORT])


def name(number: int) -> OrderHash:
    return OrderHash(number.to_bytes(32))


def order(amount: int = 1, version: ProtocolVersion = V3) -> SignedOrder:
    return make_order(version=version, maker_asset_amount=Amount(amount), signature=b"\x02")


def opened(*scopes: Scope, most: int = 24) -> OrderSets:
    sets = OrderSets(most=most)
    for scope in scopes:
        sets.fill(sets.begin(scope), IdSet())
    return sets


def ids(sets: OrderSets, scope: Scope) -> list[bytes]:
    found = sets.get(scope)
    assert found is not None
    return list(found)


def test_the_last_event_says_whether_an_order_is_in() -> None:
    """Every cell of the life cycle's table, and the two events outside it."""
    for (before, _), cell in lifecycle.TRANSITIONS.items():
        after = cell.becomes or before
        if cell.events:
            is_live = cell.events[-1].end_state.value in LIVE_STATES
            assert is_live == (after is Standing.LIVE)
        else:
            assert (before is Standing.LIVE) == (after is Standing.LIVE)
    assert lifecycle.added(1).end_state.value in LIVE_STATES
    assert lifecycle.stopped_watching(1).end_state.value not in LIVE_STATES


def test_orders_come_and_go() -> None:
    sets = opened(ALL)
    sets.take([(name(1), order(), "ADDED"), (name(2), order(), "ADDED")])
    assert ids(sets, ALL) == [name(1), name(2)]
    sets.take([(name(1), order(), "FILLED"), (name(2), order(), "CANCELLED")])
    assert ids(sets, ALL) == [name(1)]
    sets.take([(name(2), order(), "UNEXPIRED"), (name(2), order(), "FULLY_FILLED")])
    assert ids(sets, ALL) == [name(1)]


def test_a_set_has_one_version_and_what_satisfies_its_filters() -> None:
    sets = opened(ALL, FEW, Scope(V2))
    sets.take(
        [
            (name(1), order(99), "ADDED"),
            (name(2), order(100), "ADDED"),
            (name(3), order(1, V2), "ADDED"),
        ]
    )
    assert ids(sets, ALL) == [name(1), name(2)]
    assert ids(sets, FEW) == [name(1)]
    assert ids(sets, Scope(V2)) == [name(3)]
    assert sets.sizes == {ALL: 2, FEW: 1, Scope(V2): 1}


def test_the_set_unasked_for_longest_makes_room_but_not_a_kept_one() -> None:
    scopes = [scope_of(V3, [f'{{"maxProperties":{n}}}']) for n in range(4)]
    sets = opened(ALL, *scopes[:2], most=3)
    sets.keep([ALL])
    assert sets.get(scopes[0]) is not None
    sets.fill(sets.begin(scopes[2]), IdSet())
    assert sets.get(scopes[1]) is None
    assert list(sets.sizes) == [ALL, scopes[0], scopes[2]]


def test_what_happens_while_a_set_is_made_is_not_lost() -> None:
    """The store is read at any moment among the events; the set ends up the same.

    Oracle: the set that was there all along.
    """
    chance = random.Random(3)
    for _ in range(200):
        events = [
            (
                name(chance.randrange(6)),
                order(chance.choice((7, 700))),
                chance.choice(list(EndState)).value,
            )
            for _ in range(12)
        ]
        # One order satisfies a filter for good or never does.
        first: dict[OrderHash, SignedOrder] = {}
        events = [(n, first.setdefault(n, o), state) for n, o, state in events]
        begun, read, filled = sorted(chance.choices(range(13), k=3))
        sets, oracle = OrderSets(), opened(FEW)
        book: dict[OrderHash, SignedOrder] = {}
        filling, seen = None, IdSet()
        for at, event in itertools.chain(enumerate(events), [(12, None)]):
            if at == begun:
                filling = sets.begin(FEW)
            if at == read:
                seen = IdSet(
                    n
                    for n, o in book.items()
                    if FEW.schemas()[0].accepts(msgspec.json.decode(encode_order(o)))
                )
            if at == filled and filling is not None:
                sets.fill(filling, seen)
            if event is None:
                break
            # Commit, then tell: the store may be read in between.
            if event[2] in LIVE_STATES:
                book[event[0]] = event[1]
            else:
                book.pop(event[0], None)
            sets.take([event])
            oracle.take([event])
        assert ids(sets, FEW) == ids(oracle, FEW)
