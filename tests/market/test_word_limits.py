"""The limits of words fit what they have to let through."""

from __future__ import annotations

from fondaco.market import dht_limits, limits, word_limits


def test_what_may_be_kept_may_be_sent() -> None:
    assert word_limits.MAX_FRAME > limits.MAX_DRAFT_SIZE
    assert word_limits.MAX_RAW_REQUEST > limits.MAX_NESTED_SIZE
    assert word_limits.MAX_PEER_MESSAGE > 3 * limits.MAX_SIGNED_SIZE
    assert word_limits.MAX_BODY >= limits.MAX_DESCRIPTION


def test_as_many_nodes_are_named_as_the_dht_looks_for() -> None:
    assert word_limits.MAX_FOUND == dht_limits.BUCKET_SIZE


def test_the_longest_settings_fit_into_a_request() -> None:
    notaries = word_limits.MAX_NOTARIES * (word_limits.MAX_NICKNAME + 100)
    texts = 3 * word_limits.MAX_STORE_TEXT + 25 * limits.MAX_LINE
    # Two bytes a letter, which takes in every alphabet but the rarest.
    longest = 2 * (notaries + texts) + limits.MAX_CERTIFICATE
    assert longest < word_limits.MAX_REQUEST
