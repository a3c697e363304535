"""What `make status` says of the logs, from Elasticsearch's answers and fluentd's figures."""

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ops.cluster_view import ClusterView
from ops.logs import log_problems, shipper_problems, store_problems
from ops.target import Target
from testbed.progress import Failure
from tests.unit.stack_files import changed, settings, stack_config
from tests.unit.test_log_store import kept

GREEN = {"cluster_name": "logs", "status": "green", "number_of_nodes": 3, "unassigned_shards": 0}
FIGURES = """\
# HELP airflow_platform_logs_refused_lines Lines that Elasticsearch or the parser refused
airflow_platform_logs_refused_lines 7.0
fluentd_output_status_buffer_available_space_ratio{plugin_id="tasks",type="elasticsearch"} 12.5
fluentd_output_status_buffer_available_space_ratio{plugin_id="components",type="elasticsearch"} 100.0
"""
"""As fluent-plugin-prometheus writes them."""


def disk(available: int) -> dict[str, Any]:
    """As ``_nodes/stats/fs`` shows a node."""
    total = {"total_in_bytes": 100, "free_in_bytes": available + 1, "available_in_bytes": available}
    return {"nodes": {"x1": {"name": "elasticsearch-0", "fs": {"timestamp": 1, "total": total}}}}


def shut(index: str, value: str) -> dict[str, Any]:
    return {index: {"settings": {"index.blocks.read_only_allow_delete": value}}}


def test_nothing_is_said_of_what_is_well() -> None:
    open_again = shut(".ds-logs-airflow.task-main-2026.01.01-000001", "false")
    assert list(store_problems(GREEN, disk(50), {**open_again, "x": {"settings": {}}}, {}, 3)) == []
    assert list(shipper_problems("fluentd-1", "airflow_platform_logs_task_lines 12\n")) == []


@pytest.mark.parametrize(
    ("health", "expected"),
    [
        ({"status": "red"}, "log-store: red: some logs can be neither written nor read. Mend: docs/runbooks/"),
        ({"status": "yellow", "unassigned_shards": 4}, "log-store: yellow: 4 shards lack a copy"),
        ({"number_of_nodes": 2}, "log-store: 2 of 3 nodes are in the cluster"),
    ],
)
def test_what_elasticsearch_says_of_itself_is_named_with_the_mend(health: dict[str, Any], expected: str) -> None:
    (line,) = store_problems({**GREEN, **health}, disk(50), {}, {}, 3)
    assert line.startswith(expected)
    assert "Mend: " in line


@pytest.mark.parametrize(("free", "expected"), [(14, "86% full and gets no more shards"), (4, "takes no more lines")])
def test_a_disk_that_fills_up_is_named_before_it_is_full(free: int, expected: str) -> None:
    (line,) = store_problems(GREEN, disk(free), {}, {}, 3)
    assert line.startswith("log-store/elasticsearch-0: ")
    assert expected in line


def told(kind: str, **marks: str) -> dict[str, Any]:
    """As ``_cluster/settings`` shows the watermarks."""
    return {kind: {"cluster": {"routing": {"allocation": {"disk": {"watermark": marks}}}}}}


@pytest.mark.parametrize(
    ("marks", "says"),
    [
        (told("defaults", low="85%", flood_stage="95%"), ["gets no more shards"]),
        (told("defaults", low="0.95", flood_stage="0.99"), []),
        (told("defaults", low="9b", flood_stage="5b"), []),
        ({**told("persistent", low="1gb", flood_stage="1gb"), **told("defaults", low="9b")}, ["takes no more lines"]),
    ],
)
def test_how_full_a_disk_may_be_is_elasticsearchs_own_word(marks: dict[str, Any], says: list[str]) -> None:
    found = list(store_problems(GREEN, disk(10), {}, marks, 3))
    assert len(found) == len(says)
    assert all(expected in line for expected, line in zip(says, found, strict=True))


