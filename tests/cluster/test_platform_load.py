"""`make load` in a short form: every task runs, and once. How fast is no assertion."""

from collections.abc import Iterator
from typing import Any

import pytest

from bench.load.backfill import a_year
from bench.load.work import FEW, work_off
from tests.cluster.platform import Platform

pytestmark = pytest.mark.cluster
LANE = {
    "replicas": 1,
    "concurrency": 2,
    "resources": {"cpu": "50m", "memory": "256Mi", "cpuLimit": "2", "memoryLimit": "1Gi"},
}
DAYS = 12


def test_many_dags_let_go_at_once_are_worked_off_each_task_in_one_try(platform: Platform) -> None:
    with platform.airflow() as api:
        counted = work_off(api, FEW, 600)
    print(f"{FEW.tasks} tasks, {counted.rate:.2f} a second")
    assert counted.is_whole(FEW), counted


@pytest.fixture(scope="module")
def lanes(platform: Platform) -> Iterator[Platform]:
    """The platform with the CeleryExecutor and workers of their own for backfills."""

    def change(config: dict[str, Any]) -> None:
        queues = [{"name": "default", **LANE}, {"name": "backfill", **LANE}]
        config["airflows"][0] |= {"executor": "CeleryExecutor", "celery": {"queues": queues}, "backfill": {"slots": 4}}

    with platform.changed(change):
        platform.up()
        yield platform


@pytest.mark.long
def test_days_of_backfill_keep_to_the_workers_of_their_lane_and_todays_runs_succeed_beside_them(
    lanes: Platform,
) -> None:
    with lanes.airflow() as api:
        found = a_year(api, days=DAYS, samples=2, deadline_seconds=600)
    print(f"today's run: {found.idle.ended} s idle, {found.beside.ended} s beside the backfill")
    assert (found.succeeded, found.failed, found.outside_lane) == (DAYS, 0, 0), found
