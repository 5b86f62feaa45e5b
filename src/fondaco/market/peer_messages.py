"""What peers of the market say to each other: the original's messages, with its fields.

    bytes --decode_message--> PeerMessage --forwarded(Sender)--> dict, to clients of ``/ws``
          <--encode_message--

**Who speaks** is known from the connection. What a message itself says of that (``senderGUID``,
``pubkey``, ``guid``, ``hostname``, ``port``, ``uri``, ``senderNamecoin``) is not even read; clients
see what the connection has proved, in the same places. Only the trimmings (a nickname, a picture,
the kind of NAT) are the sender's own word.

**What is forwarded** is what can be decoded: the types below and no other, from their declared
fields anew. So no peer can make a client believe that ``myself``, ``order_notify`` or ``settings``
came from its own node.

Source: OpenBazaar 0.3.1, and the fields that 0.4 added.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import msgspec

from fondaco.identity import names
from fondaco.identity.names import Guid
from fondaco.market.envelope import encode
from fondaco.market.errors import MalformedPeerMessage
from fondaco.market.fields import Kind, Misread, Wire, inside, listed, read_fields, spell_fields
from fondaco.market.kinds import (
    ANYTHING,
    GUID,
    PUBLIC_KEY,
    SWITCH,
    TRUTH,
    WEB_ADDRESS,
    forgiven,
    line,
    octets,
    short_name,
    text,
    whole,
)
from fondaco.market.limits import MAX_CERTIFICATE, MAX_LINE
from fondaco.market.listing_words import ListingItem, ListingRow
from fondaco.market.pushes import VERSION
from fondaco.market.settings_words import FEE
from fondaco.market.strict_json import UnreadableJson, decode_json
from fondaco.market.word_limits import (
    MAX_AGE,
    MAX_BODY,
    MAX_FOUND,
    MAX_HOST,
    MAX_NICKNAME,
    MAX_PEER_MESSAGE,
    MAX_SHOUT,
    MAX_SMALL_MESSAGE,
    MAX_STORE_TEXT,
    MAX_SUBJECT,
    MAX_VALUE,
    MAX_VERSION,
)

KEY_SIZE = 20
"""Bytes of a place in the DHT, and of the id of a question."""

MESSAGE_ID_SIZE = 32
"""Bytes of the id of an inbox message."""

DEFAULT_NAT = "Restric NAT"
"""``nat_type`` of a node behind a router, in the original's own spelling."""

_KEY = octets(KEY_SIZE)
_NICK = short_name(MAX_NICKNAME)
_AVATAR = forgiven(WEB_ADDRESS)
_NAT = short_name(MAX_VERSION)
_MAX_TIME = 2**40


