"""What watches a running Airflow: every picture shows something, and of a scheduler that stops people are told."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from kubernetes import client, utils

from components.metrics.alerts import ALERTS
from components.metrics.dashboards import DASHBOARDS, Panel
from ops.alerts import firing_alerts
from tests.cluster.looks import wait_until
from tests.cluster.platform import Platform

pytestmark = [pytest.mark.cluster, pytest.mark.long]
HERE = {"statsd", "kubelet", "prometheus", "pgbouncer", "kube-state-metrics"}
"""Sources of metrics that run on the testbed; the others are held against recorded samples (tests/unit)."""
PARTS = {"prometheus", "alertmanager", "state", "statsd"}
"""What runs for the metrics alone: Grafana can't be had here."""
MOST_SERIES = {"statsd": 600, "": 1200}
"""Of an Airflow with the tests' own handful of DAGs: what Airflow itself sends, and all that is known of it."""
MOST_MEMORY = 400 * 2**20
RECEIVER = "receiver"
ROUTE = {
    "name": "tests",
    "airflows": ["main"],
    "to": {"kind": "webhook", "url": f"http://{RECEIVER}.{RECEIVER}.svc.cluster.local:8080/alerts"},
}


def watched(config: dict[str, Any]) -> None:
    """The stack with metrics as `local-full` has them."""
    config["metrics"] = {
        "kind": "prometheus",
        "retentionDays": 1,
        "retentionGib": 1,
        "intervalSeconds": 15,
        "grafana": False,
        "routes": [ROUTE],
    }
    # Sources of their own.
    config["airflows"][0] |= {"pooler": {"enabled": True}, "quota": {"cpu": "8", "memory": "16Gi", "pods": 50}}


@pytest.fixture(scope="module")
def measured(platform: Platform) -> Iterator[Platform]:
    """The platform with metrics; without them again when the tests are over."""
    try:
        with platform.changed(watched):
            platform.up()
            yield platform
    finally:
        platform.up()


def ask(platform: Platform, query: str) -> list[dict[str, Any]]:
    """What Prometheus answers, through the API server."""
    path = f"/api/v1/namespaces/metrics/services/prometheus:9090/proxy/api/v1/query?query={quote(query, safe='')}"
    answer = json.loads(platform.kubectl("get", "--raw", path))
    assert answer["status"] == "success", answer
    return list(answer["data"]["result"])


def as_asked(expression: str) -> str:
    """A panel's query with what Grafana would put in."""
    return expression.replace("$airflow", ".*").replace("$__rate_interval", "2m")


PANELS = [panel for board in DASHBOARDS for panel in board.panels]


def all_show(platform: Platform, panels: list[Panel], seconds: float) -> None:
    """Wait until every query of ``panels`` has an answer."""
    silent = [query.expression for panel in panels for query in panel.queries]

    def show() -> bool:
        silent[:] = [query for query in silent if not ask(platform, as_asked(query))]
        return not silent

    try:
        wait_until(show, seconds, "every panel has data")
    except AssertionError as late:
        raise AssertionError(f"{late}; without data: {json.dumps(silent, indent=1)}") from None


def test_every_panel_whose_source_runs_here_shows_something_after_dag_runs(measured: Platform) -> None:
    with measured.airflow() as api:
        for dag, state in (("example_sales_report", "success"), ("fails_twice", "failed")):
            api.wait_for_dag(dag)
            run_id = api.trigger(dag)
            assert api.wait_for_run(dag, run_id)["state"] == state
        # One that the clock begins is late by something.
        api.patch("/dags/every_minute", {"is_paused": False})
        try:
            wait_until(lambda: api.latest_run("every_minute") is not None, 150, "the clock begins a run")
        finally:
            api.patch("/dags/every_minute", {"is_paused": True})
    # Airflow's own have had their trouble. The others' is not made here: containers that end, alerts that fire.
    here = [panel for panel in PANELS if panel.source in HERE and (panel.source == "statsd" or not panel.quiet)]
    assert len(here) > 25
    all_show(measured, here, 150)
    # What shows nothing where nothing went wrong must at least be a question that Prometheus understands.
    for panel in PANELS:
        for query in panel.queries:
            ask(measured, as_asked(query.expression))
    for alert in ALERTS:
        ask(measured, alert.expression.replace("@SERIES@", "1"))


def test_an_airflow_has_few_series_and_everything_that_is_found_answers(measured: Platform) -> None:
    for component, most in MOST_SERIES.items():
        (series,) = ask(measured, f'count({{airflow="main", component=~"{component or ".*"}"}})')
        print(f"series of {component or 'everything'}: {series['value'][1]}")
        assert int(series["value"][1]) < most, component
    wait_until(lambda: not ask(measured, "up == 0"), 60, "every target answers")
    found = {(one["metric"]["job"], one["metric"].get("component")) for one in ask(measured, "up")}
    assert found == {
        *(("pods", part) for part in {*PARTS, "controller", "pgbouncer"}),
        ("nodes-metrics", None),
        ("nodes-metrics-cadvisor", None),
    }


