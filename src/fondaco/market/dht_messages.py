"""What nodes of the DHT ask each other, typed; how it is spelled is the wire's business.

    FindNode(target)        -> Nodes(the k contacts closest to it)
    FindValue(key, after)   -> Values(a page of records, and the same contacts)
    Store(records)          -> Stored(how many are held now)

Whoever answers is known from the connection. What is checked here needs no cryptography.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import msgspec

from fondaco.errors import PeerError
from fondaco.market import dht_limits
from fondaco.market.contacts import Contact, check_contact
from fondaco.market.dht_keys import KEY_SIZE, DhtKey
from fondaco.market.records import Record


class MalformedMessage(PeerError):
    """A request or an answer that no honest node sends."""

    code = "MalformedMessage"


class FindNode(msgspec.Struct, frozen=True, gc=False):
    """Who is closest to a place?"""

    target: bytes
    """KEY_SIZE bytes: a GUID or a key."""


class FindValue(msgspec.Struct, frozen=True, gc=False):
    """What is under a key, and who is closest to it?"""

    key: DhtKey
    after: bytes = b""
    """Only records of owners above this one: the last of the page before."""


class Store(msgspec.Struct, frozen=True):
    """Please keep these."""

    records: tuple[Record, ...]


class Nodes(msgspec.Struct, frozen=True):
    """Answers FindNode."""

    contacts: tuple[Contact, ...]


class Values(msgspec.Struct, frozen=True, kw_only=True):
    """Answers FindValue."""

    records: tuple[Record, ...] = ()
    """Ascending by owner, withdrawals too."""
    contacts: tuple[Contact, ...] = ()
    has_more: bool = False
    """There are owners above the last one."""


class Stored(msgspec.Struct, frozen=True, gc=False):
    """Answers Store."""

    kept: int
    """Records that are held now, these or newer ones."""


Request = FindNode | FindValue | Store
Answer = Nodes | Values | Stored


def check_request(request: Request) -> None:
    """Look at what a stranger asks.

    Raises:
        MalformedMessage: a place of a wrong size, or too many records, or none.
    """
    match request:
        case FindNode(target=place) | FindValue(key=place):
            if len(place) != KEY_SIZE:
                raise MalformedMessage(f"a place of {len(place)} bytes")
        case Store(records=records):
            if not records:
                raise MalformedMessage("nothing to store")
            _check_amount(records)


def check_answer(request: Request, answer: Answer) -> None:
    """Look whether *answer* is one to *request*.

    Raises:
        MalformedMessage: it answers something else, or with too much.
        MalformedContact: one of its contacts is none.
    """
    match request, answer:
        case FindNode(), Nodes(contacts=contacts):
            _check_contacts(contacts)
        case FindValue(key=key, after=after), Values(records=records, contacts=contacts):
            _check_contacts(contacts)
            _check_amount(records)
            if any(record.key != key for record in records):
                raise MalformedMessage("records of another key")
            owners = [after, *(record.owner for record in records)]
            if any(one >= other for one, other in pairwise(owners)):
                raise MalformedMessage("records out of order")
            if answer.has_more and not records:
                raise MalformedMessage("an empty page with another after it")
        case Store(records=records), Stored(kept=kept):
            if not 0 <= kept <= len(records):
                raise MalformedMessage(f"{kept} of {len(records)} records kept")
        case _:
            raise MalformedMessage("an answer to something else")


def _check_contacts(contacts: Sequence[Contact]) -> None:
    if len(contacts) > dht_limits.BUCKET_SIZE:
        raise MalformedMessage(f"{len(contacts)} contacts")
    for one in contacts:
        check_contact(one)


def _check_amount(records: Sequence[Record]) -> None:
    if len(records) > dht_limits.MAX_ANSWER_RECORDS:
        raise MalformedMessage(f"{len(records)} records")
    if sum(record.size for record in records) > dht_limits.MAX_ANSWER_SIZE:
        raise MalformedMessage("too many bytes of records")
