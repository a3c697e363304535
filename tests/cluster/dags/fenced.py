"""For the tests: a task for each executor there is, every try of which leaves its traces in a database of the tests."""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pendulum
import psycopg2
from airflow.configuration import conf
from airflow.sdk import dag, get_current_context, task

EXECUTORS = [name.strip().rpartition(".")[2] for name in conf.get("core", "executor").split(",")]
BEATS_A_SECOND = 4


@contextmanager
def fence() -> Iterator[Callable[[], None]]:
    """A row for this try: when it began, when it was last alive, whether it came to its end."""
    context = get_current_context()
    this, run = context["ti"], context["dag_run"]
    own = str(uuid.uuid4())
    connection = psycopg2.connect(run.conf["fence"], connect_timeout=10)
    connection.autocommit = True
    with connection.cursor() as cursor:
        row = (own, run.run_id, this.task_id, this.try_number)
        cursor.execute("INSERT INTO tries (id, run, task, number) VALUES (%s, %s, %s, %s)", row)

        def alive() -> None:
            cursor.execute("UPDATE tries SET alive = clock_timestamp() WHERE id = %s", (own,))

        yield alive
        cursor.execute("UPDATE tries SET alive = clock_timestamp(), done = true WHERE id = %s", (own,))
    connection.close()


@dag(
    dag_id="fenced",
    description="A long task and a short one after it, by each executor.",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    default_args={"owner": "tests", "retries": 3, "retry_delay": timedelta(seconds=1)},
)
def fenced() -> None:
    for executor in EXECUTORS:

        @task(task_id=f"long_{executor}", executor=executor)
        def long() -> None:
            with fence() as alive:
                for _ in range(get_current_context()["dag_run"].conf["seconds"] * BEATS_A_SECOND):
                    time.sleep(1 / BEATS_A_SECOND)
                    alive()

        @task(task_id=f"after_{executor}", executor=executor)
        def after() -> None:
            with fence():
                print("it goes on")

        long() >> after()


fenced()
