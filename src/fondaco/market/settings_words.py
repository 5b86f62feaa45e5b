"""The ``settings`` of a store, as clients read them and as they change them.

    update_settings --read_changes--> SettingsChange --changed--> Settings    what is kept
    myself          <--spell_settings-- Settings, Owner
    settings        <--echo--           the same, in the words that the client had used

A client sends back the whole object that it was sent. So what may not be changed is passed over
instead of refused: who the node is (``guid``, ``pubkey``, ``sin``, its PGP key), the numbers of the
original's tables, and the secrets, which are always empty on their way out. Names that this table
does not have are passed over as well. A member that is missing or null stays as it was.

Source: columns of the original's table ``settings``, 0.3.1, and the five that 0.4 added.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Annotated, Any

import msgspec

from fondaco.identity import names
from fondaco.identity.names import Guid
from fondaco.market.fields import Kind, Misread, Wire, fields_of, inside, listed, read_field
from fondaco.market.kinds import (
    ANY_GUID,
    TEXT_SWITCH,
    WEB_ADDRESS,
    line,
    pattern,
    short_name,
    text,
)
from fondaco.market.limits import MAX_LINE, MAX_NUMBER_TEXT
from fondaco.market.word_limits import MAX_NICKNAME, MAX_NOTARIES, MAX_STORE_TEXT

DEFAULT_NICKNAME = "Default"
"""Of a store without a name. Source: OpenBazaar 0.3.1."""

DEFAULT_OBELISK = "obelisk-baltic.airbitz.co:9091"
"""Of a server nobody runs any more; clients expect an address here. Source: OpenBazaar 0.3.1."""

SECRETS = ("secret", "privkey", "bip32_seed")
"""Columns of the original that held private keys: always empty."""

_ROW = {"id": 1, "market_id": 1}
"""Numbers of the row in the original's table: a node has one store."""


