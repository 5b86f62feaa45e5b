"""The mesh of one topic, event by event, and under chance."""

from __future__ import annotations

import random

import pytest

from fondaco.p2p import limits
from fondaco.p2p.pubsub.mesh import Candidate, Graft, Mesh
from fondaco.p2p.pubsub.parameters import Parameters

NUMBERS = Parameters()


def candidate(
    number: int, *, score: float = 0.0, is_good: bool = True, is_outbound: bool = False
) -> Candidate:
    return Candidate(b"%03d" % number, score, is_good, is_outbound)


def crowd(count: int) -> list[Candidate]:
    return [candidate(number) for number in range(count)]


def make_mesh() -> Mesh:
    return Mesh(NUMBERS, random.Random(8))


def test_joining_grafts_as_many_as_wanted() -> None:
    mesh = make_mesh()
    grafted = mesh.join([*crowd(20), candidate(99, is_good=False)], 0.0)
    assert len(grafted) == NUMBERS.degree == len(mesh.members)
    assert set(grafted) == set(mesh.members)
    assert make_mesh().join(crowd(3), 0.0) != []


def test_leaving_prunes_everybody_for_a_short_while() -> None:
    mesh = make_mesh()
    grafted = mesh.join(crowd(6), 0.0)
    assert sorted(mesh.leave(10.0)) == sorted(grafted)
    assert mesh.is_waiting(19.9)
    assert not mesh.is_waiting(20.0)
    assert mesh.join(crowd(6), 15.0) == []


@pytest.mark.parametrize(
    ("who", "answer"),
    [
        pytest.param(candidate(50), Graft.ACCEPTED, id="room"),
        pytest.param(candidate(50, is_good=False), Graft.REFUSED, id="suspect"),
    ],
)
def test_received_graft(who: Candidate, answer: Graft) -> None:
    mesh = make_mesh()
    assert mesh.received_graft(who, 0.0) is answer
    assert (who.peer in mesh.members) is (answer is Graft.ACCEPTED)


def test_a_full_mesh_takes_only_those_we_dialled() -> None:
    mesh = make_mesh()
    for one in crowd(NUMBERS.degree_high):
        assert mesh.received_graft(one, 0.0) is Graft.ACCEPTED
        assert mesh.received_graft(one, 0.0) is Graft.ACCEPTED, "again: no news"
    assert mesh.received_graft(candidate(50), 0.0) is Graft.REFUSED
    assert mesh.received_graft(candidate(51, is_outbound=True), 0.0) is Graft.ACCEPTED


def test_who_was_told_to_wait_and_does_not_waits_longer() -> None:
    mesh = make_mesh()
    for one in crowd(NUMBERS.degree_high):
        mesh.received_graft(one, 0.0)
    late = candidate(50)
    assert mesh.received_graft(late, 0.0) is Graft.REFUSED
    mesh.dropped(b"000")
    assert mesh.received_graft(late, 59.0) is Graft.TOO_EARLY
    assert mesh.received_graft(late, 61.0) is Graft.TOO_EARLY
    assert mesh.received_graft(late, 61.0 + 60.0) is Graft.ACCEPTED


@pytest.mark.parametrize(
    ("backoff", "seconds"),
    [(None, 60.0), (5, 5.0), (0, 0.0), (10**15, float(limits.MAX_BACKOFF_SECONDS))],
)
def test_received_prune(backoff: int | None, seconds: float) -> None:
    mesh = make_mesh()
    mesh.join(crowd(1), 0.0)
    mesh.received_prune(b"000", backoff, 100.0)
    assert mesh.members == {}
    end = 100.0 + seconds + NUMBERS.backoff_slack
    assert mesh.is_backed_off(b"000", end - 0.1)
    assert not mesh.is_backed_off(b"000", end)
    assert mesh.heartbeat(crowd(1), end - 0.1).graft == []
    assert mesh.heartbeat(crowd(1), end).graft == [b"000"]


