"""Dashboards as Google's Cloud Monitoring takes them.

https://cloud.google.com/monitoring/api/ref_v3/rest/v1/projects.dashboards. What takes the place of Grafana's variables,
intervals and legends is what Google's own importer writes: github.com/GoogleCloudPlatform/monitoring-dashboard-samples,
scripts/dashboard-importer.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from components.metrics.dashboards.panels import CHOSEN, COLUMNS, Dashboard, Panel, Query, Unit

GOOGLES_COLUMNS = 48
HEIGHT = 16
UNITS: Mapping[Unit, str] = {
    "none": "1",
    "short": "1",
    "cores": "1",
    "s": "s",
    "percent": "%",
    "percentunit": "10^2.%",
    "bytes": "By",
    "Bps": "By/s",
    "ops": "1/s",
    "reqps": "1/s",
}
"""Grafana's units in UCUM's, as Google writes them (https://ucum.org)."""


def google_json(dashboard: Dashboard, environment: str, cluster: str | None) -> str:
    """The document that the API takes. ``cluster`` is whose figures are shown; None: all of the project's."""
    tiles: list[dict[str, Any]] = []
    scale = GOOGLES_COLUMNS // COLUMNS
    x = y = 0
    for panel in dashboard.panels:
        if x + panel.width > COLUMNS:
            x, y = 0, y + HEIGHT
        tiles.append(_tile(x * scale, y, panel.width * scale, _chart(panel, cluster)))
        x += panel.width
    tiles.append(_tile(0, y + HEIGHT, GOOGLES_COLUMNS, _explanation(dashboard)))
    page: dict[str, Any] = {
        "displayName": f"Airflow {environment}: {dashboard.title}",
        "mosaicLayout": {"columns": GOOGLES_COLUMNS, "tiles": tiles},
    }
    if "${airflow.value}" in json.dumps(tiles):
        page["dashboardFilters"] = [
            {"filterType": "METRIC_LABEL", "labelKey": "airflow", "templateVariable": "airflow", "stringValue": ""}
        ]
    return json.dumps(page, indent=1) + "\n"


def googles_query(query: Query, source: str, cluster: str | None) -> str:
    """The expression. ``source`` is what shows the metrics."""
    chosen = 'airflow=~"${airflow.value}"'
    text = query.expression.replace("$__rate_interval", "${__interval}")
    if _by_namespace(source):
        chosen = 'namespace=~"airflow-.+"'
        text = text.replace("by (airflow", "by (namespace")
    within = f'cluster="{cluster}", ' if cluster else ""
    return text.replace(CHOSEN, within + chosen)


def _by_namespace(source: str) -> bool:
    # Google's collectors put no label of ours on what kubelets show; whose it is, the namespace says.
    return source == "kubelet"


def _tile(x: int, y: int, width: int, widget: dict[str, Any]) -> dict[str, Any]:
    return {"xPos": x, "yPos": y, "width": width, "height": HEIGHT, "widget": widget}


def _chart(panel: Panel, cluster: str | None) -> dict[str, Any]:
    def legend(query: Query) -> str:
        text = query.legend.replace("{{airflow}}", "{{namespace}}") if _by_namespace(panel.source) else query.legend
        return re.sub(r"\{\{(\w+)\}\}", r"${labels.\1}", text)

    return {
        "title": panel.title,
        "xyChart": {
            "chartOptions": {"mode": "COLOR"},
            "dataSets": [
                {
                    "plotType": "LINE",
                    "targetAxis": "Y1",
                    "legendTemplate": legend(query),
                    "timeSeriesQuery": {
                        "prometheusQuery": googles_query(query, panel.source, cluster),
                        "unitOverride": UNITS[panel.unit],
                    },
                }
                for query in panel.queries
            ],
            "yAxis": {"scale": "LINEAR"},
        },
    }


def _explanation(dashboard: Dashboard) -> dict[str, Any]:
    """Google's charts have titles alone: what they mean is said below them."""
    lines = [dashboard.description, "", *(f"- **{panel.title}.** {panel.description}" for panel in dashboard.panels)]
    return {"title": "What is shown", "text": {"format": "MARKDOWN", "content": "\n".join(lines)}}
