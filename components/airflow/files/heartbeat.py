"""Liveness of one Airflow component: is its latest heartbeat in the database recent?

``airflow jobs check`` says the same, but imports all of Airflow for it: seconds of CPU at each probe, which is why so
many installations restart healthy components. This takes a tenth of a second.

Usage: heartbeat.py JOB_TYPE MAX_AGE_SECONDS
"""

import os
import signal
import socket
import sys

import psycopg2
from psycopg2.extensions import set_wait_callback
from psycopg2.extras import wait_select

CONNECT_TIMEOUT_SECONDS = 5
ANSWER_SECONDS = 10
QUERY = """
SELECT extract(epoch FROM now() - max(latest_heartbeat))
FROM job WHERE job_type = %s AND hostname = %s AND state = 'running'
"""


def own_address() -> str:
    """What ``[core] hostname_callable`` makes Airflow write into its job row: the pod's address."""
    return socket.gethostbyname(socket.gethostname())


def give_up(signal_number: int, frame: object) -> None:
    raise TimeoutError


def main(job_type: str, limit: float) -> int:
    # PgBouncer takes the connection of whoever comes and lets the query wait for a database that is away.
    set_wait_callback(wait_select)  # else a signal would only be seen when the query is over
    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(ANSWER_SECONDS)
    dsn = os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("postgresql+psycopg2://", "postgresql://", 1)
    try:
        connection = psycopg2.connect(dsn, connect_timeout=CONNECT_TIMEOUT_SECONDS)
        with connection.cursor() as cursor:
            cursor.execute(QUERY, (job_type, own_address()))
            row = cursor.fetchone()
    except (psycopg2.OperationalError, TimeoutError) as error:
        # A restart does not mend a database that is away, and would kill what waits for it.
        print(f"database not reached, liveness unknown: {type(error).__name__}")
        return 0
    age = row[0] if row else None
    if age is None:
        print(f"no running {job_type} of {own_address()} in the database")
        return 1
    print(f"latest heartbeat {float(age):.0f} s ago, at most {limit:.0f} s allowed")
    return 0 if float(age) <= limit else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2])))
