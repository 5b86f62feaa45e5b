"""One node per directory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fondaco.errors import ConfigurationError
from fondaco.store.database import open_database
from fondaco.store.lock import lock_file

OTHER_PROCESS = """
import sys
from pathlib import Path
from fondaco.errors import ConfigurationError
from fondaco.store.lock import lock_file

try:
    with lock_file(Path(sys.argv[1])):
        print("held")
except ConfigurationError as refusal:
    print(refusal)
"""


def other_process(path: Path) -> str:
    run = [sys.executable, "-c", OTHER_PROCESS, str(path)]
    return subprocess.run(run, capture_output=True, text=True, check=True).stdout.strip()


def test_another_process_is_refused_with_advice(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with lock_file(path):
        answer = other_process(path)
    assert answer == (
        f"DATA_DIR: {tmp_path} is in use by another node (process {os.getpid()}); "
        "stop that one, or give this one its own directory"
    )
    assert other_process(path) == "held"


async def test_a_database_is_opened_once(tmp_path: Path) -> None:
    path = tmp_path / "fondaco.sqlite"
    async with open_database(path) as database:
        with pytest.raises(ConfigurationError, match="in use by another node"):
            async with open_database(path):
                raise AssertionError("opened twice")
        await database.read(lambda connection: None)
    async with open_database(path) as database:
        await database.read(lambda connection: None)
