"""Recorded dialogues byte for byte, any two sets against set difference, and nonsense."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fondaco.p2p.idset import IdSet
from fondaco.p2p.limits import FRAME_LIMIT, MAX_RECONCILE_MESSAGE
from fondaco.p2p.negentropy import Initiator, Responder, Store
from fondaco.p2p.negentropy_wire import (
    NOTHING_LEFT,
    Item,
    MalformedMessage,
    Rules,
    encode_varint,
)
from fondaco.testing.reconciliation import Exchange, ItemList, converse

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "negentropy_vectors.json").read_text()
)
DIALOGUES: list[dict[str, Any]] = VECTORS["dialogues"]
SINGLE: list[dict[str, Any]] = VECTORS["single_messages"]
BY_NAME = {vector["name"]: vector for vector in DIALOGUES}

UNLIMITED = [
    vector
    for vector in DIALOGUES
    if not vector["client"]["frame_size_limit"] and not vector["server"]["frame_size_limit"]
]
LIMITED = [vector for vector in DIALOGUES if vector not in UNLIMITED]

MADE_BY_NO_ENCODER = {
    "mode_as_two_byte_varint",
    "timestamp_varint_with_leading_zero_digit",
    "range_after_infinity",
    "id_prefix_goes_backwards",
}
"""Single messages that the reference reads and ``Rules.STRICT`` refuses."""


def name(vector: dict[str, Any]) -> str:
    return str(vector["name"])


def items_of(listed: Iterable[tuple[str, str]]) -> list[Item]:
    return [(int(timestamp), bytes.fromhex(one)) for timestamp, one in listed]


def sides(vector: dict[str, Any]) -> tuple[ItemList, ItemList]:
    """The items of client and server."""
    if "items_rule" not in vector:
        client, server = vector["client"]["items"], vector["server"]["items"]
        return ItemList(items_of(client)), ItemList(items_of(server))
    made = [(1_700_000_000 + k // 3, hashlib.sha256(b"b%d" % k).digest()) for k in range(140_000)]
    return (
        ItemList(item for k, item in enumerate(made) if k % 50_003 != 1),
        ItemList(item for k, item in enumerate(made) if k % 60_013 != 2),
    )


def hexes(ids: Iterable[bytes]) -> list[str]:
    return sorted(one.hex() for one in set(ids))


def ids_of(store: ItemList) -> set[bytes]:
    return set(store.iterate(0, len(store)))


def replay(vector: dict[str, Any], rules: Rules) -> None:
    """Put every recorded message to the side it was meant for; compare what comes back."""
    client, server = sides(vector)
    initiator = Initiator(client, frame_limit=vector["client"]["frame_size_limit"], rules=rules)
    responder = Responder(server, frame_limit=vector["server"]["frame_size_limit"], rules=rules)
    ours: bytes | None = initiator.start()
    for message in vector["messages"]:
        recorded = bytes.fromhex(message["hex"])
        assert ours is not None
        assert ours.hex() == message["hex"]
        if message["from"] == "client":
            ours = responder.receive(recorded)
        else:
            step = initiator.receive(recorded)
            assert hexes(step.have) == message["client_learns"]["have"]
            assert hexes(step.need) == message["client_learns"]["need"]
            ours = step.reply
    assert ours is None


def test_the_vectors_are_all_there() -> None:
    assert (len(DIALOGUES), len(LIMITED), len(SINGLE)) == (13, 3, 27)


@pytest.mark.parametrize("vector", DIALOGUES, ids=name)
def test_recorded_dialogue_by_the_rules_of_the_reference(vector: dict[str, Any]) -> None:
    replay(vector, Rules.REFERENCE)


@pytest.mark.parametrize("vector", UNLIMITED, ids=name)
def test_recorded_dialogue_by_our_rules(vector: dict[str, Any]) -> None:
    replay(vector, Rules.STRICT)


@pytest.mark.parametrize("vector", LIMITED, ids=name)
@pytest.mark.parametrize("tells_ids", [True, False])
def test_nothing_is_missed_at_a_frame_limit(vector: dict[str, Any], tells_ids: bool) -> None:
    client, server = sides(vector)
    found = converse(
        Initiator(client, frame_limit=vector["client"]["frame_size_limit"], tells_ids=tells_ids),
        Responder(server, frame_limit=vector["server"]["frame_size_limit"]),
    )
    assert found.have == ids_of(client) - ids_of(server)
    assert found.need == ids_of(server) - ids_of(client)


def test_the_reference_misses_items_where_we_do_not() -> None:
    vector = BY_NAME["frame_limit_reference_misses_items"]
    client, server = sides(vector)
    found = converse(
        Initiator(client, frame_limit=4096, rules=Rules.REFERENCE),
        Responder(server, frame_limit=4096, rules=Rules.REFERENCE),
    )
    missed = ids_of(client) - ids_of(server) - found.have
    assert len(missed) == 53
    assert hexes(found.have) == vector["result"]["have"]


@pytest.mark.parametrize("vector", SINGLE, ids=name)
@pytest.mark.parametrize("rules", Rules)
def test_recorded_single_message(vector: dict[str, Any], rules: Rules) -> None:
    expected = vector["expected"]
    store = ItemList(items_of(vector["items"]))
    message = bytes.fromhex(vector["message"])
    is_refused = "error" in expected
    if rules is Rules.STRICT and vector["name"] in MADE_BY_NO_ENCODER:
        is_refused = True
    if vector["role"] == "server":
        responder = Responder(store, rules=rules)
        if is_refused:
            with pytest.raises(MalformedMessage):
                responder.receive(message)
        else:
            assert responder.receive(message).hex() == expected["reply"]
        return
    initiator = Initiator(store, rules=rules)
    initiator.start()
    if is_refused:
        with pytest.raises(MalformedMessage):
            initiator.receive(message)
        return
    step = initiator.receive(message)
    assert step.done
    assert expected["reply"] is None
    assert (hexes(step.have), hexes(step.need)) == (expected["have"], expected["need"])


def hashed(number: int) -> bytes:
    return hashlib.sha256(b"%d" % number).digest()


ALPHABETS: list[Callable[[int], bytes]] = [
    hashed,
    lambda number: bytes(20) + hashed(number)[:12],
    lambda number: bytes(byte & 1 for byte in hashed(number)),
    lambda number: bytes((number % 3,)) * 12 + hashed(number)[:12] + bytes(8),
]
"""Number -> id: scattered, and with long shared prefixes. Never numbers as they are: sums of
such ids are equal by chance, and a fingerprint is of the sum."""

WEIGHTS = [(1, 1, 98), (1, 1, 1), (2, 2, 7), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 3)]
"""Of ids held by the initiator alone, by the responder alone, by both."""


def two_sets(
    named: Callable[[int], bytes], count: int, weights: tuple[int, ...], seed: int
) -> tuple[set[bytes], set[bytes]]:
    rng = random.Random(seed)
    ids = [named(number) for number in rng.sample(range(3_000), count)]
    places = rng.choices("irb", weights, k=count)
    both = list(zip(ids, places, strict=True))
    return {one for one, at in both if at != "r"}, {one for one, at in both if at != "i"}


LIMITS = st.one_of(st.just(0), st.just(4096), st.integers(4096, 20_000))


def check_outcome(exchange: Exchange, mine: set[bytes], theirs: set[bytes]) -> None:
    assert exchange.have == mine - theirs
    assert exchange.need == theirs - mine


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(range(len(ALPHABETS))),
    st.one_of(st.integers(0, 70), st.integers(0, 2_000)),
    st.sampled_from(WEIGHTS),
    st.integers(0, 2**32),
    LIMITS,
    LIMITS,
    st.booleans(),
)
def test_any_two_sets(
    alphabet: int,
    count: int,
    weights: tuple[int, ...],
    seed: int,
    my_limit: int,
    their_limit: int,
    tells_ids: bool,
) -> None:
    mine, theirs = two_sets(ALPHABETS[alphabet], count, weights, seed)
    initiator = Initiator(IdSet(mine).snapshot(), frame_limit=my_limit, tells_ids=tells_ids)
    exchange = converse(initiator, Responder(IdSet(theirs), frame_limit=their_limit), most=500)
    check_outcome(exchange, mine, theirs)
    assert all(len(message) <= (my_limit or MAX_RECONCILE_MESSAGE) for message in exchange.up)
    assert all(len(m) <= (their_limit or MAX_RECONCILE_MESSAGE) for m in exchange.down)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), LIMITS, LIMITS, st.sampled_from([1, 7, 400, 2**40]))
def test_any_two_sets_with_timestamps(
    seed: int, my_limit: int, their_limit: int, timestamps: int
) -> None:
    rng = random.Random(seed)
    items = [(rng.randrange(timestamps), rng.randbytes(32)) for _ in range(rng.randrange(900))]
    weights = rng.choice([(1, 1, 98), (1, 1, 1), (1, 0, 0), (0, 1, 0), (2, 2, 7)])
    places = rng.choices("cse", weights, k=len(items))
    client = ItemList(item for item, at in zip(items, places, strict=True) if at != "s")
    server = ItemList(item for item, at in zip(items, places, strict=True) if at != "c")
    exchange = converse(
        Initiator(client, frame_limit=my_limit),
        Responder(server, frame_limit=their_limit),
        most=500,
    )
    check_outcome(exchange, ids_of(client), ids_of(server))


@pytest.mark.parametrize("limits", [(0, 0), (4096, 4096), (4096, 0), (0, 4096)])
def test_tree_and_list_speak_the_same_bytes(limits: tuple[int, int]) -> None:
    rng = random.Random(4)
    ids = [rng.randbytes(32) for _ in range(3_000)]

    def dialogue(mine: Store, theirs: Store) -> Exchange:
        return converse(
            Initiator(mine, frame_limit=limits[0]), Responder(theirs, frame_limit=limits[1])
        )

    tree = dialogue(IdSet(ids[:2_900]), IdSet(ids[50:]))
    plain = dialogue(
        ItemList((0, one) for one in ids[:2_900]), ItemList((0, one) for one in ids[50:])
    )
    assert (tree.up, tree.down) == (plain.up, plain.down)
    assert tree.have == set(ids[:50])


def test_rounds_and_bytes_at_one_hundred_thousand() -> None:
    rng = random.Random(5)
    ids = [rng.randbytes(32) for _ in range(100_000)]
    theirs, mine = IdSet(ids), IdSet(ids)
    equal = converse(Initiator(mine), Responder(theirs))
    assert equal.rounds == 1
    assert equal.size < 1_000
    missing = set(rng.sample(ids, 100))
    for one in missing:
        mine.discard(one)
    exchange = converse(Initiator(mine), Responder(theirs))
    assert exchange.need == missing
    assert not exchange.have
    assert exchange.size < 200_000
    assert exchange.rounds == 2


HELD = [hashlib.sha256(b"held %d" % n).digest() for n in range(2_000)]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_cut_and_spoiled_messages(data: st.DataObject) -> None:
    """What comes of them is an answer within the limit or the one typed error."""
    store = IdSet(HELD)
    honest = data.draw(
        st.sampled_from(
            [
                Initiator(IdSet(HELD[:-1])).start(),
                Responder(IdSet(HELD[1:])).receive(Initiator(store).start()),
                Responder(IdSet(HELD), frame_limit=0).receive(bytes.fromhex("6100000200")),
            ]
        )
    )
    spoiled = bytearray(honest[: data.draw(st.integers(0, len(honest)))])
    for _ in range(data.draw(st.integers(0, 3))):
        if spoiled:
            spoiled[data.draw(st.integers(0, len(spoiled) - 1))] = data.draw(st.integers(0, 255))
    put_to_both(store, bytes(spoiled))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_random_messages(noise: bytes) -> None:
    put_to_both(IdSet(HELD), b"\x61" + noise)


def put_to_both(store: IdSet, message: bytes) -> None:
    with contextlib.suppress(MalformedMessage):
        assert len(Responder(store, frame_limit=4096).receive(message)) <= 4096
    initiator = Initiator(store, frame_limit=4096, have_limit=100)
    initiator.start()
    try:
        step = initiator.receive(message)
    except MalformedMessage:
        return
    assert len(step.reply or b"") <= 4096
    assert len(step.have) <= 100
    assert len(step.need) <= len(message) // 32


def test_five_bytes_do_not_draw_out_all_that_is_held() -> None:
    rng = random.Random(6)
    store = IdSet(rng.randbytes(32) for _ in range(20_000))
    answer = Responder(store).receive(bytes.fromhex("6100000200"))
    assert FRAME_LIMIT - 400 < len(answer) <= FRAME_LIMIT


@pytest.mark.parametrize("rules", Rules)
def test_a_list_that_fills_its_frame_and_reaches_infinity(rules: Rules) -> None:
    """The reference closes such a frame with a range behind infinity; we read that."""
    responder = Responder(IdSet(HELD[:122]), frame_limit=4096, rules=rules)
    initiator = Initiator(IdSet())
    answer = responder.receive(initiator.start())
    assert answer.endswith(NOTHING_LEFT) == (rules is Rules.REFERENCE)
    step = initiator.receive(answer)
    assert step.done
    assert set(step.need) == set(HELD[:122])


def test_an_empty_peer_does_not_make_us_name_all_we_hold() -> None:
    initiator = Initiator(IdSet(HELD), have_limit=50)
    initiator.start()
    step = initiator.receive(bytes.fromhex("6100000200"))
    assert step.have == sorted(HELD)[:50]
    assert step.is_have_cut
    assert step.done


def test_an_oversized_message_is_not_read() -> None:
    message = bytes.fromhex("61000002") + encode_varint(16_384) + b"\x11" * 32 * 16_384
    assert len(message) > MAX_RECONCILE_MESSAGE
    with pytest.raises(MalformedMessage):
        Responder(IdSet()).receive(message)
    with pytest.raises(MalformedMessage):
        Initiator(IdSet()).receive(message)


@pytest.mark.parametrize("limit", [1, 4095, -1])
def test_a_frame_must_hold_an_answer(limit: int) -> None:
    with pytest.raises(ValueError, match="frame limit"):
        Initiator(IdSet(), frame_limit=limit)
    with pytest.raises(ValueError, match="frame limit"):
        Responder(IdSet(), frame_limit=limit)
