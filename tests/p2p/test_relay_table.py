from __future__ import annotations

import random
from collections import Counter

import pytest

from fondaco.p2p import limits
from fondaco.p2p.relay_messages import Status
from fondaco.p2p.relay_table import RelayRefusal, RelayTable

HOUR = limits.RESERVATION_SECONDS


def refused(call: object, *args: object) -> int:
    with pytest.raises(RelayRefusal) as caught:
        call(*args)  # type: ignore[operator]
    return caught.value.status


def test_a_place_is_kept_for_an_hour_and_renewed() -> None:
    table = RelayTable()
    assert refused(table.open_circuit, b"source", b"target", 0) == Status.NO_RESERVATION
    assert table.reserve(b"target", "192.0.2.1", 10) == 10 + HOUR
    assert table.reserve(b"target", "192.0.2.1", 20) == 20 + HOUR
    assert table.reservations == 1
    table.open_circuit(b"source", b"target", 19 + HOUR)
    assert refused(table.open_circuit, b"source", b"target", 20 + HOUR) == Status.NO_RESERVATION
    # The connection that is there goes on; the place is free for another.
    assert table.circuits == 1
    table.close_circuit(b"source", b"target")
    assert table.circuits == 0


def test_who_leaves_gives_its_place_back() -> None:
    table = RelayTable(reservations=1)
    table.reserve(b"a", "192.0.2.1", 0)
    assert refused(table.reserve, b"b", "192.0.2.2", 0) == Status.RESERVATION_REFUSED
    table.forget(b"a")
    table.reserve(b"b", "192.0.2.2", 0)
    # Whoever does not come back to renew loses it to the next.
    table.reserve(b"c", "192.0.2.3", HOUR)
    assert table.reservations == 1
    assert refused(table.open_circuit, b"x", b"b", HOUR) == Status.NO_RESERVATION


def test_one_address_cannot_take_all_places() -> None:
    table = RelayTable()
    for number in range(limits.MAX_RESERVATIONS_PER_ADDRESS):
        table.reserve(bytes([number]), "2001:db8::1", 0)
    assert refused(table.reserve, b"one", "2001:db8::2", 0) == Status.RESERVATION_REFUSED
    table.reserve(b"other", "2001:db8:0:1::", 0)
    for number in range(20):  # this machine's own
        table.reserve(bytes([99, number]), "127.0.0.1", 0)
    table.forget(b"\x00")
    table.reserve(b"one", "2001:db8::2", 0)


def test_connections_are_limited_at_both_ends_and_in_all() -> None:
    table = RelayTable()
    table.reserve(b"target", "", 0)
    table.reserve(b"source", "", 0)
    assert refused(table.open_circuit, b"target", b"target", 0) == Status.PERMISSION_DENIED
    for _ in range(limits.MAX_CIRCUITS_PER_SOURCE):
        table.open_circuit(b"source", b"target", 0)
    assert refused(table.open_circuit, b"source", b"target", 0) == Status.RESOURCE_LIMIT_EXCEEDED
    for number in range(limits.MAX_CIRCUITS_PER_TARGET - limits.MAX_CIRCUITS_PER_SOURCE):
        table.open_circuit(bytes([number]), b"target", 0)
    assert refused(table.open_circuit, b"x", b"target", 0) == Status.RESOURCE_LIMIT_EXCEEDED
    table.open_circuit(b"x", b"source", 0)
    full = RelayTable(circuits=1)
    full.reserve(b"target", "", 0)
    full.open_circuit(b"a", b"target", 0)
    assert refused(full.open_circuit, b"b", b"target", 0) == Status.RESOURCE_LIMIT_EXCEEDED


def test_who_asks_too_often_waits() -> None:
    table = RelayTable()
    for _ in range(int(limits.CIRCUIT_ATTEMPTS_BURST)):
        assert refused(table.open_circuit, b"a", b"nobody", 0) == Status.NO_RESERVATION
    assert refused(table.open_circuit, b"a", b"nobody", 0) == Status.RESOURCE_LIMIT_EXCEEDED
    assert refused(table.open_circuit, b"b", b"nobody", 0) == Status.NO_RESERVATION
    later = 1 / limits.CIRCUIT_ATTEMPTS_PER_SECOND
    assert refused(table.open_circuit, b"a", b"nobody", later) == Status.NO_RESERVATION


def test_the_counts_are_those_of_a_list() -> None:
    """Random calls beside a table of nothing but lists."""
    chance = random.Random(23)
    table = RelayTable(reservations=5, circuits=8)
    held: set[bytes] = set()
    open_ones: Counter[tuple[bytes, bytes]] = Counter()
    names = [bytes([n]) for n in range(8)]
    for step in range(4_000):
        now = step * 10.0
        one, other = chance.choice(names), chance.choice(names)
        what = chance.random()
        if what < 0.3:
            if one in held or len(held) < 5:
                table.reserve(one, "", now)
                held.add(one)
            else:
                assert refused(table.reserve, one, "", now) == Status.RESERVATION_REFUSED
        elif what < 0.4:
            table.forget(one)
            held.discard(one)
        elif what < 0.7 and open_ones:
            gone = chance.choice(sorted(open_ones.elements()))
            table.close_circuit(*gone)
            open_ones -= Counter([gone])
        else:
            from_one = sum(n for pair, n in open_ones.items() if pair[0] == one)
            is_open = other in held and one != other and open_ones.total() < 8 and from_one < 4
            if is_open:
                table.open_circuit(one, other, now)
                open_ones[one, other] += 1
            else:
                refused(table.open_circuit, one, other, now)
        for peer in held:  # nobody's time runs out in this test
            table.reserve(peer, "", now)
        assert (table.reservations, table.circuits) == (len(held), open_ones.total())
