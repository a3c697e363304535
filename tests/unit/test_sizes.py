"""Sizes: what they set together, what can be said otherwise, and what of it is refused."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import yaml

from components.airflow.sizing import SMALL
from components.versions import ImageSource
from infra.settings import SettingsError
from infra.settings.planning import RESERVED_CONNECTIONS
from infra.settings.sizes import SIZES, Amounts, Size, capacity
from infra.sizing import sizing_of
from tests.unit.recorder import Recording
from tests.unit.stack_files import Tree, changed, deployed, settings, stack_config
from tests.unit.test_environment import airflow_cfg

PARTS = ("api-server", "scheduler", "dag-processor", "triggerer")


def first(tree: Tree) -> Tree:
    entry: Tree = tree["airflows"][0]
    return entry


def sized(size: str, **more: Any) -> Callable[[Tree], object]:
    return lambda tree: first(tree).update(size=size, **more)


def replicas(recording: Recording) -> dict[str, int]:
    return {part: recording.one("Deployment", f"main-{part}").inputs["spec"]["replicas"] for part in PARTS}


def problems(change: Callable[[Tree], object]) -> str:
    with pytest.raises(SettingsError) as refused:
        settings(changed(stack_config("local"), change))
    return str(refused.value)


def test_a_stack_file_that_says_no_size_gets_what_it_always_had() -> None:
    airflow = settings(stack_config("local")).airflows[0]
    assert airflow.size is Size.SMALL
    assert capacity(airflow).parallelism == 32
    assert sizing_of(airflow, ImageSource()) == SMALL


@pytest.mark.parametrize("stack", ["staging", "prod"])
def test_where_it_counts_two_of_everything_run(stack: str) -> None:
    recorded = deployed(stack)
    assert min(replicas(recorded).values()) >= 2
    assert recorded.one("Deployment", "main-pgbouncer").inputs["spec"]["replicas"] >= 2


def test_larger_sizes_are_larger_in_everything() -> None:
    ordered = [SIZES[size] for size in Size]
    assert [size.value for size in Size] == ["small", "medium", "large", "xlarge"]
    for smaller, larger in pairwise(ordered):
        assert larger.parallelism > smaller.parallelism
        assert larger.replicas.processes > smaller.replicas.processes
        assert larger.pooler.connections > smaller.pooler.connections
        assert larger.connections > smaller.connections
    assert [one.pooler.enabled for one in ordered] == [False, True, True, True]


def test_a_pooler_needs_fewer_connections_than_the_processes_behind_it() -> None:
    for size in (Size.MEDIUM, Size.LARGE, Size.XLARGE):
        behind = SIZES[size].replicas.processes * 8
        assert SIZES[size].connections <= behind + 8, size


def test_each_number_can_be_said_otherwise() -> None:
    recorded = deployed(
        "local",
        sized(
            "medium",
            parallelism=10,
            replicas={"apiServer": 3, "scheduler": 1},
            resources={"scheduler": {"memory": "700Mi", "memoryLimit": "5Gi"}, "task": {"cpu": "250m"}},
            pooler={"replicas": 1, "connections": 9, "clients": 77},
        ),
    )
    assert replicas(recorded) == {"api-server": 3, "scheduler": 1, "dag-processor": 2, "triggerer": 2}
    container = recorded.one("Deployment", "main-scheduler").inputs["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"] == {
        "requests": {"cpu": "300m", "memory": "700Mi"},
        "limits": {"cpu": "2", "memory": "5Gi"},
    }
    assert "cpu: 250m" in recorded.one("ConfigMap", "main-config").inputs["data"]["pod-template.yaml"]
    assert airflow_cfg(recorded)["core"]["parallelism"] == "10"
    ini = recorded.one("ConfigMap", "main-pgbouncer-config").inputs["data"]["pgbouncer.ini"]
    assert "default_pool_size = 9\n" in ini
    assert "max_client_conn = 77\n" in ini


def test_the_schedulers_share_the_tasks_that_run_at_once() -> None:
    # Airflow counts its parallelism by scheduler.
    recorded = deployed("local", sized("medium", parallelism=33))
    assert airflow_cfg(recorded)["core"]["parallelism"] == "16"


def test_the_default_pool_holds_nothing_back_that_the_executor_may_run() -> None:
    assert airflow_cfg(deployed("local", sized("large")))["core"]["default_pool_task_slot_count"] == "256"
    assert "default_pool_task_slot_count" not in airflow_cfg(deployed("local"))["core"]


def test_replicated_parts_have_a_budget_and_others_none_that_would_block_drains() -> None:
    recorded = deployed("prod", lambda t: first(t).update(replicas={"triggerer": 1}))
    budgets = {name: one for name, one in recorded.of("PodDisruptionBudget").items() if name.startswith("main-")}
    del budgets["main-task-budget"]
    assert sorted(budgets) == [
        f"main-{part}-budget" for part in ("api-server", "dag-processor", "pgbouncer", "scheduler")
    ]
    for name, budget in budgets.items():
        spec = budget.inputs["spec"]
        assert spec["maxUnavailable"] == 1
        workload = recorded.one("Deployment", name.removesuffix("-budget")).inputs["spec"]
        assert spec["selector"] == workload["selector"]
        assert workload["replicas"] > 1
    assert list(deployed("local").of("PodDisruptionBudget")) == ["main-task-budget"]


def test_a_drain_waits_for_tasks_in_pods_of_their_own() -> None:
    recorded = deployed("local")
    spec = recorded.one("PodDisruptionBudget", "main-task-budget").inputs["spec"]
    template = yaml.safe_load(recorded.one("ConfigMap", "main-config").inputs["data"]["pod-template.yaml"])
    assert spec["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    # Pods without a controller: only a number of those that stay counts, and no number of tasks reaches this one.
    assert spec["minAvailable"] == 1_000_000
    assert "maxUnavailable" not in spec
    assert spec["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    local = deployed("local", lambda t: first(t).update(executor="LocalExecutor"))
    assert not local.of("PodDisruptionBudget")


def test_replicas_are_spread_over_zones_and_nodes_unless_a_volume_ties_them_to_one() -> None:
    def spread(recording: Recording, part: str) -> list[Tree]:
        spec = recording.one("Deployment", f"main-{part}").inputs["spec"]
        constraints: list[Tree] = spec["template"]["spec"].get("topologySpreadConstraints", [])
        assert all(one["labelSelector"] == spec["selector"] for one in constraints)
        return constraints

    prod = deployed("prod")
    for part in (*PARTS, "pgbouncer"):
        assert [one["topologyKey"] for one in spread(prod, part)] == [
            "topology.kubernetes.io/zone",
            "kubernetes.io/hostname",
        ]
        assert {one["whenUnsatisfiable"] for one in spread(prod, part)} == {"ScheduleAnyway"}
    assert spread(deployed("local", sized("medium")), "api-server") == []


def test_schedulers_that_run_tasks_go_one_by_one() -> None:
    def strategy(size: str) -> Tree:
        recorded = deployed("local", sized(size, executor="LocalExecutor"))
        found: Tree = recorded.one("Deployment", "main-scheduler").inputs["spec"]["strategy"]
        return found

    assert strategy("small") == {"type": "Recreate"}
    assert strategy("medium")["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}


def test_the_role_may_hold_what_the_size_needs() -> None:
    recorded = deployed("prod")
    command = recorded.one("Job", "main-database-bootstrap").inputs["spec"]["template"]["spec"]["containers"][0][
        "command"
    ]
    (limit,) = [int(option.partition("connections=")[2]) for option in command if "connections=" in option]
    parsed = settings(stack_config("prod"))
    assert capacity(parsed.airflows[0]).connections <= limit <= parsed.max_connections - RESERVED_CONNECTIONS


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (sized("huge"), 'airflows.main.size: "huge" must be'),
        (sized("small", replicas={"apiServer": 0}), "airflows.main.replicas.apiServer: 0"),
        (sized("small", replicas={"webserver": 2}), "airflows.main.replicas.webserver: unknown key"),
        (sized("medium", parallelism=1), "airflows.main.parallelism: 1 tasks can't be shared out among 2 schedulers"),
        (
            sized("medium", pooler={"connections": 1}),
            "airflows.main.pooler.connections: 1 can't be shared out among 2 replicas",
        ),
        (
            sized("small", resources={"apiServer": {"cpu": "2500m"}}),
            "airflows.main.resources.apiServer.cpu: 2500m is more than cpuLimit, 2",
        ),
        (
            sized("small", resources={"task": {"memoryLimit": "100Mi"}}),
            "airflows.main.resources.task.memory: 256Mi is more than memoryLimit, 100Mi",
        ),
        (sized("small", resources={"task": {"cpu": "lots"}}), "airflows.main.resources.task.cpu"),
        (sized("xlarge"), "database.maxConnections: 100 are too few for 1 Airflow: together they may hold 104"),
        (
            sized("medium", pooler={"enabled": False}, replicas={"apiServer": 8}),
            "together they may hold 120, and 10 stay free for administrators. Allow at least 130",
        ),
    ],
)
def test_a_mistake_is_named_by_its_key_with_the_mend(change: Callable[[Tree], object], expected: str) -> None:
    assert expected in problems(change)


def test_every_part_of_every_size_may_use_what_it_asks_for() -> None:
    for size in Size:
        tree = stack_config("local")
        tree["database"]["maxConnections"] = 1000
        first(tree)["size"] = size.value
        assert capacity(settings(tree).airflows[0]) == SIZES[size]
    assert set(Amounts.__dataclass_fields__) == {
        "api_server",
        "scheduler",
        "dag_processor",
        "triggerer",
        "job",
        "task",
        "pooler",
    }
