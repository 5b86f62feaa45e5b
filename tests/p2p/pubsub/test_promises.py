"""Messages asked for: once, then of somebody else, and not for ever."""

from __future__ import annotations

from fondaco.p2p.pubsub.promises import MAX_ATTEMPTS, Promises

HERE = frozenset({b"p", b"q", b"r"}).__contains__


def test_a_message_is_asked_of_one_peer_at_a_time() -> None:
    promises = Promises(3.0)
    assert promises.ask(b"p", [b"1", b"2"], 0.0) == [b"1", b"2"]
    assert promises.ask(b"q", [b"1", b"3"], 1.0) == [b"3"]
    assert promises.kept(b"1")
    assert not promises.kept(b"1")
    assert not promises.kept(b"never asked")
    broken = promises.expire(2.9, HERE)
    assert (broken.blamed, broken.again) == ({}, {})


def test_a_broken_promise_is_asked_of_the_next() -> None:
    promises = Promises(3.0)
    promises.ask(b"p", [b"1"], 0.0)
    promises.ask(b"q", [b"1"], 1.0)
    broken = promises.expire(3.0, HERE)
    assert (broken.blamed, broken.again) == ({b"p": 1}, {b"q": [b"1"]})
    broken = promises.expire(6.0, HERE)
    assert (broken.blamed, broken.again) == ({b"q": 1}, {b"p": [b"1"]})


def test_with_nobody_else_the_same_peer_is_asked_again_a_few_times() -> None:
    promises, now, asked = Promises(3.0), 0.0, 0
    asked += len(promises.ask(b"p", [b"1"], now))
    while len(promises):
        now += 3.0
        asked += len(promises.expire(now, HERE).again.get(b"p", []))
        assert now < 100
    assert asked == MAX_ATTEMPTS


def test_who_left_is_not_blamed_and_not_asked() -> None:
    promises = Promises(3.0)
    promises.ask(b"gone", [b"1", b"2"], 0.0)
    promises.ask(b"q", [b"1"], 1.0)
    broken = promises.expire(3.0, HERE)
    assert (broken.blamed, broken.again) == ({}, {b"q": [b"1"]})
    assert len(promises) == 1


def test_an_old_deadline_does_not_end_a_new_promise() -> None:
    promises = Promises(3.0)
    promises.ask(b"p", [b"1"], 0.0)
    promises.kept(b"1")
    assert promises.ask(b"q", [b"1"], 2.0) == [b"1"]
    assert promises.expire(4.0, HERE).blamed == {}
    assert promises.expire(5.0, HERE).blamed == {b"q": 1}


def test_the_number_is_bounded() -> None:
    promises = Promises(3.0, most=10)
    assert len(promises.ask(b"p", [b"%d" % n for n in range(50)], 0.0)) == 10
    assert promises.ask(b"q", [b"99"], 0.0) == []
    promises.kept(b"0")
    assert promises.ask(b"q", [b"99"], 0.0) == [b"99"]
