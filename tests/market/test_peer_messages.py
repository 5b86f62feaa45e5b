"""Messages of peers: bounded, typed, and forwarded under the name of who sent them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.errors import Verdict
from fondaco.identity import names
from fondaco.market import limits, word_limits
from fondaco.market.envelope import encode
from fondaco.market.errors import MalformedPeerMessage
from fondaco.market.listing_words import item_of, row_of
from fondaco.market.peer_messages import (
    KINDS,
    FindNode,
    FindNodeResponse,
    FoundNode,
    Goodbye,
    Hello,
    InboxMessage,
    ListingResult,
    NoListingResult,
    Page,
    PeerMessage,
    QueryListing,
    QueryListingResult,
    QueryListings,
    QueryPage,
    Sender,
    Shout,
    Store,
    decode_message,
    encode_message,
    forwarded,
)
from support.contracts import BUYER, NOTARY, SELLER
from support.listings import make_listing

SENDER = Sender(public_key=SELLER.public_key, hostname="203.0.113.7", port=12345)
ME = BUYER.guid
LISTING = make_listing()
NODE = FoundNode(hostname="198.51.100.1", port=7, public_key=NOTARY.public_key, nick="N")
ENVELOPE = {"type", "senderGUID", "pubkey", "senderNick", "senderNamecoin", "v", "avatar_url"}
PLACE = {"hostname", "port"}

EXAMPLES: list[tuple[PeerMessage, set[str]]] = [
    (Hello(nick="Default"), PLACE | {"nat_type"}),
    (Goodbye(), PLACE),
    (Shout(text="hi"), {"guid", "text"}),
    (
        FindNode(key=b"\x01" * 20, find_id=b"\x02" * 20, find_value=True),
        PLACE | {"guid", "key", "findID", "findValue", "nat_type"},
    ),
    (
        FindNodeResponse(find_id=b"\x02" * 20, nodes=(NODE,)),
        PLACE | {"guid", "findID", "foundNodes"},
    ),
    (FindNodeResponse(find_id=b"\x02" * 20, nodes=()), PLACE | {"guid", "findID", "foundNodes"}),
    (
        FindNodeResponse(find_id=b"\x02" * 20, value={"listings": [1]}),
        PLACE | {"guid", "findID", "foundKey"},
    ),
    (
        Store(key=b"\x01" * 20, value="x", publisher=NOTARY.guid, age=7),
        {"guid", "key", "value", "originalPublisherID", "age"},
    ),
    (QueryPage(guid=ME), PLACE | {"guid", "findGUID", "sin", "nat_type"}),
    (
        Page(text="Bicycles", nickname="Default", is_notary=True, homepage="http://example.org/"),
        {
            *("guid", "text", "nickname", "email", "bitmessage", "homepage", "PGPPubKey"),
            *("arbiter", "arbiter_description", "notary", "notary_description", "notary_fee"),
            *("sin", "uri"),
        },
    ),
    (QueryListings(guid=ME), {"guid", "key"}),
    (NoListingResult(), {"guid"}),
    (QueryListing(key=LISTING.key), {"guid", "listing_id"}),
    (QueryListingResult(listing=(row_of(LISTING, number=7),)), {"guid", "listing"}),
    (
        InboxMessage(message_id=b"\x01" * 32, subject="s", body="b", created=1_790_000_000),
        {"guid", "message_id", "subject", "body", "created", "sender_guid"},
    ),
]


def wire(message: PeerMessage) -> Any:
    return json.loads(encode_message(message, SENDER, ME))


@pytest.mark.parametrize(("message", "keys"), EXAMPLES)
def test_both_ways_with_the_fields_of_the_original(message: PeerMessage, keys: set[str]) -> None:
    assert decode_message(encode_message(message, SENDER, ME)) == message
    sent = wire(message)
    assert sent.keys() == ENVELOPE | keys
    assert sent["type"] == message.type
    assert sent["senderNamecoin"] == ""


def test_a_listing_stands_among_the_fields_of_its_message() -> None:
    message = ListingResult(item=item_of(LISTING, number=7))
    assert decode_message(encode_message(message, SENDER, ME)) == message
    sent = wire(message)
    assert sent.keys() >= ENVELOPE | {"guid", "id", "key", "item_title", "contract_body"}
    assert sent["contract_body"]["Contract"]["item_delivery"].keys() >= {"countries"}


def test_the_longest_contract_and_the_longest_page_get_through() -> None:
    picture = "data:image/png;base64," + "AAAA" * ((limits.MAX_IMAGE_TEXT - 22) // 4)
    listing = make_listing(item_images=picture, item_desc='"\n' * 7_500)
    for message in (
        ListingResult(item=item_of(listing, number=7)),
        QueryListingResult(listing=(row_of(listing, number=7),)),
        Page(
            text="\u4e2d" * word_limits.MAX_STORE_TEXT,
            arbiter_description="\u4e2d" * word_limits.MAX_STORE_TEXT,
            notary_description="\u4e2d" * word_limits.MAX_STORE_TEXT,
            certificate="A" * limits.MAX_CERTIFICATE,
        ),
        FindNodeResponse(find_id=bytes(20), nodes=(NODE,) * word_limits.MAX_FOUND),
    ):
        assert decode_message(encode_message(message, SENDER, ME)) == message


def test_every_kind_is_tried_here() -> None:
    tried = {message.type for message, _ in EXAMPLES} | {"listing_result"}
    assert tried == set(KINDS)


CLAIMS = {
    "senderGUID": NOTARY.guid.hex(),
    "pubkey": names.uncompressed(NOTARY.public_key).hex(),
    "guid": NOTARY.guid.hex(),
    "hostname": "localhost",
    "port": 1,
    "uri": "javascript:alert(1)",
    "sin": "Tf",
    "senderNamecoin": "satoshi",
    "sender_guid": NOTARY.guid.hex(),
}


@pytest.mark.parametrize(("message", "keys"), EXAMPLES)
def test_who_sent_it_is_what_the_connection_proves(message: PeerMessage, keys: set[str]) -> None:
    raw = encode(forwarded(message, SENDER, ME) | CLAIMS | {"_": keys == set()})
    shown = forwarded(decode_message(raw), SENDER, ME)
    assert shown == forwarded(message, SENDER, ME)
    assert shown["senderGUID"] == SELLER.guid.hex()
    assert NOTARY.guid.hex() not in {shown.get(name) for name in CLAIMS}


@pytest.mark.parametrize(
    "name",
    [
        *("myself", "order_notify", "settings", "settings_notaries", "peers", "btc_ticker"),
        *("order", "orderinfo", "myorders", "release_funds_tx", "inbox_notify", "error"),
        *("create_backup_result", "republish_notify", "store_contract", "load_page", "ok"),
        *("create_contract", "stop_server", "Hello", "", "hello_response", "peer_remove"),
    ],
)
def test_what_only_the_own_node_may_say_is_refused(name: str) -> None:
    raw = json.dumps({"type": name, "msg": "x", "settings": {}, "state": "New"}).encode()
    with pytest.raises(MalformedPeerMessage) as caught:
        decode_message(raw)
    assert caught.value.field == "type"
    assert caught.value.verdict is Verdict.REJECT


def test_what_is_not_declared_is_not_forwarded() -> None:
    raw = b'{"type": "hello", "settings": {"guid": "x"}, "result": {"type": "myself"}, "msg": "x"}'
    assert forwarded(decode_message(raw), SENDER, ME).keys() == ENVELOPE | PLACE | {"nat_type"}


def test_trimmings_that_do_not_fit_fall_off() -> None:
    raw = json.dumps(
        {
            "type": "page",
            "senderNick": "N" * 500 + "\n",
            "avatar_url": "javascript:alert(1)",
            "homepage": "http://192.168.0.1/",
            "v": 7,
            "notary": "False",
            "arbiter": "True",
        }
    ).encode()
    page = decode_message(raw)
    assert isinstance(page, Page)
    assert page.nick == "N" * 120
    assert (page.avatar_url, page.homepage, page.version) == ("", "", "")
    shown = forwarded(page, SENDER, ME)
    # A client asks whether there is something: "False" would be.
    assert shown["notary"] == ""
    assert shown["arbiter"] is True
    assert isinstance(shown["text"], str)
    assert shown["uri"] == "tcp://203.0.113.7:12345"
    assert shown["sin"] == names.sin(SELLER.guid)


def test_an_ipv6_address_stands_in_brackets() -> None:
    sender = Sender(public_key=SELLER.public_key, hostname="2001:db8::1", port=7)
    assert forwarded(Page(), sender, ME)["uri"] == "tcp://[2001:db8::1]:7"


def found(*nodes: Any) -> bytes:
    return json.dumps(
        {"type": "findNodeResponse", "findID": "02" * 20, "foundNodes": nodes}
    ).encode()


SPELLED: list[Any] = wire(FindNodeResponse(find_id=b"\x02" * 20, nodes=(NODE,)))["foundNodes"][0]


def test_nodes_are_lists_of_seven_or_in_0_3_1_of_six() -> None:
    assert [
        NOTARY.guid.hex(),
        "198.51.100.1",
        7,
        names.uncompressed(NOTARY.public_key).hex(),
        "N",
        "Restric NAT",
        "",
    ] == SPELLED
    for node in (SPELLED, SPELLED[:6], [*SPELLED[:6], None]):
        message = decode_message(found(node))
        assert isinstance(message, FindNodeResponse)
        assert message.nodes == (NODE,)


@pytest.mark.parametrize(
    ("nodes", "path"),
    [
        ([[]], "foundNodes[0]"),
        ([SPELLED, {}], "foundNodes[1]"),
        ([SPELLED[:5]], "foundNodes[0]"),
        ([[*SPELLED, ""]], "foundNodes[0]"),
        ([[SELLER.guid.hex(), *SPELLED[1:]]], "foundNodes[0][0]"),
        ([[*SPELLED[:1], 7, *SPELLED[2:]]], "foundNodes[0][1]"),
        ([[*SPELLED[:2], 70_000, *SPELLED[3:]]], "foundNodes[0][2]"),
        ([[*SPELLED[:3], "unknown", *SPELLED[4:]]], "foundNodes[0][3]"),
        ([SPELLED] * 21, "foundNodes"),
    ],
)
def test_a_node_is_what_its_key_says(nodes: list[Any], path: str) -> None:
    with pytest.raises(MalformedPeerMessage) as caught:
        decode_message(found(*nodes))
    assert caught.value.field == path


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"type": "findNode"}, "key"),
        ({"type": "findNode", "key": "0" * 39}, "key"),
        ({"type": "findNode", "key": "0" * 40, "findID": "0" * 40, "findValue": 1}, "findValue"),
        ({"type": "findNodeResponse", "findID": "0" * 40}, "foundNodes"),
        (
            {"type": "findNodeResponse", "findID": "0" * 40, "foundNodes": [], "foundKey": "x"},
            "foundNodes",
        ),
        ({"type": "store", "key": "0" * 40}, "value"),
        ({"type": "query_page", "findGUID": "0" * 41}, "findGUID"),
        ({"type": "query_listings"}, "key"),
        ({"type": "query_listing", "listing_id": 7}, "listing_id"),
        ({"type": "query_listing_result", "listing": [{}, {}]}, "listing"),
        ({"type": "query_listing_result", "listing": [{}]}, "listing[0].id"),
        ({"type": "shout", "text": "x" * 1_025}, "text"),
        ({"type": "page", "text": ["x"]}, "text"),
        ({"type": "page", "PGPPubKey": "x" * 16_385}, "PGPPubKey"),
        ({"type": "inbox_message", "message_id": "00"}, "message_id"),
        ({"type": "listing_result", "id": 1}, "key"),
        ({"type": ["hello"]}, "type"),
        ({}, "type"),
        ([], "type"),
        ("hello", "type"),
    ],
)
def test_a_field_is_named(fields: Any, path: str) -> None:
    with pytest.raises(MalformedPeerMessage) as caught:
        decode_message(json.dumps(fields).encode())
    assert caught.value.field == path


def test_a_message_is_as_long_as_its_kind_may_be() -> None:
    for raw in (b"", b"{", b"\xff", b"[" * 10**5, b'{"type": "hello", "type": "hello"}'):
        with pytest.raises(MalformedPeerMessage):
            decode_message(raw)
    hello = b'{"type": "hello"}'
    padded = hello + b" " * (word_limits.MAX_SMALL_MESSAGE - len(hello))
    assert decode_message(padded) == Hello(version="0.4.0")
    with pytest.raises(MalformedPeerMessage, match="of hello"):
        decode_message(padded + b" ")
    with pytest.raises(MalformedPeerMessage, match=str(word_limits.MAX_PEER_MESSAGE)):
        decode_message(hello + b" " * word_limits.MAX_PEER_MESSAGE)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
ALL_KEYS = sorted(set().union(*(wire(message).keys() for message, _ in EXAMPLES)) - {"type"})


@given(
    st.binary(max_size=60)
    | st.builds(
        lambda name, fields: json.dumps({"type": name} | fields).encode(),
        st.sampled_from([*KINDS, "myself"]),
        st.dictionaries(st.sampled_from(ALL_KEYS), VALUES, max_size=8),
    )
)
def test_whatever_a_peer_sends_is_a_message_or_refused(raw: bytes) -> None:
    try:
        message = decode_message(raw)
    except MalformedPeerMessage:
        return
    shown = forwarded(message, SENDER, ME)
    assert shown["type"] in KINDS
    assert shown["senderGUID"] == SELLER.guid.hex()
    assert decode_message(encode(shown)) == message
