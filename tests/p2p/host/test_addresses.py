from __future__ import annotations

import random

import pytest
from multiaddr import Multiaddr  # type: ignore[import-untyped]

from fondaco.p2p import limits
from fondaco.p2p.host.addresses import (
    UnusableAddress,
    dialable,
    expand,
    ip_of,
    parse_address,
    parse_peer,
    relay_in,
    to_tell,
)

PEER = "16Uiu2HAmGd949LwaV4KNvK2WDSiMVy7xEmW983VH75CMmefmMpP7"
ED25519 = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"
RSA = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"


@pytest.mark.parametrize("spelling", ["p2p", "ipfs"])
@pytest.mark.parametrize(
    "place", ["/ip4/192.0.2.7/tcp/60558", "/dns4/x.example/tcp/1", "/ip6/::1/tcp/2"]
)
def test_addresses_of_peers(place: str, spelling: str) -> None:
    peer, address = parse_address(f"{place}/{spelling}/{PEER}")
    assert (str(peer), str(address)) == (PEER, place)
    assert parse_address(place)[0] is None


@pytest.mark.parametrize("name", [PEER, ED25519, RSA])
def test_peers_of_other_keys_have_names_too(name: str) -> None:
    assert str(parse_peer(name)) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "192.0.2.7:60558",
        "/ip4/192.0.2.7",
        "/ip4/192.0.2.7/udp/1/quic-v1",
        "/ip4/192.0.2.7/tcp/1/ws",
        "/ip4/300.0.2.7/tcp/1",
        "/ip4/192.0.2.7/tcp/99999",
        "/ip4/192.0.2.7/tcp/1/p2p-circuit",
        f"/ip4/192.0.2.7/tcp/1/p2p-circuit/p2p/{PEER}",
        f"/p2p/{PEER}/p2p-circuit",
        f"/ip4/192.0.2.7/udp/1/quic-v1/p2p/{PEER}/p2p-circuit",
        f"/ip4/192.0.2.7/tcp/1/p2p/{PEER}/p2p-circuit/",
        f"/ip4/192.0.2.7/tcp/1/p2p/{PEER}/p2p-circuit/p2p/",
        f"/ip4/192.0.2.7/tcp/1/p2p/{PEER}/p2p-circuit/tcp/1/p2p/{PEER}",
        f"/ip4/192.0.2.7/tcp/1/p2p/{PEER}/p2p-circuit/p2p/{PEER}/p2p-circuit",
        f"/ip4/192.0.2.7/tcp/1/p2p/{PEER[:-1]}",
        "/ip4/192.0.2.7/tcp/1/p2p/0OIl",
        "/ip4/192.0.2.7/tcp/1" + "1" * limits.MAX_ADDRESS_SIZE,
    ],
)
def test_what_leads_nowhere_is_refused(text: str) -> None:
    with pytest.raises(UnusableAddress):
        parse_address(text)


@pytest.mark.parametrize("spelling", ["p2p", "ipfs"])
def test_addresses_through_a_relay(spelling: str) -> None:
    relay = f"/ip4/192.0.2.7/tcp/60558/{spelling}/{ED25519}/p2p-circuit"
    peer, address = parse_address(f"{relay}/{spelling}/{PEER}")
    assert (str(peer), str(address)) == (PEER, relay.replace("ipfs", "p2p"))
    assert parse_address(relay) == (None, address)
    found = relay_in(address)
    assert found is not None
    assert (str(found[0]), str(found[1])) == (ED25519, "/ip4/192.0.2.7/tcp/60558")
    assert relay_in("/ip4/192.0.2.7/tcp/60558") is None
    assert str(ip_of(address)) == "192.0.2.7"


def test_relays_are_tried_last() -> None:
    through = f"/ip4/192.0.2.7/tcp/1/p2p/{PEER}/p2p-circuit"
    nowhere = f"/ip4/192.0.2.7/tcp/0/p2p/{PEER}/p2p-circuit"
    direct = "/ip4/192.0.2.8/tcp/1"
    assert dialable([through, nowhere, direct]) == (direct, through)


def test_random_text_is_refused_or_parsed() -> None:
    chance = random.Random(4)
    letters = "/ip4tcp6p2dns0123456789.:ABCxyz\x00é"
    for _ in range(2000):
        text = "".join(chance.choice(letters) for _ in range(chance.randrange(60)))
        for parse in (parse_address, parse_peer):
            try:
                parse(text)
            except UnusableAddress:
                continue


def test_only_what_can_be_tried_is_kept_and_not_too_much() -> None:
    many = [f"/ip4/192.0.2.{number}/tcp/1" for number in range(100)]
    assert len(dialable(many)) == limits.MAX_PEER_ADDRESSES
    texts = ["/ip4/0.0.0.0/tcp/1", "/ip4/224.0.0.1/tcp/1", "/ip4/192.0.2.1/tcp/0", "/dns4/x/tcp/1"]
    assert dialable(texts) == ()
    assert dialable(texts, names_too=True) == ("/dns4/x/tcp/1",)
    assert dialable([many[0], many[0]]) == (many[0],)


@pytest.mark.parametrize(
    ("asker", "told"),
    [
        ("9.9.9.9", ["/ip4/8.8.8.8/tcp/1"]),
        ("10.1.1.1", ["/ip4/8.8.8.8/tcp/1", "/ip4/10.0.0.1/tcp/1"]),
        ("127.0.0.1", ["/ip4/8.8.8.8/tcp/1", "/ip4/10.0.0.1/tcp/1", "/ip4/127.0.0.1/tcp/1"]),
        ("", ["/ip4/8.8.8.8/tcp/1"]),
    ],
)
def test_private_addresses_are_told_in_private(asker: str, told: list[str]) -> None:
    texts = ["/ip4/8.8.8.8/tcp/1", "/ip4/10.0.0.1/tcp/1", "/ip4/127.0.0.1/tcp/1", "/dns4/x/tcp/1"]
    assert list(to_tell(texts, asker)) == told


def test_listening_everywhere_means_the_machine_s_addresses() -> None:
    listed = expand([Multiaddr("/ip4/0.0.0.0/tcp/60558"), Multiaddr("/ip4/127.0.0.1/tcp/1")])
    found = [ip_of(address) for address in listed]
    assert found
    assert all(ip is not None and not ip.is_unspecified for ip in found)
    assert all(str(address).endswith(("/tcp/60558", "/tcp/1")) for address in listed)
