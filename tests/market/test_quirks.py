"""What the original's web client adds is taken off."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.market.quirks import ANGULAR_KEY, read_switch, strip_angular

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.just(ANGULAR_KEY) | st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=20,
)


def keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*map(keys, value.values()))
    return set().union(*map(keys, value)) if isinstance(value, list) else set()


def test_the_seeds_own_example() -> None:
    # Line 117 of the API document.
    notary = {
        "nickname": "Default",
        "guid": "7a9112bc8f7f7558d75d31420d8a36a5e5ec965b",
        "$$hashKey": "00G",
    }
    assert strip_angular({"notaries": [notary]}) == {
        "notaries": [{"nickname": "Default", "guid": notary["guid"]}]
    }
    assert ANGULAR_KEY in notary


@given(JSON)
def test_marks_are_taken_off_at_any_depth_and_nothing_else(value: Any) -> None:
    stripped = strip_angular(value)
    assert ANGULAR_KEY not in keys(stripped)
    if ANGULAR_KEY not in keys(value):
        assert stripped == value


@pytest.mark.parametrize("value", [True, "True", "true", " TRUE ", 1, "1", "on", "yes"])
def test_on(value: object) -> None:
    assert read_switch(value)


@pytest.mark.parametrize(
    "value", [False, "False", "false", "", None, 0, "0", 2, -1, 1.0, "maybe", [1], {"a": 1}]
)
def test_off(value: object) -> None:
    assert not read_switch(value)
