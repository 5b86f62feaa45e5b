"""Messages kept to be announced and asked for."""

from __future__ import annotations

from fondaco.p2p.pubsub.cache import MessageCache


def test_windows() -> None:
    cache = MessageCache(4)
    for number in range(6):
        cache.add(b"%d" % number, "t", b"x" * 10)
        cache.add(b"u%d" % number, "u", b"x")
        cache.shift()
    # The window being filled is empty; three full ones are left.
    assert [entry.message_id for entry in cache.recent("t", 15)] == [b"3", b"4", b"5"]
    assert [entry.message_id for entry in cache.recent("t", 2)] == [b"5"]
    assert [entry.message_id for entry in cache.recent("u", 3)] == [b"u4", b"u5"]
    assert cache.get(b"2") is None
    assert len(cache) == 6
    assert cache.size == 33
    for _ in range(4):
        cache.shift()
    assert (len(cache), cache.size) == (0, 0)


def test_bytes_are_bounded() -> None:
    cache = MessageCache(15, max_bytes=100)
    for number in range(20):
        cache.add(b"%d" % number, "t", b"x" * 30)
        cache.shift()
        assert cache.size <= 120
    assert cache.get(b"19") is not None
    assert cache.get(b"10") is None


def test_who_left_has_nothing() -> None:
    cache = MessageCache(15)
    entry = cache.add(b"1", "t", b"x")
    entry.holders[b"p"] = None
    entry.holders[b"q"] = None
    entry.sent[b"p"] = 2
    cache.forget_peer(b"p")
    assert list(entry.holders) == [b"q"]
    assert entry.sent == {}
    assert list(cache) == [entry]
