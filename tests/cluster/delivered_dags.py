"""DAG files that tests push to a repository."""

SYNCED = """
from airflow.sdk import dag, task
from shared.words import WORD


@dag(dag_id="synced", description=WORD, schedule=None)
def synced():
    @task
    def in_the_scheduler():
        print("it says", WORD)

    in_the_scheduler()


@dag(dag_id="synced_pod", description=WORD, schedule=None)
def synced_pod():
    @task(executor="KubernetesExecutor")
    def in_a_pod():
        print("it says", WORD)

    in_a_pod()


synced()
synced_pod()
"""
HALTS = """
import time

from airflow.sdk import Variable, dag, task


@dag(schedule=None)
def halts():
    @task
    def first():
        for _ in range(300):
            if Variable.get("go_on", default=None):
                break
            time.sleep(1)

    @task
    def second():
        print("it goes on")

    first() >> second()


halts()
"""

HUNDRED = """
import pendulum
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

for number in range(100):
    with DAG(f"good_{number:03}", schedule="@once", start_date=pendulum.datetime(2026, 1, 1, tz="UTC"), catchup=False):
        EmptyOperator(task_id="nothing")
"""
