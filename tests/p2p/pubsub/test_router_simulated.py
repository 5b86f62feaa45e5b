"""Many routers on a clock of their own: does everything reach everybody, whatever happens?"""

from __future__ import annotations

import msgspec
import pytest

from fondaco.errors import Verdict
from fondaco.p2p.pubsub.parameters import Parameters
from fondaco.p2p.pubsub.rpc import MessageId, Rpc
from fondaco.p2p.pubsub.signing import Author
from fondaco.p2p.scores import Offence, Standing
from fondaco.testing.simulation import START_NS, Link, Node, Simulation


def publish_some(
    simulation: Simulation, nodes: list[Node], count: int, *, every: float = 0.2, size: int = 200
) -> dict[MessageId, float]:
    """Let *count* messages be published by nodes in turn; return when each was."""
    sent = {}
    for number in range(count):
        node = nodes[number % len(nodes)]
        sent[simulation.publish(node, b"%08d" % number + bytes(size))] = simulation.now
        simulation.run(every)
    return sent


def network(seed: int, count: int, degree: int, link: Link | None = None) -> Simulation:
    simulation = Simulation(seed, link=link)
    simulation.add_nodes(count)
    simulation.connect_randomly(degree)
    simulation.run(5)
    return simulation


@pytest.mark.parametrize("leaves", [19, 60])
def test_a_hub_feeds_all_its_leaves(leaves: int) -> None:
    """The stock router: of 20 nodes nobody got everything, 9 got nothing (p2p.md, section 3)."""
    simulation = Simulation(1)
    hub = simulation.add_node()
    for leaf in simulation.add_nodes(leaves):
        simulation.connect(leaf, hub)
    simulation.run(5)
    assert len(hub.router.mesh("topic")) == 12
    sent = publish_some(simulation, simulation.nodes, 40, every=0.1)
    simulation.run(6)
    assert simulation.coverage(sent, simulation.nodes) == 1.0
    assert simulation.latencies(sent, simulation.nodes)[-1] < 4.0
    assert not any(node.offences for node in simulation.nodes)


