"""Contacts whose names hang together, and the networks they speak from."""

from __future__ import annotations

import msgspec
import pytest

from fondaco.identity.keys import IdentityKey
from fondaco.identity.names import Guid
from fondaco.market import dht_limits
from fondaco.market.contacts import (
    Contact,
    MalformedContact,
    check_contact,
    contact,
    network_of,
)

ALICE, BOB = (IdentityKey(bytes([n]) * 32) for n in (1, 2))
ADDRESS = "/ip4/8.8.8.8/tcp/60558"


def test_a_contact_is_named_after_its_key() -> None:
    one = contact(ALICE.public_key, (ADDRESS,))
    assert (one.guid, one.peer_id, one.addresses) == (ALICE.guid, ALICE.peer_id, (ADDRESS,))
    check_contact(one)


def changed(**fields: object) -> Contact:
    return msgspec.structs.replace(contact(ALICE.public_key, (ADDRESS,)), **fields)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(changed(guid=BOB.guid), id="another's GUID"),
        pytest.param(changed(peer_id=BOB.peer_id), id="another's peer ID"),
        pytest.param(changed(public_key=BOB.public_key), id="another's key"),
        pytest.param(changed(public_key=b"\x02" + b"\xff" * 32), id="no point"),
        pytest.param(changed(public_key=b""), id="no key"),
        pytest.param(changed(guid=Guid(b"")), id="no GUID"),
        pytest.param(changed(addresses=(ADDRESS,) * 9), id="too many addresses"),
        pytest.param(changed(addresses=("a" * 257,)), id="a long address"),
        pytest.param(changed(addresses=("",)), id="an empty address"),
    ],
)
def test_names_that_do_not_hang_together(wrong: Contact) -> None:
    with pytest.raises(MalformedContact):
        check_contact(wrong)


def test_a_connected_peer_is_told_of_with_few_addresses() -> None:
    many = ("", "a" * (dht_limits.MAX_ADDRESS_SIZE + 1), *[f"/ip4/8.8.8.{n}" for n in range(20)])
    one = contact(ALICE.public_key, many)
    assert one.addresses == many[2 : 2 + dht_limits.MAX_ADDRESSES]
    check_contact(one)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("8.8.8.8", "8.8.8.0/24"),
        ("8.8.8.200", "8.8.8.0/24"),
        ("::ffff:8.8.8.8", "8.8.8.0/24"),
        ("2a00:1450:4001:800::200e", "2a00:1450:4001::/48"),
        ("2a00:1450:4001:801::1%eth0", "2a00:1450:4001::/48"),
        ("relay 16Uiu2HAm", "relay 16Uiu2HAm"),
        ("127.0.0.1", None),
        ("::1", None),
        ("10.1.2.3", None),
        ("192.168.1.7", None),
        ("fe80::1%eth0", None),
        ("example.org", None),
        ("", None),
    ],
)
def test_networks(address: str, network: str | None) -> None:
    assert network_of(address) == network
