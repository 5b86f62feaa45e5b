"""Peers that lie, flood, babble and dawdle: two honest nodes go on serving each other.

Every attack is made by strangers of its own, so that nobody pays for another's deeds. Meanwhile
orders given to Ann arrive at Bob, who is attacked; afterwards his counters say what he saw, and
whom he shut out.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from functools import partial

import pytest
import pytest_asyncio

from fondaco.p2p.scores import Offence
from support import stranger
from support.floods import HELD_OFF, SHUT_OUT, SLOW
from support.fuzz import fuzz
from support.hostile_scene import Scene, open_scene
from support.lies import BANNED, BLAMED, Bait, Lie
from support.market import Market
from support.peer_processes import eventually, until_counted

pytestmark = [
    pytest.mark.chain,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("hostile peers"),
]

MEGABYTE = 1_000_000

PATIENCE = 30.0
"""Seconds; strangers stay for a little longer (``stranger.meet``)."""

FUZZED = 10
"""Bent frames on each protocol; the long form has more."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def scene(bazaar: Market, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    async with open_scene(bazaar, tmp_path_factory.mktemp("scene")) as scene:
        yield scene


def bait(scene: Scene) -> Bait:
    return Bait(
        address=scene.victim,
        exchange=scene.exchange(),
        orders=[scene.offer() for _ in range(25)],
        unfunded=[scene.offer(is_funded=False) for _ in range(300)],
        enough=asyncio.Event(),
    )


async def shut_out(scene: Scene, attacks: Mapping[Lie, Offence]) -> None:
    """All at once: each of them is banned, for what it did, and loses its connection."""
    before = await scene.bob.counts()
    expected = Counter(f"ban-{offence.value}" for offence in attacks.values())
    async with scene.service():
        await stranger.meet_all(*(partial(attack, bait(scene)) for attack in attacks))
    expected["bans"] = expected["banned"] = len(attacks)
    after = await until_counted(scene.bob, lambda count: count - before >= expected)
    assert expected == Counter({name: after[name] - before[name] for name in expected})
    for offence in attacks.values():
        sample = f'fondaco_p2p_bans_total{{offence="{offence.value}"}}'
        assert await scene.bob.metric(sample) == after[f"ban-{offence.value}"]


async def test_liars_are_shut_out(scene: Scene) -> None:
    await shut_out(scene, BANNED)


async def test_floods_are_shut_out(scene: Scene) -> None:
    await shut_out(scene, SHUT_OUT)


async def test_whoever_waits_to_lie_is_blamed(scene: Scene) -> None:
    """Bob asks a newcomer after a moment, and each tells its lie then."""
    before = await scene.bob.counts()
    expected = Counter(f"offence-{offence.value}" for offence in BLAMED.values())
    given = bait(scene)
    async with scene.service(), asyncio.TaskGroup() as liars:
        liars.create_task(stranger.meet_all(*(partial(lie, given) for lie in BLAMED)))
        await until_counted(scene.bob, lambda count: count - before >= expected)
        given.enough.set()


@pytest.mark.parametrize("what", HELD_OFF)
async def test_floods_are_held_off(scene: Scene, what: str) -> None:
    """For as long as they go on; those who share the node with them are served."""
    floods, counters = HELD_OFF[what]
    before = await scene.bob.counts()
    given = bait(scene)
    async with asyncio.TaskGroup() as strangers:
        strangers.create_task(stranger.meet_all(*(partial(flood, given) for flood in floods)))
        await until_counted(
            scene.bob, lambda count: all(count[name] > before[name] for name in counters)
        )
        async with scene.service():
            pass
        given.enough.set()
    after = await until_counted(
        scene.bob, lambda count: count["peers"] == 1 and count["answering"] == 0
    )
    assert after["bans"] == before["bans"], "what they say is not wrong, only too much"
    assert after["queued-messages"] == 0


async def test_slow_peers_are_waited_for_by_nobody(scene: Scene) -> None:
    """Neither by gossip nor by order sync; and they are not blamed."""
    before = await scene.bob.counts()
    given = bait(scene)
    slow = [partial(dawdler, given) for dawdler in SLOW * 3]
    async with asyncio.TaskGroup() as strangers:
        strangers.create_task(stranger.meet_all(*slow))
        await until_counted(
            scene.bob, lambda count: count["peers"] == 1 + len(slow), seconds=PATIENCE
        )
        async with scene.service():
            added = await scene.ann.client.add(*(scene.offer() for _ in range(300)))
        given_to_ann = {each["orderHash"] for each in added["accepted"]}

        async def have_arrived() -> bool:
            return given_to_ann <= set(await scene.bob.client.book())

        await eventually(have_arrived, seconds=PATIENCE)
        after = await scene.bob.counts()
        assert after["peers"] == 1 + len(slow)
        assert after["bans"] == before["bans"]
        given.enough.set()


@pytest.mark.parametrize(
    "seeds", [range(1), pytest.param(range(1, 30), marks=pytest.mark.soak)], ids=["short", "long"]
)
async def test_bent_frames_on_every_protocol_change_nothing(scene: Scene, seeds: range) -> None:
    before = await scene.bob.counts()
    await stranger.meet(fuzz, bait(scene), -1, 2)  # caches fill, code is compiled
    memory = scene.bob.memory()
    for seed in seeds:
        async with scene.service():
            await stranger.meet(fuzz, bait(scene), seed, FUZZED)
    after = await until_counted(scene.bob, lambda count: count["peers"] == 1)
    for role, size in scene.bob.memory().items():
        assert size - memory[role] < 20 * MEGABYTE, role
    assert after["restarts"] == before["restarts"]
    assert after["bans"] > before["bans"]
    assert after["handshakes-failed"] > before["handshakes-failed"]
