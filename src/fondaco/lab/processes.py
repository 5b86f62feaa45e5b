"""What a process and its children use, read from /proc (Linux)."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100

_PARENT, _USER, _CHILDREN_SYSTEM = 1, 11, 14
"""Places in /proc/PID/stat, counted from the process's state. Source: proc(5), fields 4,
14 and 17."""


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What a node's processes use together."""

    cpu_seconds: float
    """Since they started; of children that have ended too."""
    memory_mb: float
    """Resident now, in units of 1024 * 1024 bytes; shared pages count in each process."""


def usage(pid: int) -> Usage:
    """Return what *pid* and its children use; nothing where they are gone."""
    stats = _stats()
    family = [pid, *(child for child, stat in stats.items() if int(stat[_PARENT]) == pid)]
    ticks = sum(
        int(figure)
        for one in family
        if one in stats
        for figure in stats[one][_USER : _CHILDREN_SYSTEM + 1]
    )
    return Usage(cpu_seconds=ticks / TICKS_PER_SECOND, memory_mb=sum(map(_resident_mb, family)))


def free_memory_mb() -> float | None:
    """Return what the machine has left for programs; None where it does not say."""
    return _figure(Path("/proc/meminfo"), "MemAvailable:")


def _resident_mb(pid: int) -> float:
    return _figure(Path(f"/proc/{pid}/status"), "VmRSS:") or 0.0


def _figure(path: Path, name: str) -> float | None:
    """Return the MiB behind *name* in a file of lines such as ``VmRSS:   1024 kB``."""
    with contextlib.suppress(OSError):
        for line in path.read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) / 1024
    return None


def _stats() -> dict[int, list[str]]:
    """Return the fields of every process, from its state on."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name before it may hold spaces and parentheses.
            found[int(path.parent.name)] = path.read_text().rpartition(")")[2].split()
    return found
