"""For the tests: tasks that keep a CPU busy, and one that only lasts, until a variable that the run names is there."""

import time

import pendulum
from airflow.sdk import Variable, dag, get_current_context, task

LONGEST_SECONDS = 900
ASKED_SECONDS = 5
TASKS = 3


def over(since: float) -> bool:
    """Whether the run has been told to end; asked seldom, because each look starts nothing but costs a request."""
    until = get_current_context()["dag_run"].conf["until"]
    return time.monotonic() - since > LONGEST_SECONDS or Variable.get(until, default=None) is not None


@dag(
    dag_id="busy",
    description=f"{TASKS} tasks that use all the CPU that they get.",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    default_args={"owner": "tests"},
)
def busy() -> None:
    @task
    def works() -> None:
        began = time.monotonic()
        while not over(began):
            pause = time.monotonic() + ASKED_SECONDS
            while time.monotonic() < pause:
                sum(range(10_000))

    for number in range(TASKS):
        works.override(task_id=f"works_{number}")()


@dag(
    dag_id="lasts",
    description="One task that does nothing for long.",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    default_args={"owner": "tests"},
)
def lasts() -> None:
    @task
    def waits() -> None:
        began = time.monotonic()
        while not over(began):
            time.sleep(1)

    waits()


busy()
lasts()
