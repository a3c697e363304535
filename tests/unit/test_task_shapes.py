"""Shapes that tasks ask for by name, and the lane that backfills take."""

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from components.airflow.backfill import POLICY_FOLDER
from components.airflow.task_shapes import TaskShape
from components.priorities import BACKFILL, TASKS
from components.workload import Resources
from infra.settings import SettingsError
from tests.unit.recorder import Recording
from tests.unit.stack_files import Tree, changed, deployed, settings, stack_config

DEFAULT = Resources(cpu="100m", memory="256Mi", cpu_limit="2", memory_limit="1Gi")


def first(tree: Tree) -> Tree:
    entry: Tree = tree["airflows"][0]
    return entry


def shaped(tree: Tree) -> None:
    first(tree)["taskShapes"] = {
        "large": {"cpu": "3", "memory": "48Gi", "taskPool": "large"},
        "quick": {"memory": "128Mi"},
    }
    first(tree)["backfill"] = {"slots": 20, "taskPool": "spot"}


@pytest.fixture(scope="module")
def prod() -> Recording:
    return deployed("prod", shaped)


def templates(recording: Recording) -> dict[str, Any]:
    data = recording.one("ConfigMap", "main-config").inputs["data"]
    return {name: yaml.safe_load(text) for name, text in data.items() if name.endswith(".yaml")}


def pool(template: dict[str, Any]) -> set[str]:
    """The pools that a pod asks for and tolerates, which must be one and the same."""
    spec = template["spec"]
    return {*spec["nodeSelector"].values(), *(one["value"] for one in spec["tolerations"])}


def test_each_shape_is_a_template_and_in_the_lane_each_has_a_twin(prod: Recording) -> None:
    names = {"pod-template.yaml", "shape-large.yaml", "shape-quick.yaml"}
    assert templates(prod).keys() == names | {f"backfill-{name}" for name in names}


def test_only_pods_of_a_shape_tolerate_its_pool_and_a_shape_keeps_it_in_the_lane(prod: Recording) -> None:
    pools = {name: pool(template) for name, template in templates(prod).items()}
    assert pools == {
        "pod-template.yaml": {"default"},
        "shape-large.yaml": {"large"},
        "shape-quick.yaml": {"default"},
        "backfill-pod-template.yaml": {"spot"},
        "backfill-shape-large.yaml": {"large"},
        "backfill-shape-quick.yaml": {"spot"},
    }


def test_a_shape_changes_what_it_names_and_nothing_else(prod: Recording) -> None:
    read = templates(prod)
    for name in ("shape-large.yaml", "shape-quick.yaml"):
        (base,) = read[name]["spec"]["containers"]
        (default,) = read["pod-template.yaml"]["spec"]["containers"]
        assert base["name"] == "base"
        assert {**base, "resources": None} == {**default, "resources": None}
        assert read[name]["metadata"] == read["pod-template.yaml"]["metadata"]
    assert read["shape-large.yaml"]["spec"]["containers"][0]["resources"] == {
        "requests": {"cpu": "3", "memory": "48Gi"},
        "limits": {"cpu": "3", "memory": "48Gi"},
    }


def test_pods_of_the_lane_are_marked_and_make_room_for_others(prod: Recording) -> None:
    for name, template in templates(prod).items():
        in_lane = name.startswith("backfill-")
        assert template["spec"].get("priorityClassName") == (BACKFILL if in_lane else TASKS)
        assert template["metadata"]["labels"].get("airflow-platform/lane") == ("backfill" if in_lane else None)


def test_every_component_loads_the_lanes_policy_and_no_task_does(prod: Recording) -> None:
    names = [f"main-{part}" for part in ("api-server", "dag-processor", "scheduler", "triggerer")]
    components = [prod.one("Deployment", name) for name in names]
    parts = [*components, prod.one("Job", "main-migrate"), prod.one("Job", "main-create-admin")]
    for one in parts:
        spec = one.inputs["spec"]["template"]["spec"]
        env = {variable["name"]: variable.get("value") for variable in spec["containers"][0]["env"]}
        (mount,) = [m for m in spec["containers"][0]["volumeMounts"] if m["mountPath"] == POLICY_FOLDER]
        assert POLICY_FOLDER in str(env["PYTHONPATH"]).split(":")
        (volume,) = [volume for volume in spec["volumes"] if volume["name"] == mount["name"]]
        data = prod.one("ConfigMap", "main-config").inputs["data"]
        assert {item["key"] for item in volume["configMap"]["items"]} <= data.keys(), one.name
    assert "PYTHONPATH" not in str(templates(prod))
    assert "@FILES_FOLDER@" not in prod.one("ConfigMap", "main-config").inputs["data"]["backfill_lane.py"]


