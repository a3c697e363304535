"""For the tests: a run that fails after its second try."""

from datetime import timedelta

import pendulum
from airflow.sdk import dag, task


@dag(
    dag_id="fails_twice",
    description="Fails, and fails again.",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    default_args={"owner": "tests", "retries": 1, "retry_delay": timedelta(seconds=1)},
)
def fails_twice() -> None:
    @task
    def fails() -> None:
        raise ValueError("as it should")

    fails()


fails_twice()
