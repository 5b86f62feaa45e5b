"""Printed pages are what the code says, and say what an operator needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from fondaco.documentation import configuration_page, pages
from fondaco.settings import COMMAND_LINE_NAMES, MESH_NAMES_WITHOUT_EFFECT, SETTINGS

REPOSITORY = Path(__file__).parents[1]


@pytest.mark.parametrize("name", list(pages()))
def test_the_page_in_the_repository_is_up_to_date(name: str) -> None:
    assert (REPOSITORY / name).read_text() == pages()[name], "run: fondaco docs --write"


def test_every_name_an_operator_can_write_is_on_the_page() -> None:
    page = configuration_page()
    names = [name for setting in SETTINGS for name in (*setting.environment, setting.name)]
    flags = [setting.flag for setting in SETTINGS if setting.flag]
    for name in (*names, *flags, *MESH_NAMES_WITHOUT_EFFECT, *COMMAND_LINE_NAMES):
        assert f"`{name}`" in page
