"""Makes runs of each kind, lets a scheduler look at them twice, and prints, as JSON, where their tasks went.

Run as a program of its own (``python lane_probe.py DAG_FILE``), with the backfill policy on PYTHONPATH: Airflow loads
policies when it is first imported.
"""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.executors.base_executor import BaseExecutor
from airflow.jobs.job import Job
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
from airflow.models import DagModel, DagRun, TaskInstance
from airflow.models.backfill import ReprocessBehavior, _create_backfill
from airflow.models.dagbag import DBDagBag
from airflow.models.pool import Pool
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import select, update

DAG = "lane"
EARLIER, NEWER = datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)


class Queue(BaseExecutor):
    """Notes what it is given, in order, and runs nothing."""

    name = "queue"

    def __init__(self) -> None:
        super().__init__()
        self.given: list[Any] = []

    def queue_workload(self, workload: Any, session: Any) -> None:
        self.given.append(workload.ti)


def sync(file: Path) -> None:
    """Put the DAG into the database, as the dag-processor does."""
    DagBundlesManager().sync_bundles_to_db()
    sync_bag_to_db(DagBag(dag_folder=file, bundle_path=file.parent, bundle_name="dags-folder"), "dags-folder", None)
    with create_session() as session:
        session.execute(update(DagModel).values(is_paused=False))
        for name in ("backfill", "guarded"):
            Pool.create_or_update_pool(name, 16, "", include_deferred=False, session=session)


def make_runs() -> None:
    """A scheduled run that failed and is run again by a backfill, a day that never ran, and a scheduled run of now."""
    with create_session() as session:
        dag = DBDagBag().get_latest_version_of_dag(DAG, session=session)
        for day, state in ((EARLIER, DagRunState.FAILED), (NEWER, DagRunState.QUEUED)):
            dag.create_dagrun(
                run_id=f"scheduled__{day.isoformat()}",
                logical_date=day,
                data_interval=(day, day),
                run_after=day,
                run_type=DagRunType.SCHEDULED,
                triggered_by=DagRunTriggeredByType.TIMETABLE,
                state=state,
                session=session,
            )
        failed = TaskInstance.run_id == f"scheduled__{EARLIER.isoformat()}"
        session.execute(update(TaskInstance).where(failed).values(state="failed"))
    _create_backfill(
        dag_id=DAG,
        from_date=EARLIER,
        to_date=EARLIER.replace(day=2),
        max_active_runs=5,
        reverse=False,
        dag_run_conf=None,
        triggering_user_name="test",
        reprocess_behavior=ReprocessBehavior.FAILED,
    )


def schedule() -> list[str]:
    """What a scheduler hands to its executor, in order, as run and task."""
    executor, job = Queue(), Job()
    runner = SchedulerJobRunner(job=job, executors=[executor])
    with create_session() as session:
        session.add(job)
        # The scheduler would make runs of its own, for today.
        session.execute(update(DagModel).values(next_dagrun_create_after=None))
    for _ in range(2):
        with create_session() as session:
            runner._do_scheduling(session)
    return [f"{instance.run_id} {instance.task_id}" for instance in executor.given]


def main(file: Path) -> None:
    sync(file)
    make_runs()
    order = schedule()
    with create_session() as session:
        rows = session.execute(select(TaskInstance, DagRun).join(DagRun, TaskInstance.dag_run)).all()
        tasks = {
            f"{task.run_id} {task.task_id}": {
                "type": str(run.run_type),
                "pool": task.pool,
                "queue": task.queue,
                "weight": task.priority_weight,
                "config": task.executor_config,
            }
            for task, run in rows
        }
    print("\n" + json.dumps({"order": order, "tasks": tasks}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