def test_indices_that_were_shut_for_want_of_room_are_counted() -> None:
    blocks = {**shut(".ds-b", "true"), **shut(".ds-a", "true"), **shut(".ds-c", "false")}
    (line,) = store_problems(GREEN, disk(50), blocks, {}, 3)
    assert line.startswith("log-store: 2 indices take no more lines because a disk was full, .ds-a among them")


def test_a_refusal_is_told_as_what_it_is() -> None:
    (line,) = store_problems({"error": {"type": "security_exception"}, "status_": 401}, {}, {}, {}, 1)
    assert "security_exception" in line


def test_lines_that_were_refused_and_buffers_that_fill_up_are_told_of_each_node() -> None:
    refused, late = shipper_problems("fluentd-1", FIGURES)
    assert refused.startswith("logs/fluentd-1: 7 lines were refused since it started")
    assert late.startswith("logs/fluentd-1: its buffer is 12% free")


class View:
    """A cluster that answers what it is given, and keeps what it was asked."""

    words = ""

    def __init__(self, said: str, figures: dict[str, str] | None) -> None:
        self.said, self.figures = said, figures
        self.asked: list[str] = []

    def said_in(self, namespace: str, component: str, command: list[str]) -> str:
        assert (namespace, component) == ("log-store", "elasticsearch")
        self.asked.append(command[-1])
        return self.said

    def said_by_each(self, namespace: str, component: str, _command: list[str]) -> dict[str, str]:
        if self.figures is None:
            raise Failure(f"no {component} runs in {namespace}")
        return self.figures

    def log(self, namespace: str, pod: str, container: str, _seconds: int) -> str:
        assert (namespace, pod, container) == ("logs", "fluentd-1", "fluentd")
        return self.words


def looked(view: View, logs: bool = True) -> list[str]:
    tree = changed(stack_config("local"), kept() if logs else None)
    return log_problems(cast(Target, SimpleNamespace(settings=settings(tree))), cast(ClusterView, view))


def test_elasticsearch_is_asked_in_its_own_pod_without_a_password_in_the_command() -> None:
    answers = "\n".join(json.dumps(one) for one in ({**GREEN, "number_of_nodes": 1}, disk(50), {}, {}))
    view = View(answers, {"fluentd-1": ""})
    assert looked(view) == []
    (command,) = view.asked
    assert "--config /run/secrets/elastic/curl.conf" in command
    assert "https://localhost:9200" in command


REFUSED = (
    '2026-01-01 00:00:00 +0000 [warn]: #0 [tasks] failed to flush the buffer. retry_times=3 chunk="0a" '
    'error_class=Fluent::Plugin::ElasticsearchOutput::RecoverableRequestFailure error="could not push logs to '
    'Elasticsearch cluster ({:host=>\\"elasticsearch\\", :password=>\\"obfuscated\\"}): [401] '
    '{\\"error\\":\\"unable to authenticate\\"}"'
)


def test_a_store_that_takes_no_line_is_named_with_the_reason_and_a_short_pause_is_not() -> None:
    answers = "\n".join(json.dumps(one) for one in ({**GREEN, "number_of_nodes": 1}, disk(50), {}, {}))
    wait = 'fluentd_output_status_retry_wait{plugin_id="tasks",type="elasticsearch"} '
    assert looked(View(answers, {"fluentd-1": f"{wait}2.0"})) == []
    view = View(answers, {"fluentd-1": f"{wait}47.5"})
    (late,) = looked(view)
    assert late == (
        "logs/fluentd-1: the store has taken no line for 48 s; they wait on the node. Mend: docs/runbooks/LogsBehind.md"
    )
    view.words = f"started\n{REFUSED}\n"
    (refused,) = looked(view)
    assert '[401] {"error":"unable to authenticate"}' in refused
    assert "raise logs.rotation by one" in refused
    assert "obfuscated" not in refused


def test_a_store_that_says_nothing_and_a_shipper_that_is_not_there_are_named() -> None:
    silent, absent = looked(View("\n\n\n", None))
    assert silent.startswith("log-store: Elasticsearch does not answer")
    assert absent == "logs: no fluentd runs in logs"


def test_nobody_is_asked_where_no_logs_are_shipped() -> None:
    assert looked(View("", None), logs=False) == []
