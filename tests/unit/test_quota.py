"""How much an Airflow may take of its cluster; and who goes first where there is no room."""

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from components.quantities import mebibytes, millicpus
from infra.settings import SettingsError
from infra.settings.quota_rules import parts_of
from tests.unit.recorder import Recording
from tests.unit.stack_files import Tree, changed, deployed, settings, stack_config


def asked(**values: Any) -> Callable[[Tree], object]:
    return lambda tree: tree["airflows"][0].update(values)


def test_without_a_word_nothing_is_limited() -> None:
    assert not {"ResourceQuota", "LimitRange"} & {r.kind for r in deployed().resources}


def test_a_quota_comes_with_defaults_for_containers_that_request_nothing() -> None:
    recording = deployed(change=asked(quota={"cpu": "8", "memory": "16Gi", "pods": 50}))
    quota = recording.one("ResourceQuota", "main-quota").inputs
    assert quota["metadata"]["namespace"] == "airflow-main"
    assert quota["spec"]["hard"] == {"requests.cpu": "8", "requests.memory": "16Gi", "pods": "50"}
    (limits,) = recording.one("LimitRange", "main-limits").inputs["spec"]["limits"]
    assert limits["type"] == "Container"
    assert limits["defaultRequest"] == {"cpu": "100m", "memory": "256Mi"}
    assert limits["default"] == {"cpu": "2", "memory": "1Gi"}
    assert "max" not in limits
    assert {"main-quota", "main-limits"} <= recording.one("Job", "main-migrate").dependencies


def test_limits_without_a_quota_are_limits_alone() -> None:
    recording = deployed(change=asked(containers={"memory": "128Mi", "maxMemory": "4Gi"}))
    (limits,) = recording.one("LimitRange", "main-limits").inputs["spec"]["limits"]
    assert limits["defaultRequest"]["memory"] == "128Mi"
    assert limits["max"] == {"memory": "4Gi"}
    assert recording.of("ResourceQuota") == {}


def recorded_requests(recording: Recording) -> dict[str, tuple[int, int]]:
    """CPU and memory of one pod of each Deployment, and of a task's, as the recording has them."""
    specs = {
        name.removeprefix("main-"): one.inputs["spec"]["template"]["spec"]
        for name, one in recording.of("Deployment").items()
        if name.startswith("main-")
    }
    text = recording.one("ConfigMap", "main-config").inputs["data"].get("pod-template.yaml")
    specs |= {"task": yaml.safe_load(text)["spec"]} if text else {}
    found = {}
    for part, spec in specs.items():
        lasting = [one for one in spec.get("initContainers", []) if one.get("restartPolicy") == "Always"]
        requests = [one["resources"]["requests"] for one in (*spec["containers"], *lasting)]
        found[part] = (
            sum(millicpus(one["cpu"]) for one in requests),
            sum(mebibytes(one["memory"]) for one in requests),
        )
    return found


GIT = {"kind": "git-sync", "version": "1", "git": {"repository": "https://git.example.com/dags.git"}}


@pytest.mark.parametrize("executor", ["KubernetesExecutor", "LocalExecutor"])
@pytest.mark.parametrize("stack", ["local", "prod"])
def test_what_a_quota_is_held_against_is_what_the_pods_request(stack: str, executor: str) -> None:
    def change(tree: Tree) -> None:
        dags = {key: value for key, value in tree["airflows"][0]["dags"].items() if key in {"repository", "digest"}}
        tree["airflows"][0].update(executor=executor, dags={**dags, **GIT})

    tree = changed(stack_config(stack), change)
    parsed = settings(tree)
    parts = {part.name: (part.cpu, part.memory) for part in parts_of(parsed, parsed.airflows[0])}
    assert parts == recorded_requests(deployed(stack, change))


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (
            {"quota": {"memory": "2Gi"}},
            "quota.memory: 2Gi is too small for the Airflow's own parts while they are replaced, and one task: "
            "api-server 2 x 448Mi + scheduler 2 x 320Mi + dag-processor 2 x 320Mi + triggerer 2 x 320Mi + task "
            "1 x 256Mi = 3072Mi. Allow at least that, or leave it out",
        ),
        ({"quota": {"cpu": "1099m"}}, "= 1100m. Allow at least that"),
        ({"quota": {"pods": 8}}, "quota.pods: 8 is too small"),
        ({"containers": {"maxMemory": "1Gi"}}, "maxMemory: 1Gi is less than a part of Airflow's own may use, 2Gi"),
        ({"containers": {"maxCpu": "1"}}, "maxCpu: 1 is less than a part"),
        ({"containers": {"memory": "2Gi"}}, "containers.memoryLimit: is less than what such a container requests"),
        ({"quota": {"cpu": "0.5"}}, "quota.cpu"),
    ],
)
def test_a_quota_or_limit_that_is_too_small_is_refused_with_the_sum(values: dict[str, Any], text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        settings(changed(stack_config("local"), asked(**values)))
    assert text in str(refused.value)


def test_a_quota_that_just_fits_is_taken() -> None:
    settings(changed(stack_config("local"), asked(quota={"memory": "3Gi", "cpu": "1100m", "pods": 9})))


def test_components_go_before_tasks_and_tasks_before_backfills_and_no_task_is_killed_for_another() -> None:
    recording = deployed("prod")
    classes = {one.inputs["metadata"]["name"]: one.inputs for one in recording.of("PriorityClass").values()}
    names = [f"airflow-platform-{kind}" for kind in ("components", "tasks", "backfill")]
    assert sorted(classes, key=lambda name: -classes[name]["value"]) == names
    assert [classes[name]["preemptionPolicy"] for name in names] == ["PreemptLowerPriority", "Never", "Never"]
    assert not any(one.get("globalDefault") for one in classes.values())
    for one in recording.of("Deployment").values():
        assert one.inputs["spec"]["template"]["spec"]["priorityClassName"] == names[0], one.name
    task = yaml.safe_load(recording.one("ConfigMap", "main-config").inputs["data"]["pod-template.yaml"])
    assert task["spec"]["priorityClassName"] == names[1]
    server = deployed().one("StatefulSet", "postgresql-server").inputs["spec"]["template"]["spec"]
    assert server["priorityClassName"] == names[0]


def test_fractions_of_a_cpu_count() -> None:
    half = asked(quota={"cpu": "2"}, resources={"scheduler": {"cpu": "0.25"}, "triggerer": {"cpu": "1.5"}})
    with pytest.raises(SettingsError, match=r"scheduler 2 x 250m .* triggerer 2 x 1500m"):
        settings(changed(stack_config("local"), half))
