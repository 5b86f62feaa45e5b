"""The paged order sync of 0x Mesh v9, as JSON lines.

    {"type":"Request","subprotocols":[…],"metadata":…}
    {"type":"Response","subprotocol":"…","orders":[…],"complete":…,"metadata":{page,snapshotID}}

The metadata of a request comes in three shapes: ``null`` (before 9.4.1), an object, and,
in the first request of a session from 9.4.1 on, ``{"metadata":[one object for each
subprotocol]}``. All mean page 0 where they name no page.

Source: reference/0x-mesh.md section 5.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from fondaco.errors import PeerError
from fondaco.zeroex.limits import MAX_MESH_LINE, MESH_PAGE

MESH_PROTOCOL = "/0x-mesh/order-sync/version/0"
PAGINATION = "/pagination-with-filter/version/0"

MAX_REQUEST_LINE = 64 * 1024
"""Bytes of a request: a filter of the greatest size, escaped, for two subprotocols."""


class MalformedPage(PeerError):
    """A line is no request or no response."""

    code = "MalformedPage"


class WireFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which orders are wanted, as Mesh spells it."""

    customOrderSchema: str = "{}"
    chainID: int = 0
    exchangeAddress: str = ""


class PageRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Which page is wanted."""

    page: int = 0
    snapshotID: str = ""
    orderfilter: WireFilter | None = None


class _Wrapped(msgspec.Struct, frozen=True, kw_only=True):
    metadata: list[PageRequest | None]


class _Request(msgspec.Struct, frozen=True, kw_only=True):
    type: str
    subprotocols: list[str]
    metadata: msgspec.Raw = msgspec.Raw(b"null")


class _PageMark(msgspec.Struct, frozen=True, kw_only=True):
    page: int
    snapshotID: str


class _Response(msgspec.Struct, frozen=True, kw_only=True):
    type: str
    subprotocol: str
    orders: list[msgspec.Raw] | None
    complete: bool
    metadata: _PageMark | None = None


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider answered."""

    orders: Sequence[msgspec.Raw]
    is_last: bool
    page: int
    snapshot_id: str


def read_request(line: bytes) -> PageRequest | None:
    """Return the page asked for; None when the requester offers no subprotocol of ours.

    Raises:
        MalformedPage: no request, or a page that cannot be.
    """
    if len(line) > MAX_REQUEST_LINE:
        raise MalformedPage(f"request of {len(line)} bytes")
    try:
        request = msgspec.json.decode(line, type=_Request)
        if request.type != "Request":
            raise MalformedPage(f"a {request.type[:16]!r} for a request")
        if PAGINATION not in request.subprotocols:
            return None
        wanted = _wanted(request)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        raise MalformedPage(str(fault)) from None
    if not 0 <= wanted.page < 2**31:
        raise MalformedPage(f"page {wanted.page}")
    return wanted


def _wanted(request: _Request) -> PageRequest:
    shown: Any = msgspec.json.decode(request.metadata)
    if shown is None:
        return PageRequest()
    if isinstance(shown, dict) and "metadata" in shown:
        offered = msgspec.json.decode(request.metadata, type=_Wrapped).metadata
        place = request.subprotocols.index(PAGINATION)
        return (offered[place] if place < len(offered) else None) or PageRequest()
    return msgspec.json.decode(request.metadata, type=PageRequest)


def encode_request(wanted: PageRequest, *, is_first: bool) -> bytes:
    """Return the line that asks for a page."""
    metadata: object = wanted
    if is_first:
        metadata = {"metadata": [wanted]}
    return msgspec.json.encode(
        {"type": "Request", "subprotocols": [PAGINATION], "metadata": metadata}
    )


def encode_response(
    bodies: Sequence[bytes], *, is_last: bool, page: int, snapshot_id: str
) -> bytes:
    """Return the line that answers with a page of orders."""
    return (
        b'{"type":"Response","subprotocol":"%s","orders":[%s],"complete":%s,'
        b'"metadata":{"page":%d,"snapshotID":%s}}'
        % (
            PAGINATION.encode(),
            b",".join(bodies),
            b"true" if is_last else b"false",
            page,
            msgspec.json.encode(snapshot_id),
        )
    )


def read_response(line: bytes) -> Page:
    """Return what a provider answered; its orders are unread.

    Raises:
        MalformedPage: no response, or not to what we asked.
    """
    if len(line) > MAX_MESH_LINE:
        raise MalformedPage(f"response of {len(line)} bytes")
    try:
        response = msgspec.json.decode(line, type=_Response)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        raise MalformedPage(str(fault)) from None
    orders = response.orders or []
    if response.type != "Response" or response.subprotocol != PAGINATION:
        raise MalformedPage(f"{response.type[:16]!r} of {response.subprotocol[:64]!r}")
    if len(orders) > MESH_PAGE:
        raise MalformedPage(f"{len(orders)} orders on a page")
    mark = response.metadata or _PageMark(page=0, snapshotID="")
    return Page(
        orders=orders,
        is_last=response.complete,
        page=mark.page,
        snapshot_id=mark.snapshotID,
    )
