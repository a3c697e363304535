"""For the tests: tasks that take a while, or until they are told to end, and say which image they run in."""

import os
import time
from datetime import timedelta

import pendulum
from airflow.sdk import Variable, dag, get_current_context, task

LONGEST_SECONDS = 600
"""Of a run whose ``until`` names the variable that ends it."""


@dag(
    dag_id="slow_chain",
    description="Three slow tasks at once, then one more.",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    default_args={"owner": "tests", "retries": 3, "retry_delay": timedelta(seconds=1)},
)
def slow_chain() -> None:
    @task
    def slow(number: int, seconds: int) -> int:
        print(f"slow {number} runs in image {os.environ['DAGS_VERSION']}")
        until = get_current_context()["dag_run"].conf.get("until")
        for second in range(LONGEST_SECONDS if until else seconds):
            time.sleep(1)
            print(f"slow {number}, second {second}")
            if until and second % 3 == 0 and Variable.get(until, default=None):
                break
        print(f"slow {number} ends in image {os.environ['DAGS_VERSION']}")
        return number

    @task
    def after(numbers: list[int]) -> None:
        print(f"after {sorted(numbers)} runs in image {os.environ['DAGS_VERSION']}")

    after([slow.override(task_id=f"slow_{number}")(number, 60) for number in range(3)])


slow_chain()
