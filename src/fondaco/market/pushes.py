"""What a node tells its clients of itself: peers, settings, inbox, backups.

Each class is one ``result``; its tag is the ``type``, its fields are the keys of the original with
the types they had. Where version 0.4 had more keys than the API document of 0.3.1, all are sent.
Orders are in ``order_pushes``, contracts and what other stores have in ``store_pushes``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec

from fondaco.identity import names
from fondaco.identity.names import Guid
from fondaco.market.envelope import Result
from fondaco.market.kinds import spell_price
from fondaco.market.money import COIN, Satoshi

VERSION = "0.4.0"
"""``v``: the version of the original whose words these are."""


# --- peers ---------------------------------------------------------------------------


class PeerEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One peer of a list. Made by ``peer_entry``."""

    hostname: str
    port: int
    pubkey: str
    guid: str
    sin: str
    nick: str
    reachable: bool
    avatar_url: str
    """Never left out: a browser would show a broken picture."""
    last_seen: int
    """Seconds since it was last heard of."""


def peer_entry(
    public_key: bytes,
    *,
    hostname: str,
    port: int,
    nick: str,
    is_reachable: bool,
    seconds_since: int,
    avatar_url: str = "",
) -> PeerEntry:
    """Return the peer with a compressed key, its names spelled."""
    guid = names.guid(public_key)
    return PeerEntry(
        hostname=hostname,
        port=port,
        pubkey=names.uncompressed(public_key).hex(),
        guid=guid.hex(),
        sin=names.sin(guid),
        nick=nick,
        reachable=is_reachable,
        avatar_url=avatar_url,
        last_seen=max(0, seconds_since),
    )


def each_once(peers: Iterable[PeerEntry]) -> list[PeerEntry]:
    """Return *peers* with every GUID once, and without those that have none.

    The web client tracks them by GUID; a second one stops it from showing the list.
    """
    return list({peer.guid: peer for peer in peers if peer.guid}.values())


class Peers(Result, frozen=True, kw_only=True, tag="peers"):
    """Answers ``peers``; sent whenever the list changes."""

    peers: list[PeerEntry]
    """By ``each_once``."""


class Country(msgspec.Struct, frozen=True, kw_only=True):
    """One country to choose from."""

    code: str
    name: str


class Myself(Result, frozen=True, kw_only=True, tag="myself"):
    """Who the node is. The first thing on every connection."""

    pubkey: str
    guid: str
    peers: list[PeerEntry]
    settings: dict[str, Any]
    """By ``settings_words.spell_settings``."""
    countryCodes: list[Country]
    sin: str
    uri: str
    """The first version's; later clients read ``guid`` and the peers' addresses."""
    v: str = VERSION


def myself(
    public_key: bytes,
    *,
    peers: Iterable[PeerEntry],
    settings: dict[str, Any],
    countries: Sequence[tuple[str, str]],
    uri: str = "",
) -> Myself:
    """Return what a node with a compressed key says of itself.

    Args:
        countries: code and name.
    """
    guid = names.guid(public_key)
    return Myself(
        pubkey=names.uncompressed(public_key).hex(),
        guid=guid.hex(),
        peers=each_once(peers),
        settings=settings,
        countryCodes=[Country(code=code, name=name) for code, name in countries],
        sin=names.sin(guid),
        uri=uri,
    )


class LoadPage(Result, frozen=True, kw_only=True, tag="load_page"):
    """Answers ``load_page``, at once: then a page of the web client begins its work."""


class Ok(Result, frozen=True, kw_only=True, tag="ok"):
    """Answers ``connect``."""


class RepublishNotify(Result, frozen=True, kw_only=True, tag="republish_notify"):
    """Every hour, when all that is one's own was stored anew."""

    msg: str = "P2P Data Republished"


class BurnInfoAvailable(Result, frozen=True, kw_only=True, tag="burn_info_available"):
    """What was pledged for ever to the node's own name."""

    amount: int
    """Satoshi."""
    addr: str
    v: str = VERSION


class ReputationPledgeUpdate(Result, frozen=True, kw_only=True, tag="reputation_pledge_update"):
    """The same of another store, after its ``page``."""

    value: Any
    """A JSON number of bitcoin with at most four decimal places. Made by ``pledge``."""
    v: str = VERSION


