"""Every fault has a weight, and no accident leads to a ban."""

from __future__ import annotations

from fondaco.p2p.scores import PENALTIES, Scores, Standing
from fondaco.zeroex.offences import WEIGHTS, Fault


def test_every_fault_counts() -> None:
    assert set(WEIGHTS) == set(Fault)
    assert all(PENALTIES[offence].points * weight > 0 for offence, weight in WEIGHTS.values())


def test_one_fault_of_any_kind_does_not_ban() -> None:
    for offence, weight in WEIGHTS.values():
        scores = Scores()
        assert scores.report(b"peer", offence, 0.0, weight) is not Standing.BANNED


def test_a_peer_that_goes_on_is_banned() -> None:
    for offence, weight in WEIGHTS.values():
        scores = Scores()
        standings = [scores.report(b"peer", offence, float(n), weight) for n in range(30)]
        assert standings[-1] is Standing.BANNED
