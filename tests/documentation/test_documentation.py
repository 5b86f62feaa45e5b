"""Printed pages are what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest

from fondaco.documentation import pages

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize("name", list(pages()))
def test_the_page_in_the_repository_is_up_to_date(name: str) -> None:
    assert (REPOSITORY / name).read_text() == pages()[name], "run: fondaco docs --write"


@pytest.mark.parametrize("name", list(pages()))
def test_what_a_page_links_to_is_there(name: str) -> None:
    links = [part.partition(")")[0] for part in pages()[name].split("](")[1:]]
    here = (REPOSITORY / name).parent
    missing = [link for link in links if not link.startswith("#") and not (here / link).exists()]
    assert not missing
