"""Which sets two nodes with different filters compare."""

from __future__ import annotations

import itertools
import random

import pytest

from fondaco.errors import InvalidParameter
from fondaco.zeroex.limits import MAX_SCOPE_FILTERS
from fondaco.zeroex.order import ProtocolVersion
from fondaco.zeroex.scopes import Scope, compiled, scope_of, shared_scopes

V3 = ProtocolVersion.V3


def at_most(field: str, digits: int) -> str:
    return f'{{"properties":{{"{field}":{{"maxLength":{digits}}}}}}}'


FILTERS = ["{}"] + [at_most(f, n) for f in ("makerAssetAmount", "salt") for n in (1, 2, 3)]


def test_a_scope_has_one_spelling() -> None:
    spelled = ['{"a": 1, "b":2}', '{"b":2,"a":1}', " {} "]
    assert scope_of(V3, spelled) == Scope(V3, ('{"a":1,"b":2}',))
    assert scope_of(V3, ["{}", "{}"]) == Scope(V3)
    assert scope_of(V3, reversed(FILTERS[:3])) == scope_of(V3, FILTERS[:3])


def test_names_are_short_and_differ() -> None:
    names = {scope_of(version, [text]).name for version in ProtocolVersion for text in FILTERS}
    assert len(names) == 2 * len(FILTERS)
    assert max(map(len, names)) <= 12
    assert Scope(V3).name == "v3"


@pytest.mark.parametrize(
    ("ours", "theirs", "scopes"),
    [
        (["{}"], ["{}"], [()]),
        (["{}"], [FILTERS[1]], [(FILTERS[1],)]),
        ([FILTERS[1]], [FILTERS[4]], [(FILTERS[1], FILTERS[4])]),
        (["{}", FILTERS[1]], [FILTERS[4]], [(FILTERS[4],)]),
        (FILTERS[1:3], FILTERS[1:3], [(FILTERS[1],), (FILTERS[2],)]),
        ([], ["{}"], []),
    ],
)
def test_no_scope_lies_inside_another(
    ours: list[str], theirs: list[str], scopes: list[tuple[str, ...]]
) -> None:
    assert [scope.filters for scope in shared_scopes(V3, ours, theirs)] == scopes


def test_the_scopes_hold_exactly_what_both_want() -> None:
    """Oracle: any of ours and any of theirs, said for each order."""
    chance = random.Random(7)
    orders = [
        {"makerAssetAmount": "1" * a, "salt": "2" * b}
        for a, b in itertools.product(range(1, 5), repeat=2)
    ]

    def wanted(texts: list[str], order: dict[str, str]) -> bool:
        return any(compiled(text).accepts(order) for text in texts)

    for _ in range(100):
        ours, theirs = (chance.sample(FILTERS, chance.randint(1, 3)) for _ in range(2))
        scopes = shared_scopes(V3, ours, theirs)
        for order in orders:
            is_inside = any(all(s.accepts(order) for s in scope.schemas()) for scope in scopes)
            assert is_inside == (wanted(ours, order) and wanted(theirs, order))


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param(["{}"] * (MAX_SCOPE_FILTERS + 1), id="too many"),
        pytest.param(["[]"], id="no object"),
        pytest.param(['{"$ref":"#"}'], id="a reference"),
        pytest.param(['{"type":7}'], id="no schema"),
    ],
)
def test_what_is_no_filter_is_refused(texts: list[str]) -> None:
    with pytest.raises(InvalidParameter):
        scope_of(V3, texts)