def test_a_thin_mesh_is_filled_and_a_thick_one_cut() -> None:
    mesh = make_mesh()
    mesh.join(crowd(NUMBERS.degree_low - 1), 0.0)
    changes = mesh.heartbeat(crowd(30), 1.0)
    assert (len(changes.graft), changes.prune) == (3, [])
    assert len(mesh.members) == NUMBERS.degree
    for number in range(100, 110):
        mesh.received_graft(candidate(number, is_outbound=True), 1.0)
    everyone = [*crowd(30), *(candidate(n, is_outbound=True) for n in range(100, 110))]
    changes = mesh.heartbeat(everyone, 2.0)
    assert (changes.graft, len(changes.prune)) == ([], 10)
    assert len(mesh.members) == NUMBERS.degree
    assert all(mesh.is_backed_off(peer, 61.0) for peer in changes.prune)


def test_the_cut_keeps_the_best_and_those_we_dialled() -> None:
    mesh = make_mesh()
    everyone = [candidate(number, score=float(number)) for number in range(12)]
    everyone += [candidate(20 + number, score=-1.0, is_outbound=True) for number in range(2)]
    for one in everyone:
        assert mesh.received_graft(one, 0.0) is Graft.ACCEPTED
    mesh.heartbeat(everyone, 1.0)
    assert set(mesh.members) == {b"008", b"009", b"010", b"011", b"020", b"021"}


def test_suspects_and_strangers_are_thrown_out() -> None:
    mesh = make_mesh()
    mesh.join(crowd(6), 0.0)
    now_bad = [candidate(0, is_good=False), *crowd(5)[1:]]  # 005 is no subscriber any more
    changes = mesh.heartbeat(now_bad, 1.0)
    assert sorted(changes.prune) == [b"000", b"005"]


def test_we_keep_some_members_that_we_dialled() -> None:
    mesh = make_mesh()
    mesh.join(crowd(6), 0.0)
    dialled = [candidate(number, is_outbound=True) for number in range(50, 60)]
    changes = mesh.heartbeat([*crowd(6), *dialled], 1.0)
    assert len(changes.graft) == NUMBERS.degree_outbound
    assert mesh.heartbeat([*crowd(6), *dialled], 2.0).graft == []


def test_a_mesh_that_brings_little_looks_for_better() -> None:
    mesh = make_mesh()
    mesh.join(crowd(6), 0.0)
    everyone = [*crowd(6), candidate(50, score=5.0), candidate(51, score=7.0), candidate(52)]
    grafted = [mesh.heartbeat(everyone, float(beat)).graft for beat in range(1, 61)]
    assert grafted[:-1] == [[]] * 59
    assert sorted(grafted[-1]) == [b"050", b"051"]


def test_whatever_happens_the_rules_hold() -> None:
    rng = random.Random(9)
    mesh, now = Mesh(NUMBERS, rng), 0.0
    for _ in range(3_000):
        now += rng.random()
        everyone = [
            candidate(
                number,
                score=rng.uniform(-50, 50),
                is_good=rng.random() < 0.95,
                is_outbound=number % 5 == 0,
            )
            for number in range(40)
            if rng.random() < 0.95
        ]
        match rng.randrange(4):
            case 0:
                mesh.received_graft(rng.choice(everyone), now)
            case 1:
                mesh.received_prune(b"%03d" % rng.randrange(40), rng.choice([None, 1, 90]), now)
            case 2:
                mesh.dropped(b"%03d" % rng.randrange(40))
            case _:
                waiting = {one.peer for one in everyone if mesh.is_backed_off(one.peer, now)}
                changes = mesh.heartbeat(everyone, now)
                good = {one.peer for one in everyone if one.is_good}
                assert set(mesh.members) <= good
                assert not waiting & set(changes.graft)
                assert not set(changes.graft) & set(changes.prune)
                assert len(mesh.members) <= NUMBERS.degree_high + NUMBERS.degree_outbound
        assert all(not mesh.is_backed_off(peer, now) for peer in mesh.members)
