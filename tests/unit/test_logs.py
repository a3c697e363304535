"""The shipper of logs: who may do what, and what its settings refuse."""

from collections.abc import Callable
from typing import Any

import pytest

from components.logs.shipper import configuration
from policy.guardrails import check
from tests.unit.recorder import Recording
from tests.unit.stack_files import Tree, deployed
from tests.unit.test_environment import leaves
from tests.unit.test_policy import resources
from tests.unit.test_settings import problems

URL = "https://logs.example.com:9200"
PASSWORD = "hunter2-of-the-shipper"


def shipping(change: Callable[[Tree], object] = lambda _: None) -> Callable[[Tree], object]:
    def both(tree: Tree) -> None:
        tree["airflows"][0]["taskLogs"] = {
            "kind": "elasticsearch",
            "url": URL,
            "kibanaUrl": "https://kibana.example.com",
        }
        tree["secrets"] = {"main": {"elasticsearchUser": "reader", "elasticsearchPassword": "hunter2"}}
        tree["logs"] = {"url": URL}
        tree["logsPassword"] = PASSWORD
        change(tree)

    return both


@pytest.fixture(scope="module", params=["local", "prod"])
def recorded(request: pytest.FixtureRequest) -> Recording:
    return deployed(request.param, shipping())


def pod(recorded: Recording) -> dict[str, Any]:
    return recorded.one("DaemonSet", "logs-fluentd").inputs["spec"]["template"]["spec"]


def test_it_reads_the_nodes_files_and_may_do_nothing_else_there(recorded: Recording) -> None:
    spec = pod(recorded)
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["automountServiceAccountToken"] is False
    assert not spec.get("hostNetwork")
    folders = {one["name"]: one["hostPath"]["path"] for one in spec["volumes"] if "hostPath" in one}
    assert folders == {"logs": "/var/log", "state": "/var/lib/airflow-platform-logs"}
    read_only = {mount["name"]: mount["readOnly"] for mount in container["volumeMounts"]}
    assert (read_only["logs"], read_only["state"]) == (True, False)
    assert spec["tolerations"] == [{"operator": "Exists"}]


def test_its_temporary_folder_is_one_that_ruby_takes(recorded: Recording) -> None:
    (folder,) = [volume["emptyDir"] for volume in pod(recorded)["volumes"] if volume["name"] == "tmp"]
    # Of memory: it has the sticky bit, without which Ruby refuses what all may write to, and fluentd does not start.
    assert folder["medium"] == "Memory"


def test_the_guardrails_know_it(recorded: Recording) -> None:
    assert not [one for one in check(resources(recorded), ephemeral=True) if "logs" in one.resource]
    assert [one for one in check(resources(recorded), ephemeral=True, exempt=()) if "logs-fluentd" in one.resource]


def test_its_password_is_in_its_secret_only(recorded: Recording) -> None:
    found = [
        (resource.name, where)
        for resource in recorded.resources
        for where, value in leaves(resource.inputs)
        if isinstance(value, str) and PASSWORD in value
    ]
    assert found == [("logs-store", "stringData.password")]
    assert PASSWORD not in str(configuration(components=True))


def test_it_reaches_its_store_and_only_what_reads_metrics_reaches_it(recorded: Recording) -> None:
    spec = recorded.one("NetworkPolicy", "logs-network").inputs["spec"]
    (rule,) = spec["ingress"]
    assert rule["ports"] == [{"port": 24231, "protocol": "TCP"}]
    assert all("namespaceSelector" in source for source in rule["from"])
    assert spec["egress"][-1]["ports"] == [{"port": 9200, "protocol": "TCP"}]


def test_without_the_setting_there_is_none() -> None:
    assert not [one for one in deployed().resources if one.name.startswith("logs-")]


def test_other_lines_are_shipped_only_where_they_are_asked_for() -> None:
    assert "@type null" in configuration(components=False)["components.conf"]
    assert "@COMPONENTS" in configuration(components=True)["components.conf"]


def test_the_access_log_is_read_where_components_lines_are() -> None:
    for components in (False, True):
        recorded = deployed(change=shipping(lambda t, on=components: t["logs"].update(components=on)))
        (container,) = pod(recorded)["containers"]
        (files,) = [one["value"] for one in container["env"] if one["name"] == "LOG_FILES"]
        assert ("/var/log/containers/*_ingress_controller-*.log" in files.split(",")) is components


def test_a_tasks_log_has_a_link_to_kibana_where_there_is_one(recorded: Recording) -> None:
    config = recorded.one("ConfigMap", "main-config").inputs["data"]["airflow.cfg"]
    assert "frontend = https://kibana.example.com/app/discover#/?" in config
    assert "log_id:%%22{log_id}%%22" in config


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda t: t.pop("logsPassword"), "logsPassword: 'logs' needs the password of its user"),
        (lambda t: t.pop("logs"), "logsPassword: is for the user of 'logs'"),
        (lambda t: t["airflows"][0].update(taskLogs={"kind": "volume"}), "no Airflow reads them there"),
        (lambda t: t["logs"].update(url="https://other.example.com"), "is another Elasticsearch than the one"),
        (lambda t: t["logs"].update(url="https://u:p@other.example.com"), "logs.url"),
        (
            lambda t: (t["logs"].update(components=True), t["airflows"][0].update(name="ingress")),
            "airflows.ingress: its lines would be among those of the way in",
        ),
        (lambda t: t["logs"].update(bufferMib=1), "logs.bufferMib: 1 must be greater than or equal to 64"),
    ],
)
def test_a_mistake_is_named_by_its_key_with_the_mend(change: Callable[[Tree], object], expected: str) -> None:
    assert expected in problems(shipping(change))
