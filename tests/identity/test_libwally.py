"""A process that used libwally ends as it was told to."""

from __future__ import annotations

import subprocess
import sys

USES_IT = """
import pytest  # its plugins outlive wallycore's module at the end of the process
from fondaco.identity.keys import Seed
print(Seed.from_entropy(bytes(32)).identity_key().peer_id)
"""


def test_the_interpreter_ends_cleanly() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", USES_IT], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("16Uiu2HA")
