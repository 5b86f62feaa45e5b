"""What processes use, of processes whose use is known."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from fondaco.lab.processes import free_memory_mb, usage

FAMILY = """
import subprocess, sys
block = bytearray(40 * 2**20)
child = subprocess.Popen([sys.executable, "-c", '''
import sys
block = bytearray(60 * 2**20)
print("here", flush=True)
sys.stdin.read()
'''], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()
sum(range(20_000_000))
print("here", flush=True)
sys.stdin.read()
child.communicate()
"""

NOBODY = 2**22 + 1
"""A process number that Linux does not give."""


@contextmanager
def family() -> Iterator[subprocess.Popen[str]]:
    """A parent of 40 MiB that has computed for a while, and a child of 60."""
    with subprocess.Popen(
        [sys.executable, "-c", FAMILY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        yield process
        process.communicate()


def test_children_are_counted_with_their_parent() -> None:
    before = usage(os.getpid())
    with family() as parent:
        used = usage(parent.pid)
        assert used.memory_mb > 100
        assert used.cpu_seconds > 0.02
        assert usage(os.getpid()).memory_mb > before.memory_mb + 40, "a child, not its child"


def test_who_is_gone_uses_nothing() -> None:
    gone = usage(NOBODY)
    assert (gone.cpu_seconds, gone.memory_mb) == (0.0, 0.0)


def test_the_machine_says_what_is_free() -> None:
    free = free_memory_mb()
    assert free is not None
    assert 10 < free < 10_000_000