def pledge(amount: Satoshi) -> ReputationPledgeUpdate:
    """Return what a store has pledged, rounded down as a promise is."""
    step = COIN // 10_000
    return ReputationPledgeUpdate(value=spell_price(Satoshi(amount - amount % step)))


# --- settings ------------------------------------------------------------------------


class SettingsEcho(Result, frozen=True, kw_only=True, tag="settings"):
    """Answers ``update_settings``."""

    values: dict[str, Any]
    """By ``settings_words.echo``."""


class SettingsNotaries(Result, frozen=True, kw_only=True, tag="settings_notaries"):
    """Answers ``get_notaries``."""

    notaries: list[dict[str, Any]]
    """By ``settings_words.spell_notaries``."""


# --- inbox ---------------------------------------------------------------------------


class InboxCount(Result, frozen=True, kw_only=True, tag="inbox_count"):
    """How many messages there are."""

    count: int


class InboxRow(msgspec.Struct, frozen=True, kw_only=True):
    """One message, as a row of the original's table ``inbox``. Made by ``inbox_row``."""

    id: int
    message_id: str
    parent_id: str
    subject: str
    body: str
    sender_guid: str
    recipient_guid: str
    confirmed: str
    created: int
    received: int | Literal[""]


def inbox_row(
    *,
    number: int,
    message_id: bytes,
    subject: str,
    body: str,
    sender: Guid,
    recipient: Guid,
    created: int,
    received: int | None = None,
    state: str = "",
) -> InboxRow:
    """Return one message.

    Args:
        number: of the row; the newest has the highest.
        created: seconds since 1970, as the sender says.
        received: when it came here, or, of one that was sent, when it was fetched.
        state: of one that was sent: where it is, in words.
    """
    return InboxRow(
        id=number,
        message_id=message_id.hex(),
        parent_id="",
        subject=subject,
        body=body,
        sender_guid=sender.hex(),
        recipient_guid=recipient.hex(),
        confirmed=state,
        created=created,
        received="" if received is None else received,
    )


class InboxMessages(Result, frozen=True, kw_only=True, tag="inbox_messages"):
    """Answers ``get_inbox_messages``, the newest first; sent when one comes."""

    messages: list[InboxRow]


class InboxSentMessages(Result, frozen=True, kw_only=True, tag="inbox_sent_messages"):
    """Answers ``get_inbox_sent_messages``, the newest first."""

    messages: list[InboxRow]


class InboxNotify(Result, frozen=True, kw_only=True, tag="inbox_notify"):
    """A message came."""

    msg: dict[str, Any]
    """The peer's ``inbox_message``, by ``peer_messages.forwarded``."""


# --- ticker, backups -----------------------------------------------------------------


class BtcTicker(Result, frozen=True, kw_only=True, tag="btc_ticker"):
    """The price of bitcoin. Made by ``btc_ticker``."""

    data: str
    """JSON text, which the web client decodes."""


def btc_ticker(prices: dict[str, float]) -> BtcTicker:
    """Return the prices of one bitcoin.

    Args:
        prices: by currency, ``USD`` among them.
    """
    # The shape of blockchain.info's ticker, of which clients read USD.last.
    rows = {
        currency: {"15m": price, "last": price, "buy": price, "sell": price, "symbol": currency}
        for currency, price in prices.items()
    }
    return BtcTicker(data=msgspec.json.encode(rows).decode())


class CreateBackupResult(Result, frozen=True, kw_only=True, tag="create_backup_result"):
    """Answers ``create_backup``."""

    result: Literal["success", "failure"]
    detail: str
    """Where the backup is, or what went wrong."""
    v: str = VERSION


class Backup(msgspec.Struct, frozen=True, kw_only=True):
    """One backup."""

    file_name: str
    full_file_path: str
    created_timestamp_millis: int
    size_in_bytes: int


class OnGetBackupsResponse(Result, frozen=True, kw_only=True, tag="on_get_backups_response"):
    """Answers ``get_backups``. Made by ``backups_response``."""

    result: Literal["success", "failure"]
    backups: list[str]
    """Each is JSON text, which the web client decodes."""
    v: str = VERSION


def backups_response(backups: Sequence[Backup]) -> OnGetBackupsResponse:
    """Return the list of backups."""
    return OnGetBackupsResponse(
        result="success", backups=[msgspec.json.encode(backup).decode() for backup in backups]
    )
