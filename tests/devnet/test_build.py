"""The saved chain: the same each time, built once, whole or not there."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from fondaco.devnet.anvil import AnvilOptions, open_anvil
from fondaco.devnet.build import STATES_KEPT, build_state, state_file, state_name
from fondaco.devnet.control import ChainControl
from fondaco.devnet.fetch import PartsStore

pytestmark = pytest.mark.chain


@pytest.fixture
def parts(chain_parts: PartsStore, tmp_path: Path) -> PartsStore:
    """The fetched packages in a cache folder without any saved chain."""
    (tmp_path / "packages").symlink_to(chain_parts.folder / "packages")
    return PartsStore(tmp_path, npm=())


async def test_a_built_chain_is_loaded_as_it_was(parts: PartsStore) -> None:
    path = await state_file(parts)
    heads = []
    for _ in range(2):
        async with open_anvil(parts.anvil(), AnvilOptions(load_state=path)) as anvil:
            heads.append(await ChainControl(anvil.rpc).block())
    assert heads[0] == heads[1]
    assert heads[0].number > 60


async def test_every_build_gives_the_same_blocks(parts: PartsStore) -> None:
    builds = [json.loads(await build_state(parts)) for _ in range(2)]
    assert builds[0]["accounts"] == builds[1]["accounts"]
    assert builds[0]["block"] == builds[1]["block"]


async def test_it_is_built_once_and_found_afterwards(parts: PartsStore) -> None:
    first = await state_file(parts)
    written = first.stat().st_mtime_ns
    assert await state_file(parts) == first
    assert first.stat().st_mtime_ns == written
    assert first.name == state_name()


async def test_builders_at_the_same_time_leave_one_whole_file(parts: PartsStore) -> None:
    paths = await asyncio.gather(*(state_file(parts) for _ in range(3)))
    assert len(set(paths)) == 1
    assert [path.name for path in paths[0].parent.iterdir()] == [state_name()]
    assert json.loads(paths[0].read_bytes())["best_block_number"]


async def test_old_chains_are_cleared_away(parts: PartsStore) -> None:
    folder = parts.folder / "states"
    folder.mkdir()
    for index in range(STATES_KEPT + 3):
        (folder / f"chain-{index:016x}.json").write_text("{}")
    path = await state_file(parts)
    kept = list(folder.iterdir())
    assert len(kept) == STATES_KEPT
    assert path in kept
