"""Dashboards as data, and how they are written for Grafana.

https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

SOURCE = "prometheus"
"""The data source's uid (components/metrics/grafana.py)."""
CHOSEN = 'airflow=~"$airflow"'
"""Within a query: whichever Airflows the reader chose."""
COLUMNS = 24
HEIGHT = 8
Unit = Literal["none", "short", "s", "percentunit", "bytes", "cores", "ops", "reqps", "Bps", "percent"]
"""Of Grafana's units."""


@dataclass(frozen=True)
class Query:
    """What Prometheus is asked. ``$airflow`` is what the reader chose; ``legend`` names labels as ``{{label}}``."""

    expression: str
    legend: str = "{{airflow}}"


@dataclass(frozen=True)
class Panel:
    """One picture. ``source`` shows the metrics that it asks for (``statsd``); ``width`` in 24ths of the page.

    ``quiet``: there is nothing to be seen where nothing of the kind has happened, such as a failure.
    """

    title: str
    description: str
    unit: Unit
    queries: Sequence[Query]
    source: str
    kind: Literal["timeseries", "stat"] = "timeseries"
    width: int = 12
    quiet: bool = False


@dataclass(frozen=True)
class Dashboard:
    """A page of panels. ``uid`` is its address, for good."""

    uid: str
    title: str
    description: str
    panels: Sequence[Panel]


def dashboard_json(dashboard: Dashboard) -> str:
    """The file that Grafana reads."""
    made: list[dict[str, Any]] = []
    x = y = 0
    for number, panel in enumerate(dashboard.panels, start=1):
        if x + panel.width > COLUMNS:
            x, y = 0, y + HEIGHT
        made.append(_panel(panel, number, {"x": x, "y": y, "w": panel.width, "h": HEIGHT}))
        x += panel.width
    page = {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": ["airflow-platform"],
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "schemaVersion": 41,
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        # Every page leads to the others, with the same Airflows and times.
        "links": [
            {
                "type": "dashboards",
                "title": "Airflow",
                "tags": ["airflow-platform"],
                "asDropdown": True,
                "includeVars": True,
                "keepTime": True,
            }
        ],
        "templating": {"list": [_AIRFLOWS]},
        "panels": made,
    }
    return json.dumps(page, indent=1) + "\n"


_DATA = {"type": "prometheus", "uid": SOURCE}
_AIRFLOWS = {
    "name": "airflow",
    "label": "Airflow",
    "type": "query",
    "datasource": _DATA,
    "query": {"query": 'label_values(up{component="statsd"}, airflow)', "refId": "airflow"},
    "refresh": 2,
    "multi": True,
    "includeAll": True,
    "allValue": ".*",
    "current": {"text": "All", "value": "$__all"},
    "sort": 1,
}


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit}
    options: dict[str, Any] = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    if panel.kind == "stat":
        options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "area"}
    else:
        defaults["custom"] = {"fillOpacity": 10, "lineWidth": 1, "showPoints": "never"}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": _DATA,
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "datasource": _DATA,
                "expr": query.expression,
                "legendFormat": query.legend,
            }
            for place, query in enumerate(panel.queries)
        ],
    }
