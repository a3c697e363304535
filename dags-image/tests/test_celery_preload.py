"""What a Celery worker imports before it forks (`imports` in components/airflow/celery) is what its tasks need."""

import json
import subprocess
import sys

import pytest

IMPORTS = ("airflow.dag_processing.dagbag", "airflow.providers.standard.decorators.python")
"""As in components/airflow/celery/configuration.py."""
TASK = """
import importlib, json, sys
from airflow.providers.celery.executors import celery_executor_utils
from airflow.sdk.execution_time import supervisor, task_runner

celery_executor_utils.on_celery_import_modules()
for name in sys.argv[1:]:
    importlib.import_module(name)
before = set(sys.modules)

from airflow.dag_processing.dagbag import BundleDagBag
from airflow.sdk import dag, task

@dag(schedule="@daily")
def made():
    @task
    def work():
        pass
    work()

made()
print(json.dumps(sorted(name for name in set(sys.modules) - before if name.startswith("airflow."))))
"""


def imported_by_a_task(*before: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", TASK, *before], check=True, capture_output=True, text=True)
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_task_imports_next_to_nothing_of_airflow_anew() -> None:
    pytest.importorskip("airflow.providers.celery")
    assert len(imported_by_a_task()) > 50, "Airflow's provider does it by itself now: take the list out"
    assert len(imported_by_a_task(*IMPORTS)) < 10
