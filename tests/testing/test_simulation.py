"""The simulation itself: repeatable, and as unkind as it was told to be."""

from __future__ import annotations

import statistics

import pytest

from fondaco.testing.simulation import Link, Simulation


def scene(seed: int, link: Link) -> Simulation:
    simulation = Simulation(seed, link=link)
    simulation.add_nodes(12)
    simulation.connect_randomly(6)
    simulation.run(3)
    for number in range(10):
        simulation.publish(simulation.random.choice(simulation.nodes), b"%d" % number)
        simulation.run(0.3)
    simulation.run(5)
    return simulation


def test_the_seed_decides_everything() -> None:
    link = Link(loss=0.1)
    one, again, another = scene(1, link), scene(1, link), scene(2, link)
    for nodes in zip(one.nodes, again.nodes, strict=True):
        assert nodes[0].delivered == nodes[1].delivered
        assert nodes[0].router.counters == nodes[1].router.counters
    assert (one.frames, one.bytes) == (again.frames, again.bytes)
    assert one.bytes != another.bytes


def test_latency_and_bandwidth_are_those_of_the_link() -> None:
    simulation = Simulation(3, link=Link(latency=0.5, jitter=0.0, bandwidth=1e6))
    one, other = simulation.add_nodes(2)
    simulation.connect(one, other)
    simulation.run(5)
    small = simulation.publish(one, b"small")
    simulation.run(2)
    assert other.delivered[small] - one.delivered[small] == pytest.approx(0.5, abs=0.001)
    large = simulation.publish(one, bytes(200_000))
    simulation.run(2)
    assert other.delivered[large] - one.delivered[large] == pytest.approx(0.7, abs=0.001)


def test_a_stream_keeps_its_order_though_it_jitters() -> None:
    simulation = Simulation(4, link=Link(latency=0.01, jitter=1.0))
    one, other = simulation.add_nodes(2)
    simulation.connect(one, other)
    simulation.run(5)
    sent = []
    for number in range(30):
        sent.append(simulation.publish(one, b"%d" % number))
        simulation.run(0.05)
    simulation.run(5)
    assert list(other.delivered) == sent


def test_what_is_lost_is_lost() -> None:
    simulation = Simulation(5, link=Link(loss=1.0))
    one, other = simulation.add_nodes(2)
    simulation.connect(one, other)
    simulation.run(5)
    assert one.router.mesh("topic") == [other.peer], "streams do not lose GRAFT"
    simulation.publish(one, b"x")
    simulation.run(20)
    assert other.delivered == {}


def test_partitions_cut_and_heal() -> None:
    simulation = Simulation(6)
    nodes = simulation.add_nodes(4)
    for one in nodes:
        for other in nodes:
            if one is not other:
                simulation.connect(one, other)
    simulation.run(3)
    simulation.partition([nodes[:2], nodes[2:]])
    assert sorted(len(node.router.peers) for node in nodes) == [1, 1, 1, 1]
    simulation.connect(nodes[0], nodes[3])
    assert len(nodes[0].router.peers) == 1, "not across the cut"
    simulation.heal()
    assert sorted(len(node.router.peers) for node in nodes) == [3, 3, 3, 3]


def test_a_restarted_node_comes_back_with_its_key_and_nothing_else() -> None:
    simulation = Simulation(7)
    one, other = simulation.add_nodes(2)
    simulation.connect(one, other)
    simulation.run(3)
    before = one.router
    simulation.restart(one, down=2.0)
    simulation.run(1)
    assert other.router.peers == []
    simulation.run(3)
    assert one.router is not before
    assert other.router.peers == [one.peer]


def test_a_slow_reader_delays_only_its_own_verdicts() -> None:
    simulation = Simulation(8, link=Link(latency=0.01, jitter=0.0))
    one, slow, after = simulation.add_nodes(3)
    slow.judge_seconds = 3.0
    simulation.connect(one, slow)
    simulation.connect(slow, after)
    simulation.run(5)
    sent = {simulation.publish(one, b"x"): simulation.now}
    simulation.run(5)
    assert statistics.mean(simulation.latencies(sent, [slow])) < 0.1
    assert statistics.mean(simulation.latencies(sent, [after])) > 3.0
