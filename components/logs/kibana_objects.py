"""What Kibana shows from the first day: views of the streams, a search, and a dashboard, as objects that it imports.

Shapes as in elastic/integrations, packages/airflow/kibana and packages/system/kibana, which Elastic publishes.
https://www.elastic.co/docs/api/doc/kibana/operation/operation-post-saved-objects-import
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

TASK_VIEW: Final = "airflow-tasks"
COMPONENT_VIEW: Final = "airflow-components"
SEARCH: Final = "airflow-task-lines"
DASHBOARD: Final = "airflow-logs"
WIDTH: Final = 48
"""Columns of a dashboard's grid."""
_CORE: Final = "8.8.0"
_EVERYTHING: Final = {"query": "", "language": "kuery"}
_WRONG: Final = {"query": 'level : ("error" or "critical")', "language": "kuery"}
_DELAY: Final = "delay_ms"
_DELAY_SCRIPT: Final = (
    "if (doc.containsKey('timestamp') && doc['timestamp'].size() > 0 && doc['@timestamp'].size() > 0) "
    "{ emit(doc['@timestamp'].value.toInstant().toEpochMilli() - doc['timestamp'].value.toInstant().toEpochMilli()) }"
)
"""From the moment of an event to that of its line in the container's log."""
Tree = dict[str, Any]
Column = Mapping[str, Any]


def saved_objects(components: bool) -> str:
    """The file that Kibana imports, an object a line. ``components``: whether there are streams of components."""
    made = [_view(TASK_VIEW, "logs-airflow.task-*", "Task logs", delay=True)]
    if components:
        made.append(_view(COMPONENT_VIEW, "logs-airflow.component-*", "Logs of Airflow's own parts"))
    made += [_search(), _dashboard()]
    return "".join(f"{json.dumps(one)}\n" for one in made)


def _object(kind: str, name: str, version: str, attributes: Tree, references: Sequence[Tree] = ()) -> Tree:
    return {
        "type": kind,
        "id": name,
        "attributes": attributes,
        "references": list(references),
        "coreMigrationVersion": _CORE,
        "typeMigrationVersion": version,
    }


def _view(name: str, pattern: str, title: str, *, delay: bool = False) -> Tree:
    computed = {_DELAY: {"type": "long", "script": {"source": _DELAY_SCRIPT}}} if delay else {}
    attributes = {
        "title": pattern,
        "name": title,
        "timeFieldName": "@timestamp",
        "allowNoIndex": True,
        "runtimeFieldMap": json.dumps(computed),
        "fieldAttrs": "{}",
        "fieldFormatMap": "{}",
        "fields": "[]",
        "sourceFilters": "[]",
        "typeMeta": "{}",
    }
    return _object("index-pattern", name, "8.0.0", attributes)


def _search() -> Tree:
    reference = "kibanaSavedObjectMeta.searchSourceJSON.index"
    source = {
        "query": _EVERYTHING,
        "filter": [],
        "highlightAll": True,
        "version": True,
        "indexRefName": reference,
    }
    attributes = {
        "title": "Task lines, in order",
        "description": "Every line of a task's try: search for log_id",
        "columns": ["level", "dag_id", "task_id", "event"],
        # As Airflow shows them: by the number that grows with every line.
        "sort": [["@timestamp", "asc"], ["offset", "asc"]],
        "grid": {},
        "hideChart": False,
        "isTextBasedQuery": False,
        "kibanaSavedObjectMeta": {"searchSourceJSON": json.dumps(source)},
    }
    return _object(
        "search", SEARCH, "8.0.0", attributes, [{"type": "index-pattern", "id": TASK_VIEW, "name": reference}]
    )


