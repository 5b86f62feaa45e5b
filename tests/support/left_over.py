"""Processes that a test may have left behind."""

from __future__ import annotations

import contextlib
from pathlib import Path


def processes_with(folder: Path) -> list[int]:
    """Return the live processes that run in *folder* or below it."""
    found = []
    for link in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            if link.readlink().is_relative_to(folder.resolve()):
                found.append(int(link.parent.name))
    return found
