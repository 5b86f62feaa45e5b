"""``/metrics``: what the parts of the node say of themselves, as Prometheus reads it.

    Source.samples() --> one family for each Metric --> text format or OpenMetrics

Everything is read when a scraper asks; between two scrapes nothing happens. Beside the
sources the page has the usual figures of the process (``process_…``), and those of the
p2p process while there is one (``fondaco_p2p_process_…``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client import Metric as Family
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from fondaco.api.pages import Page
from fondaco.metrics import Kind, Metric, Sample, Source

INFO = Metric(
    name="fondaco_info",
    kind=Kind.GAUGE,
    text="Always 1; its labels say which node this is.",
    labels=("version", "peer_id"),
)
TROUBLES = Metric(
    name="fondaco_troubles",
    kind=Kind.GAUGE,
    text="What keeps the node from being well at this moment, counted: the reasons of /health.",
)

METRICS: tuple[Metric, ...] = (INFO, TROUBLES)

NO_PROCESS = 0
"""A process ID that no process has: nothing is said of it."""

CHILD_PREFIX = "fondaco_p2p"
"""Of the figures of the p2p process."""


class MetricsPage:
    """The page (a ``pages.MakePage``).

    Args:
        version, peer_id: of this node.
        child: returns the process ID of the p2p process, None while there is none.

    Raises:
        ValueError: two sources have a metric of the same name; our own bug.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        version: str,
        peer_id: str,
        child: Callable[[], int | None] = lambda: None,
    ) -> None:
        # Our own, not the library's global one: a process may run several nodes.
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Families([_Node(sources, version, peer_id), *sources]))
        self._registry.register(ProcessCollector(registry=None))
        self._registry.register(
            ProcessCollector(CHILD_PREFIX, pid=lambda: child() or NO_PROCESS, registry=None)
        )

    def __call__(self, accept: str) -> Page:
        """Return the values of this moment: OpenMetrics where *accept* asks for it."""
        encode, content_type = choose_encoder(accept)
        return Page(body=encode(self._registry), content_type=content_type)


class _Node:
    """The node as a whole, as a source."""

    metrics: Sequence[Metric] = METRICS

    def __init__(self, sources: Sequence[Source], version: str, peer_id: str) -> None:
        self._sources = sources
        self._info = (version, peer_id)

    def samples(self) -> Iterator[Sample]:
        yield Sample(INFO, 1, self._info)
        yield Sample(TROUBLES, len(self.troubles()))

    def troubles(self) -> list[str]:
        return [said for source in self._sources for said in source.troubles()]


class _Families(Collector):
    """All sources, in the library's terms."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources
        names = [metric.name for source in sources for metric in source.metrics]
        if len(set(names)) < len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise ValueError(f"declared twice: {', '.join(twice)}")

    def collect(self) -> Iterator[Family]:
        for source in self._sources:
            yield from _families(source)


def _families(source: Source) -> Iterable[Family]:
    families = {metric.name: _family(metric) for metric in source.metrics}
    for metric, value, labels in source.samples():
        families[metric.name].add_metric(labels, value)
    return families.values()


def _family(metric: Metric) -> CounterMetricFamily | GaugeMetricFamily:
    kind = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
    return kind(metric.name, metric.text, labels=metric.labels)
