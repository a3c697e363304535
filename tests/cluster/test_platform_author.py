"""What a DAG's author asks of a running Airflow: a shape, variables by hand, and a backfill beside today's run."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.looks import task_pods_seen, wait_until
from tests.cluster.platform import Platform

pytestmark = [pytest.mark.cluster, pytest.mark.long]
DAG = "example_daily_partition"
DAYS = 5
SHAPED = """
import os
from datetime import timedelta
from airflow.sdk import dag, task
from task_shapes import shape


@dag("shaped", description="Says what its pod was given.", schedule=None, dagrun_timeout=timedelta(minutes=9),
     default_args={"owner": "tests", "retries": 1})
def shaped():
    @task(executor_config=shape("large"))
    def says():
        print("region", os.environ["REGION"], "token of", len(os.environ["API_TOKEN"]), "characters")
    says()


shaped()
"""


@pytest.fixture(scope="module")
def asked(platform: Platform) -> Iterator[None]:
    """The stack with a shape, a lane and variables; one `up`. The next one, whoever's, takes them away again."""

    def change(config: dict[str, Any]) -> None:
        config["airflows"][0].update(
            taskShapes={"large": {"cpu": "250m", "memory": "384Mi", "memoryLimit": "1Gi"}},
            backfill={"slots": 2},
            extra={"task": {"env": {"REGION": "eu"}, "envFrom": {"API_TOKEN": {"kind": "secret"}}}},
        )
        secrets = config.setdefault("secrets", {}).setdefault("main", {})
        secrets["env"] = {"API_TOKEN": "seventeen letters"}

    shaped = platform.source / "dags-image" / "dags" / "shaped.py"
    shaped.write_text(SHAPED, encoding="utf-8")
    with platform.changed(change):
        platform.up()
        yield
    shaped.unlink()


@pytest.mark.usefixtures("asked")
def test_a_task_has_the_resources_of_its_shape_and_sees_the_variables_given_by_hand(platform: Platform) -> None:
    with platform.airflow() as api, task_pods_seen(platform) as seen:
        api.wait_for_dag("shaped")
        run_id = api.trigger("shaped")
        assert api.wait_for_run("shaped", run_id)["state"] == "success"
        (task,) = api.tasks("shaped", run_id)
        assert "region eu token of 17 characters" in api.log("shaped", run_id, task)
    (pod,) = [pod for pod in seen.values() if pod["metadata"]["labels"]["dag_id"] == "shaped"]
    (base,) = pod["spec"]["containers"]
    assert base["resources"] == {
        "requests": {"cpu": "250m", "memory": "384Mi"},
        "limits": {"cpu": "2", "memory": "1Gi"},
    }
    assert "seventeen letters" not in str(pod)


@pytest.mark.usefixtures("asked")
def test_a_backfill_takes_its_lane_while_a_run_of_today_passes_it(platform: Platform) -> None:
    with platform.airflow() as api, task_pods_seen(platform) as seen:
        api.wait_for_dag(DAG)
        api.patch(f"/dags/{DAG}", {"is_paused": False})
        body = {"dag_id": DAG, "from_date": "2026-02-01T00:00:00Z", "to_date": f"2026-02-0{DAYS}T23:59:59Z"}
        backfill = api.post("/backfills", {**body, "max_active_runs": DAYS})["id"]
        begun = time.monotonic()
        run_id = api.trigger("says_much")
        assert api.wait_for_run("says_much", run_id)["state"] == "success"
        print(f"today's run took {time.monotonic() - begun:.1f} s beside a backfill of {DAYS} days")
        wait_until(lambda: api.get(f"/backfills/{backfill}")["completed_at"] is not None, 400, "the backfill ends")
        runs = [run for run in api.get(f"/dags/{DAG}/dagRuns")["dag_runs"] if run["run_type"] == "backfill"]
        assert [run["state"] for run in runs] == ["success"] * DAYS
        tasks = [task for run in runs for task in api.tasks(DAG, run["dag_run_id"])]
        assert {(task["pool"], task["queue"], task["state"]) for task in tasks} == {("backfill", "backfill", "success")}
        assert {task["pool"] for task in api.tasks("says_much", run_id)} == {"default_pool"}
    in_lane = [pod for pod in seen.values() if "airflow-platform/lane" in pod["metadata"]["labels"]]
    assert len(in_lane) == 2 * DAYS
    for pod in in_lane:
        assert pod["metadata"]["annotations"]["run_id"].startswith("backfill__")
        assert pod["spec"]["priorityClassName"] == "airflow-platform-backfill"
    others = [pod["metadata"]["annotations"]["run_id"] for pod in seen.values() if pod not in in_lane]
    assert run_id in others
    assert not any(other.startswith("backfill__") for other in others)
