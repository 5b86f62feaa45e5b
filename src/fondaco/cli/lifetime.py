"""How a long-running command begins, ends and says why it failed.

    SIGINT or SIGTERM            everything is closed in order          0
    a setting cannot be used     one paragraph on standard error        2
    anything else                one paragraph; the log has the rest    1

A second signal ends the process at once.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import textwrap
from collections.abc import Callable, Coroutine
from typing import Any

from fondaco.errors import ConfigurationError, NodeError

EXIT_FAILED = 1
EXIT_CONFIGURATION = 2

MESSAGE_WIDTH = 88
"""Columns of a message on a terminal."""

TURN_SECONDS = 0.001
"""How long a thread that computes may keep the interpreter from the event loop. Python's
5 ms let the loop wait for 30 to 80 ms behind the threads that check and store 5,000
orders; with 1 ms it waits for 10, and the orders are no slower."""

log = logging.getLogger("fondaco")

Work = Callable[[], Coroutine[Any, Any, None]]


def run_until_signal(work: Work, *, redact: Callable[[str], str] = str) -> int:
    """Run *work* until it ends or a signal asks it to; return the exit code.

    Args:
        redact: run over what is printed of an error.
    """
    from fondaco.logbook import log_unhandled

    sys.setswitchinterval(TURN_SECONDS)

    async def supervised() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(log_unhandled)
        task = asyncio.ensure_future(work())
        is_stopping = False

        def stop() -> None:
            nonlocal is_stopping
            is_stopping = True
            for sign in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(sign)
                signal.signal(sign, signal.SIG_DFL)
            task.cancel()

        for sign in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(sign, stop)
        try:
            await task
        except asyncio.CancelledError:
            if not is_stopping:
                raise

    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(supervised())
    except (Exception, asyncio.CancelledError) as exc:  # noqa: BLE001 - the last handler
        return report(exc, redact=redact)
    return 0


def report(error: BaseException, *, redact: Callable[[str], str] = str) -> int:
    """Print what went wrong, in one paragraph; return the exit code for it."""
    cause = _cause(error)
    if isinstance(cause, ConfigurationError):
        code, text = EXIT_CONFIGURATION, str(cause)
    elif isinstance(cause, NodeError):
        code, text = EXIT_FAILED, str(cause)
    else:
        code, text = EXIT_FAILED, f"{type(cause).__name__}: {cause}"
        log.critical("stopped by an error nobody expected", exc_info=error)
    text = redact(f"fondaco: {text}")
    if sys.stderr.isatty():
        text = textwrap.fill(text, MESSAGE_WIDTH, break_long_words=False, break_on_hyphens=False)
    print(text, file=sys.stderr)
    return code


def _cause(error: BaseException) -> BaseException:
    """The error to tell of: of a task group's, a wrong setting before all others."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    causes = [_cause(inner) for inner in error.exceptions]
    for kind in (ConfigurationError, NodeError):
        for cause in causes:
            if isinstance(cause, kind):
                return cause
    return causes[0]


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    if sys.platform == "win32":
        return asyncio.new_event_loop
    import uvloop

    return uvloop.new_event_loop