@pytest.mark.parametrize(
    ("loss", "least"),
    [pytest.param(0.0, 1.0, id="nothing lost"), pytest.param(0.02, 0.99, id="2 % lost")],
)
def test_a_thousand_nodes(loss: float, least: float) -> None:
    simulation = network(2, 1_000, 12, Link(loss=loss))
    sent = publish_some(simulation, simulation.random.sample(simulation.nodes, 5), 5)
    simulation.run(5)
    assert simulation.coverage(sent, simulation.nodes) >= least
    latencies = simulation.latencies(sent, simulation.nodes)
    assert latencies[len(latencies) * 99 // 100] < 0.5
    assert not any(node.offences for node in simulation.nodes)
    copies = sum(node.router.counters.received for node in simulation.nodes)
    assert copies < 8 * len(sent) * len(simulation.nodes)


@pytest.mark.parametrize(("loss", "least"), [(0.02, 1.0), (0.2, 0.999)])
def test_what_links_lose_is_recovered_and_nobody_is_blamed_too_much(
    loss: float, least: float
) -> None:
    simulation = network(3, 40, 10, Link(loss=loss, jitter=0.2))
    sent = publish_some(simulation, simulation.nodes, 200, every=0.05)
    simulation.run(20)
    assert simulation.coverage(sent, simulation.nodes) >= least
    for node in simulation.nodes:
        assert node.banned == []
        for peer in node.router.peers:
            assert node.router.scores.standing(peer, simulation.now) is Standing.GOOD
        assert {offence for _, offence in node.offences} <= {
            Offence.BROKEN_PROMISE,
            Offence.EARLY_GRAFT,
        }


def test_nothing_is_delivered_twice() -> None:
    simulation = network(4, 30, 8, Link(jitter=0.5))
    for node in simulation.nodes:
        node.judge_seconds = 0.7
    sent = publish_some(simulation, simulation.nodes, 50)
    simulation.run(20)
    assert simulation.coverage(sent, simulation.nodes) == 1.0
    assert sum(node.deliveries for node in simulation.nodes) == 50 * 29


def test_a_short_partition_heals_by_gossip_alone() -> None:
    simulation = network(5, 40, 10)
    halves = [simulation.nodes[:20], simulation.nodes[20:]]
    simulation.partition(halves)
    sent = publish_some(simulation, [simulation.nodes[0], simulation.nodes[39]], 40)
    inside = [half[0].delivered for half in halves]
    assert len(inside[0]) + len(inside[1]) == 40
    simulation.heal()
    simulation.run(10)
    assert simulation.coverage(sent, simulation.nodes) == 1.0
    later = publish_some(simulation, simulation.nodes, 20)
    simulation.run(5)
    assert simulation.coverage(later, simulation.nodes) == 1.0


def test_a_restart_loses_nothing_on_either_side() -> None:
    """Stock routers number messages from the second they start at: what a restarted node
    says is taken for what it said before (p2p.md, section 3)."""
    simulation = network(6, 12, 6)
    restarted = simulation.nodes[3]
    early = publish_some(simulation, [restarted], 100, every=0.01)
    simulation.run(0.1)  # what is still on the wire when a process dies, nobody has
    simulation.restart(restarted, down=0.5)
    during = publish_some(simulation, [simulation.nodes[5]], 20, every=0.1)
    simulation.run(3)
    late = publish_some(simulation, [restarted], 100, every=0.01)
    simulation.run(10)
    for sent in (early, during, late):
        assert simulation.coverage(sent, simulation.nodes) == 1.0


def test_a_message_published_alone_waits_for_company() -> None:
    simulation = Simulation(7)
    lonely, other = simulation.add_nodes(2)
    sent = publish_some(simulation, [lonely], 10)
    simulation.connect(lonely, other)
    simulation.run(3)
    assert simulation.coverage(sent, simulation.nodes) == 1.0


def flooded(seed: int, verdict: Verdict) -> tuple[Simulation, list[Node], Node]:
    """Return twelve honest nodes and one that sends four of them 200 messages a second each,
    every one of its own and well signed; of its messages the readers say *verdict*."""
    parameters = Parameters(messages_per_second=40.0, messages_burst=80.0, flood_size=40)
    simulation = Simulation(seed, parameters=parameters)
    honest = simulation.add_nodes(12)
    simulation.connect_randomly(8)
    for node in honest:
        node.judge = lambda one: verdict if one.data == b"junk" else Verdict.ACCEPT
    flooder = simulation.add_node()
    for node in honest[:4]:
        simulation.connect(flooder, node)
    simulation.run(5)
    author = Author(flooder.key)

    def flood() -> None:
        for node in honest[:4]:
            junk = [author.write("topic", b"junk", START_NS) for _ in range(200)]
            simulation.send(flooder, node, msgspec.structs.replace(Rpc(), publish=junk))

    for second in range(30):
        simulation.at(simulation.now + second, flood)
    return simulation, honest, flooder


@pytest.mark.parametrize("verdict", [Verdict.IGNORE, Verdict.REJECT])
def test_a_flooding_peer_is_muted_and_banned_and_others_keep_their_service(
    verdict: Verdict,
) -> None:
    simulation, honest, flooder = flooded(8, verdict)
    sent = publish_some(simulation, honest, 150)
    simulation.run(5)
    assert simulation.coverage(sent, honest) == 1.0
    latencies = simulation.latencies(sent, honest)
    assert latencies[len(latencies) * 99 // 100] < 0.5
    for node in honest[:4]:
        assert node.banned == [flooder.peer]
        assert node.router.counters.flood >= 120 or verdict is Verdict.REJECT
        assert node.router.bans.refuses(flooder.peer, None, simulation.now) is not None
    assert all(node.banned == [] for node in honest[4:])
    simulation.connect(flooder, honest[0])
    assert flooder.peer not in honest[0].router.peers
    simulation.run(600)
    simulation.connect(flooder, honest[0])
    assert flooder.peer in honest[0].router.peers, "bans end"


def test_a_flood_that_is_accepted_does_not_set_honest_nodes_against_each_other() -> None:
    simulation, honest, flooder = flooded(13, Verdict.ACCEPT)
    simulation.run(20)
    for node in honest[:4]:
        assert node.banned == [flooder.peer]
    assert all(node.banned == [] for node in honest[4:])
    assert not any(node.router.counters.flood for node in honest[4:])
    sent = publish_some(simulation, honest, 60)
    simulation.run(5)
    assert simulation.coverage(sent, honest) == 1.0


def test_who_passes_on_what_is_invalid_is_banned_and_only_it() -> None:
    simulation = network(9, 20, 8)
    liar, honest = simulation.nodes[0], simulation.nodes[1:]
    for node in honest:
        node.judge = lambda one: Verdict.REJECT if one.data == b"lie" else Verdict.ACCEPT
    sent = dict[MessageId, float]()
    for number in range(20):
        simulation.publish(liar, b"lie")
        sent |= publish_some(simulation, [honest[number % 19]], 1, every=0.5)
    simulation.run(5)
    assert simulation.coverage(sent, honest) == 1.0
    assert liar.router.peers == []
    assert all(set(node.banned) <= {liar.peer} for node in honest)


def test_complaints_of_the_main_process_end_in_a_ban() -> None:
    simulation = network(10, 8, 6)
    one = simulation.nodes[0]
    other = next(node for node in simulation.nodes if node.peer in one.router.peers)
    for _ in range(4):
        simulation.report(one, other, Offence.FALSE_RECONCILIATION)
    assert one.banned == [other.peer]
    assert one.peer not in other.router.peers


def test_a_slow_link_harms_only_who_is_behind_it() -> None:
    simulation = Simulation(11)
    nodes = simulation.add_nodes(10)
    for one in nodes:
        for other in nodes:
            if one is not other and nodes[9] not in (one, other):
                simulation.connect(one, other)
    for one in nodes[:3]:
        simulation.connect(one, nodes[9], Link(bandwidth=20_000.0))
    simulation.run(5)
    sent = publish_some(simulation, nodes[:9], 200, every=0.02, size=10_000)
    simulation.run(2)
    assert simulation.coverage(sent, nodes[:9]) == 1.0
    assert simulation.latencies(sent, nodes[:9])[-1] < 0.5
    assert len(nodes[9].delivered) < 200
    assert all(node.banned == [] for node in nodes)


@pytest.mark.soak
def test_an_hour_of_a_hundred_nodes_that_come_and_go() -> None:
    simulation = network(12, 100, 10, Link(loss=0.02))
    rng, lost = simulation.random, 0
    for _ in range(180):
        gone = set(rng.sample(simulation.nodes, 3))
        for node in gone:
            simulation.restart(node, down=rng.random() * 5)
        staying = [node for node in simulation.nodes if node not in gone]
        sent = publish_some(simulation, rng.sample(staying, 4), 4, every=2.0)
        simulation.run(12.0)
        lost += len(sent) * len(staying) - round(
            simulation.coverage(sent, staying) * len(sent) * len(staying)
        )
        assert all(node.banned == [] for node in simulation.nodes)
    assert lost == 0
