from __future__ import annotations

import random

import pytest

from fondaco.p2p import limits
from fondaco.p2p.rendezvous_messages import Answer
from fondaco.p2p.rendezvous_table import RendezvousRefusal, RendezvousTable

HOURS = limits.REGISTRATION_SECONDS


def put(
    table: RendezvousTable,
    peer: bytes,
    name: str = "n",
    *,
    now: float = 0.0,
    seconds: int = 0,
    address: str = "127.0.0.1",
    record: bytes = b"r",
) -> int:
    return table.register(peer, address, name, record, seconds, now)


def found(table: RendezvousTable, name: str = "n", now: float = 0.0) -> set[bytes]:
    return {row.peer for row in table.discover(b"asker", name, 0, b"", now)[0]}


def refused(call: object, *args: object, **more: object) -> int:
    with pytest.raises(RendezvousRefusal) as caught:
        call(*args, **more)  # type: ignore[operator]
    return caught.value.status


def test_who_is_registered_is_found_until_its_time_is_up() -> None:
    table = RendezvousTable(b"instance")
    assert put(table, b"a", seconds=60) == 60
    assert put(table, b"b") == HOURS
    assert put(table, b"c", seconds=10**6) == HOURS
    put(table, b"d", "other")
    assert found(table) == {b"a", b"b", b"c"}
    assert found(table, "") == {b"a", b"b", b"c", b"d"}
    assert found(table, now=60) == {b"b", b"c"}
    assert found(table, "nobody") == set()
    # Nobody is told of itself.
    assert {row.peer for row in table.discover(b"b", "n", 0, b"", 60)[0]} == {b"c"}
    table.unregister(b"b", "n")
    table.unregister(b"b", "unknown")
    table.forget(b"c")  # it has left, and can be found all the same
    assert found(table, now=60) == {b"c"}


def test_the_cookie_leads_to_the_rest_and_to_what_is_new() -> None:
    table = RendezvousTable(b"instance")
    for number in range(70):
        put(table, bytes([number]), f"n{number % 2}")
    cookie, seen = b"", []
    while rows := (answer := table.discover(b"asker", "", 0, cookie, 0))[0]:
        assert len(rows) <= limits.MAX_DISCOVERED
        seen += [row.peer[0] for row in rows]
        cookie = answer[1]
    assert seen == list(range(70))
    assert table.discover(b"asker", "", 0, cookie, 0) == ([], cookie)
    put(table, b"\x05", "n1")  # again, perhaps from elsewhere
    put(table, b"\x63", "n1")
    rows, _ = table.discover(b"asker", "n1", 1, cookie, 0)
    assert [row.peer for row in rows] == [b"\x05"]
    assert refused(table.discover, b"asker", "n", 0, b"x", 0) == Answer.INVALID_COOKIE
    later = RendezvousTable(b"restarts")
    assert refused(later.discover, b"asker", "n", 0, cookie, 0) == Answer.INVALID_COOKIE


def test_an_answer_fits_into_a_message() -> None:
    table = RendezvousTable(b"instance")
    for number in range(limits.MAX_DISCOVERED):
        put(table, bytes([number]), record=bytes(limits.MAX_PEER_RECORD_SIZE))
    rows, cookie = table.discover(b"asker", "n", 0, b"", 0)
    assert 0 < sum(len(row.record) for row in rows) < limits.MAX_RENDEZVOUS_MESSAGE
    more, _ = table.discover(b"asker", "n", 0, cookie, 0)
    assert more[0].peer == bytes([len(rows)])


@pytest.mark.parametrize("name", ["", "n" * 256, "ä" * 128])
def test_names_have_limits(name: str) -> None:
    table = RendezvousTable(b"instance")
    assert refused(put, table, b"a", name) == Answer.INVALID_NAMESPACE
    put(table, b"a", "ä" * 127)


def test_nobody_takes_all_places() -> None:
    table = RendezvousTable(b"instance", most=60)
    for number in range(limits.MAX_NAMESPACES):
        put(table, b"a", str(number))
    assert refused(put, table, b"a", "more") == Answer.UNAVAILABLE
    put(table, b"a", "0")  # renewed
    table.unregister(b"a", "0")
    put(table, b"a", "more")
    for number in range(limits.MAX_REGISTRATIONS_PER_ADDRESS):
        put(table, bytes([number, 1]), address="192.0.2.1")
    assert refused(put, table, b"b", address="192.0.2.1") == Answer.UNAVAILABLE
    for number in range(60 - len(table)):
        put(table, bytes([number, 2]))
    assert refused(put, table, b"b") == Answer.UNAVAILABLE
    # Time makes room.
    put(table, b"b", now=HOURS)
    assert len(table) == 1


def test_who_asks_too_often_waits() -> None:
    table = RendezvousTable(b"instance")
    for _ in range(int(limits.RENDEZVOUS_REQUESTS_BURST)):
        table.question(b"a", 0.0)
    assert refused(table.question, b"a", 0.0) == Answer.UNAVAILABLE
    table.question(b"b", 0.0)
    table.question(b"a", 1.0 / limits.RENDEZVOUS_REQUESTS_PER_SECOND)


def test_it_finds_what_a_list_finds() -> None:
    chance = random.Random(31)
    table = RendezvousTable(b"instance")
    rows: dict[tuple[bytes, str], float] = {}
    for step in range(2_000):
        now = step * 5.0
        peer, name = bytes([chance.randrange(12)]), chance.choice(["x", "y"])
        if chance.random() < 0.7:
            rows[peer, name] = now + put(table, peer, name, now=now, seconds=chance.randrange(400))
        else:
            table.unregister(peer, name)
            rows.pop((peer, name), None)
        for one in ("x", "y"):
            expected = {p for (p, n), until in rows.items() if n == one and until > now}
            assert found(table, one, now) == expected
