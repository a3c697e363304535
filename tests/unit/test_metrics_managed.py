"""Google Managed Prometheus: the same alerts and routes as a Prometheus of one's own, as resources of Google's."""

import json
from typing import Any

import pytest
import yaml

from components.metrics.alerts import ALERTS, rules
from components.workload import METRICS_PORTS
from infra.images import images_of
from infra.settings import SettingsError
from infra.settings.sizes import connection_budgets
from tests.unit.recorder import Recording
from tests.unit.stack_files import Tree, changed, deployed, settings, stack_config
from tests.unit.test_metrics import ROUTES, SECRETS


def managed(tree: Tree) -> None:
    tree["metrics"] = {"kind": "google-managed", "routes": ROUTES}
    tree["alertSecrets"] = SECRETS
    tree["cluster"]["managedPrometheus"] = True


@pytest.fixture(scope="module")
def watched() -> Recording:
    return deployed("staging", managed)


def spec(recording: Recording, kind: str, name: str) -> Any:
    return recording.one(kind, name).inputs["spec"]


def test_nothing_but_the_exporters_runs_here(watched: Recording) -> None:
    of_metrics = {"statsd-exporter", "prometheus", "alertmanager", "grafana", "kube-state-metrics"}
    kept = images_of(settings(changed(stack_config("staging"), managed))) & of_metrics
    assert kept == {"statsd-exporter", "kube-state-metrics"}
    assert {name for name in watched.of("StatefulSet") if name.startswith("metrics")} == set()
    assert {name for name in watched.of("Deployment") if name.startswith("metrics")} == {"metrics-state"}


def test_google_asks_every_port_that_shows_metrics_in_every_namespace_that_is_measured(watched: Recording) -> None:
    found = watched.of("PodMonitoring")
    namespaces = {one.inputs["metadata"]["namespace"] for one in found.values()}
    assert namespaces == {"airflow-main", "ingress", "database", "logs", "log-store"}
    for one in found.values():
        # The label `job`, which alerts ask for.
        assert one.inputs["metadata"]["name"] == "pods"
        assert [end["port"] for end in one.inputs["spec"]["endpoints"]] == list(METRICS_PORTS)
        assert {end["interval"] for end in one.inputs["spec"]["endpoints"]} == {"30s"}
        for end in one.inputs["spec"]["endpoints"]:
            assert end["metricRelabeling"] == [{"sourceLabels": ["__name__"], "regex": "erlang_.+", "action": "drop"}]
        assert one.inputs["spec"]["limits"] == {"samples": 20_000}


def test_what_an_airflow_shows_has_its_name_which_is_on_all_of_its_pods(watched: Recording) -> None:
    labels = spec(watched, "PodMonitoring", "airflow-main-pod-monitoring")["targetLabels"]["fromPod"]
    assert {"from": "app.kubernetes.io/instance", "to": "airflow"} in labels
    of_main = [
        one.inputs["spec"]["template"]["metadata"]["labels"]
        for kind in ("Deployment", "StatefulSet")
        for one in watched.of(kind).values()
        if one.inputs["metadata"]["namespace"] == "airflow-main"
    ]
    assert len(of_main) > 4
    assert {labels["app.kubernetes.io/instance"] for labels in of_main} == {"main"}
    others = spec(watched, "PodMonitoring", "ingress-pod-monitoring")["targetLabels"]["fromPod"]
    assert [one["to"] for one in others] == ["component"]


def test_kube_state_metrics_keeps_its_own_labels(watched: Recording) -> None:
    shown = spec(watched, "ClusterPodMonitoring", "metrics-state-monitoring")
    assert shown["targetLabels"] == {"metadata": []}
    pod = watched.one("Deployment", "metrics-state").inputs["spec"]["template"]["metadata"]["labels"]
    assert shown["selector"]["matchLabels"].items() <= pod.items()
    (endpoint,) = shown["endpoints"]
    assert endpoint["metricRelabeling"][0]["targetLabel"] == "airflow"


def test_the_alerts_are_those_of_a_prometheus_of_ones_own(watched: Recording) -> None:
    (group,) = spec(watched, "ClusterRules", "metrics-rules")["groups"]
    assert group.pop("interval") == "30s"
    connections = connection_budgets(settings(changed(stack_config("staging"), managed)))
    assert [group] == rules(20_000, certificate=2_000_000_000, connections=connections)["groups"]
    assert [one["alert"] for one in group["rules"] if "alert" in one] == [alert.name for alert in ALERTS]


def test_google_is_told_who_is_told_with_the_secrets_in_one_secret(watched: Recording) -> None:
    secret = watched.one("Secret", "metrics-alertmanager")
    assert secret.inputs["metadata"]["namespace"] == "gmp-public"
    assert any(path.startswith("stringData") for path in secret.secret_paths)
    configuration = yaml.safe_load(secret.inputs["stringData"]["alertmanager.yaml"])
    receivers = {one["name"]: one for one in configuration["receivers"]}
    assert receivers["everything"]["slack_configs"][0]["api_url"] == SECRETS["everything"]
    assert receivers["main-team"]["pagerduty_configs"][0]["routing_key"] == SECRETS["main-team"]
    assert receivers["by-mail"]["email_configs"][0]["auth_password"] == SECRETS["by-mail"]
    assert "_file" not in json.dumps(configuration)
    routes = {one["receiver"]: one.get("matchers") for one in configuration["route"]["routes"]}
    assert routes["main-team"] == ['airflow=~"main"', 'severity=~"page"']


def test_googles_collectors_and_nobody_else_read_the_metrics(watched: Recording) -> None:
    for name in ("main-network-metrics-read", "metrics-network-state"):
        (rule,) = spec(watched, "NetworkPolicy", name)["ingress"]
        (reader,) = rule["from"]
        (expression,) = reader["namespaceSelector"]["matchExpressions"]
        assert expression["values"] == ["gke-gmp-system", "gmp-system"]


def test_the_cluster_collects_what_kubelets_show() -> None:
    collects = deployed("staging", managed).one("Cluster", "gke-cluster").inputs["monitoringConfig"]
    assert collects["enableComponents"] == ["SYSTEM_COMPONENTS", "CADVISOR", "KUBELET"]
    assert collects["managedPrometheus"] == {"enabled": True}


def test_a_cluster_without_googles_collectors_is_refused() -> None:
    def without(tree: Tree) -> None:
        managed(tree)
        del tree["cluster"]["managedPrometheus"]

    with pytest.raises(SettingsError, match=r"metrics\.kind: 'google-managed' needs Google's collectors"):
        settings(changed(stack_config("staging"), without))


def test_a_gate_with_nothing_of_ones_own_behind_it_is_refused() -> None:
    def gated(tree: Tree) -> None:
        managed(tree)
        tree["gate"] = {"issuer": "https://id.example.com", "clientId": "watching", "domains": ["example.com"]}
        tree["gateSecret"] = "hush"

    with pytest.raises(SettingsError, match="gate: stands before Prometheus and Alertmanager, and there are none"):
        settings(changed(stack_config("staging"), gated))
