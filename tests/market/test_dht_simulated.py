"""Whole networks on a clock of their own: what was put is found, whatever happens."""

from __future__ import annotations

import math
import statistics

import pytest

from fondaco.errors import PeerError
from fondaco.market import dht_limits
from fondaco.market.dht_keys import DhtKey, contract_key, keyword_key
from fondaco.market.dht_messages import Store
from fondaco.market.record_payloads import encode_keyword
from fondaco.market.records import ForgedRecord, Record, RecordKind
from fondaco.testing.dht_simulation import Behaviour, DhtNode, DhtSimulation, Path

HOUR = 3_600.0
K = dht_limits.BUCKET_SIZE
LISTING = DhtKey(bytes(20))


def network(seed: int, count: int, *, path: Path | None = None) -> DhtSimulation:
    """A network that has been there for long."""
    simulation = DhtSimulation(seed, path=path)
    simulation.add_nodes(count)
    simulation.introduce_all()
    return simulation


def publish(simulation: DhtSimulation, nodes: list[DhtNode], count: int) -> list[Record]:
    """Let *count* keywords and contracts be put by nodes in turn."""
    records = []
    for number in range(count):
        node, word = nodes[number % len(nodes)], f"word {number}"
        if number % 2:
            key, kind = keyword_key(word), RecordKind.KEYWORD
            payload = encode_keyword(word, [LISTING])
        else:
            payload = word.encode()
            key, kind = contract_key(payload), RecordKind.CONTRACT
        records.append(simulation.sign(node, key, kind, payload))
        simulation.put(node, records[-1])
        simulation.run(0.02)
    simulation.run(30)
    return records


def search(
    simulation: DhtSimulation, records: list[Record], *, seconds: float = 60
) -> tuple[float, list[int], list[int]]:
    """Search each record from somewhere; return the share that is found, hops and queries."""
    asked = []
    seekers = simulation.living(Behaviour.HONEST)
    for record in records:
        seeker = simulation.random.choice(seekers)
        asked.append((seeker, simulation.get(seeker, record.key), record))
        simulation.run(0.02)
    simulation.run(seconds)
    results = [(seeker.found[errand], record) for seeker, errand, record in asked]
    share = sum(record in found.records for found, record in results) / len(results)
    return share, [one.hops for one, _ in results], [one.queries for one, _ in results]


# --- nodes that die ------------------------------------------------------------------------


def test_a_thousand_nodes_of_which_a_tenth_dies_at_once() -> None:
    simulation = network(1, 1_000)
    records = publish(simulation, simulation.nodes, 300)
    assert all(one.holders == K for node in simulation.nodes for one in node.placed.values())
    simulation.kill(simulation.random.sample(simulation.nodes, 100))
    share, hops, queries = search(simulation, records)
    assert share >= 0.99
    assert statistics.median(hops) <= math.log2(1_000) / 3
    assert max(hops) <= math.log2(1_000)
    assert max(queries) <= 3 * K
    assert not any(node.blamed for node in simulation.nodes)


def test_twenty_nodes_of_which_half_die_at_once() -> None:
    simulation = network(2, 20)
    records = publish(simulation, simulation.nodes, 100)
    simulation.kill(simulation.nodes[::2])
    share, _, _ = search(simulation, records)
    assert share >= 0.99


def test_what_is_lost_on_the_way_costs_little() -> None:
    simulation = network(3, 200, path=Path(loss=0.05))
    records = publish(simulation, simulation.nodes, 30)
    share, _, _ = search(simulation, records)
    assert share >= 0.99


@pytest.mark.parametrize("count", [30, 120, 480])
def test_lookups_take_a_number_of_steps_that_grows_like_the_logarithm(count: int) -> None:
    simulation = network(4, count)
    errands = []
    for _ in range(60):
        node = simulation.random.choice(simulation.nodes)
        place = simulation.random.randbytes(20)
        errands.append((node, simulation.find(node, place), place))
    simulation.run(20)
    located = [(node.located[errand], node, place) for node, errand, place in errands]
    for found, node, place in located:
        best = [one.contact for one in simulation.closest(place, K + 1) if one is not node]
        assert list(found.contacts) == best[:K]
    hops = [found.hops for found, _, _ in located]
    assert statistics.median(hops) <= 1 + math.log2(count / K) / 2
    assert max(hops) <= 1 + math.log2(count)


