"""What a node of the DHT wants done, in the order it is to be done."""

from __future__ import annotations

import msgspec

from fondaco.errors import PeerError
from fondaco.market.contacts import Contact
from fondaco.market.dht_keys import DhtKey
from fondaco.market.dht_messages import Answer, Request
from fondaco.market.records import Record


class Send(msgspec.Struct, frozen=True):
    """Ask a node; come back with ``Dht.answered`` or ``Dht.failed`` and the number."""

    number: int
    contact: Contact
    """The answer counts only if the connection proves that it is of this one."""
    request: Request


class Reply(msgspec.Struct, frozen=True):
    """Answer a request, which the shell knows by its token."""

    token: int
    answer: Answer


class Refuse(msgspec.Struct, frozen=True, gc=False):
    """Leave a request unanswered: its sender asks too often, or nonsense."""

    token: int


class Misbehaved(msgspec.Struct, frozen=True):
    """A peer sent what no honest one sends; for its score."""

    contact: Contact
    error: PeerError


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A record is held from now on, in place of an older one of its owner: store it."""

    record: Record
    network: str
    is_direct: bool


class Dropped(msgspec.Struct, frozen=True):
    """A record is held no longer."""

    record: Record


class Renew(msgspec.Struct, frozen=True):
    """Half the lifetime of an own record is over: sign it anew and put that."""

    record: Record


class Shown(msgspec.Struct, frozen=True):
    """A search has found more; the end is yet to come."""

    errand: int
    records: tuple[Record, ...]
    """New or newer than before; no withdrawals."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A search for a value has ended."""

    errand: int
    key: DhtKey
    records: tuple[Record, ...]
    """Of each owner the newest, no withdrawals. Empty: nobody has it."""
    hops: int
    queries: int


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """A record has been brought to the nodes closest to its key."""

    errand: int
    record: Record
    holders: int
    """Nodes that say they hold it; k where all is well."""


class Located(msgspec.Struct, frozen=True, kw_only=True):
    """A search for a node has ended."""

    errand: int
    target: bytes
    contacts: tuple[Contact, ...]
    """The k closest that have answered, the closest first."""
    hops: int
    queries: int


class Joined(msgspec.Struct, frozen=True, gc=False):
    """The way in has been looked for."""

    contacts: int
    """In the routing table; 0: nobody answered, try again later."""


Event = (
    Send
    | Reply
    | Refuse
    | Misbehaved
    | Kept
    | Dropped
    | Renew
    | Shown
    | Found
    | Placed
    | Located
    | Joined
)
