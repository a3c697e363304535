"""The smallest useful DAG: two tasks, once a day."""

from datetime import timedelta

import pendulum
from airflow.sdk import dag, get_current_context, task

DOC = """
### Daily greeting

Two tasks, once a day at 06:00 UTC. Copy it to start a DAG of your own.
"""


def greeting(day: str) -> str:
    """The line that is written to the task's log for ``day`` (ISO date)."""
    return f"Good morning, it is {day}."


@dag(
    dag_id="example_hello_daily",
    description="Says good morning once a day: the smallest useful DAG.",
    doc_md=DOC,
    schedule="0 6 * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=30),
    tags=["example"],
    default_args={
        "owner": "data-platform",
        "retries": 2,
        "retry_delay": timedelta(seconds=30),
        "execution_timeout": timedelta(minutes=5),
    },
)
def example_hello_daily() -> None:
    """A greeting is composed by one task and printed by the next."""

    @task
    def compose() -> str:
        # A run that was triggered by hand without a logical date has none: take the moment it was asked to run.
        run = get_current_context()["dag_run"]
        return greeting((run.logical_date or run.run_after).date().isoformat())

    @task
    def say(line: str) -> None:
        print(line)

    say(compose())


example_hello_daily()
