"""docs/metrics.md: ``/metrics`` and ``/health``, printed from the tables of all floors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fondaco.api import metrics as of_api
from fondaco.api.health import Health, Status
from fondaco.chain import metrics as of_chain
from fondaco.chain.limits import POLLS_MISSED, SILENCE_SECONDS
from fondaco.documentation.tables import constants, table
from fondaco.metrics import Metric
from fondaco.p2p import metrics as of_p2p
from fondaco.p2p.pubsub.counters import Counters
from fondaco.p2p.scores import Offence
from fondaco.zeroex import metrics as of_orders


def declared() -> list[tuple[str, Sequence[Metric]]]:
    """Return the metrics of every part of the node, under a title each."""
    return [
        ("The node", of_api.METRICS),
        ("Token orders", of_orders.OrderMetrics.metrics),
        ("Orders shared with peers", of_orders.SharingMetrics.metrics),
        ("The chain", of_chain.METRICS),
        ("The p2p process", of_p2p.METRICS),
    ]


def metrics_page() -> str:
    """Return docs/metrics.md."""
    parts = [_INTRODUCTION]
    for title, metrics in declared():
        parts += [f"## {title}\n", _table(metrics)]
    parts += [
        "Values of `offence`:\n",
        _values((offence.value, _text(Offence, offence.name)) for offence in Offence),
        "Values of `event`:\n",
        _values(
            (row.labels[0], _text(Counters, row.labels[0]))
            for row in of_p2p.ROWS
            if row.metric is of_p2p.MESSAGES
        ),
        _HEALTH,
    ]
    return "\n".join(parts)


def _table(metrics: Iterable[Metric]) -> str:
    rows = [
        (f"`{metric.name}`", metric.kind.value, _labels(metric.labels), metric.text)
        for metric in metrics
    ]
    return table(("metric", "kind", "labels", "what"), rows) + "\n"


def _labels(labels: Iterable[str]) -> str:
    return ", ".join(f"`{label}`" for label in labels)


def _values(rows: Iterable[tuple[str, str]]) -> str:
    return table(("value", "meaning"), [(f"`{value}`", text) for value, text in rows]) + "\n"


def _text(owner: type, name: str) -> str:
    return next(constant.text for constant in constants(owner) if constant.name == name)


_INTRODUCTION = """\
# Metrics and health

<!-- Printed by `fondaco docs --write` from the tables `METRICS` of src/fondaco; do not edit. -->

`/metrics` and `/health` stand on the node's own listener beside JSON-RPC and are read with
GET or HEAD. Who may read them is decided as for calls: on loopback anybody without a foreign
`Origin`, elsewhere whoever sends `Authorization: Bearer TOKEN` (`rpc_token`); the `Host` must
be one of ours (`allowed_hosts`).

`/metrics` speaks the text format of Prometheus, and OpenMetrics where `Accept` asks for it:

```yaml
scrape_configs:
  - job_name: fondaco
    static_configs:
      - targets: ["127.0.0.1:60557"]
    # where the listener is not on loopback:
    # authorization: { credentials: TOKEN }
```

Every metric below is there from the first scrape on, with zeros where nothing has happened.
Counters start at 0 with the node; those of the p2p process go on when it is restarted. Beside
them stand the usual `process_…` figures of the node's process (memory, CPU, open files) and,
as `fondaco_p2p_process_…`, those of its p2p process (on Linux).

Worth an alert: `fondaco_troubles > 0` for some minutes, `fondaco_peers_staying_different > 0`,
and `increase(fondaco_p2p_restarts_total[1h]) > 3`.
"""

_HEALTH = f"""\
## /health

A JSON object with {", ".join(f"`{name}`" for name in Health.__struct_fields__)}:

| `status` | HTTP | meaning |
| --- | --- | --- |
| `{Status.STARTING.value}` | 503 | the doors are open, but calls still wait |
| `{Status.OK.value}` | 200 | nothing is wrong |
| `{Status.DEGRADED.value}` | 200 | it serves what it knows; `reasons` say what keeps it from more |

Degraded is no 503 on purpose: a chain endpoint that does not answer seldom fails one node
alone, and a node that is restarted or taken out of service for it answers nobody. The reasons
are:

- the Ethereum endpoint has not answered in full for {SILENCE_SECONDS:g} s (or for {POLLS_MISSED}
  polling intervals, where those are longer);
- stored orders wait to be looked at, because the endpoint or the disk refused;
- the p2p process is not running (it is started again by itself).
"""
