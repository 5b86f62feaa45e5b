"""Every command of ``/ws``: the dispatcher and the docs read this table.

    Request --open_command--> Command, Params --> its handler
                   |
                   '--> UnknownCommand, TradeUnavailable, CommandUnavailable, OwnerOnly,
                        MalformedRequest, MalformedParams: an error frame

Source: all 45 commands of OpenBazaar 0.4, which are those of 0.3.1 and seven more. Where the
original answered nothing, so do we.
"""

from __future__ import annotations

import enum

import msgspec

from fondaco.market import command_params as say
from fondaco.market.command_params import Nothing, Params
from fondaco.market.envelope import Request
from fondaco.market.errors import (
    CommandUnavailable,
    MalformedParams,
    MalformedRequest,
    OwnerOnly,
    TradeUnavailable,
    UnknownCommand,
)
from fondaco.market.fields import Misread, Schema, object_schema, read_fields
from fondaco.market.word_limits import MAX_FRAME, MAX_RAW_REQUEST, MAX_REQUEST


class Group(enum.Enum):
    """What becomes of a command."""

    WORKS = "works"
    TRADE = "not yet: needs escrow"
    UNAVAILABLE = "not available"


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """One command."""

    name: str
    summary: str
    params: type[Params] = Nothing
    answers: tuple[str, ...] = ()
    """Types of what the asking socket is sent at once; empty: nothing."""
    later: tuple[str, ...] = ()
    """Types of what may follow when others have answered."""
    group: Group = Group.WORKS
    reason: str = ""
    """Why it is not to be had."""
    moves_money: bool = False
    for_owner: bool = True
    """Whether it changes something, speaks in the owner's name or shows what is his alone."""
    max_bytes: int = MAX_REQUEST

    @property
    def schema(self) -> Schema:
        """Return the JSON Schema of ``params``."""
        return object_schema(self.params)


_NO_ESCROW = "this node does not trade yet; nothing was sent and no money was moved"
_NO_BITMESSAGE = "there is no Bitmessage here; send_inbox_message reaches every peer"


def _trade(name: str, summary: str, params: type[Params]) -> Command:
    return Command(
        name=name,
        summary=summary,
        params=params,
        group=Group.TRADE,
        reason=_NO_ESCROW,
        moves_money=True,
    )


def _unavailable(name: str, summary: str, reason: str, params: type[Params] = Nothing) -> Command:
    return Command(
        name=name, summary=summary, params=params, group=Group.UNAVAILABLE, reason=reason
    )


_NETWORK = (
    Command(
        name="load_page",
        summary="Answered at once: the socket is usable, and a page of the client may begin.",
        answers=("load_page",),
        for_owner=False,
    ),
    Command(
        name="connect", summary="Dial a peer at an address.", params=say.Connect, answers=("ok",)
    ),
    Command(name="peers", summary="List the peers.", answers=("peers",), for_owner=False),
    Command(
        name="add_node",
        summary="Look for a node by its GUID, and make it a peer.",
        params=say.AddNode,
        later=("peers",),
    ),
    Command(
        name="query_page",
        summary="Ask a store for its page.",
        params=say.QueryPage,
        later=("page", "reputation_pledge_update"),
        for_owner=False,
    ),
    Command(
        name="query_store_products",
        summary="Ask a store for what it offers.",
        params=say.QueryStoreProducts,
        later=("store_contract", "listing_result", "no_listings_found", "no_listing_result"),
        for_owner=False,
    ),
    Command(
        name="search",
        summary="Look for listings by words; nothing to look for is answered by nothing.",
        params=say.Search,
        later=("query_listing_result", "global_search_result"),
        for_owner=False,
    ),
    Command(name="shout", summary="Tell all peers something.", params=say.Shout),
    _unavailable(
        "review",
        "Judge a peer.",
        "reviews need trades to speak of; this node does not trade yet",
        say.Review,
    ),
)

_ORDERS = (
    Command(
        name="check_order_count",
        summary="Count the orders that wait for a payment.",
        answers=("order_count",),
    ),
    Command(
        name="query_orders",
        summary="List orders, ten a page, the one that changed last first.",
        params=say.QueryOrders,
        answers=("myorders",),
        later=("order_payment_amount",),
    ),
    Command(
        name="query_order",
        summary="Show one order.",
        params=say.OneOrder,
        answers=("orderinfo",),
        later=("order_payment_amount",),
    ),
    _trade("order", "Order something.", say.PlaceOrder),
    _trade("pay_order", "Say that an order was paid.", say.OneOrder),
    _trade("ship_order", "Say that an order was sent.", say.ShipOrder),
    _trade("release_payment", "Give the merchant the money.", say.OneOrder),
    _trade("refund_order", "Give the buyer the money back.", say.OneOrder),
    _trade("refund_recipient", "As a notary, give one of both the money.", say.Resolve),
)

