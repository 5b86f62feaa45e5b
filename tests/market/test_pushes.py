"""What clients are told of the node: the keys of the original, each with its type."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fondaco.identity import names
from fondaco.market import order_pushes, pushes, store_pushes
from fondaco.market.envelope import Failure, Result, encode_frame
from fondaco.market.money import Satoshi
from fondaco.market.pushes import (
    Backup,
    BurnInfoAvailable,
    CreateBackupResult,
    InboxCount,
    InboxMessages,
    InboxSentMessages,
    LoadPage,
    Ok,
    PeerEntry,
    Peers,
    RepublishNotify,
    backups_response,
    btc_ticker,
    each_once,
    inbox_row,
    myself,
    peer_entry,
    pledge,
)
from fondaco.market.settings_words import Owner, Settings, spell_settings
from support.contracts import BUYER, SELLER


def result(push: Result) -> Any:
    """Return what a client reads."""
    return json.loads(encode_frame(1, push))["result"]


def peer(key: bytes = BUYER.public_key, nick: str = "Store Name") -> PeerEntry:
    return peer_entry(
        key, hostname="203.0.113.7", port=12345, nick=nick, is_reachable=True, seconds_since=4
    )


def test_every_frame_has_a_type_in_its_result() -> None:
    kinds: list[type[Result]] = [
        kind
        for module in (pushes, order_pushes, store_pushes)
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, Result) and kind is not Result
    ]
    kinds.append(Failure)
    types = {kind.__struct_config__.tag for kind in kinds}
    assert types == {
        *("myself", "peers", "load_page", "ok", "republish_notify", "burn_info_available"),
        *("reputation_pledge_update", "settings", "settings_notaries", "inbox_count"),
        *("inbox_messages", "inbox_sent_messages", "inbox_notify", "btc_ticker"),
        *("create_backup_result", "on_get_backups_response", "order_count", "orderinfo"),
        *("order_payment_amount", "order_notify", "myorders", "contracts", "store_contract"),
        *("no_listings_found", "global_search_result", "error"),
    }
    assert {kind.__struct_config__.tag_field for kind in kinds} == {"type"}


def test_peers_have_every_key_of_both_versions() -> None:
    assert result(Peers(peers=[peer()])) == {
        "type": "peers",
        "peers": [
            {
                "hostname": "203.0.113.7",
                "port": 12345,
                "pubkey": names.uncompressed(BUYER.public_key).hex(),
                "guid": BUYER.guid.hex(),
                "sin": names.sin(BUYER.guid),
                "nick": "Store Name",
                "reachable": True,
                "avatar_url": "",
                "last_seen": 4,
            }
        ],
    }


def test_no_peer_stands_twice_or_without_a_guid() -> None:
    peers = each_once([peer(nick="old"), peer(SELLER.public_key), peer(nick="new")])
    assert [one.nick for one in peers] == ["new", "Store Name"]
    nameless = PeerEntry(
        hostname="", port=0, pubkey="", guid="", sin="", nick="", reachable=False,
        avatar_url="", last_seen=0,
    )  # fmt: skip
    assert each_once([nameless]) == []


def test_myself() -> None:
    settings = spell_settings(Settings(), Owner(public_key=SELLER.public_key))
    sent = result(
        myself(
            SELLER.public_key,
            peers=[peer(), peer()],
            settings=settings,
            countries=[("IT", "Italy")],
        )
    )
    assert sent.keys() == {
        *("type", "pubkey", "guid", "peers", "settings", "countryCodes", "sin", "uri", "v"),
    }
    assert sent["guid"] == sent["settings"]["guid"] == SELLER.guid.hex()
    assert sent["sin"] == names.sin(SELLER.guid)
    assert len(sent["peers"]) == 1
    assert sent["countryCodes"] == [{"code": "IT", "name": "Italy"}]
    # What the web client looks for in them.
    assert sent["settings"].keys() >= {
        *("guid", "nickname", "avatar_url", "welcome", "trustedArbiters", "notaries", "notary"),
        *("recipient_name", "street1", "street2", "city", "stateRegion", "zip", "country"),
    }
    assert sent["settings"]["avatar_url"] == ""
    assert sent["settings"]["trustedArbiters"] == sent["settings"]["notaries"] == []
    assert isinstance(sent["settings"]["notary"], str)


@pytest.mark.parametrize(
    ("push", "sent"),
    [
        (LoadPage(), {"type": "load_page"}),
        (Ok(), {"type": "ok"}),
        (RepublishNotify(), {"type": "republish_notify", "msg": "P2P Data Republished"}),
        (InboxCount(count=2), {"type": "inbox_count", "count": 2}),
        (
            BurnInfoAvailable(amount=5, addr="1A"),
            {"type": "burn_info_available", "amount": 5, "addr": "1A", "v": "0.4.0"},
        ),
        (
            pledge(Satoshi(123_459_999)),
            {"type": "reputation_pledge_update", "value": 1.2345, "v": "0.4.0"},
        ),
        (pledge(Satoshi(0)), {"type": "reputation_pledge_update", "value": 0, "v": "0.4.0"}),
        (
            CreateBackupResult(result="success", detail="/x/y.tar.gz"),
            {
                "type": "create_backup_result",
                "result": "success",
                "detail": "/x/y.tar.gz",
                "v": "0.4.0",
            },
        ),
    ],
)
def test_small_ones(push: Result, sent: dict[str, Any]) -> None:
    assert result(push) == sent


def test_a_message_of_the_inbox_is_a_row_of_its_table() -> None:
    row = inbox_row(
        number=3,
        message_id=b"\x01" * 32,
        subject="Bicycle",
        body="Is it red?",
        sender=BUYER.guid,
        recipient=SELLER.guid,
        created=1_790_000_000,
        state="held by 3",
    )
    for kind in (InboxMessages, InboxSentMessages):
        (sent,) = result(kind(messages=[row]))["messages"]
        assert sent == {
            "id": 3,
            "message_id": "01" * 32,
            "parent_id": "",
            "subject": "Bicycle",
            "body": "Is it red?",
            "sender_guid": BUYER.guid.hex(),
            "recipient_guid": SELLER.guid.hex(),
            "confirmed": "held by 3",
            "created": 1_790_000_000,
            "received": "",
        }


def test_the_ticker_is_text_that_is_json() -> None:
    data = result(btc_ticker({"USD": 234.5, "EUR": 210.0}))["data"]
    assert isinstance(data, str)
    assert json.loads(data)["USD"]["last"] == 234.5


def test_backups_are_a_list_of_texts_that_are_json() -> None:
    backup = Backup(
        file_name="a.tar.gz",
        full_file_path="/x/a.tar.gz",
        created_timestamp_millis=1_790_000_000_000,
        size_in_bytes=7,
    )
    sent = result(backups_response([backup]))
    assert sent.keys() == {"type", "result", "backups", "v"}
    assert [json.loads(text) for text in sent["backups"]] == [
        {
            "file_name": "a.tar.gz",
            "full_file_path": "/x/a.tar.gz",
            "created_timestamp_millis": 1_790_000_000_000,
            "size_in_bytes": 7,
        }
    ]
