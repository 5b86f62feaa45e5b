"""Memory of message ids: long enough, and not for ever."""

from __future__ import annotations

import random

from fondaco.p2p.pubsub.seen import SeenMessages


def test_an_id_is_remembered_for_the_time_promised() -> None:
    """Beside a slow oracle: a list of everything with its time."""
    rng = random.Random(7)
    seen, now, oracle = SeenMessages(0.0, seconds=120.0), 0.0, dict[bytes, float]()
    for number in range(4_000):
        now += rng.choice([0.0, 0.1, 1.0, rng.random() * 20])
        seen.tidy(now)
        for one in rng.sample(sorted(oracle), min(5, len(oracle))):
            if now - oracle[one] < 120.0:
                assert one in seen
        assert all(now - oracle[one] <= 260.0 for one in oracle if one in seen)
        oracle = {one: at for one, at in oracle.items() if now - at < 400}
        message_id = b"%d" % number
        assert message_id not in seen
        seen.add(message_id, now)
        oracle[message_id] = now


def test_after_a_long_silence_nothing_is_left() -> None:
    seen = SeenMessages(0.0, seconds=120.0)
    seen.add(b"a", 0.0)
    seen.tidy(1_000.0)
    assert b"a" not in seen
    assert len(seen) == 0


def test_rejected_ids_are_known_as_such() -> None:
    seen = SeenMessages(0.0, seconds=120.0)
    seen.add(b"a", 0.0)
    seen.add(b"b", 0.0)
    seen.reject(b"a")
    seen.reject(b"never came")
    seen.tidy(61.0)
    assert seen.is_rejected(b"a")
    assert not seen.is_rejected(b"b")
    assert not seen.is_rejected(b"never came")
    assert b"never came" not in seen


def test_the_number_is_bounded() -> None:
    seen = SeenMessages(0.0, most=300)
    for number in range(5_000):
        seen.add(b"%d" % number, 0.0)
        assert len(seen) <= 301
    assert b"4999" in seen
    assert b"4800" in seen
