"""How much one peer may ask."""

from __future__ import annotations

from fondaco.identity.names import Guid
from fondaco.market import dht_limits
from fondaco.market.dht_quota import Quota

ALICE, BOB = Guid(b"\x01" * 20), Guid(b"\x02" * 20)


def test_requests_have_a_burst_and_a_rate() -> None:
    quota = Quota()
    burst, rate = int(dht_limits.REQUESTS_BURST), int(dht_limits.REQUESTS_PER_SECOND)
    assert all(quota.may_ask(ALICE, 0.0) for _ in range(burst))
    assert not quota.may_ask(ALICE, 0.0)
    assert quota.may_ask(BOB, 0.0)
    assert sum(quota.may_ask(ALICE, 1.0) for _ in range(2 * rate)) == rate


def test_records_are_counted_for_themselves() -> None:
    quota = Quota()
    burst = int(dht_limits.RECORDS_BURST)
    assert all(quota.may_bring(ALICE, 0.0) for _ in range(burst))
    assert not quota.may_bring(ALICE, 0.0)
    assert quota.may_ask(ALICE, 0.0)


def test_the_longest_silent_are_forgotten() -> None:
    quota = Quota()
    while quota.may_ask(ALICE, 0.0):
        pass
    for number in range(dht_limits.MAX_COUNTED_PEERS - 1):
        quota.may_ask(Guid(number.to_bytes(20)), 0.0)
    assert len(quota) == dht_limits.MAX_COUNTED_PEERS
    assert not quota.may_ask(ALICE, 0.0)
    for number in range(dht_limits.MAX_COUNTED_PEERS):
        quota.may_ask(Guid((10_000 + number).to_bytes(20)), 0.0)
    assert len(quota) == dht_limits.MAX_COUNTED_PEERS
    assert quota.may_ask(ALICE, 0.0)
