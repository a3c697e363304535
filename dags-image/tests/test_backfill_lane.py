"""The platform's policy for backfills, in the real Airflow: whose tasks take the lane, and whose do not."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROBE = Path(__file__).with_name("lane_probe.py")
POLICY = Path(__file__).parents[2] / "components/airflow/files/backfill_lane.py"
ENTRY_POINTS = """[airflow.policy]
backfill_lane = airflow_platform_backfill
[airflow.plugins]
backfill_lane = airflow_platform_backfill:BackfillLane
"""
DAG = """
import pendulum
from airflow.sdk import dag, task

@dag("lane", schedule="@daily", start_date=pendulum.datetime(2026, 1, 1), catchup=False)
def lane():
    @task
    def plain(): ...
    @task(pool="guarded", executor_config={"pod_template_file": "TEMPLATES/shape-large.yaml"})
    def guarded(): ...
    @task(executor_config={"pod_template_file": "/elsewhere/pod.yaml", "kept": True})
    def elsewhere(): ...
    plain(); guarded(); elsewhere()

lane()
"""
AGAIN, NEVER_RAN, NEWER = "scheduled__2026-02-01", "backfill__2026-02-02", "scheduled__2026-03-01"

pytestmark = pytest.mark.skipif(not POLICY.exists(), reason="this folder stands alone, without the platform's policy")


@pytest.fixture(scope="module", params=[False, True], ids=["alone", "beside-local-settings"])
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the probe found; once more with an airflow_local_settings.py of the image's own."""
    folder = tmp_path_factory.mktemp("lane")
    package = folder / "policy" / "airflow_platform_backfill-1.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: airflow-platform-backfill\nVersion: 1\n")
    (package / "entry_points.txt").write_text(ENTRY_POINTS)
    templates = folder / "templates"
    templates.mkdir()
    for name in ("pod-template.yaml", "shape-large.yaml"):
        (templates / name).touch()
        (templates / f"backfill-{name}").touch()
    policy = POLICY.read_text().replace("@FILES_FOLDER@", str(templates))
    (folder / "policy/airflow_platform_backfill.py").write_text(policy)
    (folder / "dags").mkdir()
    (folder / "dags/lane.py").write_text(DAG.replace("TEMPLATES", str(templates)))
    if request.param:
        (folder / "home/config").mkdir(parents=True)
        own = "def task_instance_mutation_hook(task_instance):\n    task_instance.priority_weight = 7\n"
        (folder / "home/config/airflow_local_settings.py").write_text(own)
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(folder / "home"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags"),
        "PYTHONPATH": str(folder / "policy"),
    }
    for command in (["-m", "airflow", "db", "migrate"], [str(PROBE), str(folder / "dags/lane.py")]):
        done = subprocess.run(
            [sys.executable, *command], env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    read: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {**read, "templates": str(templates), "own settings": request.param}


def task(found: dict[str, Any], run: str, name: str) -> dict[str, Any]:
    (one,) = [value for key, value in found["tasks"].items() if key.startswith(run) and key.endswith(f" {name}")]
    return dict(one)


@pytest.mark.parametrize("run", [AGAIN, NEVER_RAN])
def test_a_task_of_a_backfill_takes_the_lane_also_where_it_runs_an_earlier_run_again(
    run: str, found: dict[str, Any]
) -> None:
    one = task(found, run, "plain")
    assert one["type"] == "backfill"
    assert (one["queue"], one["pool"]) == ("backfill", "backfill")
    assert one["weight"] < 0
    assert one["config"] == {"pod_template_file": f"{found['templates']}/backfill-pod-template.yaml"}


def test_a_scheduled_run_is_left_alone(found: dict[str, Any]) -> None:
    one = task(found, NEWER, "plain")
    assert one == {
        "type": "scheduled",
        "pool": "default_pool",
        "queue": "default",
        "weight": 7 if found["own settings"] else 1,
        "config": {},
    }


def test_a_pool_that_the_dag_names_is_kept_and_a_shape_gets_its_twin(found: dict[str, Any]) -> None:
    one = task(found, NEVER_RAN, "guarded")
    assert (one["queue"], one["pool"]) == ("backfill", "guarded")
    assert one["config"] == {"pod_template_file": f"{found['templates']}/backfill-shape-large.yaml"}


def test_a_template_that_is_not_the_platforms_is_kept(found: dict[str, Any]) -> None:
    assert task(found, NEVER_RAN, "elsewhere")["config"] == {"pod_template_file": "/elsewhere/pod.yaml", "kept": True}


def test_todays_tasks_are_first_in_line(found: dict[str, Any]) -> None:
    runs = [entry.partition("T")[0] for entry in found["order"]]
    assert len(runs) == 9
    assert runs[:3] == [NEWER] * 3