# --- nodes that lie ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "behaviour", [one for one in Behaviour if one is not Behaviour.HONEST], ids=lambda b: b.value
)
def test_a_fifth_lies(behaviour: Behaviour) -> None:
    simulation = DhtSimulation(5)
    honest = simulation.add_nodes(120)
    liars = simulation.add_nodes(30, behaviour)
    simulation.introduce_all()
    records = publish(simulation, honest, 30)
    share, _, queries = search(simulation, records)
    assert share >= 0.99
    assert max(queries) < dht_limits.MAX_QUERIES
    blamed = {whom.guid for node in honest for whom, _ in node.blamed}
    assert not blamed & {node.guid for node in honest}
    if behaviour is Behaviour.GARBAGE:
        assert blamed == {node.guid for node in liars}


def test_all_kinds_of_liars_and_a_tenth_dies() -> None:
    simulation = DhtSimulation(6)
    honest = simulation.add_nodes(240)
    for behaviour in Behaviour:
        if behaviour is not Behaviour.HONEST:
            simulation.add_nodes(15, behaviour)
    simulation.introduce_all()
    records = publish(simulation, honest, 60)
    simulation.kill(simulation.random.sample(simulation.nodes, 30))
    share, _, _ = search(simulation, records)
    assert share >= 0.99


# --- owners --------------------------------------------------------------------------------


def holders(simulation: DhtSimulation, record: Record) -> list[DhtNode]:
    return [
        node
        for node in simulation.living()
        if node.dht.records.find(record.key, record.owner) == record
    ]


def test_nobody_replaces_or_removes_anothers_record() -> None:
    simulation = network(7, 40)
    owner, thief = simulation.nodes[:2]
    key = keyword_key("bike")

    def say(node: DhtNode, payload: bytes) -> Record:
        record = simulation.sign(node, key, RecordKind.KEYWORD, payload)
        simulation.put(node, record)
        simulation.run(10)
        return record

    old = say(owner, encode_keyword("bike", [LISTING]))
    new = say(owner, encode_keyword("bike", [LISTING, DhtKey(b"\x01" * 20)]))
    theft = say(thief, b"")
    assert len(holders(simulation, new)) >= K
    assert len(holders(simulation, theft)) >= K
    # The thief brings the old one to everybody, and a withdrawal with the owner's name on it.
    forged = simulation.sign(thief, key, RecordKind.KEYWORD, b"")
    forged = Record(
        key=key,
        kind=RecordKind.KEYWORD,
        owner=new.owner,
        sequence=new.sequence + 1,
        expires_at=forged.expires_at,
        payload=b"",
        signature=forged.signature,
    )
    for node in simulation.nodes[2:]:
        for record in (old, forged):
            events = node.dht.asked(
                thief.contact, thief.address, 0, Store((record,)), simulation.now
            )
            errors = [event.error for event in events if hasattr(event, "error")]
            assert all(isinstance(error, PeerError) for error in errors)
            assert bool(errors) is (record is forged)
            assert all(isinstance(error, ForgedRecord) for error in errors)
    seeker = simulation.nodes[-1]
    errand = simulation.get(seeker, key)
    simulation.run(10)
    assert seeker.found[errand].records == (new,)
    # The owner himself can.
    say(owner, b"")
    errand = simulation.get(seeker, key)
    simulation.run(10)
    assert seeker.found[errand].records == ()


