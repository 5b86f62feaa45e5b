"""Orders by expiration: the original's cases, and a list that is searched from end to end."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from fondaco.zeroex.expiries import HEAP_SLACK, Expiries, OrderGroup
from fondaco.zeroex.order import OrderHash

MESH = json.loads((Path(__file__).parent.parent / "vectors" / "mesh_vectors.json").read_text())


def name(number: int) -> OrderHash:
    return OrderHash(number.to_bytes(32, "big"))


@pytest.mark.parametrize(
    "case", [pytest.param(c, id=str(n)) for n, c in enumerate(MESH["expiration_watcher"]["cases"])]
)
def test_expiration_watcher_vector(case: dict[str, Any]) -> None:
    """Times in the vectors are relative; entries may carry a name ("-3 a")."""
    names = {
        entry: name(number) for number, entry in enumerate(sorted(set(map(str, case["entries"]))))
    }
    entries = [str(entry) for entry in case["entries"]]
    if len(set(entries)) < len(entries):  # two orders of one second
        entries = [f"{entry} {number}" for number, entry in enumerate(entries)]
        names = {entry: name(number) for number, entry in enumerate(entries)}
    expiries = Expiries()
    for entry in entries:
        expiries.add(1_000 + int(entry.split()[0]), names[entry])
    for entry in case.get("remove", ()):
        expiries.discard(1_000 + int(str(entry).split()[0]), names[str(entry)])
    found = expiries.pass_until(1_000 + case["now"])
    if "pruned" in case:
        assert found == [names[str(entry)] for entry in case["pruned"]]
    else:
        assert len(found) == case["prunedCount"]


def test_time_that_goes_back_returns_what_it_passed() -> None:
    expiries = Expiries()
    for second in (30, 10, 20):
        expiries.add(second, name(second))
    assert expiries.pass_until(25) == [name(10), name(20)]
    assert expiries.pass_until(25) == []
    assert expiries.return_to(15) == [name(20)]
    assert expiries.return_to(15) == []
    assert expiries.pass_until(40) == [name(20), name(30)]
    assert expiries.return_to(0) == [name(10), name(20), name(30)]


def test_an_order_added_after_its_second_was_passed_is_returned() -> None:
    expiries = Expiries()
    expiries.add(10, name(1))
    assert expiries.pass_until(10) == [name(1)]
    expiries.add(10, name(2))
    assert name(2) in expiries.pass_until(10)
    expiries.discard(10, name(1))
    expiries.discard(10, name(2))
    assert expiries.return_to(0) == []


def test_expirations_of_any_size() -> None:
    expiries = Expiries()
    expiries.add(2**256 - 1, name(1))
    expiries.add(0, name(2))
    assert expiries.pass_until(2**63) == [name(2)]
    assert expiries.pass_until(2**256 - 1) == [name(1)]


def test_adding_and_removing_for_ever_takes_no_memory() -> None:
    expiries = Expiries()
    for number in range(20 * HEAP_SLACK):
        expiries.add(number % 7, name(1))
        expiries.discard(number % 7, name(1))
    assert len(expiries._ahead) <= HEAP_SLACK + 1
    assert not expiries._buckets


def test_agrees_with_a_list() -> None:
    rng = random.Random(43)
    expiries = Expiries()
    members: dict[OrderHash, int] = {}
    passed: set[OrderHash] = set()
    for step in range(4_000):
        choice, second = rng.random(), rng.randint(0, 60)
        if choice < 0.5:
            fresh = name(step)
            members[fresh] = second
            expiries.add(second, fresh)
            passed -= {m for m in passed if members[m] == second}
        elif choice < 0.7 and members:
            gone = rng.choice(list(members))
            expiries.discard(members.pop(gone), gone)
            passed.discard(gone)
        else:
            in_order = sorted(members, key=lambda m: (members[m], m))
            if choice < 0.85:
                expected = [m for m in in_order if members[m] <= second and m not in passed]
                passed |= set(expected)
                assert expiries.pass_until(second) == expected
            else:
                expected = [m for m in in_order if members[m] > second and m in passed]
                passed -= set(expected)
                assert expiries.return_to(second) == expected


def test_group_of_one_and_of_many() -> None:
    group = OrderGroup(b"key", name(1))
    group.add(name(1))
    assert list(group) == [name(1)]
    assert not group.discard(name(2))
    group.add(name(2))
    assert set(group) == {name(1), name(2)}
    assert not group.discard(name(1))
    assert group.discard(name(2))
