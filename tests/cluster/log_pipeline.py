"""Task logs through the whole pipeline: task, container's log file, shipper, Elasticsearch, Airflow's API."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from kubernetes import client

from components.logs.shipper import NAMESPACE
from ops.airflow_api import AirflowApi
from ops.logs import log_problems
from ops.target import target
from testbed.images.recipes import FLUENTD
from tests.cluster.looks import run_in, task_pods, wait_until
from tests.cluster.own_store import OwnStore
from tests.cluster.platform import STACK, Platform

DAG = "logs_much"
OTHER = "other"
"""A second Airflow."""
STORED_SECONDS = 90
FIGURES = "require 'net/http'; puts Net::HTTP.get(URI('http://127.0.0.1:24231/metrics'))"
LINE = re.compile(r"line (\d+) of try (\d+) at ([\d.]+)")
needs_fluentd = pytest.mark.skipif(
    not FLUENTD.has_real, reason="what fluentd itself does: no registry here serves its image, nor is it on PATH"
)


def own_logs(config: dict[str, Any]) -> None:
    """Have an Elasticsearch of the environment's own, which task logs are read from."""
    config["logs"] = {
        "kind": "own",
        "memory": "1536Mi",
        "volumeGib": 2,
        "retention": {"days": 1, "linesPerDay": 200_000},
        "kibana": False,
    }
    config["airflows"][0]["taskLogs"] = {"kind": "elasticsearch"}


class Logged:
    """The platform with its task logs in an Elasticsearch of its own."""

    def __init__(self, platform: Platform) -> None:
        self.platform, self.store = platform, OwnStore(platform)

    def run(self, api: AirflowApi, **asked: Any) -> tuple[str, dict[str, Any]]:
        """A run of the task that has ended, and whose pods are gone."""
        run_id = api.trigger(DAG, asked)
        ended = api.wait_for_run(DAG, run_id)
        assert ended["state"] == "success", ended
        wait_until(lambda: not task_pods(self.platform), 120, "finished task pods are deleted")
        (task,) = api.tasks(DAG, run_id)
        return run_id, task

    def numbers(self, api: AirflowApi, run_id: str, task: dict[str, Any], attempt: int = 1) -> list[int]:
        """The numbered lines of a try, as the API gives them."""
        found = [LINE.match(line) for line in api.log(DAG, run_id, task, attempt)]
        assert {one[2] for one in found if one} <= {str(attempt)}
        return [int(one[1]) for one in found if one]

    def whole(
        self, api: AirflowApi, run_id: str, task: dict[str, Any], count: int, attempt: int = 1, airflow: str = "main"
    ) -> None:
        """Each of ``count`` lines is there, once and in order."""
        with suppress(AssertionError):  # what is missing is said below
            wait_until(lambda: self.stored(run_id, attempt, airflow) >= count, STORED_SECONDS, "all lines are stored")
        found = self.numbers(api, run_id, task, attempt)
        missing = sorted(set(range(count)) - set(found))
        assert not missing, f"{len(missing)} of {count} are missing: {missing[:5]} … {missing[-5:]}; {self.metrics()}"
        doubled = [number for number, times in Counter(found).items() if times > 1]
        assert not doubled, f"{len(doubled)} lines twice or more: {doubled[:10]}"
        assert found == list(range(count))

    def stored(self, run_id: str, attempt: int = 1, airflow: str = "main") -> int:
        """How many numbered lines of a try the store has."""
        wanted = [{"term": {"log_id": f"{DAG}-speak-{run_id}--1-{attempt}"}}, {"match_phrase": {"event": "of try"}}]
        return self.count({"bool": {"filter": wanted}}, airflow)

    def count(self, query: dict[str, Any], airflow: str = "main") -> int:
        """How many lines of an Airflow's stream a query finds."""
        self.store.do("POST", f"/{stream(airflow)}/_refresh")
        return int(self.store.do("POST", f"/{stream(airflow)}/_count", {"query": query})["count"])

    def metrics(self) -> dict[str, float]:
        """The shipper's own figures, by name; labels left out and values added up."""
        text = run_in(self.platform, "daemonset/fluentd", ["ruby", "-e", FIGURES], namespace=NAMESPACE)
        found: defaultdict[str, float] = defaultdict(float)
        for line in text.splitlines():
            if line and not line.startswith("#"):
                found[re.split(r"[{ ]", line, maxsplit=1)[0]] += float(line.split()[-1])
        return found

    @property
    def refused(self) -> float:
        """How many lines the shipper has counted as refused."""
        return self.metrics()["airflow_platform_logs_refused_lines"]

    def wrong(self) -> list[str]:
        """What `make status` says of the logs."""
        return log_problems(target(STACK, self.platform.progress, self.platform.stacks), self.platform.view())

    def kill_shipper(self) -> None:
        """At once, as a node that dies would; returns when its successor is ready."""
        core = client.CoreV1Api(self.platform.api_client())
        labels = "app.kubernetes.io/component=fluentd"
        (pod,) = core.list_namespaced_pod(NAMESPACE, label_selector=labels).items
        core.delete_namespaced_pod(pod.metadata.name, NAMESPACE, grace_period_seconds=0)

        def back() -> bool:
            pods = core.list_namespaced_pod(NAMESPACE, label_selector=labels).items
            return any(
                one.metadata.uid != pod.metadata.uid and all(s.ready for s in one.status.container_statuses)
                for one in pods
                if one.status.container_statuses
            )

        wait_until(back, 120, "the shipper is back")


def stream(airflow: str) -> str:
    """Of an Airflow's tasks."""
    return f"logs-airflow.task-{airflow}"


@contextmanager
def log_pipeline(platform: Platform) -> Iterator[Logged]:
    """The platform with logs of its own; afterwards as before."""
    try:
        with platform.changed(own_logs):
            platform.up()
            with platform.airflow() as api:
                api.wait_for_dag(DAG)
            yield Logged(platform)
    finally:
        platform.up()
