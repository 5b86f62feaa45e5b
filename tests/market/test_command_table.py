"""All commands of the original are there, and each ends in what it says or in an error frame."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.market import word_limits
from fondaco.market.command_table import COMMANDS, Group, find_command, open_command
from fondaco.market.envelope import Failure, decode_request, failure
from fondaco.market.errors import (
    CommandUnavailable,
    MalformedRequest,
    OwnerOnly,
    RequestRefused,
    TradeUnavailable,
    UnknownCommand,
)
from support.contracts import seed_params

ORIGINAL = [
    *("load_page", "connect", "peers"),
    *("query_page", "query_store_products", "search"),
    *("order", "query_order", "query_orders"),
    *("pay_order", "ship_order", "release_payment"),
    *("refund_order", "refund_recipient", "create_contract"),
    *("update_contract", "remove_contract", "undo_remove_contract"),
    *("query_contracts", "republish_contracts", "import_raw_contract"),
    *("get_notaries", "add_trusted_notary", "remove_trusted_notary"),
    *("add_node", "check_order_count", "check_inbox_count"),
    *("update_settings", "refresh_settings", "generate_secret"),
    *("welcome_dismissed", "shout", "review"),
    *("query_messages", "send_message", "send_inbox_message"),
    *("get_inbox_messages", "get_inbox_sent_messages", "get_btc_ticker"),
    *("read_log", "create_backup", "get_backups"),
    *("clear_dht_data", "clear_peers_data", "stop_server"),
]
"""The 45 of version 0.4."""

MOVES_MONEY = {
    *("order", "pay_order", "ship_order"),
    *("release_payment", "refund_order", "refund_recipient"),
}

FOR_ALL = {
    *("load_page", "peers", "query_page", "query_store_products", "search", "get_btc_ticker"),
}
"""What shows nothing of the owner's, and changes nothing."""


def ask(name: str, params: dict[str, Any] | None = None, *, is_owner: bool = True) -> Any:
    text = json.dumps({"id": 42, "command": name, "params": params or {}})
    return open_command(decode_request(text), is_owner=is_owner)[1]


def test_all_45_commands_are_there_once() -> None:
    names = [command.name for command in COMMANDS]
    assert len(names) == 45
    assert sorted(names) == sorted(ORIGINAL)


def test_what_moves_money_says_that_it_did_not() -> None:
    assert {command.name for command in COMMANDS if command.moves_money} == MOVES_MONEY
    for name in MOVES_MONEY:
        # Whatever is wrong with the parameters, this is what has to be known.
        for params in ({}, {"orderId": [1]}):
            with pytest.raises(TradeUnavailable, match="no money was moved") as caught:
                ask(name, params)
            assert caught.value.code == "TradeUnavailable"


@pytest.mark.parametrize("name", ["query_messages", "send_message", "read_log", "review"])
def test_what_is_not_to_be_had_says_why(name: str) -> None:
    with pytest.raises(CommandUnavailable, match=name) as caught:
        ask(name)
    assert caught.value.code == "CommandUnavailable"


def test_every_command_says_what_becomes_of_it() -> None:
    for command in COMMANDS:
        assert command.summary.endswith(".")
        assert bool(command.reason) is (command.group is not Group.WORKS)
        if command.group is not Group.WORKS:
            assert command.for_owner
            assert command.answers == command.later == ()


def test_strangers_learn_nothing_of_the_owners() -> None:
    assert {command.name for command in COMMANDS if not command.for_owner} == FOR_ALL
    for name in ("update_settings", "stop_server", "create_backup", "get_backups", "peers"):
        if name in FOR_ALL:
            ask(name, is_owner=False)
            continue
        with pytest.raises(OwnerOnly, match=name):
            ask(name, is_owner=False)


@pytest.mark.parametrize("name", ["", "Peers", "peers ", "disconnect_client", "x" * 10**5])
def test_an_unknown_command_is_told_so(name: str) -> None:
    with pytest.raises(UnknownCommand) as caught:
        ask(name)
    assert caught.value.field == "command"
    assert len(str(caught.value)) < 200


def test_only_a_contract_may_be_long() -> None:
    filler = "x" * word_limits.MAX_REQUEST
    with pytest.raises(MalformedRequest, match="peers"):
        ask("peers", {"filler": filler})
    assert ask("create_contract", seed_params() | {"filler": filler}).draft.item.title == "asfd"


def test_the_docs_can_be_printed() -> None:
    for command in COMMANDS:
        schema = command.schema
        assert schema["type"] == "object", command.name
        json.dumps(schema)
    assert find_command("query_orders").schema["properties"]["merchant"] == {
        "enum": [0, 1, 2, "0", "1", "2"]
    }
    assert find_command("search").schema["required"] == []


CODES = {
    *("UnknownCommand", "TradeUnavailable", "CommandUnavailable"),
    *("OwnerOnly", "MalformedParams", "MalformedRequest"),
}


def failure_of(name: str, params: dict[str, Any], *, is_owner: bool) -> Failure | None:
    try:
        ask(name, params, is_owner=is_owner)
    except RequestRefused as exc:
        return failure(exc)
    return None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES = st.sampled_from(
    sorted({name for command in COMMANDS for name in command.schema.get("properties", ())})
)


@given(
    st.sampled_from(ORIGINAL) | st.text(max_size=9),
    st.dictionaries(NAMES, VALUES, max_size=6),
    st.booleans(),
)
def test_whatever_is_sent_ends_in_parameters_or_an_error_frame(
    name: str, params: dict[str, Any], is_owner: bool
) -> None:
    answer = failure_of(name, params, is_owner=is_owner)
    assert answer is None or (answer.code in CODES and bool(answer.message))
    assert answer is None or answer.code != "MalformedParams" or bool(answer.field)
