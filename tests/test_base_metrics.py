"""What every declared metric keeps to, whichever part declares it."""

from __future__ import annotations

import re

import pytest

from fondaco.documentation.metrics import declared
from fondaco.metrics import Kind, Metric

METRICS = [metric for _, metrics in declared() for metric in metrics]

every_metric = pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)


@every_metric
def test_names_are_those_of_prometheus(metric: Metric) -> None:
    assert re.fullmatch(r"fondaco_[a-z0-9]+(_[a-z0-9]+)*", metric.name)
    assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", label) for label in metric.labels)


@every_metric
def test_each_says_in_one_line_what_it_counts(metric: Metric) -> None:
    assert re.fullmatch(r"[A-Z][^\n]+\.", metric.text)


def test_no_name_is_taken_twice() -> None:
    names = [metric.name for metric in METRICS]
    assert sorted(set(names)) == sorted(names)
