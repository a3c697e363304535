"""For the tests: a connection and a variable of the stack file, as a task gets them."""

import hashlib
from datetime import timedelta

import pendulum
from airflow.sdk import Connection, Variable, dag, task


@dag(
    dag_id="reads_contents",
    description="Reads a connection and a variable.",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    default_args={"owner": "tests", "retries": 0, "execution_timeout": timedelta(minutes=5)},
)
def reads_contents() -> None:
    @task(pool="reports")
    def read() -> None:
        connection = Connection.get("warehouse")
        # Airflow masks the password itself.
        digest = hashlib.sha256(str(connection.password).encode()).hexdigest()[:16]
        print(f"{connection.login} at {connection.host}, {connection.extra_dejson['sslmode']}, password {digest}")
        print(f"region {Variable.get('region')}")

    read()


reads_contents()