class Sender(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Who sent a message, as the connection has proved."""

    public_key: bytes
    """Compressed, 33 bytes."""
    hostname: str
    port: int

    @property
    def guid(self) -> Guid:
        """Return the GUID of the key."""
        return names.guid(self.public_key)


class PeerMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message, and what its sender says of himself."""

    type: ClassVar[str] = ""
    size: ClassVar[int] = MAX_SMALL_MESSAGE
    """Bytes of the longest."""
    names_receiver: ClassVar[bool] = True
    """Whether clients find the receiver's GUID in it, as ``guid``."""
    names_place: ClassVar[bool] = False
    """Whether clients find ``hostname`` and ``port`` of its sender in it."""

    nick: Annotated[str, Wire("senderNick", _NICK)] = ""
    avatar_url: Annotated[str, Wire("avatar_url", _AVATAR)] = ""
    version: Annotated[str, Wire("v", short_name(MAX_VERSION))] = VERSION


# --- presence ------------------------------------------------------------------------


class Hello(PeerMessage, frozen=True, kw_only=True):
    """I am here. No answer."""

    type: ClassVar[str] = "hello"
    names_receiver: ClassVar[bool] = False
    names_place: ClassVar[bool] = True

    nat_type: Annotated[str, Wire("nat_type", _NAT)] = DEFAULT_NAT


class Goodbye(PeerMessage, frozen=True, kw_only=True):
    """I am going."""

    type: ClassVar[str] = "goodbye"
    names_receiver: ClassVar[bool] = False
    names_place: ClassVar[bool] = True


class Shout(PeerMessage, frozen=True, kw_only=True):
    """To everybody; nobody passes it on."""

    type: ClassVar[str] = "shout"

    text: Annotated[str, Wire("text", text(MAX_SHOUT, least=1))]


# --- the DHT -------------------------------------------------------------------------


class FindNode(PeerMessage, frozen=True, kw_only=True):
    """Who, or what, is at a place?"""

    type: ClassVar[str] = "findNode"
    names_place: ClassVar[bool] = True

    key: Annotated[bytes, Wire("key", _KEY)]
    find_id: Annotated[bytes, Wire("findID", _KEY)]
    """The answer repeats it."""
    find_value: Annotated[bool, Wire("findValue", TRUTH)] = False
    nat_type: Annotated[str, Wire("nat_type", _NAT)] = DEFAULT_NAT


class FoundNode(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A node that somebody names. On the wire a list: ``[guid, hostname, port, pubkey, nick,
    nat_type, avatar_url]``, in 0.3.1 without the last."""

    hostname: str
    port: int
    public_key: bytes
    """Compressed; the GUID follows from it."""
    nick: str = ""
    nat_type: str = DEFAULT_NAT
    avatar_url: str = ""


def _read_found_node(value: object) -> FoundNode:
    if not isinstance(value, list) or len(value) not in {6, 7}:
        raise Misread("", FOUND_NODE.expected)
    guid, hostname, port, public_key, nick, nat_type, *avatar_url = value
    node = FoundNode(
        hostname=_at(1, line(MAX_HOST), hostname),
        port=_at(2, whole(65_535), port),
        public_key=_at(3, PUBLIC_KEY, public_key),
        nick=_NICK.read(nick),
        nat_type=_NAT.read(nat_type),
        avatar_url=_AVATAR.read(avatar_url[0]) if avatar_url else "",
    )
    if _at(0, GUID, guid) != names.guid(node.public_key):
        raise Misread("[0]", "the GUID of its key")
    return node


def _at(place: int, kind: Kind[Any], value: object) -> Any:
    try:
        return kind.read(value)
    except Misread as exc:
        raise exc.below(f"[{place}]") from None


def _spell_found_node(node: FoundNode) -> list[Any]:
    return [
        names.guid(node.public_key).hex(),
        node.hostname,
        node.port,
        names.uncompressed(node.public_key).hex(),
        node.nick,
        node.nat_type,
        node.avatar_url,
    ]


FOUND_NODE: Kind[FoundNode] = Kind(
    expected="[guid, hostname, port, pubkey, nick, nat_type, avatar_url]",
    read=_read_found_node,
    spell=_spell_found_node,
    schema={"type": "array", "minItems": 6, "maxItems": 7},
)


class FindNodeResponse(PeerMessage, frozen=True, kw_only=True):
    """Answers ``findNode``: what was found, or else who is closest to the place."""

    type: ClassVar[str] = "findNodeResponse"
    size: ClassVar[int] = MAX_SMALL_MESSAGE + MAX_VALUE
    names_place: ClassVar[bool] = True

    find_id: Annotated[bytes, Wire("findID", _KEY)]
    nodes: Annotated[
        tuple[FoundNode, ...] | None, Wire("foundNodes", listed(FOUND_NODE, MAX_FOUND))
    ] = None
    value: Annotated[Any, Wire("foundKey", ANYTHING)] = None
    """One of the two is None."""


class Store(PeerMessage, frozen=True, kw_only=True):
    """Please keep this. Whether it is kept, its owner's signature decides."""

    type: ClassVar[str] = "store"
    size: ClassVar[int] = MAX_SMALL_MESSAGE + MAX_VALUE

    key: Annotated[bytes, Wire("key", _KEY)]
    value: Annotated[Any, Wire("value", ANYTHING)]
    publisher: Annotated[Guid, Wire("originalPublisherID", GUID)]
    age: Annotated[int, Wire("age", whole(MAX_AGE))] = 0
    """Seconds."""


# --- stores --------------------------------------------------------------------------


class QueryPage(PeerMessage, frozen=True, kw_only=True):
    """Show me your page."""

    type: ClassVar[str] = "query_page"
    names_place: ClassVar[bool] = True

    guid: Annotated[Guid, Wire("findGUID", GUID)]
    nat_type: Annotated[str, Wire("nat_type", _NAT)] = DEFAULT_NAT


class Page(PeerMessage, frozen=True, kw_only=True):
    """What a store says of itself."""

    type: ClassVar[str] = "page"

    text: Annotated[str, Wire("text", text(MAX_STORE_TEXT))] = ""
    nickname: Annotated[str, Wire("nickname", _NICK)] = ""
    email: Annotated[str, Wire("email", forgiven(line(MAX_LINE)))] = ""
    bitmessage: Annotated[str, Wire("bitmessage", forgiven(line(MAX_LINE)))] = ""
    homepage: Annotated[str, Wire("homepage", _AVATAR)] = ""
    certificate: Annotated[str, Wire("PGPPubKey", text(MAX_CERTIFICATE))] = ""
    is_arbiter: Annotated[bool, Wire("arbiter", SWITCH)] = False
    arbiter_description: Annotated[str, Wire("arbiter_description", text(MAX_STORE_TEXT))] = ""
    is_notary: Annotated[bool, Wire("notary", SWITCH)] = False
    notary_description: Annotated[str, Wire("notary_description", text(MAX_STORE_TEXT))] = ""
    notary_fee: Annotated[str, Wire("notary_fee", forgiven(FEE, "0"))] = "0"


class QueryListings(PeerMessage, frozen=True, kw_only=True):
    """Show me what you offer."""

    type: ClassVar[str] = "query_listings"

    guid: Annotated[Guid, Wire("key", GUID)]


class ListingResult(PeerMessage, frozen=True, kw_only=True):
    """Answers ``query_listings``: one for each listing."""

    type: ClassVar[str] = "listing_result"
    size: ClassVar[int] = MAX_PEER_MESSAGE

    item: Annotated[ListingItem, Wire("", inside(ListingItem))]
    """Its fields stand among those of the message."""


class NoListingResult(PeerMessage, frozen=True, kw_only=True):
    """Answers ``query_listings``: nothing is on offer."""

    type: ClassVar[str] = "no_listing_result"


class QueryListing(PeerMessage, frozen=True, kw_only=True):
    """Show me one listing."""

    type: ClassVar[str] = "query_listing"

    key: Annotated[bytes, Wire("listing_id", _KEY)]


class QueryListingResult(PeerMessage, frozen=True, kw_only=True):
    """Answers ``query_listing``: a list with one row of the original's table."""

    type: ClassVar[str] = "query_listing_result"
    size: ClassVar[int] = MAX_PEER_MESSAGE

    listing: Annotated[tuple[ListingRow, ...], Wire("listing", listed(inside(ListingRow), 1))]


class InboxMessage(PeerMessage, frozen=True, kw_only=True):
    """A letter."""

    type: ClassVar[str] = "inbox_message"

    message_id: Annotated[bytes, Wire("message_id", octets(MESSAGE_ID_SIZE))]
    subject: Annotated[str, Wire("subject", line(MAX_SUBJECT))] = ""
    body: Annotated[str, Wire("body", text(MAX_BODY))] = ""
    created: Annotated[int, Wire("created", whole(_MAX_TIME))] = 0
    """Seconds since 1970, as the sender says."""


# --- bytes, and clients --------------------------------------------------------------

KINDS: dict[str, type[PeerMessage]] = {
    kind.type: kind
    for kind in (
        *(Hello, Goodbye, Shout, FindNode, FindNodeResponse, Store, QueryPage, Page),
        *(QueryListings, ListingResult, NoListingResult, QueryListing, QueryListingResult),
        InboxMessage,
    )
}
"""All that peers may say, and all that is forwarded to clients. Orders are not among them."""


def decode_message(raw: bytes) -> PeerMessage:
    """Return what a peer says.

    Raises:
        MalformedPeerMessage: names the field; ``type`` where it is none that peers may send.
    """
    try:
        value = decode_json(raw, limit=MAX_PEER_MESSAGE)
    except UnreadableJson as exc:
        raise MalformedPeerMessage("", str(exc)) from None
    name = value.get("type") if isinstance(value, dict) else None
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise MalformedPeerMessage("type", "a message that peers send")
    if len(raw) > kind.size:
        raise MalformedPeerMessage("", f"at most {kind.size} bytes of {kind.type}")
    try:
        message = read_fields(kind, value)
    except Misread as exc:
        raise MalformedPeerMessage(exc.path, exc.expected) from None
    if isinstance(message, FindNodeResponse) and (message.nodes is None) == (message.value is None):
        raise MalformedPeerMessage("foundNodes", "either foundNodes or foundKey")
    return message


def encode_message(message: PeerMessage, sender: Sender, receiver: Guid) -> bytes:
    """Return what is sent to *receiver*: the text that the original would send."""
    return encode(forwarded(message, sender, receiver))


def forwarded(message: PeerMessage, sender: Sender, receiver: Guid) -> dict[str, Any]:
    """Return *message* as clients are shown it, its sender being who the connection proved."""
    guid = sender.guid
    shown: dict[str, Any] = {
        **spell_fields(message),
        "type": message.type,
        "senderGUID": guid.hex(),
        "pubkey": names.uncompressed(sender.public_key).hex(),
        # A name that somebody would have to look up in Namecoin; nobody does.
        "senderNamecoin": "",
    }
    if message.names_receiver:
        shown["guid"] = receiver.hex()
    if message.names_place:
        shown |= {"hostname": sender.hostname, "port": sender.port}
    match message:
        case Page():
            shown |= {"sin": names.sin(guid), "uri": _uri(sender)}
        case QueryPage():
            shown["sin"] = names.sin(guid)
        case InboxMessage():
            shown["sender_guid"] = guid.hex()
        case _:
            pass
    return shown


def _uri(sender: Sender) -> str:
    host = f"[{sender.hostname}]" if ":" in sender.hostname else sender.hostname
    return f"tcp://{host}:{sender.port}"
