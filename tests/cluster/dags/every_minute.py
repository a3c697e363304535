"""For the tests: a run by the clock, which needs no pod. It is at rest until a test wakes it."""

import pendulum
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import dag


@dag(
    dag_id="every_minute",
    description="Does nothing, every minute.",
    schedule="* * * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=True,
    default_args={"owner": "tests"},
)
def every_minute() -> None:
    EmptyOperator(task_id="nothing")


every_minute()
