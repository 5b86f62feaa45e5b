"""Where the configuration comes from: the file, the environment and the flags.

The flags of ``fondaco run`` are made from the table of settings, so that a setting
cannot be forgotten here.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import typer

from fondaco.config import CONFIG_FILE, Config, load
from fondaco.errors import ConfigurationError
from fondaco.settings import SETTINGS

LARGEST_CONFIG_FILE = 1024 * 1024
"""Bytes. A longer file is another file, named by mistake."""


def load_config(config_file: Path | None, flags: Mapping[str, str | bool | None]) -> Config:
    """Return the configuration of this process.

    Args:
        config_file: as given by ``--config``; None looks for fondaco.toml in the working
            directory, which may be missing.
        flags: by setting name; None where a flag was not given.

    Raises:
        ConfigurationError: see ``config.load``; also where the named file cannot be read.
    """
    given = {
        name: value if isinstance(value, str) else str(value).lower()
        for name, value in flags.items()
        if value is not None
    }
    return load(_read(config_file), os.environ, given)


def _read(config_file: Path | None) -> str | None:
    path = config_file or Path(CONFIG_FILE)
    if config_file is None and not path.exists():
        return None
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_CONFIG_FILE + 1)
    except OSError as exc:
        raise ConfigurationError(str(path), f"cannot be read: {exc.strerror}") from exc
    if len(raw) > LARGEST_CONFIG_FILE:
        raise ConfigurationError(str(path), f"is over {LARGEST_CONFIG_FILE} bytes long")
    try:
        return raw.decode()
    except UnicodeDecodeError as exc:
        raise ConfigurationError(str(path), f"is not UTF-8: {exc}") from None


def with_setting_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Give *command* an option for each setting that has a flag.

    *command* must take ``**flags``; they arrive there by setting name.
    """
    own = [
        parameter
        for parameter in inspect.signature(command, eval_str=True).parameters.values()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    options = [
        inspect.Parameter(
            setting.name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=bool | None if setting.is_boolean else str | None,
            default=typer.Option(
                None,
                f"{setting.flag}/--no-{setting.flag[2:]}" if setting.is_boolean else setting.flag,
                help=setting.help,
                rich_help_panel=setting.section,
                show_default=setting.default or False,
                metavar=None if setting.is_boolean else "VALUE",
            ),
        )
        for setting in SETTINGS
        if setting.flag
    ]

    def call(**arguments: Any) -> None:
        command(**arguments)

    call.__name__, call.__doc__ = command.__name__, command.__doc__
    parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    signature = inspect.Signature([*parameters, *options])
    # typer reads both.
    call.__signature__ = signature  # type: ignore[attr-defined]
    call.__annotations__ = {name: p.annotation for name, p in signature.parameters.items()}
    return call
