"""Dialogues that end well, at each limit, and with peers that lie or never end."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fondaco.p2p.dialogue import Dialogue, DialogueLimits, DialogueState
from fondaco.p2p.idset import IdSet
from fondaco.p2p.negentropy import Responder
from fondaco.p2p.negentropy_wire import END, MalformedMessage, Mode, RangeWriter

IDS = [hashlib.sha256(b"%d" % number).digest() for number in range(6_000)]
Peer = Callable[[bytes], bytes]


def run(dialogue: Dialogue, peer: Peer, *, clock: float = 0.0) -> tuple[list[bytes], list[bytes]]:
    """Hold *dialogue* with *peer*, a second a round; return all have and need as reported."""
    have: list[bytes] = []
    need: list[bytes] = []
    message: bytes | None = dialogue.start()
    while message is not None:
        clock += 1
        findings = dialogue.receive(peer(message), clock)
        have += findings.have
        need += findings.need
        message = findings.reply
    assert dialogue.state is not DialogueState.OPEN
    return have, need


def one_range(mode: Mode, payload: bytes) -> bytes:
    return b"\x61" + RangeWriter().encode(END, mode, payload)


def test_equal_sets() -> None:
    dialogue = Dialogue(IdSet(IDS).snapshot(), now=0)
    assert run(dialogue, Responder(IdSet(IDS)).receive) == ([], [])
    assert dialogue.is_equal
    assert dialogue.rounds == 1
    assert dialogue.bytes_sent + dialogue.bytes_received < 1_000


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 900), st.integers(0, 900), st.integers(4096, 9_000))
def test_every_difference_is_told_once(mine: int, theirs: int, frame: int) -> None:
    dialogue = Dialogue(
        IdSet(IDS[theirs:2_000]).snapshot(), now=0, bounds=DialogueLimits(frame=frame)
    )
    peer = Responder(IdSet(IDS[: 2_000 - mine]), frame_limit=frame)
    have, need = run(dialogue, peer.receive)
    assert sorted(have) == sorted(IDS[2_000 - mine : 2_000])
    assert sorted(need) == sorted(IDS[:theirs])
    assert dialogue.state is DialogueState.FINISHED
    assert dialogue.is_have_complete
    assert dialogue.is_equal == (not mine and not theirs)
    assert (dialogue.have_count, dialogue.need_count) == (mine, theirs)


def test_needs_over_the_limit_are_left_to_another_dialogue() -> None:
    held = IdSet()
    peer = Responder(IdSet(IDS))
    for expected in (2_500, 2_500, 1_000):
        dialogue = Dialogue(held.snapshot(), now=0, bounds=DialogueLimits(ids=2_500))
        _, need = run(dialogue, peer.receive)
        assert len(need) == expected
        for one in need:
            assert held.add(one)
    assert dialogue.state is DialogueState.FINISHED
    assert held.digest() == IdSet(IDS).digest()


def test_haves_over_the_limit_do_not_keep_us_from_learning_needs() -> None:
    dialogue = Dialogue(IdSet(IDS[1:]).snapshot(), now=0, bounds=DialogueLimits(ids=100))
    have, need = run(dialogue, Responder(IdSet(IDS[:1])).receive)
    assert need == IDS[:1]
    assert len(have) == 100
    assert dialogue.state is DialogueState.FINISHED
    assert not dialogue.is_have_complete


def test_ids_held_elsewhere_are_not_needed() -> None:
    """A list whose range is too narrow names ids that lie outside it."""
    low, high = sorted(IDS[:2])
    dialogue = Dialogue(IdSet([low, high]).snapshot(), now=0)
    dialogue.start()
    message = b"\x61\x01\x20" + low + b"\x02\x02" + low + high
    assert dialogue.receive(message, 1).need == []


def test_the_same_id_many_times() -> None:
    dialogue = Dialogue(IdSet().snapshot(), now=0)
    dialogue.start()
    findings = dialogue.receive(one_range(Mode.ID_LIST, IDS[0] * 100), 1)
    assert findings.need == [IDS[0]]
    assert dialogue.state is DialogueState.FINISHED


WRONG = one_range(Mode.FINGERPRINT, b"\x00" * 16)


@pytest.mark.parametrize(
    ("bounds", "rounds"),
    [
        (DialogueLimits(rounds=10), 10),
        (DialogueLimits(seconds=7), 7),
        (DialogueLimits(size=5_000), 14),
    ],
)
def test_a_peer_that_never_agrees(bounds: DialogueLimits, rounds: int) -> None:
    dialogue = Dialogue(IdSet(IDS).snapshot(), now=0, bounds=bounds)
    assert run(dialogue, lambda message: WRONG) == ([], [])
    assert dialogue.state is DialogueState.CUT
    assert not dialogue.is_equal
    assert dialogue.rounds == rounds
    assert dialogue.bytes_sent + dialogue.bytes_received <= bounds.size + len(WRONG)


def test_a_peer_that_invents_ids_without_end() -> None:
    """Each answer has new ids and a wrong fingerprint, so that there is no end to it."""
    made = 0

    def liar(message: bytes) -> bytes:
        nonlocal made
        writer = RangeWriter()
        made += 1_000
        junk = [hashlib.sha256(b"junk %d" % n).digest() for n in range(made - 1_000, made)]
        bound = END._replace(timestamp=1)
        return (
            b"\x61"
            + writer.encode(bound, Mode.ID_LIST, b"".join(junk))
            + writer.encode(END, Mode.FINGERPRINT, bytes(16))
        )

    dialogue = Dialogue(IdSet(IDS).snapshot(), now=0, bounds=DialogueLimits(ids=5_500))
    tracemalloc.start()
    try:
        have, need = run(dialogue, liar)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert dialogue.state is DialogueState.CUT
    assert len(need) == 5_500
    assert len(have) == 5_500
    assert dialogue.rounds == 6
    assert peak < 6_000_000


def test_a_peer_that_claims_again_and_again_to_hold_nothing() -> None:
    """Five bytes of list and nineteen that keep the dialogue open."""
    nothing = b"\x61\x02\x00\x02\x00" + b"\x00\x00\x01" + bytes(16)
    dialogue = Dialogue(IdSet(IDS).snapshot(), now=0, bounds=DialogueLimits(rounds=20, ids=1_000))
    have, need = run(dialogue, lambda message: nothing)
    assert (len(have), len(need)) == (1_000, 0)
    assert not dialogue.is_have_complete
    assert dialogue.state is DialogueState.CUT


@pytest.mark.parametrize("message", [b"", b"\x62", b"\x61\x00", b"\xff" * 40])
def test_a_malformed_answer_ends_the_dialogue(message: bytes) -> None:
    dialogue = Dialogue(IdSet(IDS).snapshot(), now=0)
    dialogue.start()
    with pytest.raises(MalformedMessage):
        dialogue.receive(message, 1)
    assert dialogue.state is DialogueState.CUT
    with pytest.raises(MalformedMessage):
        dialogue.receive(b"\x61", 2)


def test_our_ids_are_not_sent() -> None:
    dialogue = Dialogue(IdSet(IDS[:20]).snapshot(), now=0)
    assert dialogue.start() == b"\x61\x00\x00\x02\x00"
    assert dialogue.receive(one_range(Mode.ID_LIST, b"".join(IDS[:20])), 1).reply is None
    assert dialogue.is_equal
