"""The node's log: one line per happening, on standard error.

    logging.getLogger("fondaco.x").info("order refused", extra={"code": …})
        -> threshold (verbosity) -> structlog: time, level, fields, traceback
        -> JSON, or colours on a terminal -> secrets blotted out -> stream

Every module logs through the standard library's ``logging``; only this one knows how
a line looks. The last step runs on the finished text, so that a secret is caught
wherever it hid: in a field, in a library's message or in a traceback.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor

from fondaco.clock import rfc3339
from fondaco.redaction import Redactor

TRACE = 5
"""Numeric level below logging.DEBUG, for verbosity 6."""

LEVELS = (
    logging.CRITICAL,  # 0 panic
    logging.CRITICAL,  # 1 fatal
    logging.ERROR,  # 2 error
    logging.WARNING,  # 3 warn
    logging.INFO,  # 4 info
    logging.DEBUG,  # 5 debug
    TRACE,  # 6 trace
)
"""Threshold by verbosity. Source: 0x Mesh ``VERBOSITY``."""

CHATTY_LIBRARIES = ("aiohttp", "alembic", "asyncio", "sqlalchemy", "websockets")
"""They tell of every request; heard below warnings only at verbosity 6."""

_unhandled = logging.getLogger("fondaco.loop")


def open_log(*, verbosity: int, as_json: bool, redact: Redactor, stream: TextIO) -> None:
    """Send this process's log to *stream*, in place of wherever it went before.

    Args:
        verbosity: 0 to 6, see LEVELS.
        as_json: JSON lines with ``time``, ``level``, ``msg`` and ``logger``, as 0x Mesh
            wrote them; else lines for a person to read.
        redact: run over each finished line.
    """
    logging.addLevelName(TRACE, "TRACE")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_LineFormatter(as_json=as_json, colours=stream.isatty(), redact=redact))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LEVELS[verbosity])
    for library in CHATTY_LIBRARIES:
        quiet = logging.NOTSET if LEVELS[verbosity] == TRACE else logging.WARNING
        logging.getLogger(library).setLevel(quiet)
    logging.captureWarnings(True)


def log_unhandled(_loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
    """Log what nobody caught; for ``loop.set_exception_handler``."""
    _unhandled.error(
        str(context.get("message", "unhandled exception")),
        exc_info=context.get("exception"),
        extra={
            "source": next(
                (repr(context[name]) for name in ("task", "future", "handle") if name in context),
                "",
            )
        },
    )


class _LineFormatter(structlog.stdlib.ProcessorFormatter):
    """A record as one line (a person's line may carry a traceback below it)."""

    def __init__(self, *, as_json: bool, colours: bool, redact: Redactor) -> None:
        last: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
        if as_json:
            last += [
                structlog.processors.format_exc_info,
                structlog.processors.EventRenamer("msg"),
                structlog.processors.JSONRenderer(default=_spell, ensure_ascii=True),
            ]
        else:
            last += [
                structlog.dev.ConsoleRenderer(
                    colors=colours,
                    timestamp_key="time",
                    # The rich one would print local variables, keys among them.
                    exception_formatter=structlog.dev.plain_traceback,
                )
            ]
        super().__init__(
            foreign_pre_chain=[
                _add_time,
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.stdlib.ExtraAdder(),
            ],
            processors=last,
        )
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        return self._redact(super().format(record))


def _add_time(_logger: object, _method: str, event: EventDict) -> EventDict:
    record: logging.LogRecord = event["_record"]
    milliseconds = int(record.created * 1000)
    event["time"] = rfc3339(milliseconds * 1_000_000)
    return event


def _spell(value: object) -> str:
    """Spell what JSON has no type for: bytes as 0x-hex, all else as Python shows it."""
    if isinstance(value, bytes | bytearray):
        return "0x" + value.hex()
    return repr(value)
