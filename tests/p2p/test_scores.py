"""Scores and bans: who is thrown out, who never is, and when it ends."""

from __future__ import annotations

import random

import pytest

from fondaco.p2p import limits
from fondaco.p2p.scores import (
    HALF_LIFE,
    MAX_MERIT,
    PENALTIES,
    SUSPECT_BELOW,
    Bans,
    Offence,
    Scores,
    Standing,
)

PEER, OTHER = b"peer", b"other"
ACCIDENTS = [offence for offence, penalty in PENALTIES.items() if penalty.ceiling is not None]


def test_every_offence_has_a_price() -> None:
    assert set(PENALTIES) == set(Offence)
    assert all(penalty.points > 0 for penalty in PENALTIES.values())


def test_all_accidents_together_leave_a_peer_in_good_standing() -> None:
    assert sum(PENALTIES[offence].ceiling or 0.0 for offence in ACCIDENTS) < -SUSPECT_BELOW
    rng = random.Random(5)
    scores, now = Scores(), 0.0
    for _ in range(20_000):
        now += rng.random() * 0.1
        standing = scores.report(PEER, rng.choice(ACCIDENTS), now, weight=rng.random() * 1_000)
        assert standing is Standing.GOOD


@pytest.mark.parametrize("offence", [o for o in Offence if o not in ACCIDENTS])
def test_what_no_honest_program_does_ends_in_a_ban(offence: Offence) -> None:
    scores, count = Scores(), 0
    standings: list[Standing] = []
    while not standings or standings[-1] is not Standing.BANNED:
        standings.append(scores.report(PEER, offence, 0.0))
        count += 1
        assert count <= 25
    assert count > 1, "one offence alone must not end in a ban"
    assert scores.standing(OTHER, 0.0) is Standing.GOOD


def test_merit_buys_little_and_fades() -> None:
    scores = Scores()
    for _ in range(100_000):
        scores.reward(PEER, 0.0)
    assert scores.score(PEER, 0.0) == pytest.approx(MAX_MERIT)
    assert scores.score(PEER, HALF_LIFE) == pytest.approx(MAX_MERIT / 2)
    invalid = 0
    while scores.report(PEER, Offence.INVALID_MESSAGE, HALF_LIFE) is not Standing.BANNED:
        invalid += 1
    assert invalid <= 6


def test_points_fade_by_half() -> None:
    scores = Scores()
    scores.report(PEER, Offence.INVALID_MESSAGE, 10.0, weight=2.0)
    assert scores.score(PEER, 10.0) == -40.0
    assert scores.standing(PEER, 10.0) is Standing.SUSPECT
    assert scores.score(PEER, 10.0 + HALF_LIFE) == pytest.approx(-20.0)
    assert scores.standing(PEER, 10.0 + HALF_LIFE) is Standing.GOOD
    assert scores.score(PEER, 5.0) == pytest.approx(-20.0), "time does not go back"


def test_a_negative_weight_is_no_reward() -> None:
    """Signs are how the stock router raised its attacker to +296 (p2p.md, section 3)."""
    scores = Scores()
    scores.report(PEER, Offence.INVALID_MESSAGE, 0.0, weight=-100.0)
    assert scores.score(PEER, 0.0) == 0.0


def test_scores_survive_reconnection_but_not_for_ever() -> None:
    scores = Scores()
    scores.report(PEER, Offence.INVALID_MESSAGE, 0.0)
    scores.reward(OTHER, 0.0)
    scores.tidy(0.0, connected=[])
    assert len(scores) == 1
    assert scores.score(PEER, 0.0) == -20.0
    scores.tidy(10 * HALF_LIFE, connected=[])
    assert len(scores) == 0


def test_the_number_of_scored_peers_is_bounded() -> None:
    scores = Scores()
    scores.report(PEER, Offence.INVALID_MESSAGE, 0.0, weight=2.0)
    for number in range(limits.MAX_SCORED_PEERS + 100):
        scores.report(number.to_bytes(4, "big"), Offence.INVALID_MESSAGE, 0.0)
    scores.tidy(0.0, connected=[])
    assert len(scores) == limits.MAX_SCORED_PEERS
    assert scores.score(PEER, 0.0) == -40.0, "the worst are kept"


def test_a_ban_ends_and_the_next_is_twice_as_long() -> None:
    bans, now = Bans(), 0.0
    lengths: list[float] = []
    for _ in range(12):
        ban = bans.ban(PEER, None, now)
        assert bans.refuses(PEER, None, ban.until - 1) == ban
        assert bans.refuses(OTHER, None, now) is None
        assert bans.refuses(PEER, None, ban.until) is None
        lengths.append(ban.until - now)
        now = ban.until + 10.0
    first = limits.FIRST_BAN
    assert lengths[:3] == [first, 2 * first, 4 * first]
    assert lengths[-1] == limits.LONGEST_BAN
    later = bans.ban(PEER, None, now + 2 * limits.BAN_MEMORY)
    assert later.count == 1


def test_an_address_is_banned_after_several_of_its_peers() -> None:
    bans = Bans()
    for number in range(limits.PEERS_TO_BAN_AN_ADDRESS):
        assert bans.refuses(OTHER, "203.0.113.7", 0.0) is None
        for _ in range(5):  # the same peer again does not count
            bans.ban(bytes([number]), "203.0.113.7", 0.0)
    ban = bans.refuses(OTHER, "203.0.113.7", 0.0)
    assert ban is not None
    assert bans.refuses(None, "203.0.113.7", ban.until - 1) == ban
    assert bans.refuses(OTHER, "203.0.113.8", 0.0) is None
    assert bans.refuses(OTHER, "203.0.113.7", ban.until) is None


def test_this_machine_is_never_banned() -> None:
    bans = Bans()
    for number in range(100):
        bans.ban(number.to_bytes(4, "big"), "127.0.0.1", 0.0)
    assert bans.refuses(OTHER, "127.0.0.1", 0.0) is None


def test_the_operator_lifts_a_ban() -> None:
    bans = Bans()
    bans.ban(PEER, "203.0.113.7", 0.0)
    assert bans.count(0.0) == 1
    bans.lift(PEER)
    assert bans.refuses(PEER, "203.0.113.7", 0.0) is None
    assert bans.count(0.0) == 0


def test_the_number_of_bans_is_bounded() -> None:
    bans = Bans()
    for number in range(limits.MAX_BANNED + 10):
        address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        bans.ban(number.to_bytes(4, "big"), address, 0.0)
    assert bans.count(0.0) == limits.MAX_BANNED
    assert bans.refuses(bytes(4), None, 0.0) is None, "the oldest went"
    bans.tidy(10 * limits.BAN_MEMORY)
    assert bans.count(0.0) == 0
