"""The processes of a session, which a program and all it has started share (Linux)."""

from __future__ import annotations

from pathlib import Path


def processes_of_session(session: int) -> list[int]:
    """Return the live processes of a session (zombies left out), from /proc."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found
