"""What is said of a peer after each comparison."""

from __future__ import annotations

import itertools

import pytest

from fondaco.zeroex.agreement import (
    SAID_AGAIN_SECONDS,
    STAYS_DIFFERENT,
    STAYS_SECONDS,
    Agreements,
    AgreementState,
    Comparison,
)
from fondaco.zeroex.order import ProtocolVersion
from fondaco.zeroex.scopes import Scope, scope_of

SCOPE = Scope(ProtocolVersion.V3)
OTHER = scope_of(ProtocolVersion.V3, ['{"a":1}'])
A, B, C = (bytes([n]) * 32 for n in range(3))


def opened() -> Agreements:
    agreements = Agreements()
    agreements.joined("ann", 10.0)
    agreements.agreed_on("ann", [SCOPE], 11.0)
    return agreements


def found(here: int = 0, there: int = 0, *unexplained: bytes, complete: bool = True) -> Comparison:
    return Comparison(
        missing_here=here, missing_there=there, unexplained=unexplained, is_complete=complete
    )


def test_unknown_until_compared_then_agrees_or_differs() -> None:
    agreements = opened()
    assert agreements.since("ann") == 10.0
    assert agreements.of("ann")[SCOPE].state is AgreementState.UNKNOWN
    agreements.compared("ann", SCOPE, found(2, 1, A, B, C), 12.0)
    now = agreements.of("ann")[SCOPE]
    assert (now.state, now.difference, now.explained, now.since) == (
        AgreementState.DIFFERS,
        3,
        0,
        12.0,
    )
    assert agreements.different == 1
    agreements.compared("ann", SCOPE, found(), 14.0)
    agreements.compared("ann", SCOPE, found(), 50.0)
    now = agreements.of("ann")[SCOPE]
    assert (now.state, now.since, now.compared_at) == (AgreementState.AGREES, 14.0, 50.0)
    assert agreements.different == 0


def test_an_explained_difference_differs_but_nobody_is_alarmed() -> None:
    agreements = opened()
    for _ in range(2 * STAYS_DIFFERENT):
        assert not agreements.compared("ann", SCOPE, found(4, 3), 500.0)
    now = agreements.of("ann")[SCOPE]
    assert (now.state, now.explained, now.unexplained) == (AgreementState.DIFFERS, 7, 0)
    assert agreements.different == 0
    assert agreements.stayed_different == 0


def test_the_same_order_missing_again_and_again_is_said_once() -> None:
    agreements = opened()
    said = [
        agreements.compared("ann", SCOPE, found(1, 1, A, bytes([9, n]) * 16), n * 30.0)
        for n in range(12)
    ]
    assert said.count(True) == 1
    assert said.index(True) == STAYS_SECONDS / 30.0
    assert agreements.stayed_different == 1
    assert agreements.staying == 1
    # It is said again of others.
    for n in range(12):
        agreements.compared("ann", SCOPE, found(1, 0, B), 1_000.0 + n * 30.0)
    assert agreements.stayed_different == 2


def test_while_it_lasts_it_is_said_again_every_hour_and_counted_once() -> None:
    agreements = opened()
    step = SAID_AGAIN_SECONDS / 60
    said = [agreements.compared("ann", SCOPE, found(1, 0, A), n * step) for n in range(200)]
    times = [n * step for n, is_said in enumerate(said) if is_said]
    assert times[0] == pytest.approx(STAYS_DIFFERENT * step - step, abs=step)
    assert [b - a for a, b in itertools.pairwise(times)] == [SAID_AGAIN_SECONDS] * 3
    assert (agreements.stayed_different, agreements.staying) == (1, 1)
    # A failure in between changes nothing; that it comes to an end does.
    agreements.failed("ann", SCOPE, "late", 200 * step)
    assert agreements.staying == 1
    agreements.compared("ann", SCOPE, found(), 201 * step)
    assert agreements.staying == 0


def test_differences_are_summed_over_peers_and_scopes() -> None:
    agreements = opened()
    agreements.joined("bob", 10.0)
    agreements.agreed_on("ann", [SCOPE, OTHER], 11.0)
    agreements.agreed_on("bob", [SCOPE], 11.0)
    assert agreements.differences == (0, 0)
    agreements.compared("ann", SCOPE, found(4, 1, A), 12.0)
    agreements.compared("ann", OTHER, found(2, 0), 12.0)
    agreements.compared("bob", SCOPE, found(0, 2, B, C), 12.0)
    assert agreements.differences == (6, 3)
    agreements.left("ann")
    assert agreements.differences == (0, 2)


def test_a_long_first_sync_is_no_lasting_difference() -> None:
    agreements = opened()
    for n in range(10 * STAYS_DIFFERENT):
        assert not agreements.compared("ann", SCOPE, found(1, 0, A), 12.0 + n)
    agreements.compared("ann", SCOPE, found(), 80.0)
    assert agreements.of("ann")[SCOPE].stuck == frozenset()


def test_orders_on_their_way_are_no_lasting_difference() -> None:
    agreements = opened()
    for n in range(3 * STAYS_DIFFERENT):
        assert not agreements.compared("ann", SCOPE, found(1, 0, bytes([n]) * 32), 99.0 * n)
    assert agreements.of("ann")[SCOPE].rounds_different == 1


def test_equal_as_far_as_compared_is_not_agreed() -> None:
    agreements = opened()
    agreements.compared("ann", SCOPE, found(complete=False), 12.0)
    assert agreements.of("ann")[SCOPE].state is AgreementState.DIFFERS


def test_a_failure_makes_it_unknown_and_says_why() -> None:
    agreements = opened()
    agreements.compared("ann", SCOPE, found(), 12.0)
    agreements.failed("ann", SCOPE, "late", 20.0)
    agreements.failed("ann", SCOPE, "gone", 30.0)
    now = agreements.of("ann")[SCOPE]
    assert (now.state, now.since, now.compared_at, now.problem) == (
        AgreementState.UNKNOWN,
        20.0,
        12.0,
        "gone",
    )


def test_scopes_and_peers_come_and_go() -> None:
    agreements = opened()
    agreements.compared("ann", SCOPE, found(), 12.0)
    agreements.agreed_on("ann", [SCOPE, OTHER], 13.0)
    assert [a.state.value for a in agreements.of("ann").values()] == ["agrees", "unknown"]
    agreements.agreed_on("ann", [OTHER], 14.0)
    assert list(agreements.of("ann")) == [OTHER]
    agreements.left("ann")
    for late in (SCOPE, OTHER):
        assert not agreements.compared("ann", late, found(1, 0, A), 15.0)
        agreements.failed("ann", late, "gone", 15.0)
    agreements.agreed_on("ann", [SCOPE], 15.0)
    assert agreements.of("ann") == {}
    assert agreements.since("ann") is None
