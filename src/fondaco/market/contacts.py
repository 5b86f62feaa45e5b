"""A node of the DHT as others know it, and from which network it speaks.

What a contact says of itself hangs together or it is none: GUID and peer ID both follow from
the public key. That somebody *has* the key is shown by a connection, and only such contacts
come into the routing table; others are candidates of one lookup.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

import msgspec

from fondaco.errors import PeerError
from fondaco.identity import names
from fondaco.identity.names import Guid
from fondaco.market import dht_limits
from fondaco.p2p.budget import RELAYED, ip_behind

IPV4_PREFIX, IPV6_PREFIX = 24, 48
"""Bits of an address that its owner cannot choose at will: the smallest networks that are
announced to the Internet."""


NETWORKS_REMEMBERED = 4_096
"""Addresses whose network is remembered, 200 bytes each: to parse one takes 10 us, and the
same few thousand peers come again and again."""


class MalformedContact(PeerError):
    """A contact whose names do not follow from its key, or without end."""

    code = "MalformedContact"


class Contact(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A node: who it is and where. Made by ``contact``, or checked by ``check_contact``."""

    guid: Guid
    peer_id: str
    public_key: bytes
    """Compressed, 33 bytes."""
    addresses: tuple[str, ...] = ()
    """Where it can be dialled; multiaddresses. Empty: nowhere, it only asks."""


def contact(public_key: bytes, addresses: tuple[str, ...] = ()) -> Contact:
    """Return the contact with a key, of which a connection has shown that it has it.

    Addresses that are too long or too many are left out.

    Raises:
        ValueError: the key is not a point on secp256k1.
    """
    guid, peer_id = _names(public_key)
    short = (one for one in addresses if 0 < len(one) <= dht_limits.MAX_ADDRESS_SIZE)
    return Contact(
        guid=guid,
        peer_id=peer_id,
        public_key=public_key,
        addresses=tuple(short)[: dht_limits.MAX_ADDRESSES],
    )


def check_contact(one: Contact) -> None:
    """Look at a contact that somebody else has named.

    Raises:
        MalformedContact: it is none.
    """
    if len(one.addresses) > dht_limits.MAX_ADDRESSES:
        raise MalformedContact(f"contact with {len(one.addresses)} addresses")
    if not all(0 < len(address) <= dht_limits.MAX_ADDRESS_SIZE for address in one.addresses):
        raise MalformedContact("contact with an endless address")
    try:
        named = _names(one.public_key)
    except ValueError:
        raise MalformedContact("contact without a key") from None
    if named != (one.guid, one.peer_id):
        raise MalformedContact("contact under another's name")


@lru_cache(NETWORKS_REMEMBERED)
def network_of(address: str) -> str | None:
    """Return the network of an IP address (or relay): what a stranger has few of.

    None for addresses that are not of the Internet, and what is none at all: this machine and
    its neighbours may be as many as they like.
    """
    if address.startswith(RELAYED):
        return address
    ip = ip_behind(address)
    if ip is None or not ip.is_global:
        return None
    prefix = IPV4_PREFIX if ip.version == 4 else IPV6_PREFIX
    return str(ipaddress.ip_network((ip, prefix), strict=False))


@lru_cache(names.NAMES_REMEMBERED)
def _names(public_key: bytes) -> tuple[Guid, str]:
    return names.guid(public_key), names.peer_id(public_key)
