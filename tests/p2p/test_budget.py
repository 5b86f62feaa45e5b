"""Budgets: rates, bursts, and who may open one more of something."""

from __future__ import annotations

import random

import pytest

from fondaco.errors import Verdict
from fondaco.p2p import limits
from fondaco.p2p.budget import (
    RELAYED,
    BudgetExceeded,
    Connections,
    Streams,
    TokenBucket,
    Traffic,
    address_group,
)


def test_a_bucket_starts_full_and_refills_at_its_rate() -> None:
    bucket = TokenBucket(rate=10.0, burst=5.0, now=100.0)
    assert [bucket.take(1, 100.0) for _ in range(6)] == [True] * 5 + [False]
    assert not bucket.take(1, 100.09)
    assert bucket.take(1, 100.11)
    assert [bucket.take(1, 999.0) for _ in range(6)] == [True] * 5 + [False]


def test_a_bucket_ignores_time_that_goes_back() -> None:
    bucket = TokenBucket(rate=1.0, burst=1.0, now=100.0)
    assert bucket.take(1, 100.0)
    assert not bucket.take(1, 50.0)
    assert bucket.take(1, 101.0)


def test_no_window_lets_more_through_than_rate_and_burst() -> None:
    rng = random.Random(4)
    bucket, now = TokenBucket(rate=20.0, burst=7.0, now=0.0), 0.0
    taken: list[float] = []
    for _ in range(3_000):
        now += rng.random() * 0.02
        if bucket.take(1, now):
            taken.append(now)
    for start in range(len(taken)):
        for end in range(start, min(start + 60, len(taken))):
            assert end - start + 1 <= 7 + 20 * (taken[end] - taken[start]) + 1e-6


def test_debt_is_paid_by_waiting() -> None:
    traffic = Traffic(0.0, rate=100.0, burst=200.0, total_rate=1e9, total_burst=1e9)
    assert traffic.spend(b"p", 200, 0.0) == 0.0
    assert traffic.spend(b"p", 50, 0.0) == 0.5
    assert traffic.spend(b"p", 50, 0.5) == 0.5
    assert traffic.read[b"p"] == 300
    traffic.forget(b"p")
    assert traffic.spend(b"p", 200, 0.5) == 0.0
    assert traffic.read[b"p"] == 200


def test_who_uses_up_what_is_shared_waits_and_others_do_not() -> None:
    traffic = Traffic(0.0, rate=100.0, burst=1_000.0, total_rate=100.0, total_burst=800.0)
    assert traffic.spend(b"greedy", 900, 0.0) == 1.0
    assert traffic.spend(b"modest", 100, 0.0) == 0.0


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("127.0.0.1", None),
        ("127.8.8.8", None),
        ("::1", None),
        ("::ffff:127.0.0.1", None),
        ("example", None),
        ("", None),
    ],
)
def test_what_counts_as_one_address(address: str, group: str | None) -> None:
    assert address_group(address) == group


def test_connections_in_all_per_peer_and_per_address() -> None:
    connections = Connections(most=4, per_peer=2, per_address=3)
    connections.open(b"a", "203.0.113.7")
    connections.open(b"a", "203.0.113.7")
    with pytest.raises(BudgetExceeded) as caught:
        connections.open(b"a", "203.0.113.8")
    assert caught.value.limit == "connections per peer"
    assert caught.value.verdict is Verdict.IGNORE
    connections.open(b"b", "203.0.113.7")
    with pytest.raises(BudgetExceeded, match="connections per address"):
        connections.open(b"c", "203.0.113.7")
    with pytest.raises(BudgetExceeded, match="connections per address"):
        connections.attempt("203.0.113.7", 0.0)
    connections.open(b"c", "203.0.113.8")
    with pytest.raises(BudgetExceeded, match="connections: 4"):
        connections.open(b"d", "203.0.113.9")
    with pytest.raises(BudgetExceeded, match="connections: 4"):
        connections.attempt("203.0.113.9", 0.0)
    assert len(connections) == 4
    connections.close(b"a", "203.0.113.7")
    connections.attempt("203.0.113.7", 0.0)
    connections.open(b"d", "203.0.113.7")


def test_strangers_leave_places_for_those_we_dial() -> None:
    connections = Connections(most=4, kept=1)
    for peer in (b"a", b"b", b"c"):
        connections.attempt("203.0.113.7", 0.0)
        connections.open(peer, "203.0.113.7", is_inbound=True)
    with pytest.raises(BudgetExceeded, match="connections: 3"):
        connections.attempt("203.0.113.8", 0.0)
    with pytest.raises(BudgetExceeded, match="connections: 3"):
        connections.open(b"d", "203.0.113.8", is_inbound=True)
    connections.open(b"d", "203.0.113.8")
    with pytest.raises(BudgetExceeded, match="connections: 4"):
        connections.open(b"e", "203.0.113.8")


def test_a_lifetime_of_connections_leaves_nothing() -> None:
    """The stock library goes deaf after 250 inbound connections (p2p.md, section 10)."""
    connections = Connections()
    for number in range(1_000):
        peer, address = number.to_bytes(4, "big"), f"203.0.113.{number % 250}"
        connections.attempt(address, float(number))
        connections.open(peer, address)
        connections.close(peer, address)
    assert len(connections) == 0


def test_attempts_of_one_address_are_counted_and_of_this_machine_not() -> None:
    connections = Connections()
    for _ in range(int(limits.ADDRESS_ATTEMPTS_BURST)):
        connections.attempt("203.0.113.7", 0.0)
        connections.attempt("127.0.0.1", 0.0)
    with pytest.raises(BudgetExceeded):
        connections.attempt("203.0.113.7", 0.0)
    connections.attempt("203.0.113.8", 0.0)
    connections.attempt("127.0.0.1", 0.0)
    connections.attempt("203.0.113.7", 1.0)


def test_what_comes_through_one_relay_is_counted_together() -> None:
    connections = Connections()
    for number in range(limits.MAX_CONNECTIONS_PER_RELAY):
        connections.open(bytes([number]), f"{RELAYED}r")
    with pytest.raises(BudgetExceeded, match="per relay"):
        connections.open(b"one more", f"{RELAYED}r")
    connections.open(b"one more", f"{RELAYED}another")
    connections.close(b"\x00", f"{RELAYED}r")
    connections.open(b"again", f"{RELAYED}r")


def test_addresses_are_not_remembered_for_ever() -> None:
    connections = Connections()
    for number in range(limits.MAX_COUNTED_ADDRESSES + 50):
        connections.attempt(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 0.0)
    for _ in range(int(limits.ADDRESS_ATTEMPTS_BURST) - 1):
        connections.attempt("10.0.39.16", 0.0)  # number 10,000: one attempt is remembered
    with pytest.raises(BudgetExceeded):
        connections.attempt("10.0.39.16", 0.0)
    for _ in range(int(limits.ADDRESS_ATTEMPTS_BURST)):
        connections.attempt("10.0.0.1", 0.0)  # forgotten: a full bucket


def test_streams_per_peer_and_in_all() -> None:
    streams = Streams(most=3, per_peer=2)
    streams.open(b"a")
    streams.open(b"a")
    with pytest.raises(BudgetExceeded, match="per peer"):
        streams.open(b"a")
    streams.open(b"b")
    with pytest.raises(BudgetExceeded, match="streams: 3"):
        streams.open(b"c")
    streams.close(b"a")
    streams.open(b"c")
    assert len(streams) == 3
