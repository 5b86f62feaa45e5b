"""The configuration of a node: one frozen value, made once, handed to whoever needs it.

    defaults  <  fondaco.toml  <  environment  <  flags
        |             |               |            |
        '------------ text, by the table in settings.py ---> load() ---> Config

Whatever cannot be used is a ``ConfigurationError`` that names the setting as its author
wrote it, where that was, what was expected and what to do. Nothing is read here but
the arguments: files and the process's environment are the command line's affair.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fondaco.errors import ConfigurationError
from fondaco.redaction import MASK, Redactor, mask_url
from fondaco.settings import (
    BY_NAME,
    COMMAND_LINE_NAMES,
    MESH_NAMES_WITHOUT_EFFECT,
    REQUIRED,
    SETTINGS,
    Setting,
)
from fondaco.spellings import ENDPOINT, ListenAddress

__all__ = ["Config", "ListenAddress", "load"]

CONFIG_FILE = "fondaco.toml"
"""Name of the file that the command line looks for, and that messages speak of."""

SECONDS_PER_DAY = 86_400

REQUESTS_KEPT_FREE = 50_000
"""Requests per day that polling must leave for all other work. Source: 0x Mesh v9."""

LARGEST_ORDER = {2: 8192, 3: 16_000}
"""Bytes of the largest order of each protocol version: no request to the chain may be
limited to less. Source: 0x Mesh v6 and v8."""

LONGEST_SHOWN = 80
"""Characters of a refused value that an error repeats."""

_OWN_PREFIX = "FONDACO_"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Every setting of a node, valid as a whole. Durations are seconds.

    The meaning of each field is told in ``settings.SETTINGS``, by its name.
    """

    ethereum_rpc_url: str = dataclasses.field(repr=False)
    ethereum_chain_id: int
    custom_contract_addresses: str
    """JSON text; ``""`` where the built-in addresses serve."""

    block_polling_interval: float
    enable_ethereum_rpc_rate_limiting: bool
    ethereum_rpc_max_requests_per_24_hr_utc: int
    ethereum_rpc_max_requests_per_second: float
    ethereum_rpc_max_content_length: int
    order_protocols: frozenset[int]
    """2, 3 or both."""

    custom_order_filter: str
    """JSON text of an object."""

    accept_partially_funded: bool
    max_orders_in_storage: int
    data_dir: Path
    event_log_retention: float
    event_log_max_rows: int
    rpc_addr: ListenAddress
    http_rpc_addr: ListenAddress | None
    """None also where it was set to the same address as ``rpc_addr``."""

    rpc_token: str | None = dataclasses.field(repr=False)
    allowed_origins: tuple[str, ...]
    allowed_hosts: tuple[str, ...]
    seed_path: Path | None
    private_key_path: Path | None
    verbosity: int
    log_json: bool
    p2p_tcp_port: int
    p2p_listen_addr: str
    p2p_deny: tuple[str, ...]
    p2p_relays: tuple[str, ...]
    serve_relay: bool
    enable_mdns: bool
    enable_upnp: bool
    enable_p2p: bool
    enable_gossip: bool
    enable_order_sync: bool
    p2p_websockets_port: int
    use_bootstrap_list: bool
    bootstrap_list: tuple[str, ...]

    without_effect: tuple[str, ...] = ()
    """What was set but has no effect, as ``NAME: reason``; for the first lines of the log."""

    def redactor(self) -> Redactor:
        """Return what blots this configuration's secrets out of a text."""
        return Redactor(
            urls=(self.ethereum_rpc_url,),
            secrets=(self.rpc_token,) if self.rpc_token else (),
        )


@dataclasses.dataclass(frozen=True, slots=True)
class _Given:
    """A value as somebody wrote it."""

    setting: Setting
    text: str
    written: str
    """The setting as spelled at its source, with the source: for messages."""


def load(toml_text: str | None, environment: Mapping[str, str], flags: Mapping[str, str]) -> Config:
    """Return the configuration that the three sources give over the defaults.

    Args:
        toml_text: content of fondaco.toml; None where there is no such file.
        environment: environment variables. Names that mean nothing here are passed
            over, except those that start with FONDACO_. An empty value is as good as none.
        flags: values by setting name (``rpc_addr``), of the flags that were given.

    Raises:
        ConfigurationError: a name is unknown, a value cannot be used, a required
            setting is missing, or settings contradict each other.
    """
    given: dict[str, _Given] = {}
    for value in (*_from_toml(toml_text), *_from_environment(environment), *_from_flags(flags)):
        given[value.setting.name] = value
    # What was written is judged before what is missing: it may explain it.
    values: dict[str, Any] = {name: _read(value) for name, value in given.items()}
    for setting in SETTINGS:
        if setting.name not in values:
            values[setting.name] = _default(setting)
    if values["http_rpc_addr"] == values["rpc_addr"]:
        values["http_rpc_addr"] = None
    without_effect = [
        f"{value.written}: {value.setting.unused}"
        for value in given.values()
        if value.setting.unused
    ]
    without_effect += [
        f"{name} (environment): {reason}"
        for name, reason in MESH_NAMES_WITHOUT_EFFECT.items()
        if environment.get(name)
    ]
    config = Config(**values, without_effect=tuple(without_effect))
    _check_together(config)
    return config


