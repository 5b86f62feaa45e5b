"""The lines of 0x Mesh's paged order sync, in each shape that its releases sent."""

from __future__ import annotations

import json
import random

import pytest

from fondaco.errors import Verdict
from fondaco.zeroex.limits import MAX_MESH_LINE, MESH_PAGE
from fondaco.zeroex.meshsync_wire import (
    PAGINATION,
    MalformedPage,
    PageRequest,
    WireFilter,
    encode_request,
    encode_response,
    read_request,
    read_response,
)

FILTER = {"customOrderSchema": "{}", "chainID": 1337, "exchangeAddress": "0x48"}
AS_FILTER = WireFilter(customOrderSchema="{}", chainID=1337, exchangeAddress="0x48")
OTHER = "/pagination-with-filter/version/1"


def line(metadata: object, *subprotocols: str, kind: str = "Request") -> bytes:
    names = subprotocols or (PAGINATION,)
    return json.dumps({"type": kind, "subprotocols": names, "metadata": metadata}).encode()


@pytest.mark.parametrize(
    ("wire", "wanted"),
    [
        pytest.param(line(None), PageRequest(), id="v9.0: null"),
        pytest.param(
            b'{"type":"Request","subprotocols":["%s"]}' % PAGINATION.encode(),
            PageRequest(),
            id="no metadata",
        ),
        pytest.param(
            line({"page": 3, "snapshotID": "s"}), PageRequest(page=3, snapshotID="s"), id="next"
        ),
        pytest.param(
            line({"metadata": [{"page": 0, "snapshotID": "", "orderfilter": FILTER}]}),
            PageRequest(orderfilter=AS_FILTER),
            id="v9.4.1: first, one subprotocol",
        ),
        pytest.param(
            line(
                {"metadata": [{"minOrderHash": "0x"}, {"orderfilter": FILTER}]}, OTHER, PAGINATION
            ),
            PageRequest(orderfilter=AS_FILTER),
            id="v10: first, ours is the second",
        ),
        pytest.param(line({"metadata": []}), PageRequest(), id="too few elements"),
        pytest.param(line({"metadata": [None]}), PageRequest(), id="a null element"),
        pytest.param(line({"page": 1}, OTHER), None, id="no common subprotocol"),
    ],
)
def test_every_shape_of_a_request(wire: bytes, wanted: PageRequest | None) -> None:
    assert read_request(wire) == wanted


@pytest.mark.parametrize(
    "wire",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff", id="no text"),
        pytest.param(b"[" * 9_000, id="deep"),
        pytest.param(line(None, kind="Response"), id="a response"),
        pytest.param(line({"page": -1}), id="page below 0"),
        pytest.param(line({"page": 2**31}), id="page beyond all"),
        pytest.param(line({"page": "1"}), id="page as text"),
        pytest.param(line(7), id="a number"),
        pytest.param(line("x" * 70_000), id="too long"),
    ],
)
def test_broken_requests_are_blamed(wire: bytes) -> None:
    with pytest.raises(MalformedPage) as caught:
        read_request(wire)
    assert caught.value.verdict is Verdict.REJECT


def test_our_requests_are_read_as_meant() -> None:
    wanted = PageRequest(page=2, snapshotID="s", orderfilter=AS_FILTER)
    for is_first in (True, False):
        assert read_request(encode_request(wanted, is_first=is_first)) == wanted
    first = json.loads(encode_request(wanted, is_first=True))
    assert first["metadata"]["metadata"][0]["orderfilter"] == FILTER


def test_responses_round_trip() -> None:
    wire = encode_response([b'{"a":1}', b'{"b":2}'], is_last=True, page=4, snapshot_id='s"')
    assert json.loads(wire) == {
        "type": "Response",
        "subprotocol": PAGINATION,
        "orders": [{"a": 1}, {"b": 2}],
        "complete": True,
        "metadata": {"page": 4, "snapshotID": 's"'},
    }
    page = read_response(wire)
    assert [bytes(raw) for raw in page.orders] == [b'{"a":1}', b'{"b":2}']
    assert (page.is_last, page.page, page.snapshot_id) == (True, 4, 's"')


def test_a_go_slice_of_nothing_is_null() -> None:
    wire = json.dumps(
        {
            "type": "Response",
            "subprotocol": PAGINATION,
            "orders": None,
            "complete": True,
            "metadata": None,
        }
    ).encode()
    assert read_response(wire).orders == []


@pytest.mark.parametrize(
    "wire",
    [
        pytest.param(b"{}", id="no response"),
        pytest.param(line(None), id="a request"),
        pytest.param(
            encode_response([b"{}"] * (MESH_PAGE + 1), is_last=True, page=0, snapshot_id=""),
            id="more than a page",
        ),
        pytest.param(
            encode_response([], is_last=True, page=0, snapshot_id="").replace(b"/0", b"/9"),
            id="another subprotocol",
        ),
        pytest.param(b" " * (MAX_MESH_LINE + 1), id="too long"),
    ],
)
def test_broken_responses_are_blamed(wire: bytes) -> None:
    with pytest.raises(MalformedPage):
        read_response(wire)


def test_random_bytes_raise_nothing_else() -> None:
    chance = random.Random(2)
    whole = [
        encode_request(PageRequest(orderfilter=AS_FILTER), is_first=True),
        encode_response([b'{"a":1}'], is_last=False, page=1, snapshot_id="s"),
    ]
    for _ in range(3_000):
        data = bytearray(chance.choice(whole))
        for _ in range(chance.randint(1, 3)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        for read in (read_request, read_response):
            try:
                read(bytes(data))
            except MalformedPage:
                continue