class Notary(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Somebody whom the owner trusts to hold the third key."""

    guid: Annotated[Guid, Wire("guid", ANY_GUID)]
    nickname: Annotated[str, Wire("nickname", short_name(MAX_NICKNAME))] = ""


def _read_fee(value: object) -> str:
    """Take a percentage as a number or as text, with or without its sign."""
    is_number = isinstance(value, str | int | Decimal) and not isinstance(value, bool)
    if is_number and not (isinstance(value, int) and abs(value) > 100):
        given = str(value).strip().removesuffix("%").strip()
        plain = len(given) <= MAX_NUMBER_TEXT and given.isascii()
        if plain and given.replace(".", "", 1).isdigit() and Decimal(given) <= 100:
            return format(Decimal(given).normalize(), "f")
    raise Misread("", FEE.expected)


FEE: Kind[str] = Kind(
    expected="a percentage from 0 to 100",
    read=_read_fee,
    schema={"type": ["string", "number"]},
    blank_is_absent=True,
)


def _read_arbiter(value: object) -> str:
    """Take a name, or an object that has a GUID."""
    if isinstance(value, dict):
        return inside(Notary).read(value).guid.hex()
    return line(MAX_LINE, least=1).read(value)


ARBITER: Kind[str] = Kind(
    expected="a GUID",
    read=_read_arbiter,
    schema={"anyOf": [{"type": "string"}, inside(Notary).schema]},
)

ADDRESS = pattern("[A-Za-z0-9]{25,90}|", "an address of Bitcoin")
"""Its checksum is looked at when money is sent to it."""

_SHORT = line(MAX_LINE)
_LONG = text(MAX_STORE_TEXT)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the owner of a store may change."""

    nickname: Annotated[str, Wire("nickname", line(MAX_NICKNAME))] = DEFAULT_NICKNAME
    avatar_url: Annotated[str, Wire("avatar_url", WEB_ADDRESS)] = ""
    homepage: Annotated[str, Wire("homepage", WEB_ADDRESS)] = ""
    email: Annotated[str, Wire("email", _SHORT)] = ""
    bitmessage: Annotated[str, Wire("bitmessage", _SHORT)] = ""
    namecoin_id: Annotated[
        str, Wire("namecoin_id", pattern("[a-z0-9-]{1,39}|", "a name of Namecoin"))
    ] = ""
    store_description: Annotated[str, Wire("storeDescription", _LONG)] = ""

    recipient_name: Annotated[str, Wire("recipient_name", _SHORT)] = ""
    street1: Annotated[str, Wire("street1", _SHORT)] = ""
    street2: Annotated[str, Wire("street2", _SHORT)] = ""
    city: Annotated[str, Wire("city", _SHORT)] = ""
    state_region: Annotated[str, Wire("stateRegion", _SHORT)] = ""
    state_province_region: Annotated[str, Wire("stateProvinceRegion", _SHORT)] = ""
    zip: Annotated[str, Wire("zip", _SHORT)] = ""
    country: Annotated[str, Wire("country", _SHORT)] = ""
    country_code: Annotated[
        str, Wire("countryCode", pattern("[A-Za-z]{2}|", "two letters of ISO 3166"))
    ] = ""

    bitcoin_address: Annotated[str, Wire("bcAddress", ADDRESS)] = ""
    refund_address: Annotated[str, Wire("refundAddress", ADDRESS)] = ""
    obelisk: Annotated[str, Wire("obelisk", _SHORT)] = DEFAULT_OBELISK

    is_notary: Annotated[bool, Wire("notary", TEXT_SWITCH)] = False
    notary_fee: Annotated[str, Wire("notaryFee", FEE)] = "0"
    """Per cent, decimal."""
    notary_description: Annotated[str, Wire("notaryDescription", _LONG)] = ""
    is_arbiter: Annotated[bool, Wire("arbiter", TEXT_SWITCH)] = False
    arbiter_description: Annotated[str, Wire("arbiterDescription", _LONG)] = ""
    notaries: Annotated[
        tuple[Notary, ...], Wire("notaries", listed(inside(Notary), MAX_NOTARIES))
    ] = ()
    """Each GUID once."""
    trusted_arbiters: Annotated[
        tuple[str, ...], Wire("trustedArbiters", listed(ARBITER, MAX_NOTARIES))
    ] = ()

    welcome: Annotated[str, Wire("welcome", pattern("enable|disable", "enable or disable"))] = (
        "enable"
    )
    """Whether the web client greets its user at the next ``myself``."""


class Owner(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Who the node is; no client changes that."""

    public_key: bytes
    """Compressed, 33 bytes."""
    certificate: str = ""
    """``PGPPubKey``, armored."""
    fingerprint: str = ""
    """``PGPPubkeyFingerprint``."""

    @property
    def guid(self) -> Guid:
        """Return the GUID of the key."""
        return names.guid(self.public_key)


class SettingsChange(msgspec.Struct, frozen=True, kw_only=True):
    """What a client wants to be otherwise."""

    values: Mapping[str, Any]
    """Attribute of Settings -> its new value."""
    sent: tuple[str, ...]
    """All the names that the client sent, in its sequence."""


def _read_changes(value: object) -> SettingsChange:
    if not isinstance(value, dict):
        raise Misread("", CHANGES.expected)
    values = {
        field.attribute: read_field(field, value)
        for field in fields_of(Settings)
        if value.get(field.wire.name) is not None
    }
    if not values.get("nickname", DEFAULT_NICKNAME):
        values["nickname"] = DEFAULT_NICKNAME
    if "country_code" in values:
        values["country_code"] = values["country_code"].upper()
    if "notaries" in values:
        values["notaries"] = _each_once(values["notaries"])
    return SettingsChange(values=values, sent=tuple(value))


CHANGES: Kind[SettingsChange] = Kind(
    expected="an object of settings",
    read=_read_changes,
    schema={
        "type": "object",
        "properties": {field.wire.name: field.wire.kind.schema for field in fields_of(Settings)},
    },
)


def changed(settings: Settings, change: SettingsChange) -> Settings:
    """Return *settings* with what *change* names."""
    return msgspec.structs.replace(settings, **change.values)


def trusting(settings: Settings, notary: Notary) -> Settings:
    """Return *settings* with another notary, or with a new name for one.

    Raises:
        Misread: there are MAX_NOTARIES.
    """
    notaries = _each_once((*settings.notaries, notary))
    if len(notaries) > MAX_NOTARIES:
        raise Misread("guid", f"at most {MAX_NOTARIES} notaries")
    return msgspec.structs.replace(settings, notaries=notaries)


def distrusting(settings: Settings, guid: Guid) -> Settings:
    """Return *settings* without a notary."""
    left = tuple(notary for notary in settings.notaries if notary.guid != guid)
    return msgspec.structs.replace(settings, notaries=left)


def spell_settings(
    settings: Settings, owner: Owner, *, online: Collection[Guid] = ()
) -> dict[str, Any]:
    """Return all columns, as in ``myself.settings``; nothing in them is secret.

    Args:
        online: notaries that can be asked just now: the web client offers no others.
    """
    return {
        **_ROW,
        **{
            field.wire.name: field.wire.kind.spell(getattr(settings, field.attribute))
            for field in fields_of(Settings)
        },
        "guid": owner.guid.hex(),
        "pubkey": names.uncompressed(owner.public_key).hex(),
        "sin": names.sin(owner.guid),
        "PGPPubKey": owner.certificate,
        "PGPPubkeyFingerprint": owner.fingerprint,
        "notaries": spell_notaries(settings, online=online),
        **dict.fromkeys(SECRETS, ""),
    }


def spell_notaries(settings: Settings, *, online: Collection[Guid] = ()) -> list[dict[str, Any]]:
    """Return the notaries that the owner trusts, as in ``settings_notaries``."""
    return [
        {
            "guid": notary.guid.hex(),
            "nickname": notary.nickname,
            "online": notary.guid in online,
        }
        for notary in settings.notaries
    ]


def echo(
    settings: Settings, change: SettingsChange, owner: Owner, *, online: Collection[Guid] = ()
) -> dict[str, Any]:
    """Return ``values`` of the ``settings`` push: what a client sent, as it is now.

    Args:
        settings: with the change.
    """
    columns = spell_settings(settings, owner, online=online)
    # The web client's own two, which it computes and sends along.
    columns |= {"burnAmount": 0, "burnAddr": names.burn_address(owner.guid)}
    known = {name: columns[name] for name in change.sent if name in columns}
    return {"type": "update_settings", "settings": known}


def _each_once(notaries: tuple[Notary, ...]) -> tuple[Notary, ...]:
    """Keep one of each GUID, the last: a list in which one stands twice breaks the client's."""
    return tuple({notary.guid: notary for notary in notaries}.values())
