"""Metrics on the real engine: they come, stay as they are, and go, and no Airflow is made anew for them."""

from pathlib import Path
from typing import Any

import pytest

from tests.engine.stacks import OfflineStack, offline_stack

pytestmark = pytest.mark.engine
Tree = dict[str, Any]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> OfflineStack:
    """The stack `local`, up, without metrics."""
    made = offline_stack("local", tmp_path_factory.mktemp("metrics"))
    made.up()
    return made


def watched(tree: Tree) -> None:
    tree["metrics"] = {
        "kind": "prometheus",
        "routes": [{"name": "all", "to": {"kind": "webhook", "url": "https://alerts.example.com/airflow"}}],
    }


def test_metrics_come_and_go_and_airflow_only_learns_where_to_send_them(stack: OfflineStack) -> None:
    came = stack.up(watched)
    assert came.replaced_or_deleted.keys() <= {name for name in came.changed if name.startswith("Job ")}
    created = {name for name, ops in came.changed.items() if ops == ["create"]}
    assert {
        "StatefulSet metrics-prometheus",
        "StatefulSet metrics-alertmanager",
        "Deployment metrics-grafana",
        "Deployment metrics-state",
        "Deployment main-statsd",
    } <= created
    assert stack.up(watched).changed == {}
    gone = stack.up()
    assert {name for name, ops in gone.changed.items() if ops == ["delete"]} >= created - {
        name for name in created if name.startswith("Job ")
    }


def test_a_changed_alert_route_rolls_alertmanager_alone(stack: OfflineStack) -> None:
    stack.up(watched)

    def narrowed(tree: Tree) -> None:
        watched(tree)
        tree["metrics"]["routes"][0]["severities"] = ["page"]

    changed = stack.up(narrowed).changed
    assert changed.keys() == {"ConfigMap metrics-alertmanager-config", "StatefulSet metrics-alertmanager"}


def test_nothing_of_metrics_is_kept_from_deletion_where_the_stack_is_ephemeral(tmp_path: Path) -> None:
    own = offline_stack("local-full", tmp_path)
    own.up()
    destroyed = own.destroy()
    assert "Namespace metrics-namespace" in destroyed.changed


def test_google_takes_over_from_a_prometheus_of_ones_own_and_gives_back(stack: OfflineStack) -> None:
    def managed(tree: Tree) -> None:
        watched(tree)
        tree["metrics"]["kind"] = "google-managed"

    stack.up(watched)
    taken = stack.up(managed)
    assert {
        "PodMonitoring airflow-main-pod-monitoring",
        "ClusterPodMonitoring metrics-state-monitoring",
        "ClusterRules metrics-rules",
        "Secret metrics-alertmanager",
    } <= {name for name, ops in taken.changed.items() if ops == ["create"]}
    gone = {name for name, ops in taken.changed.items() if ops == ["delete"]}
    assert {"StatefulSet metrics-prometheus", "Deployment metrics-grafana"} <= gone
    # What both have stays, and no Airflow is made anew.
    kept = {
        "Namespace metrics-namespace",
        "Deployment metrics-state",
        "Deployment main-statsd",
        "Deployment main-scheduler",
    }
    assert kept & taken.replaced_or_deleted.keys() == set()
    assert stack.up(managed).changed == {}
    assert "ClusterRules metrics-rules" in stack.up(watched).replaced_or_deleted


def test_dashboards_in_googles_console_come_stay_and_go(tmp_path: Path) -> None:
    def managed(tree: Tree) -> None:
        tree["metrics"] = {"kind": "google-managed"}
        tree["cluster"]["managedPrometheus"] = True

    own = offline_stack("dev", tmp_path)
    own.up()
    came = {name for name, ops in own.up(managed).changed.items() if ops == ["create"]}
    pages = {name for name in came if name.startswith("Dashboard ")}
    assert len(pages) == 7
    assert own.up(managed).changed == {}
    assert {name for name, ops in own.up().changed.items() if ops == ["delete"]} >= pages
