"""docs/configuration.md: every setting, printed from ``settings.SETTINGS``."""

from __future__ import annotations

from fondaco.config import LARGEST_ORDER, REQUESTS_KEPT_FREE
from fondaco.settings import (
    COMMAND_LINE_NAMES,
    MESH_NAMES_WITHOUT_EFFECT,
    REQUIRED,
    SETTINGS,
    Setting,
)


def configuration_page() -> str:
    """Return docs/configuration.md, printed from ``settings.SETTINGS``."""
    sections: dict[str, list[Setting]] = {}
    for setting in SETTINGS:
        sections.setdefault(setting.section, []).append(setting)
    parts = [_INTRODUCTION]
    for title, settings in sections.items():
        parts.append(f"## {title}\n")
        parts += [_entry(setting) for setting in settings]
    parts.append(_RULES)
    parts.append(_names("## Names of 0x Mesh without effect\n", MESH_NAMES_WITHOUT_EFFECT))
    parts.append(
        "A value for one of these changes nothing; the node says so in its first log lines.\n"
    )
    parts.append(_names("## Names that only the command line reads\n", COMMAND_LINE_NAMES))
    return "\n".join(parts)


def _entry(setting: Setting) -> str:
    if setting.is_boolean:
        flag = f"`{setting.flag}` / `--no-{setting.flag[2:]}`"
    else:
        flag = f"`{setting.flag}`" if setting.flag else "none (others can read a command line)"
    default = "required" if setting.default is REQUIRED else _default(setting)
    unit = f" ({setting.unit})" if setting.unit else ""
    lines = [
        f"### `{setting.name}`\n",
        f"{setting.help}\n",
        f"- environment: {', '.join(f'`{name}`' for name in setting.environment)}",
        f"- flag: {flag}",
        f"- value: {setting.kind.expected}{unit}",
        f"- default: {default}",
    ]
    if setting.unused:
        lines.append(f"- no effect yet: {setting.unused}")
    return "\n".join(lines) + "\n"


def _default(setting: Setting) -> str:
    return f"`{setting.default}`" if setting.default else "unset"


def _names(title: str, names: dict[str, str]) -> str:
    rows = [f"| `{name}` | {meaning} |" for name, meaning in names.items()]
    return "\n".join([title, "| name | what it means here |", "| --- | --- |", *rows]) + "\n"


_INTRODUCTION = """\
# Configuration

<!-- Printed by `fondaco docs --write` from src/fondaco/settings.py; do not edit. -->

A setting comes from four places; a later one wins:

1. its default,
2. `fondaco.toml` in the working directory, or the file named by `--config`,
3. the environment,
4. a flag of `fondaco run`.

```toml
# fondaco.toml
ethereum_rpc_url = "http://127.0.0.1:8545"
ethereum_chain_id = 1
block_polling_interval = "5s"
```

The environment names of 0x Mesh v6 and v9 are accepted, so that a node can take the place
of a Mesh node without a change to its environment; every setting also has a name that
starts with `FONDACO_`. An empty environment variable counts as not set. A name that is not
known is refused in the file and among the flags, and in the environment where it starts
with `FONDACO_`; other environment variables are not ours to judge.
"""

_RULES = f"""\
## Rules between settings

- With rate limiting on, `ethereum_rpc_max_requests_per_24_hr_utc` must be at least the
  polls of one day (24 h / `block_polling_interval`) and {REQUESTS_KEPT_FREE} more.
- `ethereum_rpc_max_content_length` must be at least the largest order:
  {LARGEST_ORDER[3]} bytes, or {LARGEST_ORDER[2]} with `order_protocols = "v2"`.
- A listener that is not on loopback needs `rpc_token`.
- Two environment names of one setting must not have different values.

Durations are spelled as in Go (`5s`, `200ms`, `1m30s`), and with `d` for days; a bare
number is refused. Booleans are Go's: `true`, `false`, `t`, `f`, `1`, `0`.
"""