def suggestion(wrong: str, known: list[str]) -> str:
    """Return ``did you mean …?`` for the nearest of *known*, or ``""``."""
    near = difflib.get_close_matches(wrong, known, n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else ""


def _from_toml(toml_text: str | None) -> Iterator[_Given]:
    if toml_text is None:
        return
    try:
        document = tomllib.loads(toml_text)
    except tomllib.TOMLDecodeError as exc:
        raise ConfigurationError(CONFIG_FILE, f"is not TOML: {exc}") from exc
    except RecursionError:
        raise ConfigurationError(CONFIG_FILE, "is nested too deeply") from None
    for key, value in document.items():
        setting = BY_NAME.get(key)
        if setting is None:
            remedy = suggestion(key.lower(), list(BY_NAME))
            raise ConfigurationError(f"{key} ({CONFIG_FILE})", "is no setting", remedy)
        yield _Given(setting, _toml_text(setting, value), f"{key} ({CONFIG_FILE})")


def _toml_text(setting: Setting, value: object) -> str:
    """Spell a TOML value as text, so that every source is read by the same reader."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list) and all(
        isinstance(entry, str) and entry.strip() and "," not in entry for entry in value
    ):
        return ",".join(value)
    if isinstance(value, dict):
        # JSON has no dates; one inside becomes text.
        return json.dumps(value, default=str)
    raise ConfigurationError(
        f"{setting.name} ({CONFIG_FILE})",
        f"a {type(value).__name__} is not {setting.kind.expected}",
    )


def _from_environment(environment: Mapping[str, str]) -> Iterator[_Given]:
    known = {name: setting for setting in SETTINGS for name in setting.environment}
    for name in sorted(environment):
        if name.startswith(_OWN_PREFIX) and name not in known and name not in COMMAND_LINE_NAMES:
            remedy = suggestion(name, [*known, *COMMAND_LINE_NAMES])
            raise ConfigurationError(f"{name} (environment)", "is no setting", remedy)
    for setting in SETTINGS:
        names = [name for name in setting.environment if environment.get(name)]
        if len({environment[name] for name in names}) > 1:
            raise ConfigurationError(
                f"{' and '.join(names)} (environment)",
                "are names of one setting and have different values",
                f"keep {names[0]} alone",
            )
        if names:
            yield _Given(setting, environment[names[0]], f"{names[0]} (environment)")


def _from_flags(flags: Mapping[str, str]) -> Iterator[_Given]:
    for name, text in flags.items():
        setting = BY_NAME.get(name)
        if setting is None or not setting.flag:
            raise ConfigurationError(name, "is no flag", suggestion(name, list(BY_NAME)))
        yield _Given(setting, text, f"{setting.flag} (command line)")


def _default(setting: Setting) -> object:
    if setting.default is REQUIRED:
        raise ConfigurationError(
            setting.name,
            "is not set, and there is no default",
            f"set {setting.environment[0]} in the environment, {setting.flag} on the "
            f"command line or {setting.name} in {CONFIG_FILE}",
        )
    return setting.kind.read(setting.default)


def _read(given: _Given) -> object:
    setting = given.setting
    try:
        return setting.kind.read(given.text)
    except ValueError:
        # The cause would repeat the value, and the value may be a secret.
        raise ConfigurationError(
            given.written,
            f"{_shown(setting, given.text)} is not {setting.kind.expected}",
            f"the default is {setting.default}" if setting.default else "",
        ) from None


def _shown(setting: Setting, text: str) -> str:
    if setting.is_secret:
        return "the value (not shown)"
    if setting.kind is ENDPOINT:
        return mask_url(text) if mask_url(text) != MASK else "the value (not shown)"
    return repr(text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "…")


def _check_together(config: Config) -> None:
    """Refuse settings that are good alone and bad together."""
    if config.enable_ethereum_rpc_rate_limiting:
        _check_budget(config.block_polling_interval, config.ethereum_rpc_max_requests_per_24_hr_utc)
    largest = LARGEST_ORDER[max(config.order_protocols)]
    if config.ethereum_rpc_max_content_length < largest:
        raise ConfigurationError(
            "ethereum_rpc_max_content_length",
            f"{config.ethereum_rpc_max_content_length} bytes are less than the largest "
            f"order, {largest}",
            f"the default is {BY_NAME['ethereum_rpc_max_content_length'].default}",
        )
    if config.rpc_token is None:
        _check_reach("rpc_addr", config.rpc_addr)
        _check_reach("http_rpc_addr", config.http_rpc_addr)


def _check_budget(polling_interval: float, cap: int) -> None:
    polls = math.ceil(SECONDS_PER_DAY / polling_interval)
    if polls + REQUESTS_KEPT_FREE <= cap:
        return
    remedy = f"raise it to {polls + REQUESTS_KEPT_FREE}"
    if cap > REQUESTS_KEPT_FREE:
        slowest = math.ceil(SECONDS_PER_DAY / (cap - REQUESTS_KEPT_FREE))
        remedy += f", raise block_polling_interval to {slowest}s"
    raise ConfigurationError(
        "ethereum_rpc_max_requests_per_24_hr_utc",
        f"{cap} requests a day are too few: polling every {polling_interval:g} s takes "
        f"{polls}, and {REQUESTS_KEPT_FREE} are needed beside them",
        f"{remedy}, or turn enable_ethereum_rpc_rate_limiting off for an endpoint of your own",
    )


def _check_reach(name: str, address: ListenAddress | None) -> None:
    if address is not None and not address.is_loopback:
        raise ConfigurationError(
            name,
            f"{address} can be reached from other machines, and no rpc_token is set",
            "set RPC_TOKEN to a secret of at least 16 characters, or listen on "
            f"127.0.0.1:{address.port}",
        )
