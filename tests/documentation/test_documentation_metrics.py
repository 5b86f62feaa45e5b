"""The page about metrics names what is served and what its labels may say."""

from __future__ import annotations

import re

from fondaco.api.health import Status
from fondaco.documentation.metrics import declared, metrics_page
from fondaco.p2p.metrics import MESSAGES, ROWS
from fondaco.p2p.scores import Offence


def test_every_metric_has_a_row_with_its_kind_labels_and_meaning() -> None:
    page = metrics_page()
    for _, metrics in declared():
        for metric in metrics:
            [row] = re.findall(rf"^\| `{metric.name}` \|.*$", page, re.MULTILINE)
            cells = [cell.strip() for cell in row.strip("|").split("|")]
            assert cells[1] == metric.kind.value
            assert re.findall(r"`(\w+)`", cells[2]) == [*metric.labels]
            assert cells[3] == metric.text


def test_values_of_labels_are_explained() -> None:
    page = metrics_page()
    values = [offence.value for offence in Offence]
    values += [row.labels[0] for row in ROWS if row.metric is MESSAGES]
    for value in values:
        assert re.search(rf"^\| `{value}` \| \S.+ \|$", page, re.MULTILINE), value


def test_every_status_is_explained() -> None:
    page = metrics_page()
    assert all(f"| `{status.value}` | " in page for status in Status)
