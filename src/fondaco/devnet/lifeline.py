"""Processes that end with us, however we end.

hold_lifeline() -> sh: watcher -.     (holds the read end of our pipe; kills the program
                     '- exec PROGRAM    when the pipe closes, that is when we are gone)
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Sequence

# The subshell waits for the end of our pipe. It shares the program's process group, whose
# number the kernel does not give away while the subshell lives: no stranger is killed.
_WITH_LIFELINE = (
    'exec 3<&0; ( read -r _ <&3; kill -KILL $$ ) >/dev/null 2>&1 & exec 3<&-; exec "$@" </dev/null'
)


@contextlib.contextmanager
def hold_lifeline() -> Iterator[int]:
    """Yield the read end of a pipe whose other end closes with this block or process.

    It is the standard input of what ``tied`` returns; several processes may share it.
    """
    reading, writing = os.pipe()
    try:
        yield reading
    finally:
        os.close(reading)
        os.close(writing)


def tied(command: Sequence[str], name: str) -> list[str]:
    """Return *command* so that it ends with its lifeline; *name* is what its shell is called.

    It must be started in a session of its own, which ``end_watcher`` clears away.
    """
    if sys.platform == "win32":
        return list(command)
    return ["/bin/sh", "-c", _WITH_LIFELINE, name, *command]


def end_watcher(pid: int) -> None:
    """End whatever is left of the session that *pid* began; it has not been waited for, or
    its watcher still waits for our pipe."""
    if sys.platform != "win32":
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
