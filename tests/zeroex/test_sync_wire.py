"""The bytes of reconciliation and of fetched orders, both ways and broken."""

from __future__ import annotations

import random
import zlib

import msgspec
import pytest

from fondaco.errors import InvalidParameter, Verdict
from fondaco.zeroex.limits import FRAME_SIZE, MAX_ASKED_IDS, MAX_FILTERS, MAX_OFFERED_IDS
from fondaco.zeroex.order import ProtocolVersion
from fondaco.zeroex.scopes import Scope
from fondaco.zeroex.sync_wire import (
    LARGEST_FRAME,
    Answer,
    AskOrders,
    Compare,
    Compared,
    Declined,
    Greet,
    Greeted,
    MalformedSync,
    Offer,
    OrdersFrame,
    Request,
    Taken,
    decode_answer,
    decode_ask,
    decode_frame,
    decode_request,
    encode,
    fitting,
    marked,
    marks,
    pack_frame,
    scope_in,
)

AT = b"\x48" * 20
ID = b"\x07" * 32

REQUESTS: list[Request] = [
    Greet(chain=1337, deployments={3: AT}, filters=["{}"]),
    Compare(chain=1337, exchange=AT, version=3, filters=[], message=b"\x61"),
    Offer(chain=1337, exchange=AT, version=2, filters=['{"a":1}'], ids=ID * 2),
]
ANSWERS: list[Answer] = [
    Greeted(chain=1337, deployments={2: AT, 3: AT}, filters=["{}"]),
    Compared(message=b"\x61"),
    Taken(refused=b"\x05"),
    Declined(reason="OtherChain", detail="chain 1"),
]


@pytest.mark.parametrize("request_", REQUESTS)
def test_requests_round_trip(request_: Request) -> None:
    assert decode_request(encode(request_)) == request_


@pytest.mark.parametrize("answer", ANSWERS)
def test_answers_round_trip(answer: Answer) -> None:
    assert decode_answer(encode(answer)) == answer


def test_the_wire_is_a_map_with_the_kind_under_type() -> None:
    assert msgspec.msgpack.decode(encode(REQUESTS[1])) == {
        "type": "compare",
        "chain": 1337,
        "exchange": AT,
        "version": 3,
        "filters": [],
        "message": b"\x61",
    }


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xc1", id="no MessagePack"),
        pytest.param(b"\x91" * 5_000, id="deep"),
        pytest.param(encode(ANSWERS[1]), id="an answer"),
        pytest.param(encode({"type": "compare"}), id="fields missing"),
        pytest.param(encode(Greet(chain=1, deployments={}, filters=["{}"] * 9)), id="filters"),
        pytest.param(encode(Greet(chain=1, deployments={}, filters=["x" * 16_001])), id="a filter"),
        pytest.param(
            encode(Offer(chain=1, exchange=AT, version=3, filters=[], ids=ID[:-1])), id="cut id"
        ),
        pytest.param(
            encode(Offer(chain=1, exchange=AT, version=3, filters=[], ids=b"")), id="no id"
        ),
        pytest.param(
            encode(
                Offer(chain=1, exchange=AT, version=3, filters=[], ids=ID * (MAX_OFFERED_IDS + 1))
            ),
            id="many ids",
        ),
        pytest.param(
            encode(Compare(chain=1, exchange=AT, version=3, filters=[], message=bytes(2**20 + 1))),
            id="large message",
        ),
    ],
)
def test_broken_requests_are_blamed(broken: bytes) -> None:
    with pytest.raises(MalformedSync) as caught:
        decode_request(broken)
    assert caught.value.verdict is Verdict.REJECT


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(encode(REQUESTS[0]), id="a request"),
        pytest.param(encode(Taken(refused=bytes(2_000))), id="more refused than offered"),
        pytest.param(
            encode(Greeted(chain=1, deployments={1: b"", 2: b"", 3: b""}, filters=[])),
            id="versions",
        ),
    ],
)
def test_broken_answers_are_blamed(broken: bytes) -> None:
    with pytest.raises(MalformedSync):
        decode_answer(broken)