_CONTRACTS = (
    Command(
        name="create_contract",
        summary="Sign a contract, keep it and offer it.",
        params=say.CreateContract,
        max_bytes=MAX_FRAME,
    ),
    Command(
        name="update_contract",
        summary="Sign a contract that takes the place of another, which is withdrawn.",
        params=say.UpdateContract,
        max_bytes=MAX_FRAME,
    ),
    Command(name="remove_contract", summary="Withdraw a contract.", params=say.OneContract),
    Command(
        name="undo_remove_contract",
        summary="Offer a withdrawn contract again.",
        params=say.OneContract,
    ),
    Command(
        name="query_contracts",
        summary="List the own contracts, ten a page.",
        params=say.Paged,
        answers=("contracts",),
    ),
    Command(name="republish_contracts", summary="Offer all contracts anew, now."),
    Command(
        name="import_raw_contract",
        summary="Take over a clear-signed contract of the original.",
        params=say.ImportContract,
        max_bytes=MAX_RAW_REQUEST,
    ),
)

_SETTINGS = (
    Command(
        name="get_notaries", summary="List the notaries in trust.", answers=("settings_notaries",)
    ),
    Command(name="add_trusted_notary", summary="Trust a notary.", params=say.TrustNotary),
    Command(
        name="remove_trusted_notary",
        summary="Trust a notary no longer.",
        params=say.DistrustNotary,
    ),
    Command(
        name="update_settings",
        summary="Change what the store says of itself.",
        params=say.UpdateSettings,
        answers=("settings",),
    ),
    Command(
        name="refresh_settings",
        summary="Show the settings and the peers anew.",
        answers=("myself",),
        later=("burn_info_available",),
    ),
    Command(
        name="generate_secret",
        summary="Make a new identity, under which the node runs after its next start.",
        answers=("myself",),
    ),
    Command(name="welcome_dismissed", summary="Do not greet the user again."),
)

_MESSAGES = (
    Command(
        name="send_inbox_message",
        summary="Write to a peer, who may be offline.",
        params=say.SendInboxMessage,
    ),
    Command(
        name="check_inbox_count",
        summary="Count the messages in the inbox.",
        answers=("inbox_count",),
    ),
    Command(
        name="get_inbox_messages",
        summary="List the messages that came.",
        answers=("inbox_messages",),
    ),
    Command(
        name="get_inbox_sent_messages",
        summary="List the messages that went.",
        answers=("inbox_sent_messages",),
    ),
    _unavailable("query_messages", "List messages of Bitmessage.", _NO_BITMESSAGE),
    _unavailable(
        "send_message", "Write to a Bitmessage address.", _NO_BITMESSAGE, say.SendBitmessage
    ),
)

_NODE = (
    Command(
        name="get_btc_ticker",
        summary="Tell the price of bitcoin; nothing where no source is set, or none answers.",
        later=("btc_ticker",),
        for_owner=False,
    ),
    Command(name="create_backup", summary="Back the store up.", answers=("create_backup_result",)),
    Command(name="get_backups", summary="List the backups.", answers=("on_get_backups_response",)),
    Command(name="clear_dht_data", summary="Forget the records that are kept for others."),
    Command(name="clear_peers_data", summary="Forget the addresses of peers."),
    _unavailable(
        "read_log", "Follow the log.", "the log stays on the machine of the node: see its files"
    ),
    Command(name="stop_server", summary="Say goodbye to the peers and stop the node."),
)

COMMANDS = (*_NETWORK, *_ORDERS, *_CONTRACTS, *_SETTINGS, *_MESSAGES, *_NODE)
"""All of them."""

_BY_NAME = {command.name: command for command in COMMANDS}


def find_command(name: str) -> Command:
    """Return a command.

    Raises:
        UnknownCommand: there is none of this name.
    """
    command = _BY_NAME.get(name)
    if command is None:
        raise UnknownCommand(name)
    return command


def open_command(request: Request, *, is_owner: bool) -> tuple[Command, Params]:
    """Return what a client wants, if it can be had.

    A command that is not to be had is not asked for its parameters: whoever sends one shall learn
    that first.

    Args:
        is_owner: whether the connection has the rights of the node's owner.

    Raises:
        UnknownCommand, TradeUnavailable, CommandUnavailable, OwnerOnly: in this sequence.
        MalformedRequest: too long for this command.
        MalformedParams: names the parameter.
    """
    command = find_command(request.command)
    if command.group is Group.TRADE:
        raise TradeUnavailable(command.name, command.reason)
    if command.group is Group.UNAVAILABLE:
        raise CommandUnavailable(command.name, command.reason)
    if command.for_owner and not is_owner:
        raise OwnerOnly(command.name)
    if request.size > command.max_bytes:
        raise MalformedRequest("", f"at most {command.max_bytes} bytes for {command.name}")
    return command, read_params(command, request.params)


def read_params(command: Command, params: object) -> Params:
    """Return what decoded JSON says to *command*.

    Raises:
        MalformedParams: names the parameter that is missing or does not fit.
    """
    try:
        return read_fields(command.params, params)
    except Misread as exc:
        raise MalformedParams(exc.path, exc.expected) from None
