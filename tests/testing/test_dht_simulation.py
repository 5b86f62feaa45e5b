"""The simulated DHT is repeatable, loses what it should, and its liars lie."""

from __future__ import annotations

import pytest

from fondaco.errors import PeerError
from fondaco.market.dht_keys import NOTARY_INDEX_KEY, distance
from fondaco.market.dht_messages import FindNode, FindValue, Nodes, Store, Stored, Values
from fondaco.market.records import RecordKind
from fondaco.testing.dht_simulation import Behaviour, DhtSimulation, Path

KEY = NOTARY_INDEX_KEY


def story(seed: int, path: Path | None = None) -> tuple[DhtSimulation, int]:
    simulation = DhtSimulation(seed, path=path)
    nodes = simulation.add_nodes(40)
    simulation.introduce_all()
    for node in nodes[:5]:
        simulation.put(node, simulation.sign(node, KEY, RecordKind.NOTARY_INDEX, b"1 %"))
    simulation.run(15)
    errand = simulation.get(nodes[-1], KEY)
    simulation.run(15)
    return simulation, errand


def test_the_same_seed_is_the_same_story() -> None:
    one, errand = story(1)
    again, same = story(1)
    other, _ = story(2)
    assert errand == same
    assert one.messages == again.messages
    assert one.nodes[0].dht.routing.contacts() == again.nodes[0].dht.routing.contacts()
    assert one.nodes[0].dht.routing.contacts() != other.nodes[0].dht.routing.contacts()
    assert one.nodes[-1].found[errand] == again.nodes[-1].found[errand]
    assert len(one.nodes[-1].found[errand].records) == 5


def test_everybody_is_introduced_to_some_in_each_direction() -> None:
    simulation = DhtSimulation(3)
    simulation.add_nodes(200)
    simulation.introduce_all()
    for node in simulation.nodes:
        routing = node.dht.routing
        known = {routing.bucket_of(one.guid) for one in routing.contacts()}
        there = {routing.bucket_of(one.guid) for one in simulation.nodes if one is not node}
        assert known == there


def test_who_is_down_neither_asks_nor_answers() -> None:
    simulation = DhtSimulation(4)
    one, other = simulation.add_nodes(2)
    simulation.introduce_all()
    simulation.kill([other])
    errand = simulation.find(one, KEY)
    simulation.run(5)
    assert errand not in one.located
    simulation.run(10)
    assert one.located[errand].contacts == ()
    assert simulation.living() == [one]
    assert simulation.closest(KEY) == [one]
    assert simulation.messages == 1


def test_loss_loses() -> None:
    simulation, errand = story(5, Path(loss=1.0))
    simulation.run(15)
    assert simulation.nodes[-1].found[errand].records == ()
    assert all(node.kept <= 1 for node in simulation.nodes)


@pytest.mark.parametrize(
    "behaviour", [one for one in Behaviour if one is not Behaviour.HONEST], ids=lambda b: b.value
)
def test_liars_lie(behaviour: Behaviour) -> None:
    simulation = DhtSimulation(6)
    simulation.add_nodes(30)
    liar = simulation.add_node(behaviour)
    simulation.introduce_all()
    node = simulation.nodes[0]
    record = simulation.sign(node, KEY, RecordKind.NOTARY_INDEX, b"1 %")
    near = liar.dht.routing.closest(KEY)
    answers = [simulation._lie(liar, one) for one in (FindNode(KEY), FindValue(KEY))]
    stored = simulation._lie(liar, Store((record,)))
    if behaviour is Behaviour.GARBAGE:
        assert stored == Stored(2)
        return
    assert stored == Stored(1)
    assert len(liar.dht.records) == 0
    for answer in answers:
        assert isinstance(answer, Nodes | Values)
        named = list(answer.contacts)
        if behaviour is Behaviour.WITHHOLDS:
            assert named == near
        elif behaviour is Behaviour.MISLEADS:
            mean = sum(distance(one.guid, KEY) for one in near) / len(near)
            assert sum(distance(one.guid, KEY) for one in named) / len(named) > mean
        else:
            assert not {one.guid for one in named} & {one.guid for one in simulation.nodes}


def test_garbage_is_blamed() -> None:
    simulation = DhtSimulation(7)
    node = simulation.add_node()
    liar = simulation.add_node(Behaviour.GARBAGE)
    simulation.introduce_all()
    for ask in (simulation.find, simulation.get):
        node.dht.routing.seen(liar.contact, None, simulation.now)
        ask(node, KEY)
        simulation.run(10)
    assert [whom for whom, _ in node.blamed] == [liar.contact] * 2
    assert all(isinstance(error, PeerError) for _, error in node.blamed)
