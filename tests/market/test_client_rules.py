"""What the original's web client (0.4) needs of every message, rule by rule.

The client loads its page anew when something breaks, so a wrong type is not a blemish: it ends in
a loop. What it needs of a running node is tested where there is one.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from fondaco.market.command_params import Search
from fondaco.market.command_table import COMMANDS, find_command, open_command
from fondaco.market.envelope import decode_request, encode_frame, failure
from fondaco.market.errors import RequestRefused
from fondaco.market.listing_words import item_of, row_of
from fondaco.market.peer_messages import (
    KINDS,
    InboxMessage,
    ListingResult,
    Page,
    QueryListingResult,
    Sender,
    Shout,
    decode_message,
    forwarded,
)
from fondaco.market.pushes import InboxNotify, LoadPage, SettingsEcho, peer_entry
from fondaco.market.settings_words import CHANGES, Owner, Settings, changed, echo, spell_settings
from fondaco.market.store_pushes import StoreContract, contracts
from support.contracts import BUYER, SELLER
from support.listings import make_listing

SENDER = Sender(public_key=SELLER.public_key, hostname="203.0.113.7", port=12345)
OWNER = Owner(public_key=BUYER.public_key)
LISTING = make_listing()


def result(sent: Any) -> Any:
    return json.loads(encode_frame(1, sent))["result"]


def shown(message: Any) -> dict[str, Any]:
    return forwarded(message, SENDER, BUYER.guid)


def ask(command: str, **params: Any) -> Any:
    text = json.dumps({"id": 42, "command": command, "params": params})
    return open_command(decode_request(text), is_owner=True)[1]


def test_it_reads_the_type_of_every_result_even_of_errors() -> None:
    for name, params in (
        ("no_such", {}),
        ("pay_order", {}),
        ("read_log", {}),
        ("query_page", {}),
        ("create_contract", {"filler": "x" * 200_000}),
    ):
        with pytest.raises(RequestRefused) as caught:
            ask(name, **params)
        assert result(failure(caught.value))["type"] == "error"


def test_it_starts_when_load_page_is_echoed() -> None:
    assert find_command("load_page").answers == ("load_page",)
    assert result(LoadPage()) == {"type": "load_page"}


def test_it_shows_an_identicon_only_where_avatar_url_is_there() -> None:
    peer = peer_entry(
        SELLER.public_key, hostname="h", port=1, nick="n", is_reachable=True, seconds_since=0
    )
    assert peer.avatar_url == ""
    for message in (Shout(text="hi"), Page()):
        assert shown(message)["avatar_url"] == ""
    assert spell_settings(Settings(), OWNER)["avatar_url"] == ""


def test_it_takes_any_word_for_a_notary() -> None:
    page = b'{"type": "page", "notary": "False", "arbiter": false}'
    assert (shown(decode_message(page))["notary"], shown(Page())["arbiter"]) == ("", "")
    page = b'{"type": "page", "notary": "True", "arbiter": true}'
    assert shown(decode_message(page))["notary"] is True
    assert shown(decode_message(page))["arbiter"] is True


def test_it_breaks_on_a_page_without_nick_or_text() -> None:
    page = shown(decode_message(b'{"type": "page"}'))
    assert (page["senderNick"], page["text"]) == ("", "")


def test_it_shows_contracts_of_the_store_that_it_looks_at() -> None:
    message = ListingResult(item=item_of(LISTING, number=7))
    contract = result(StoreContract(contract=shown(message)))["contract"]
    assert contract["senderGUID"] == SELLER.guid.hex()
    assert isinstance(contract["contract_body"]["Contract"]["item_delivery"], dict)


def test_it_decodes_the_contract_of_a_hit_itself() -> None:
    message = QueryListingResult(listing=(row_of(LISTING, number=7),))
    (row,) = result(shown(message))["listing"]
    assert json.loads(row["contract_body"])["Contract"]["item_title"] == "Bicycle"
    assert row["key"] == LISTING.key.hex()


def test_it_looks_for_contracts_two_levels_down() -> None:
    sent = result(contracts([], page=0, total=0))
    assert "page" not in sent
    assert sent["contracts"] == {"contracts": [], "page": 0, "total_contracts": 0}


@pytest.mark.parametrize("params", [{}, {"key": ""}, {"key": None}, {"type": "search"}])
def test_it_searches_for_nothing(params: dict[str, Any]) -> None:
    assert ask("search", **params) == Search(words="")


def test_it_sends_back_what_angular_wrote_into_a_list() -> None:
    marked = {"guid": SELLER.guid.hex(), "nickname": "N", "$$hashKey": "00G"}
    change = ask("update_settings", settings={"notaries": [marked]}).change
    assert "$$hashKey" not in json.dumps(spell_settings(changed(Settings(), change), OWNER))


def test_it_sends_back_all_it_was_sent() -> None:
    settings = Settings(nickname="Anna", is_notary=True, welcome="disable")
    shown_to_it = json.loads(json.dumps(spell_settings(settings, OWNER)))
    change = CHANGES.read(shown_to_it | {"burnAmount": 0.5, "burnAddr": "1A"})
    assert changed(Settings(), change) == settings
    told = result(SettingsEcho(values=echo(settings, change, OWNER)))
    assert told["values"]["settings"]["nickname"] == "Anna"


def test_a_letter_is_told_with_all_its_words() -> None:
    message = InboxMessage(message_id=bytes(32), subject="s", body="b", created=7)
    told = result(InboxNotify(msg=shown(message)))["msg"]
    assert told["type"] == "inbox_message"
    assert told["sender_guid"] == told["senderGUID"] == SELLER.guid.hex()


def test_no_peer_can_speak_for_its_node() -> None:
    answers = {name for command in COMMANDS for name in command.answers}
    pushed = {"order_notify", "republish_notify", "inbox_notify", "burn_info_available", "error"}
    assert not (answers | pushed) & KINDS.keys()
