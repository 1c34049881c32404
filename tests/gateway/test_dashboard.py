"""The Grafana dashboard shows what the gateway counts."""

import json

import pytest

from examples.load.dashboard import Reading, lines_of
from examples.load.panels import PANELS, Panel, dashboard
from modeling_ecso.gateway.metrics import Metrics


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.title)
def test_every_panel_is_of_something_that_is_counted(panel):
    page = Metrics().page().decode()
    kind = {"rate": "counter", "value": "gauge", "p95": "histogram"}[panel.kind]
    name = f"{panel.metric}_total" if panel.kind == "rate" else panel.metric
    assert f"# TYPE {name} {kind}\n" in page
    assert name in panel.expression


def test_grafana_can_import_it():
    document = json.loads(dashboard())
    places = [tuple(panel["gridPos"][side] for side in "xy") for panel in document["panels"]]
    assert len(set(places)) == len(places) == len(PANELS)
    assert {panel["datasource"]["uid"] for panel in document["panels"]} == {"${source}"}
    assert document["templating"]["list"][0]["name"] == "source"


def readings(*counts):
    """One reading a second of a counter and of a histogram with a bound of 1 s."""
    return [
        Reading(
            float(second),
            {
                ("asked_total", frozenset({("how", "well")})): count,
                ("took_bucket", frozenset({("le", "1.0")})): count,
                ("took_bucket", frozenset({("le", "+Inf")})): count,
            },
        )
        for second, count in enumerate(counts)
    ]


def test_plots_say_what_prometheus_would():
    rate = lines_of(Panel("", "", "rate", "asked", "how"), readings(0, 2, 4, 6))
    assert rate == {"well": ([1.0, 2.0, 3.0], [2.0, 2.0, 2.0])}
    took = lines_of(Panel("t", "s", "p95", "took"), readings(0, 100))
    assert took == {"t": ([1.0], [0.95])}
