"""Every query of every picture, for Grafana and for Google, asked of what its source shows, by Prometheus' own engine.

What runs on the testbed is asked there, too (tests/cluster/test_platform_metrics.py).
"""

import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.metrics.dashboards import DASHBOARDS, Panel, Query
from components.metrics.dashboards.google import googles_query
from tests.unit.debian import debians
from tests.unit.recorded_metrics import RECORDED

COLLECTED = {
    "cluster": "prod",
    "airflow": "main",
    "namespace": "airflow-main",
    "pod": "one",
    "container": "one",
    "job": "pods",
}
"""What collectors put on, where a source does not say it itself."""
CHOSEN = {"$airflow": "main|sales", "$__rate_interval": "2m", "${airflow.value}": "main", "${__interval}": "2m"}
"""What Grafana and Google put into a query."""
EVERY = [(panel, query) for board in DASHBOARDS for panel in board.panels for query in panel.queries]


def as_asked(expression: str) -> str:
    for name, value in CHOSEN.items():
        expression = expression.replace(name, value)
    assert "$" not in expression, expression
    return expression


def written(panel: Panel, query: Query) -> list[str]:
    """The query as Grafana asks it, and as Google does."""
    return [as_asked(query.expression), as_asked(googles_query(query, panel.source, "prod"))]


def samples(source: str) -> dict[str, str]:
    """What a source shows, growing by one every half minute, in promtool's notation."""
    found: dict[str, str] = {}
    for name, labels, value in re.findall(r"^(\w+)\{(.*)\} (\S+)$", RECORDED[source], re.MULTILINE):
        known = {**COLLECTED, **dict(re.findall(r'(\w+)="([^"]*)"', labels))}
        listed = ", ".join(f'{label}="{text}"' for label, text in known.items())
        found[f"{name}{{{listed}}}"] = f"{int(float(value))}+1x60"
    return found


@pytest.fixture(scope="module")
def promtool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return debians("promtool", "prometheus", tmp_path_factory)


def said_by(
    promtool: Path, folder: Path, command: str, document: Mapping[str, Any]
) -> subprocess.CompletedProcess[str]:
    (folder / "document.yml").write_text(yaml.safe_dump(document))
    return subprocess.run(
        [promtool, *command.split(), "document.yml"], cwd=folder, capture_output=True, text=True, check=False
    )


def answers(expressions: Iterable[str], shown: Mapping[str, str]) -> dict[str, Any]:
    """A test of promtool's: each of the expressions has an answer."""
    return {
        "interval": "30s",
        "input_series": [{"series": series, "values": values} for series, values in shown.items()],
        "promql_expr_test": [
            {
                "expr": f"count({expression}) > bool 0",
                "eval_time": "20m",
                "exp_samples": [{"labels": "{}", "value": 1}],
            }
            for expression in expressions
        ],
    }


def test_every_query_is_one_that_prometheus_understands(promtool: Path, tmp_path: Path) -> None:
    assert len(EVERY) > 60
    rules = [{"record": "asked", "expr": one} for panel, query in EVERY for one in written(panel, query)]
    # One group each: a group may not have the same rule twice.
    groups = [{"name": str(number), "rules": [rule]} for number, rule in enumerate(rules)]
    said = said_by(promtool, tmp_path, "check rules --lint=none", {"groups": groups})
    assert said.returncode == 0, said.stdout + said.stderr


def test_every_query_is_answered_by_what_its_source_shows(promtool: Path, tmp_path: Path) -> None:
    recorded = {source for panel, _ in EVERY if (source := panel.source) in RECORDED}
    assert recorded >= {
        "cloud-sql-proxy",
        "elasticsearch",
        "fluentd",
        "git-sync",
        "kube-state-metrics",
        "nginx",
        "pgbouncer",
        "rabbitmq",
        "redis",
    }
    tests = [
        answers([one for panel, query in EVERY if panel.source == source for one in written(panel, query)], shown)
        for source, shown in ((source, samples(source)) for source in sorted(recorded))
    ]
    said = said_by(promtool, tmp_path, "test rules", {"rule_files": [], "tests": tests})
    assert said.returncode == 0, said.stdout + said.stderr


def test_a_query_that_has_no_answer_would_be_found(promtool: Path, tmp_path: Path) -> None:
    asked = answers(["sum by (pod) (nginx_of_another_name)"], samples("nginx"))
    said = said_by(promtool, tmp_path, "test rules", {"rule_files": [], "tests": [asked]})
    assert said.returncode == 1
    assert "nginx_of_another_name" in said.stdout + said.stderr


def test_what_no_recorded_sample_answers_is_asked_of_a_running_airflow() -> None:
    elsewhere = {panel.source for panel, _ in EVERY} - RECORDED.keys()
    assert elsewhere == {"statsd", "kubelet", "prometheus"}