def test_what_watches_takes_little(measured: Platform) -> None:
    used = measured.cluster.pod_memory()
    parts = {
        pod: memory for (namespace, pod), memory in used.items() if namespace == "metrics" or pod.startswith("statsd-")
    }
    assert len(parts) == len(PARTS), parts
    assert sum(parts.values()) < MOST_MEMORY, parts


@contextmanager
def receiver(platform: Platform) -> Iterator[client.CoreV1Api]:
    """A server that prints what is posted to it."""
    api = platform.api_client()
    core = client.CoreV1Api(api)
    dags = platform.target().settings.airflows[0].dags
    program = (Path(__file__).parent / "receiver.py").read_text()
    named = {"name": RECEIVER, "namespace": RECEIVER, "labels": {"app": RECEIVER}}
    container = {
        "name": RECEIVER,
        "image": f"{dags.repository}:{dags.version}",
        "command": ["python", "-c", program],
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
    }
    for manifest in (
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": RECEIVER}},
        {"apiVersion": "v1", "kind": "Pod", "metadata": named, "spec": {"containers": [container]}},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": named,
            "spec": {"selector": {"app": RECEIVER}, "ports": [{"port": 8080}]},
        },
    ):
        utils.create_from_dict(api, manifest)
    try:
        yield core
    finally:
        core.delete_namespace(RECEIVER)


def told(core: client.CoreV1Api) -> set[tuple[str, str]]:
    """Alert and state of all messages so far."""
    try:
        log = str(core.read_namespaced_pod_log(RECEIVER, RECEIVER))
    except client.ApiException:
        return set()  # it is just starting
    posted = [json.loads(line)["posted"] for line in log.splitlines() if re.match(r'\{"posted"', line)]
    return {(alert["labels"]["alertname"], alert["status"]) for one in posted for alert in one["alerts"]}


def test_a_scheduler_that_stops_is_told_within_three_minutes_and_told_well_again(measured: Platform) -> None:
    apps = client.AppsV1Api(measured.api_client())
    scheduler = ("scheduler", "airflow-main")
    with receiver(measured) as core:
        apps.patch_namespaced_deployment_scale(*scheduler, {"spec": {"replicas": 0}})
        try:
            wait_until(lambda: ("AirflowSchedulerDown", "firing") in told(core), 180, "the receiver is told")
            # What `make status` says.
            (line,) = [one for one in firing_alerts(measured.target()) if "AirflowSchedulerDown" in one]
            assert line.endswith("Mend: docs/runbooks/AirflowSchedulerDown.md")
            all_show(measured, [panel for panel in PANELS if panel.title == "Alerts that are firing"], 60)
        finally:
            apps.patch_namespaced_deployment_scale(*scheduler, {"spec": {"replicas": 1}})
        wait_until(lambda: ("AirflowSchedulerDown", "resolved") in told(core), 240, "the receiver is told of the end")
        # The volumes are folders on this machine's disk, which may be full.
        assert {name for name, _ in told(core)} - {"VolumeFillingUp"} == {"AirflowSchedulerDown"}


def on_rabbitmq(config: dict[str, Any]) -> None:
    """Celery with a RabbitMQ, and a Redis that keeps results."""
    small = {"cpu": "50m", "memory": "256Mi", "cpuLimit": "2", "memoryLimit": "1Gi"}
    config["airflows"][0] |= {
        "quota": {"cpu": "16", "memory": "24Gi", "pods": 50},
        "executor": "CeleryExecutor",
        "celery": {
            "broker": {"kind": "rabbitmq", "size": "1Gi", "memory": "384Mi"},
            "longestTaskSeconds": 600,
            "queues": [{"name": "default", "replicas": 1, "concurrency": 2, "resources": small}],
        },
    }


def test_a_rabbitmq_carries_tasks_and_shows_what_waits_in_it(measured: Platform) -> None:
    with measured.changed(on_rabbitmq):
        measured.up()
        with measured.airflow() as api:
            api.wait_for_dag("example_sales_report")
            run_id = api.trigger("example_sales_report")
            assert api.wait_for_run("example_sales_report", run_id)["state"] == "success"
        brokers = [panel for panel in PANELS if panel.source in {"rabbitmq", "redis"} and not panel.quiet]
        all_show(measured, brokers, 120)
        # However many queues, workers and connections there are, it shows as many figures.
        (series,) = ask(measured, 'count({component="rabbitmq"})')
        print(f"series of RabbitMQ: {series['value'][1]}")
        assert int(series["value"][1]) < 300
        (told,) = ask(measured, 'max(up{component="rabbitmq"})')
        assert told["value"][1] == "1"