def _dashboard() -> Tree:
    panels = [
        _Panel("lines", "Lines a minute, by DAG", 0, 0, WIDTH, 12, _lines_a_minute()),
        _Panel("errors", "Errors by DAG", 0, 12, WIDTH // 2, 14, _errors_by_dag()),
        _Panel("writers", "Slowest log writers", WIDTH // 2, 12, WIDTH // 2, 14, _slowest_writers()),
    ]
    attributes = {
        "title": "Airflow: task logs",
        "description": "Errors by DAG, who writes how much, and how long a line takes into the container's log",
        "panelsJSON": json.dumps([panel.as_tree() for panel in panels]),
        "optionsJSON": json.dumps({"useMargins": True, "hidePanelTitles": False, "syncCursor": True}),
        "kibanaSavedObjectMeta": {"searchSourceJSON": json.dumps({"query": _EVERYTHING, "filter": []})},
        "timeRestore": True,
        "timeFrom": "now-24h",
        "timeTo": "now",
        "version": 3,
    }
    references = [
        {"type": "index-pattern", "id": TASK_VIEW, "name": f"{panel.name}:{_layer_reference(panel.name)}"}
        for panel in panels
    ]
    return _object("dashboard", DASHBOARD, "10.2.0", attributes, references)


class _Panel:
    """One chart in a dashboard, held by value."""

    def __init__(self, name: str, title: str, x: int, y: int, width: int, height: int, chart: Tree) -> None:
        self.name, self.title, self.chart = name, title, chart
        self.grid = {"x": x, "y": y, "w": width, "h": height, "i": name}

    def as_tree(self) -> Tree:
        reference = {"type": "index-pattern", "id": TASK_VIEW, "name": _layer_reference(self.name)}
        columns: Tree = self.chart["columns"]
        layer = {"columns": columns, "columnOrder": list(columns), "incompleteColumns": {}, "sampling": 1}
        state = {
            "visualization": self.chart["visualization"](self.name),
            "query": self.chart["query"],
            "filters": [],
            "datasourceStates": {"formBased": {"layers": {self.name: layer}}, "textBased": {"layers": {}}},
            "internalReferences": [],
            "adHocDataViews": {},
        }
        attributes = {
            "title": self.title,
            "type": "lens",
            "visualizationType": self.chart["type"],
            "state": state,
            "references": [reference],
        }
        return {
            "type": "lens",
            "title": self.title,
            "panelIndex": self.name,
            "gridData": self.grid,
            "embeddableConfig": {"attributes": attributes, "enhancements": {"dynamicActions": {"events": []}}},
        }


def _layer_reference(panel: str) -> str:
    return f"indexpattern-datasource-layer-{panel}"


def _lines_a_minute() -> Tree:
    def chart(layer: str) -> Tree:
        return {
            "preferredSeriesType": "bar_stacked",
            "legend": {"isVisible": True, "position": "right"},
            "valueLabels": "hide",
            "layers": [
                {
                    "layerId": layer,
                    "layerType": "data",
                    "seriesType": "bar_stacked",
                    "xAccessor": "time",
                    "splitAccessor": "dag",
                    "accessors": ["count"],
                }
            ],
        }

    columns = {"dag": _top("dag_id", "DAG", "count", others=True), "time": _MINUTES, "count": {**_COUNT, **_A_MINUTE}}
    return {"type": "lnsXY", "columns": columns, "visualization": chart, "query": _EVERYTHING}


def _errors_by_dag() -> Tree:
    columns = {"dag": _top("dag_id", "DAG", "count"), "task": _top("task_id", "Task", "count"), "count": _COUNT}
    return {"type": "lnsDatatable", "columns": columns, "visualization": _table(columns), "query": _WRONG}


def _slowest_writers() -> Tree:
    delay = {
        "label": "Milliseconds from event to log, 95th percentile",
        "customLabel": True,
        "dataType": "number",
        "operationType": "percentile",
        "sourceField": _DELAY,
        "isBucketed": False,
        "params": {"percentile": 95, "emptyAsNull": True},
    }
    columns = {
        "dag": _top("dag_id", "DAG", "delay"),
        "task": _top("task_id", "Task", "delay"),
        "delay": delay,
        "count": _COUNT,
    }
    return {"type": "lnsDatatable", "columns": columns, "visualization": _table(columns), "query": _EVERYTHING}


def _table(columns: Mapping[str, Column]) -> Any:
    def chart(layer: str) -> Tree:
        return {
            "layerId": layer,
            "layerType": "data",
            "columns": [{"columnId": name} for name in columns],
            "paging": {"enabled": True, "size": 10},
        }

    return chart


def _top(field: str, label: str, by: str, *, others: bool = False) -> Column:
    return {
        "label": label,
        "customLabel": True,
        "dataType": "string",
        "operationType": "terms",
        "sourceField": field,
        "isBucketed": True,
        "params": {
            "size": 10,
            "orderBy": {"type": "column", "columnId": by},
            "orderDirection": "desc",
            "otherBucket": others,
            "missingBucket": False,
            "parentFormat": {"id": "terms"},
        },
    }


_COUNT: Final[Column] = {
    "label": "Lines",
    "customLabel": True,
    "dataType": "number",
    "operationType": "count",
    "sourceField": "___records___",
    "isBucketed": False,
    "params": {"emptyAsNull": True},
}
_A_MINUTE: Final = {"label": "Lines a minute", "timeScale": "m"}
_MINUTES: Final[Column] = {
    "label": "@timestamp",
    "dataType": "date",
    "operationType": "date_histogram",
    "sourceField": "@timestamp",
    "isBucketed": True,
    "params": {"interval": "auto", "includeEmptyRows": True, "dropPartials": False},
}
