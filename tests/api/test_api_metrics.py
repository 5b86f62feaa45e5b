"""The page a scraper reads: both text formats, from sources that know nothing of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import pytest
from prometheus_client import REGISTRY
from prometheus_client import Metric as Family
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as read_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as read_text

from fondaco.api.metrics import MetricsPage
from fondaco.metrics import Kind, Metric, Sample

SALES = Metric(
    name="fondaco_sales_total", kind=Kind.COUNTER, text="Things sold.", labels=("ware", "place")
)
SHELVES = Metric(name="fondaco_shelves", kind=Kind.GAUGE, text="Shelves in use.")

page_of = partial(MetricsPage, version="1.2.3", peer_id="16Uiu2")

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


class Shop:
    """A source whose values the test sets."""

    metrics: Sequence[Metric] = (SALES, SHELVES)

    def __init__(self) -> None:
        self.sold = {("rope", "quay"): 3, ('"tar"\n', "\\yard"): 0}
        self.shelves = 2.5

    def samples(self) -> Iterator[Sample]:
        for labels, count in self.sold.items():
            yield Sample(SALES, count, labels)
        yield Sample(SHELVES, self.shelves)

    def troubles(self) -> Sequence[str]:
        return ("the roof leaks",) if self.shelves == 4 else ()


def values(families: Iterable[Family]) -> dict[tuple[str, ...], float]:
    """Name and label values of each sample of ours -> its value."""
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in families
        for sample in family.samples
        if not sample.name.startswith("process_")
    }


@pytest.mark.parametrize(
    ("accept", "read", "content_type"),
    [
        ("", read_text, "text/plain; version=0.0.4; charset=utf-8"),
        ("text/html, */*", read_text, "text/plain; version=0.0.4; charset=utf-8"),
        (OPENMETRICS, read_openmetrics, "application/openmetrics-text; version=1.0.0"),
    ],
)
def test_a_scraper_reads_what_was_said(
    accept: str, read: Callable[[str], Iterable[Family]], content_type: str
) -> None:
    shop = Shop()
    page = page_of([shop])
    shop.shelves = 4
    answer = page(accept)
    assert answer.status == 200
    assert answer.content_type.startswith(content_type)
    families = list(read(answer.body.decode()))
    assert values(families) == {
        ("fondaco_info", "16Uiu2", "1.2.3"): 1,
        ("fondaco_troubles",): 1,
        ("fondaco_sales_total", "quay", "rope"): 3,
        ("fondaco_sales_total", "\\yard", '"tar"\n'): 0,
        ("fondaco_shelves",): 4,
    }
    kinds = {family.name: (family.type, family.documentation) for family in families}
    assert kinds["fondaco_sales"] == ("counter", "Things sold.")
    assert kinds["fondaco_shelves"] == ("gauge", "Shelves in use.")


def test_the_figures_of_the_process_and_of_its_child() -> None:
    child: list[int] = []
    page = page_of([], child=lambda: child[0] if child else None)

    def names() -> dict[str, float]:
        families = read_text(page("").body.decode())
        return {sample.name: sample.value for family in families for sample in family.samples}

    alone = names()
    assert alone["process_resident_memory_bytes"] > 2**20
    assert not [name for name in alone if name.startswith("fondaco_p2p_process_")]
    child.append(os.getpid())
    assert names()["fondaco_p2p_process_resident_memory_bytes"] > 2**20
    # One that has ended meanwhile is not there either.
    child[0] = 2**22 + 1
    assert names().keys() == alone.keys()


def test_nothing_is_registered_for_the_whole_process() -> None:
    before = {family.name for family in REGISTRY.collect()}
    page_of([Shop()])
    page_of([Shop()])
    assert {family.name for family in REGISTRY.collect()} == before


def test_a_name_can_be_declared_once() -> None:
    with pytest.raises(ValueError, match="fondaco_sales_total, fondaco_shelves"):
        page_of([Shop(), Shop()])
