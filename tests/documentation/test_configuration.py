"""The page of settings says what an operator needs."""

from __future__ import annotations

from fondaco.documentation.configuration import configuration_page
from fondaco.settings import COMMAND_LINE_NAMES, MESH_NAMES_WITHOUT_EFFECT, SETTINGS


def test_every_name_an_operator_can_write_is_on_the_page() -> None:
    page = configuration_page()
    names = [name for setting in SETTINGS for name in (*setting.environment, setting.name)]
    flags = [setting.flag for setting in SETTINGS if setting.flag]
    for name in (*names, *flags, *MESH_NAMES_WITHOUT_EFFECT, *COMMAND_LINE_NAMES):
        assert f"`{name}`" in page
