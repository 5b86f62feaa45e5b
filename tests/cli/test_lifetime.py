"""How a long-running command ends."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys

import pytest

from fondaco.cli.lifetime import TURN_SECONDS, run_until_signal
from fondaco.errors import ConfigurationError, StorageError

SCRIPT = """
import asyncio, sys
from fondaco.cli.lifetime import run_until_signal

async def work():
    try:
        print("up", flush=True)
        await asyncio.Event().wait()
    finally:
        print("closing", flush=True)
        {closing}
        print("closed", flush=True)

sys.exit(run_until_signal(work))
"""


def test_threads_give_the_event_loop_its_turn_soon() -> None:
    script = """
import sys
from fondaco.cli.lifetime import run_until_signal

async def work():
    print(sys.getswitchinterval())

run_until_signal(work)
"""
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert float(told.stdout) == pytest.approx(TURN_SECONDS)


def started(closing: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(closing=closing)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_closes_everything_and_ends_with_0(sign: signal.Signals) -> None:
    with started("await asyncio.sleep(0.01)") as process:
        process.send_signal(sign)
        assert process.communicate(timeout=30)[0] == "closing\nclosed\n"
        assert process.returncode == 0


def test_a_second_signal_does_not_wait() -> None:
    with started("await asyncio.sleep(600)") as process:
        assert process.stdout is not None
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "closing\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == -signal.SIGINT


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (ConfigurationError("rpc_addr", "is taken", "use another"), 2, "rpc_addr: is taken; use"),
        (StorageError("disk full"), 1, "fondaco: disk full\n"),
        (RuntimeError("a bug"), 1, "fondaco: RuntimeError: a bug\n"),
        (asyncio.CancelledError(), 1, "CancelledError"),
    ],
)
def test_errors_are_told_in_one_paragraph(
    error: BaseException, code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async def work() -> None:
        raise error

    assert run_until_signal(work) == code
    assert text in capsys.readouterr().err


def test_of_many_errors_the_setting_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    async def fail(error: Exception) -> None:
        raise error

    async def work() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fail(RuntimeError("first")))
            tasks.create_task(fail(ConfigurationError("data_dir", "is on fire")))

    assert run_until_signal(work) == 2
    assert capsys.readouterr().err == "fondaco: data_dir: is on fire\n"


def test_what_is_told_is_redacted(capsys: pytest.CaptureFixture[str]) -> None:
    async def work() -> None:
        raise StorageError("secret word")

    assert run_until_signal(work, redact=lambda text: text.replace("secret", "***")) == 1
    assert capsys.readouterr().err == "fondaco: *** word\n"


def test_work_that_ends_by_itself_ends_with_0() -> None:
    async def work() -> None:
        await asyncio.sleep(0)

    assert run_until_signal(work) == 0
