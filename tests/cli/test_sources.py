"""The flags of a command are the table of settings."""

from __future__ import annotations

import inspect

from fondaco.cli.sources import with_setting_flags
from fondaco.settings import SETTINGS


def test_every_setting_but_a_secret_is_a_flag() -> None:
    seen: dict[str, object] = {}

    def command(own: bool = False, **flags: object) -> None:
        """What it does."""
        seen.update(flags, own=own)

    flagged = with_setting_flags(command)
    names = list(inspect.signature(flagged).parameters)
    assert names == ["own", *(setting.name for setting in SETTINGS if not setting.is_secret)]
    assert flagged.__doc__ == "What it does."
    flagged(own=True, rpc_addr=":1", verbosity=None)
    assert seen == {"own": True, "rpc_addr": ":1", "verbosity": None}
