"""For the tests: tasks in two queues and one in a pod of its own, and a task whose queue no worker serves."""

import time
from datetime import timedelta
from typing import Any

import pendulum
from airflow.configuration import conf
from airflow.sdk import dag, task

# A DAG that names an executor which its Airflow does not have is not imported there.
PODS = "KubernetesExecutor" if "KubernetesExecutor" in conf.get("core", "executor") else None
START = pendulum.datetime(2026, 1, 1, tz="UTC")
DEFAULTS = {"owner": "tests", "retries": 3, "retry_delay": timedelta(seconds=1)}


@dag(
    dag_id="two_queues",
    description="One task in each queue; the heavy one takes as many seconds as the run asks for.",
    schedule=None,
    start_date=START,
    catchup=False,
    default_args=DEFAULTS,
)
def two_queues() -> None:
    @task
    def light() -> None:
        print("light ran")

    @task(queue="heavy")
    def heavy(**context: Any) -> None:
        for second in range(context["dag_run"].conf.get("seconds", 1)):
            time.sleep(1)
            print(f"heavy, second {second}")

    @task(executor=PODS)
    def in_a_pod() -> None:
        print("in a pod")

    light()
    heavy()
    in_a_pod()


@dag(
    dag_id="lost_queue",
    description="Waits for a worker that there is not.",
    schedule=None,
    start_date=START,
    catchup=False,
    default_args={"owner": "tests"},
)
def lost_queue() -> None:
    @task(queue="lost")
    def lost() -> None:
        print("never")

    lost()


two_queues()
lost_queue()
