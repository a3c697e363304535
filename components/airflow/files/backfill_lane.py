"""Sends the tasks of backfill runs down a lane of their own: queue and pool `backfill`, last in line, own pods.

Airflow loads this as a cluster policy (entry point airflow.policy) and as a plugin with a listener (airflow.plugins).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from airflow import settings
from airflow.listeners import hookimpl as listener
from airflow.plugins_manager import AirflowPlugin
from airflow.policies import hookimpl
from sqlalchemy import inspect
from sqlalchemy.orm import object_session

if TYPE_CHECKING:
    from airflow.models import DagRun, TaskInstance

LANE = "backfill"
"""The queue, the pool, and the type of run."""
DEFAULT_POOL = "default_pool"
TEMPLATES = Path("@FILES_FOLDER@")
DEFAULT_TEMPLATE = "pod-template.yaml"
PREFIX = "backfill-"
BEHIND = 1_000_000
"""How far tasks of backfills are behind others in line, in Airflow's priority weights."""

# Airflow 3.3.2 sees that there is a hook only where there is an airflow_local_settings.py as well
# (settings.import_local_settings); without this it makes the task instances of a new run past every hook.
settings.task_instance_mutation_hook.is_noop = False


@hookimpl
def task_instance_mutation_hook(task_instance: TaskInstance, dag_run: DagRun | None) -> None:
    """Called for each task instance that is made, cleared or looked through: in any component, without a commit."""
    if _run_type(task_instance, dag_run) == LANE:
        to_lane(task_instance)


def to_lane(task_instance: TaskInstance) -> None:
    """Change what says where and when a task instance runs. Doing so twice is doing so once."""
    task_instance.queue = LANE
    # A pool that the DAG names guards something: connections to a source, licences. It must go on doing so.
    if task_instance.pool == DEFAULT_POOL:
        task_instance.pool = LANE
    if task_instance.priority_weight > -BEHIND // 2:
        task_instance.priority_weight -= BEHIND
    config = task_instance.executor_config or {}
    folder, _, name = (config.get("pod_template_file") or f"{TEMPLATES}/{DEFAULT_TEMPLATE}").rpartition("/")
    own = TEMPLATES / f"{PREFIX}{name}"
    # Only templates of ours have a twin, and only where an executor starts pods.
    if folder == str(TEMPLATES) and own.exists():
        task_instance.executor_config = {**config, "pod_template_file": str(own)}


def _run_type(task_instance: TaskInstance, dag_run: DagRun | None) -> str:
    if dag_run is None:
        # What is not loaded must not be loaded here: that would commit the scheduler's transaction.
        dag_run = inspect(task_instance).dict.get("dag_run")
    if dag_run is not None:
        return str(dag_run.run_type)
    return str(task_instance.run_id or "").partition("__")[0]


class RunListener:
    """A backfill that runs earlier runs again makes them its own only after the hook above has seen their tasks."""

    @staticmethod
    @listener
    def on_dag_run_running(dag_run: DagRun, msg: str) -> None:
        """Called by the scheduler before it looks for tasks that can run, in its transaction."""
        session = object_session(dag_run)
        if dag_run.run_type == LANE and session is not None:
            for task_instance in dag_run.get_task_instances(session=session):
                if task_instance.queue != LANE and task_instance.state is None:
                    to_lane(task_instance)


class BackfillLane(AirflowPlugin):
    """The listener, as Airflow wants it."""

    name = "backfill_lane"
    listeners = (RunListener(),)
