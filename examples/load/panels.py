"""The panels that show how a gateway is doing: one description for Grafana and for plots of a run.

To add a panel, add it to `PANELS`; `make readme` writes `docs/grafana.json` from them.
"""

import json
from typing import Any, Literal, NamedTuple


class Panel(NamedTuple):
    """A graph over time.

    Args:
        title: What it shows.
        unit: Grafana's word for the unit.
        kind: ``rate`` of a counter per second, ``value`` of a gauge, or ``p95`` of a histogram.
        metric: The metric's name, without the suffixes of the text format.
        by: The label that each line stands for; None: there is one line.
    """

    title: str
    unit: str
    kind: Literal["rate", "value", "p95"]
    metric: str
    by: str | None = None

    @property
    def expression(self) -> str:
        """The same in PromQL."""
        if self.kind == "value":
            return f"sum({self.metric})"
        labels = [self.by] if self.by else []
        if self.kind == "rate":
            return f"sum{_by(labels)}(rate({self.metric}_total[$__rate_interval]))"
        rates = f"rate({self.metric}_bucket[$__rate_interval])"
        return f"histogram_quantile(0.95, sum{_by(['le', *labels])}({rates}))"


PANELS = (
    Panel("Requests by status", "reqps", "rate", "ecso_requests", "status"),
    Panel("Requests in work", "short", "value", "ecso_requests_running"),
    Panel("Answers by whose text they are", "reqps", "rate", "ecso_answers", "outcome"),
    Panel("Answers by reason", "reqps", "rate", "ecso_answers", "reason"),
    Panel("Verdicts on drafts", "reqps", "rate", "ecso_verdicts", "verdict"),
    Panel("Observed: what answers would be", "reqps", "rate", "ecso_would_be_answers", "outcome"),
    Panel("Time of a request, 95th percentile", "s", "p95", "ecso_request_seconds"),
    Panel("Time of a step, 95th percentile", "s", "p95", "ecso_step_seconds", "step"),
    Panel("Tokens generated", "short", "rate", "ecso_step_tokens", "step"),
    Panel("Faults of the model server", "short", "rate", "ecso_model_server_errors", "fault"),
    Panel("Streams replaced after their beginning", "short", "rate", "ecso_replaced_streams"),
    Panel("Verdicts read as text", "short", "rate", "ecso_text_fallbacks"),
)
_COLUMNS, _HEIGHT = 2, 8
_GRAFANA_WIDTH = 24


def dashboard() -> str:
    """Return the dashboard as Grafana imports it; it asks which Prometheus to read."""
    source = {"type": "prometheus", "uid": "${source}"}
    document = {
        "title": "ECSO gateway",
        "uid": "ecso-gateway",
        "schemaVersion": 39,
        "tags": ["ecso"],
        "time": {"from": "now-1h", "to": "now"},
        "refresh": "10s",
        "templating": {
            "list": [
                {"name": "source", "label": "Prometheus", "type": "datasource"}
                | {"query": "prometheus"}
            ]
        },
        "panels": [_grafana_panel(place, panel, source) for place, panel in enumerate(PANELS)],
    }
    return json.dumps(document, indent=2) + "\n"


def _grafana_panel(place: int, panel: Panel, source: dict[str, str]) -> dict[str, Any]:
    width = _GRAFANA_WIDTH // _COLUMNS
    row, column = divmod(place, _COLUMNS)
    target = {
        "refId": "A",
        "datasource": source,
        "expr": panel.expression,
        "legendFormat": f"{{{{{panel.by}}}}}" if panel.by else panel.title,
    }
    return {
        "id": place + 1,
        "title": panel.title,
        "type": "timeseries",
        "datasource": source,
        "gridPos": {"h": _HEIGHT, "w": width, "x": column * width, "y": row * _HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [target],
    }


def _by(labels: list[str]) -> str:
    return f" by ({', '.join(labels)}) " if labels else ""
