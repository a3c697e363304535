"""Whatever says that it has metrics is asked for them, and may be reached by who asks."""

from collections.abc import Callable, Iterator

import pytest
import yaml

from components.workload import METRICS_PORTS, SCRAPE_ANNOTATION
from tests.unit.policy_world import Pod, World
from tests.unit.recorder import Recording
from tests.unit.stack_files import Tree, deployed

COLLECTOR = Pod("gmp-system", {"app.kubernetes.io/name": "collector"})
"""Google's; which of its two namespaces it is depends on the cluster."""
KINDS = ("Deployment", "StatefulSet", "DaemonSet")


def everything(tree: Tree) -> None:
    """All parts that have metrics, brokers aside."""
    tree["airflows"][0]["pooler"] = {"enabled": True}
    if "logs" not in tree:
        tree["logs"] = {"kind": "given", "url": "https://logs.example.com:9200", "components": True}
        tree["logsPassword"] = "hush"


def with_broker(kind: str) -> Callable[[Tree], None]:
    def change(tree: Tree) -> None:
        everything(tree)
        tree["airflows"][0] |= {"executor": "CeleryExecutor", "celery": {"broker": {"kind": kind}}}

    return change


def with_log_store(tree: Tree) -> None:
    """An Elasticsearch of the environment's own."""
    tree["airflows"][0]["taskLogs"] = {"kind": "elasticsearch"}
    tree["logs"] = {"kind": "own"}


def measured(recording: Recording) -> Iterator[tuple[str, Pod, int]]:
    """Every port with metrics: its name, whose it is, its number."""
    for kind in KINDS:
        for workload in recording.of(kind).values():
            template = workload.inputs["spec"]["template"]
            if template["metadata"].get("annotations", {}).get(SCRAPE_ANNOTATION) != "true":
                continue
            pod = Pod(workload.inputs["metadata"]["namespace"], template["metadata"]["labels"])
            spec = template["spec"]
            for container in (*spec.get("initContainers", []), *spec["containers"]):
                for port in container.get("ports", []):
                    if port["name"] in METRICS_PORTS:
                        yield f"{workload.name} {container['name']}", pod, port["containerPort"]


STACKS: list[tuple[str, Callable[[Tree], None], set[str]]] = [
    ("local", with_broker("redis"), {"main-redis exporter", "main-pgbouncer exporter", "logs-fluentd fluentd"}),
    ("local", with_broker("rabbitmq"), {"main-rabbitmq rabbitmq", "main-statsd statsd"}),
    ("local", with_log_store, {"log-store-exporter exporter", "logs-fluentd fluentd"}),
    # By git-sync, to Cloud SQL, with dev stacks' databases made on it.
    ("dev", everything, {"main-dag-processor git-sync", "database-desk-desk cloud-sql-proxy"}),
    # With an Elasticsearch of its own.
    ("prod", everything, {"main-pgbouncer cloud-sql-proxy", "metrics-grafana grafana", "log-store-exporter exporter"}),
]


@pytest.mark.parametrize(("stack", "change", "some"), STACKS)
def test_prometheus_may_reach_whatever_has_metrics_and_looks_for_it(
    stack: str, change: Callable[[Tree], None], some: set[str]
) -> None:
    def watched(tree: Tree) -> None:
        change(tree)
        tree["metrics"] = {"kind": "prometheus"}

    recording = deployed(stack, watched)
    world = World(recording)
    labels = recording.one("StatefulSet", "metrics-prometheus").inputs["spec"]["template"]["metadata"]["labels"]
    asks = Pod("metrics", labels)
    text = recording.one("ConfigMap", "metrics-prometheus-config").inputs["data"]["prometheus.yml"]
    (pods,) = [one for one in yaml.safe_load(text)["scrape_configs"] if one["job_name"] == "pods"]
    looked_into = pods["kubernetes_sd_configs"][0]["namespaces"]["names"]
    found = list(measured(recording))
    assert some <= {name for name, _, _ in found}
    # A pod always reaches itself.
    shut = [name for name, pod, port in found if pod != asks and not world.passes(asks, pod, port)]
    assert shut == []
    assert [name for name, pod, _ in found if pod.namespace not in looked_into] == []


@pytest.mark.parametrize(("stack", "change", "some"), [one for one in STACKS if one[0] != "local"])
def test_googles_collectors_may_reach_whatever_has_metrics_and_look_for_it(
    stack: str, change: Callable[[Tree], None], some: set[str]
) -> None:
    def watched(tree: Tree) -> None:
        change(tree)
        tree["metrics"] = {"kind": "google-managed"}
        tree["cluster"]["managedPrometheus"] = True

    recording = deployed(stack, watched)
    world = World(recording)
    looked_into = {one.inputs["metadata"]["namespace"] for one in recording.of("PodMonitoring").values()} | {"metrics"}
    found = list(measured(recording))
    assert some - {"metrics-grafana grafana"} <= {name for name, _, _ in found}
    assert [name for name, pod, port in found if not world.arrives(pod, COLLECTOR, port)] == []
    assert [name for name, pod, _ in found if pod.namespace not in looked_into] == []
