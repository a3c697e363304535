"""For the tests: a known log."""

from datetime import timedelta

import pendulum
from airflow.sdk import dag, task


@dag(
    dag_id="says_much",
    description="Logs a known number of lines.",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    default_args={"owner": "tests", "retries": 0, "execution_timeout": timedelta(minutes=5)},
)
def says_much() -> None:
    @task
    def speak() -> None:
        for number in range(200):
            print(f"line {number} of 200: grüße")

    speak()


says_much()