def test_the_lanes_pool_is_made_with_its_slots_once_the_schema_is_there(prod: Recording) -> None:
    job = prod.one("Job", "main-backfill-pool")
    command = job.inputs["spec"]["template"]["spec"]["containers"][0]["command"]
    assert command[2:7] == ["airflow", "pools", "set", "backfill", "20"]
    assert "main-migrate" in job.dependencies


def test_a_modules_path_given_by_hand_comes_after_the_lanes() -> None:
    def both(tree: Tree) -> None:
        first(tree)["backfill"] = {}
        first(tree)["extra"] = {"scheduler": {"env": {"PYTHONPATH": "/opt/mine"}}}

    scheduler = deployed(change=both).one("Deployment", "main-scheduler").inputs["spec"]["template"]["spec"]
    values = [one["value"] for one in scheduler["containers"][0]["env"] if one["name"] == "PYTHONPATH"]
    assert values == ["/opt/airflow/platform-policy:/opt/mine"]


def test_limits_follow_requests() -> None:
    assert TaskShape(cpu="4").resources(DEFAULT).cpu_limit == "4"
    assert TaskShape(cpu="500m").resources(DEFAULT).cpu_limit == "2"
    assert TaskShape(memory="512Mi").resources(DEFAULT).memory_limit == "512Mi"
    assert TaskShape(memory="512Mi", memory_limit="2Gi").resources(DEFAULT).memory_limit == "2Gi"
    assert TaskShape().resources(DEFAULT) == DEFAULT


def shape(**what: object) -> Callable[[Tree], object]:
    return lambda tree: first(tree).update(taskShapes={"large": what})


@pytest.mark.parametrize(
    ("stack", "change", "expected"),
    [
        (
            "prod",
            shape(taskPool="huge"),
            "taskShapes.large.taskPool: there is no pool 'huge'. Known are: default, large",
        ),
        ("local", shape(taskPool="x"), "taskShapes.large.taskPool: there is no pool 'x'. This cluster has none"),
        ("prod", shape(cpu="4"), "taskShapes.large.cpu: 4 never fits on a n2-standard-4 of its pool, which has 4 CPUs"),
        ("prod", shape(memory="16Gi"), "taskShapes.large.memory: 16Gi never fits on a n2-standard-4"),
        ("prod", shape(memory="64Gi", taskPool="large"), "memory: 64Gi never fits on a n2-highmem-8"),
        ("local", shape(cpu="2", cpuLimit="1"), "taskShapes.large.cpuLimit: 1 is less than cpu, 2"),
        ("local", shape(memory="2Gi", memoryLimit="1Gi"), "taskShapes.large.memoryLimit: 1Gi is less than memory"),
        ("local", shape(memory="2GB"), 'taskShapes.large.memory: "2GB" does not have the form'),
        ("prod", shape(image="a/b:1"), "taskShapes.large.image: a/b:1 is not in the organisation's registry"),
        (
            "local",
            lambda t: (shape()(t), first(t).update(executor="LocalExecutor")),
            "taskShapes.large: tasks have pods of their own with the KubernetesExecutor only",
        ),
        (
            "local",
            lambda t: first(t).update(backfill={"slots": 32}),
            "backfill.slots: 32 leaves nothing of parallelism, 32, for today's runs",
        ),
        ("prod", lambda t: first(t).update(backfill={"taskPool": "x"}), "backfill.taskPool: there is no pool 'x'"),
        (
            "local",
            lambda t: first(t).update(executor="LocalExecutor", backfill={"taskPool": "x"}),
            "backfill.taskPool: is for tasks with pods of their own",
        ),
    ],
)
def test_a_mistake_is_named_by_its_key_with_the_mend(
    stack: str, change: Callable[[Tree], object], expected: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        settings(changed(stack_config(stack), change))
    assert expected in str(refused.value)
