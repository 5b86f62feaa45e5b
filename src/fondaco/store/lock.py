"""One node per data directory.

``flock`` on a file beside the database: the kernel lets go of it when the process
ends, however it ends, so a stale lock cannot be left behind. (SQLite's own locks
would do for two writers, but not for two nodes that each believe to own the book.)
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from fondaco.errors import ConfigurationError


@contextlib.contextmanager
def lock_file(path: Path) -> Iterator[None]:
    """Hold *path* for this process; it carries the process ID for whoever asks.

    Raises:
        ConfigurationError: another process holds it.
        OSError: the file cannot be made.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(handle, 20).decode(errors="replace").strip() or "unknown"
            raise ConfigurationError(
                "DATA_DIR",
                f"{path.parent} is in use by another node (process {owner})",
                "stop that one, or give this one its own directory",
            ) from None
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(handle)
