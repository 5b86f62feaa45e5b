"""Programs that end with whoever started them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial

from fondaco.devnet.lifeline import end_watcher, hold_lifeline, tied
from fondaco.testing.until import until
from support.sessions import processes_of_session

STARTER = """
import subprocess, sys
from fondaco.devnet.lifeline import hold_lifeline, tied
with hold_lifeline() as line:
    program = subprocess.Popen(tied(["sleep", "60"], "nap"), stdin=line, start_new_session=True)
    print(program.pid, flush=True)
    sys.stdin.read()
"""


def wait_until(holds: Callable[[], bool]) -> None:
    asyncio.run(until(holds))


def in_session(session: int) -> Callable[[], list[int]]:
    """Return a function that lists the live processes of a session."""
    return partial(processes_of_session, session)


def test_it_runs_as_it_would_without() -> None:
    with hold_lifeline() as line:
        program = subprocess.Popen(
            tied(["sh", "-c", "echo $0 $1; cat; exit 7", "a b", "c"], "test"),
            stdin=line, stdout=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        told, _ = program.communicate(timeout=30)
        left = in_session(program.pid)
        end_watcher(program.pid)
    assert (program.returncode, told) == (7, b"a b c\n"), "and its own input is empty"
    wait_until(lambda: not left())


def test_it_ends_when_the_line_is_let_go() -> None:
    with hold_lifeline() as line:
        nap = subprocess.Popen(tied(["sleep", "60"], "nap"), stdin=line, start_new_session=True)
        alive = in_session(nap.pid)
        wait_until(lambda: len(alive()) == 2)
    assert nap.wait(timeout=30) < 0
    wait_until(lambda: not alive())


def test_it_ends_with_a_starter_that_was_killed() -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert starter.stdout is not None
    alive = in_session(int(starter.stdout.readline()))
    wait_until(lambda: bool(alive()))
    starter.kill()
    starter.communicate()
    wait_until(lambda: not alive())


def test_a_session_that_has_ended_is_no_fault() -> None:
    done = subprocess.Popen(["true"], start_new_session=True)
    done.wait()
    end_watcher(done.pid)
    assert not os.path.exists(f"/proc/{done.pid}")