def test_random_bytes_raise_nothing_else() -> None:
    chance = random.Random(1)
    whole = [encode(part) for part in (*REQUESTS, *ANSWERS)]
    for _ in range(3_000):
        data = bytearray(chance.choice(whole))
        for _ in range(chance.randint(1, 3)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        for decode in (decode_request, decode_answer):
            try:
                decode(bytes(data))
            except MalformedSync:
                continue


def test_a_reason_is_cut_to_a_line() -> None:
    answer = decode_answer(encode(Declined(reason="x" * 9_999, detail="y" * 9_999)))
    assert isinstance(answer, Declined)
    assert len(answer.reason + answer.detail) == 512


def test_the_scope_of_a_request_has_canonical_filters() -> None:
    request = Compare(
        chain=1, exchange=AT, version=3, filters=['{"b":1, "a":2}', "{}"], message=b""
    )
    assert scope_in(request) == Scope(ProtocolVersion.V3, ('{"a":2,"b":1}',))
    for changes in ({"version": 4}, {"filters": ["nonsense"]}):
        with pytest.raises(InvalidParameter):
            scope_in(msgspec.structs.replace(request, **changes))


def test_ids_that_are_asked_for() -> None:
    assert decode_ask(encode(AskOrders(ids=ID + AT + bytes(12)))) == [ID, AT + bytes(12)]
    for ids in (b"", ID[1:], ID * (MAX_ASKED_IDS + 1)):
        with pytest.raises(MalformedSync):
            decode_ask(encode(AskOrders(ids=ids)))


def test_marks_name_ids() -> None:
    chance = random.Random(4)
    ids = [bytes([n]) * 32 for n in range(100)]
    for _ in range(50):
        chosen = [chance.random() < 0.3 for _ in ids]
        bits = marks(chosen)
        assert marked(bits, ids) == [one for one, is_in in zip(ids, chosen, strict=True) if is_in]
    assert marks([False] * 20) == b""
    assert marks([True, False, True]) == b"\x05"
    assert marked(b"\xff" * 9, ids[:3]) == ids[:3]


def test_a_frame_takes_what_fits_and_at_least_one() -> None:
    assert fitting([]) == 0
    assert fitting([10 * FRAME_SIZE, 1]) == 1
    assert fitting([FRAME_SIZE // 2 - 1] * 3) == 2
    assert fitting([0] * 500) == 500


def test_frames_round_trip() -> None:
    bodies = [b'{"a":1}', b'{"b":2}']
    answer = encode(OrdersFrame(handled=3, frame=pack_frame(bodies)))
    assert decode_frame(answer, asked=3) == (3, bodies)
    empty = encode(OrdersFrame(handled=1, frame=pack_frame([])))
    assert decode_frame(empty, asked=5) == (1, [])


@pytest.mark.parametrize(
    ("handled", "frame"),
    [
        pytest.param(0, pack_frame([]), id="nothing dealt with"),
        pytest.param(4, pack_frame([]), id="more than asked for"),
        pytest.param(1, pack_frame([b"{}", b"{}"]), id="more orders than ids"),
        pytest.param(1, b"no zlib", id="not compressed"),
        pytest.param(1, pack_frame([b"{}"])[:-1], id="cut off"),
        pytest.param(1, pack_frame([b"{}"]) + b"x", id="more behind"),
        pytest.param(1, zlib.compress(bytes(LARGEST_FRAME + 1)), id="large when unpacked"),
    ],
)
def test_broken_frames_are_blamed(handled: int, frame: bytes) -> None:
    with pytest.raises(MalformedSync):
        decode_frame(encode(OrdersFrame(handled=handled, frame=frame)), asked=3)


def test_a_bomb_is_not_unpacked() -> None:
    bomb = zlib.compress(bytes(100_000_000), 9)
    with pytest.raises(MalformedSync, match="too large"):
        decode_frame(encode(OrdersFrame(handled=1, frame=bomb)), asked=1)


def test_a_greeting_has_room_for_as_many_filters_as_a_node_may_join() -> None:
    filters = [f'{{"maxProperties":{n}}}' for n in range(MAX_FILTERS)]
    greeting = Greet(chain=1, deployments={3: AT}, filters=filters)
    assert decode_request(encode(greeting)) == greeting
