"""For the load test: many DAGs of trivial tasks, and one that a year of is run again beside today's.

`load.json` beside this file, where there is one, says how many; without it there are a few.
"""

import json
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pendulum
from airflow.sdk import dag, get_parsing_context, task

SIZE = {"dags": 4, "tasks": 24}
FILE = Path(__file__).with_name("load.json")
if FILE.exists():
    SIZE = json.loads(FILE.read_text(encoding="utf-8"))
DEFAULTS = {"owner": "tests", "retries": 1, "retry_delay": timedelta(seconds=1)}
# A process that is to run a task needs that task's DAG alone; making all of them would be most of its work.
WANTED = get_parsing_context().dag_id


def many(dag_id: str, tasks: int) -> None:
    @dag(
        dag_id=dag_id,
        description="One task, then many side by side, then one. None of them does anything.",
        schedule="@once",
        start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
        catchup=False,
        default_args=DEFAULTS,
    )
    def made() -> None:
        @task
        def begin() -> None:
            print("begun")

        @task
        def part() -> None:
            print("a part")

        @task
        def end() -> None:
            print("ended")

        begin() >> [part.override(task_id=f"part_{number}")() for number in range(tasks - 2)] >> end()

    made()


@dag(
    dag_id="day_by_day",
    description="A day's work: half a second of computing, or what the run asks for, then a write.",
    schedule="@daily",
    start_date=pendulum.datetime(2025, 1, 1, tz="UTC"),
    catchup=False,
    default_args=DEFAULTS,
)
def day_by_day() -> None:
    @task
    def compute(**context: Any) -> None:
        end = time.process_time() + (context["dag_run"].conf or {}).get("seconds", 0.5)
        while time.process_time() < end:
            sum(range(10_000))

    @task
    def write() -> None:
        print("written")

    compute() >> write()


for number in range(SIZE["dags"]):
    name = f"load_{number:03}"
    if WANTED in (None, name):
        # Remainders go to the first ones, so that the tasks of all DAGs together are what was asked for.
        each, more = divmod(SIZE["tasks"], SIZE["dags"])
        many(name, each + (number < more))
if WANTED in (None, "day_by_day"):
    day_by_day()
