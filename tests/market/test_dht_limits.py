"""Limits that speak of each other agree. That each holds is shown where it is used."""

from __future__ import annotations

from fondaco.market import dht_limits
from fondaco.market.records import MAX_PAYLOAD, OVERHEAD


def test_one_of_each_kind_fits_into_an_answer() -> None:
    assert max(MAX_PAYLOAD.values()) + OVERHEAD <= dht_limits.MAX_ANSWER_SIZE


def test_all_that_a_key_holds_fits_into_the_pages_of_one_node() -> None:
    pages = dht_limits.MAX_PAGES
    assert dht_limits.MAX_ANSWER_RECORDS * pages >= dht_limits.MAX_KEY_RECORDS
    # A page ends where the next record would not fit: at worst it is half full.
    assert dht_limits.MAX_ANSWER_SIZE * pages / 2 >= dht_limits.MAX_KEY_WEIGHT


def test_a_key_an_owner_a_table() -> None:
    longest = dht_limits.MAX_CONTRACT_SIZE + OVERHEAD + dht_limits.RECORD_COST
    assert 5 * longest <= dht_limits.MAX_KEY_WEIGHT < dht_limits.MAX_OWNER_WEIGHT
    assert 4 * dht_limits.MAX_OWNER_WEIGHT <= dht_limits.MAX_TABLE_WEIGHT
    small = dht_limits.RECORD_COST + OVERHEAD + 5 + 20 * 10
    listing = dht_limits.RECORD_COST + OVERHEAD + 4 * 1024
    assert 5_000 * (3 * small + listing) <= dht_limits.MAX_OWNER_WEIGHT


def test_one_round_ends_before_the_next_and_a_record_outlives_its_rounds() -> None:
    assert dht_limits.LATE_SECONDS < dht_limits.REQUEST_SECONDS < dht_limits.STALE_SECONDS
    assert dht_limits.REPUBLISH_SECONDS * 4 < dht_limits.RECORD_LIFETIME / 2
    assert dht_limits.MAX_QUERIES > 2 * dht_limits.BUCKET_SIZE
