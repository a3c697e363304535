"""Lets runs fail in the eyes of a scheduler, some of them twice, with the platform's notifications as a plugin.

Run as a program of its own (``python notify_probe.py DAG_FILE``), with the plugin on PYTHONPATH. Prints, as JSON, how
the runs have ended as soon as the scheduler is done, and ends when the plugin has sent what it had to.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path

from airflow.models import DagRun, TaskInstance
from airflow.models.dagbag import DBDagBag
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from lane_probe import sync
from sqlalchemy import select, update

DAG = "fails"
DAYS = tuple(datetime(2026, 2, day, tzinfo=UTC) for day in (1, 2))


def make_runs() -> None:
    """Two runs whose task has failed for good, and one that went well."""
    with create_session() as session:
        dag = DBDagBag().get_latest_version_of_dag(DAG, session=session)
        for day in (*DAYS, datetime(2026, 2, 3, tzinfo=UTC)):
            dag.create_dagrun(
                run_id=f"scheduled__{day.date()}",
                logical_date=day,
                data_interval=(day, day),
                run_after=day,
                run_type=DagRunType.SCHEDULED,
                triggered_by=DagRunTriggeredByType.TIMETABLE,
                state=DagRunState.RUNNING,
                session=session,
            )
        good = TaskInstance.run_id == "scheduled__2026-02-03"
        session.execute(update(TaskInstance).values(state="failed", try_number=3, end_date=DAYS[0]))
        session.execute(update(TaskInstance).where(good).values(state="success"))


def schedule(run_id: str) -> None:
    """What the scheduler does with a run."""
    with create_session() as session:
        run = session.scalar(select(DagRun).where(DagRun.run_id == run_id))
        assert run is not None
        run.dag = DBDagBag().get_dag_for_run(dag_run=run, session=session)
        run.update_state(session=session, execute_callbacks=False)


def main(file: Path) -> None:
    logging.getLogger("airflow_platform").setLevel(logging.INFO)
    logging.getLogger("airflow_platform").addHandler(logging.StreamHandler())
    sync(file)
    make_runs()
    for run_id in ("scheduled__2026-02-01", "scheduled__2026-02-02", "scheduled__2026-02-03"):
        schedule(run_id)
    # As after a transaction that was rolled back: the scheduler finds the run running once more.
    with create_session() as session:
        session.execute(update(DagRun).where(DagRun.run_id == "scheduled__2026-02-01").values(state="running"))
    schedule("scheduled__2026-02-01")
    with create_session() as session:
        states = {run.run_id: str(run.state) for run in session.scalars(select(DagRun))}
    print("\n" + json.dumps({"runs": states}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