def test_records_live_as_long_as_their_owner_comes_back() -> None:
    simulation = network(8, 25)
    gone, here = simulation.nodes[:2]
    lost, kept = publish(simulation, [gone, here], 2)
    simulation.run(HOUR)
    simulation.kill([gone])
    simulation.run(20 * HOUR)
    assert search(simulation, [lost])[0] == 1.0
    simulation.run(4 * HOUR)
    assert search(simulation, [lost])[0] == 0.0
    assert holders(simulation, lost) == []
    assert sum(lost in node.dropped for node in simulation.living()) >= K
    seeker = simulation.nodes[9]
    errand = simulation.get(seeker, kept.key)
    simulation.run(10)
    (renewed,) = seeker.found[errand].records
    assert renewed.payload == kept.payload
    assert renewed.sequence > kept.sequence
    assert renewed.expires_at > simulation.now + dht_limits.RECORD_LIFETIME / 3


def test_a_reader_leaves_a_copy_where_one_was_missing() -> None:
    simulation = network(9, 60)
    (record,) = publish(simulation, simulation.nodes[:1], 1)
    newcomer = simulation.add_node()
    # As close as can be: its key was made for it, or it is luck.
    while simulation.closest(record.key, 5).count(newcomer) == 0:
        simulation.kill([newcomer])
        newcomer = simulation.add_node()
    simulation.join(newcomer, simulation.nodes[1:2])
    simulation.run(20)
    assert newcomer.dht.records.find(record.key, record.owner) is None
    share, _, _ = search(simulation, [record] * 3)
    assert share == 1.0
    assert newcomer.dht.records.find(record.key, record.owner) == record


def test_a_large_store_is_published_at_a_pace_that_its_neighbours_put_up_with() -> None:
    simulation = network(13, 5, path=Path(latency=0.001, jitter=0.001))
    shop = simulation.nodes[0]
    for number in range(1_200):
        payload = b"listing %d" % number
        record = simulation.sign(shop, contract_key(payload), RecordKind.CONTRACT, payload)
        simulation.put(shop, record)
    simulation.run(60)
    assert [one.holders for one in shop.placed.values()] == [4] * 1_200
    assert all(len(node.dht.records) == 1_200 for node in simulation.nodes)


# --- coming and going ----------------------------------------------------------------------


def test_newcomers_find_their_way_in() -> None:
    simulation = DhtSimulation(10)
    first = simulation.add_node()
    for _ in range(60):
        node = simulation.add_node()
        simulation.join(node, [first])
        simulation.run(2)
    simulation.run(60)
    assert all(node.joined and node.joined[0] > 0 for node in simulation.nodes[1:])
    for node in simulation.nodes[::5]:
        errand = simulation.find(node, node.guid)
        simulation.run(10)
        best = [one.contact for one in simulation.closest(node.guid, K + 1) if one is not node]
        assert list(node.located[errand].contacts) == best[:K]


def churn(simulation: DhtSimulation, owners: list[DhtNode], hours: float, per_hour: int) -> None:
    """Let nodes die and others join, so many an hour; owners stay."""
    for _ in range(round(hours * per_hour)):
        mortal = [node for node in simulation.living() if node not in owners]
        simulation.kill([simulation.random.choice(mortal)])
        simulation.join(simulation.add_node(), simulation.random.sample(simulation.living(), 3))
        simulation.run(HOUR / per_hour)


def test_a_network_outlives_most_of_its_nodes() -> None:
    simulation = network(11, 60)
    owners = simulation.nodes[:5]
    records = publish(simulation, owners, 20)
    simulation.kill(owners[:2])
    churn(simulation, owners, hours=2.1, per_hour=36)
    born = set(simulation.nodes[:60])
    assert len(set(simulation.living()) & born) < 30
    share, _, _ = search(simulation, records)
    assert share >= 0.99


@pytest.mark.soak
def test_a_thousand_nodes_that_come_and_go_for_hours() -> None:
    simulation = network(12, 1_000, path=Path(loss=0.01))
    owners = simulation.nodes[:50]
    records = publish(simulation, owners, 300)
    simulation.kill(owners[:25])
    churn(simulation, owners, hours=2.1, per_hour=240)
    share, hops, _ = search(simulation, records)
    assert share >= 0.99
    assert statistics.median(hops) <= math.log2(1_000) / 3
