"""Every message printed in the API document of OpenBazaar 0.3.1, by its line, both ways."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fondaco.identity import names
from fondaco.identity.names import Guid, compressed, read_guid
from fondaco.market.codec import read_draft
from fondaco.market.command_params import (
    CreateContract,
    Nothing,
    QueryPage,
    QueryStoreProducts,
    UpdateSettings,
)
from fondaco.market.command_table import open_command
from fondaco.market.envelope import decode_request, encode_frame
from fondaco.market.listing_words import item_of
from fondaco.market.order_pushes import OrderCount
from fondaco.market.peer_messages import (
    FindNode,
    FindNodeResponse,
    Hello,
    ListingResult,
    Page,
    Sender,
    decode_message,
    forwarded,
)
from fondaco.market.pushes import Peers, RepublishNotify, SettingsNotaries, peer_entry
from fondaco.market.settings_words import CHANGES, Settings, changed, spell_notaries
from fondaco.market.strict_json import decode_json
from support.contracts import BUYER, SELLER
from support.listings import make_listing
from support.seed_messages import SeedMessage, lacks, seed_message, seed_messages, shape

SENDER = Sender(public_key=SELLER.public_key, hostname="127.0.0.1", port=12345)
ME = read_guid("67e53acbd794f702768bb6beca33322120e8d353")


def asked(line: int) -> Any:
    """Return what the printed request says."""
    return open_command(decode_request(seed_message(line).json), is_owner=True)[1]


# --- what a client sends -------------------------------------------------------------


def test_line_30_create_contract() -> None:
    params = decode_json(seed_message(30).json, limit=10**6)["params"]
    assert asked(30) == CreateContract(draft=read_draft(params))
    assert asked(30).draft.item.price == 50_000_000


@pytest.mark.parametrize("line", [69, 136])
def test_lines_69_and_136_ask_without_parameters(line: int) -> None:
    assert asked(line) == Nothing()


def test_line_84_update_settings() -> None:
    params = asked(84)
    assert isinstance(params, UpdateSettings)
    settings = changed(Settings(), params.change)
    assert settings.nickname == "Default"
    assert settings.is_notary
    assert [notary.guid.hex() for notary in settings.notaries] == [
        "7a9112bc8f7f7558d75d31420d8a36a5e5ec965b"
    ]


def test_line_171_query_page() -> None:
    guid = read_guid("d5a848a0957838a2707b92cca9741cb71ab4a754")
    assert asked(171) == QueryPage(guid=guid)


def test_line_205_query_store_products() -> None:
    guid = read_guid("31fa9f7e807aaa2740a7803f7ba48d15f5c5a396")
    assert asked(205) == QueryStoreProducts(guid=guid)


# --- what a node sends ---------------------------------------------------------------

LATER = {"avatar_url"}
"""What version 0.4 added to every message of a peer."""


def stored_notaries() -> SettingsNotaries:
    """Return the answer to line 136 after line 84 was sent."""
    change = CHANGES.read(seed_message(84).value["params"]["settings"])
    return SettingsNotaries(notaries=spell_notaries(changed(Settings(), change)))


def peers(nick: str) -> Peers:
    entry = peer_entry(
        BUYER.public_key,
        hostname="203.0.113.7",
        port=12345,
        nick=nick,
        is_reachable=True,
        seconds_since=4,
    )
    return Peers(peers=[entry])


def from_peer(message: Any) -> dict[str, Any]:
    return forwarded(message, SENDER, ME)


SENT: dict[int, tuple[Any, set[str]]] = {
    4: (peers("Store Name"), set()),
    8: (RepublishNotify(), set()),
    18: (peers("Default"), set()),
    75: (OrderCount(count=1), set()),
    142: (stored_notaries(), set()),
    155: (from_peer(Hello(nick="Default", version="0.3.1")), LATER),
    180: (
        from_peer(Page(nick="Default", nickname="Default", version="0.3.1")),
        LATER | {"notary_description", "notary_fee", "homepage"},
    ),
    215: (
        {
            "type": "store_contract",
            "contract": from_peer(
                ListingResult(nick="Default", item=item_of(make_listing(), number=379843))
            ),
        },
        set(),
    ),
    248: (from_peer(FindNode(key=bytes(20), find_id=bytes(20), nick="Notary")), LATER),
    268: (from_peer(FindNodeResponse(find_id=bytes(20), nodes=(), nick="Default")), LATER),
}
"""Line -> what is sent in its place, and the keys that later versions added on top."""


@pytest.mark.parametrize("message", seed_messages("server"), ids=lambda m: m.note)
def test_what_is_sent_has_the_printed_keys_types_and_nesting(message: SeedMessage) -> None:
    sent, added = SENT[message.first_line]
    frame = json.loads(encode_frame(message.value["id"], sent))
    wrong = lacks(shape(message.value), shape(frame))
    # Line 237 prints no contract. Ours is signed, and prices are text before it is.
    assert [each for each in wrong if ".contract_body." not in each] == []
    assert frame.keys() == message.value.keys() == {"id", "result"}
    assert frame["id"] == message.value["id"]
    assert frame["result"].keys() == message.value["result"].keys() | added
    assert frame["result"]["type"] == message.value["result"]["type"]


def test_members_of_lists_have_the_printed_keys_and_the_later_ones() -> None:
    for line in (4, 18):
        (entry,) = json.loads(encode_frame(1, SENT[line][0]))["result"]["peers"]
        for printed in seed_message(line).value["result"]["peers"]:
            assert entry.keys() == printed.keys() | {"avatar_url", "last_seen"}
    (notary,) = json.loads(encode_frame(1, SENT[142][0]))["result"]["notaries"]
    (printed,) = seed_message(142).value["result"]["notaries"]
    assert notary == {
        "guid": printed["guid"],
        "nickname": printed["nickname"],
        "online": False,
    }


def test_line_8_and_line_75_are_sent_to_the_letter() -> None:
    for line in (8, 75):
        printed = seed_message(line).value
        assert json.loads(encode_frame(printed["id"], SENT[line][0])) == printed


def test_line_219_a_contract_of_a_store() -> None:
    printed = seed_message(215).value["result"]["contract"]
    sent = json.loads(encode_frame(1, SENT[215][0]))["result"]["contract"]
    assert sent.keys() == printed.keys() | LATER
    assert sent["type"] == printed["type"] == "listing_result"
    body = sent["contract_body"]
    assert body.keys() == {"Contract_Metadata", "Seller", "Contract"}
    assert body["Contract"].keys() == printed["contract_body"]["Contract"].keys()
    assert body["Contract"]["item_price"] == "0.5"


# --- what a peer sends: the same messages, as they are printed -----------------------


@pytest.mark.parametrize("line", [155, 180, 248, 268])
def test_a_printed_message_of_a_peer_is_read_and_shown_again(line: int) -> None:
    printed = seed_message(line).value["result"]
    shown = json.loads(encode_frame(1, from_peer(decode_message(json.dumps(printed).encode()))))[
        "result"
    ]
    assert lacks(shape(printed), shape(shown)) == []
    # Who sent it, and whence, the connection says; the rest is what was printed.
    proved = {"senderGUID", "pubkey", "hostname", "port", "guid", "sin", "uri"}
    for name in printed.keys() - proved:
        assert shown[name] == printed[name], name


def test_line_219_is_read_and_shown_again() -> None:
    printed = seed_message(215).value["result"]["contract"]
    shown = json.loads(encode_frame(1, from_peer(decode_message(json.dumps(printed).encode()))))[
        "result"
    ]
    for name in printed.keys() - {"senderGUID", "pubkey", "guid"}:
        assert shown[name] == printed[name], name


def test_line_248_and_its_sender_make_the_printed_message() -> None:
    # The one message whose key and GUID belong together: all of it comes back.
    printed = seed_message(248).value["result"]
    sender = Sender(
        public_key=compressed(bytes.fromhex(printed["pubkey"])),
        hostname=printed["hostname"],
        port=printed["port"],
    )
    message = decode_message(json.dumps(printed).encode())
    receiver = Guid(bytes.fromhex(printed["guid"]))
    assert forwarded(message, sender, receiver) == printed | {"avatar_url": ""}


def test_the_printed_sin_is_that_of_its_sender() -> None:
    printed = seed_message(180).value["result"]
    assert printed["sin"] == names.sin(read_guid(printed["senderGUID"]))


def test_every_printed_message_is_followed() -> None:
    client = {message.first_line for message in seed_messages("client")}
    assert client == {30, 69, 84, 136, 171, 205}
    assert {message.first_line for message in seed_messages("server")} == set(SENT)
