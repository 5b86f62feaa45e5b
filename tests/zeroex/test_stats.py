"""The statistics under all the names of Mesh, for every way to run the node."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fondaco.chain.budget import RpcBudget
from fondaco.chain.contracts import ChainContracts
from fondaco.chain.headers import Header
from fondaco.testing.clock import FakeClock
from fondaco.zeroex.admission import Origin
from fondaco.zeroex.peer_reports import PeerReport, SetDigest
from fondaco.zeroex.stats import NO_BLOCK_HASH, NodeStats, PeerState
from fondaco.zeroex.trading import Trading
from support.chain_words import CONTRACTS

V3_TOPIC = "/0x-orders/version/3/chain/1337/schema/e30="
V2_TOPIC = "/0x-orders/network/1337/version/1"
V3_MEETING = "/0x-mesh/network/1337/version/2"
V2_MEETING = "/0x-mesh/network/1337/version/1"


class State(msgspec.Struct):
    """Book, blocks and watcher in one, as the test sets them."""

    head: Header | None = None
    staleness: float = 0.0
    last_error: str | None = None
    count: int = 0
    removed_count: int = 0
    pinned_count: int = 0
    due_count: int = 0


def stats(
    state: State | None = None,
    *,
    contracts: ChainContracts = CONTRACTS,
    schema: str = "{}",
    requests: int = 0,
    peers: PeerState | None = None,
) -> dict[str, Any]:
    clock = FakeClock()
    budget = RpcBudget(per_day=100, per_second=1_000, now_ns=clock.now_ns())
    for _ in range(requests):
        budget.reserve(clock.now_ns(), clock.monotonic(), 10.0)
    given = state or State()
    made = NodeStats(
        book=given,
        blocks=given,
        watcher=given,
        budget=budget,
        clock=clock,
        trading=Trading(msgspec.structs.replace(contracts, chain_id=1337), schema),
        peer_id="16Uiu2HAm",
        max_expiration=lambda: 2**256 - 1,
        feed=lambda: (3, 17),
        added={Origin.LOCAL: 4, Origin.GOSSIP: 9},
        peers=peers,
    )
    found: dict[str, Any] = msgspec.to_builtins(made.get())
    return found


def test_before_the_first_block() -> None:
    assert stats()["latestBlock"] == {"number": 0, "hash": NO_BLOCK_HASH}


def test_the_newest_block() -> None:
    header = Header(number=9, hash=b"\x0a" * 32, parent_hash=b"\x0b" * 32, timestamp=1)
    assert stats(State(head=header))["latestBlock"] == {"number": 9, "hash": "0x" + "0a" * 32}


@pytest.mark.parametrize(
    ("contracts", "topics", "meetings"),
    [
        pytest.param(CONTRACTS, [V3_TOPIC, V2_TOPIC], [V3_MEETING, V2_MEETING], id="both"),
        pytest.param(
            msgspec.structs.replace(CONTRACTS, v2=None), [V3_TOPIC], [V3_MEETING], id="v3 only"
        ),
        pytest.param(
            msgspec.structs.replace(CONTRACTS, v3=None), [V2_TOPIC], [V2_MEETING], id="v2 only"
        ),
    ],
)
def test_names_by_the_versions_served(
    contracts: ChainContracts, topics: list[str], meetings: list[str]
) -> None:
    found = stats(contracts=contracts)
    assert (found["pubSubTopic"], found["pubSubTopics"]) == (topics[0], topics)
    assert found["rendezvous"] == found["rendervous"] == meetings[0]
    assert found["secondaryRendezvous"] == meetings[1:]


def test_names_with_a_filter_of_ones_own() -> None:
    found = stats(
        contracts=msgspec.structs.replace(CONTRACTS, v2=None), schema='{"maxProperties":20}'
    )
    assert found["pubSubTopic"] != V3_TOPIC
    assert found["rendezvous"].startswith("/0x-custom-filter-rendezvous/version/1/chain/1337/")
    assert found["secondaryRendezvous"] == [V3_MEETING]


def test_counts_and_numbers_are_spelled_as_mesh_spells_them() -> None:
    found = stats(State(count=5, removed_count=2, pinned_count=4), requests=7)
    assert (found["numOrders"], found["numOrdersIncludingRemoved"]) == (3, 5)
    assert (found["numPinnedOrders"], found["numPeers"]) == (4, 0)
    assert found["maxExpirationTime"] == str(2**256 - 1)
    assert found["startOfCurrentUTCDay"].endswith("T00:00:00Z")
    assert found["ethRPCRequestsSentInCurrentUTCDay"] == 7
    assert found["ethRPCRateLimitExpiredRequests"] == 0
    assert (found["subscribers"], found["lastSequence"]) == (3, 17)
    assert found["ordersAddedBy"] == {"local": 4, "gossip": 9, "sync": 0}


def test_a_node_behind_says_how_far_and_why() -> None:
    found = stats(State(staleness=12.3456, last_error="connection refused", due_count=8))
    assert found["ethRPCSecondsSinceLastAnswer"] == 12.346
    assert found["ethRPCLastError"] == found["ordersWaitingBecause"] == "connection refused"
    assert found["ordersWaitingForChain"] == 8


def test_peers_and_digests_where_there_are_any() -> None:
    class Peers:
        """Two peers and a set."""

        count = 2

        def peers(self) -> list[PeerReport]:
            return []

        def digests(self) -> list[SetDigest]:
            return [SetDigest(set="v3", version=3, filters=(), orders=7, digest="0a" * 16)]

    assert (stats()["peers"], stats()["setDigests"]) == ((), ())
    found = stats(peers=Peers())
    assert found["numPeers"] == 2
    assert [digest["orders"] for digest in found["setDigests"]] == [7]
