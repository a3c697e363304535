"""Liveness of a Celery worker: does it answer, does it listen to its queue, and does it take what waits there?

``celery inspect ping`` says less: after a restart of the broker, workers have answered it and taken no task any more
(apache/airflow#63580). It also imports all of Airflow at each probe; this does not.

Usage: worker_alive.py QUEUE
"""

import os
import socket
import sys

from celery import Celery
from celery.exceptions import OperationalError
from kombu.exceptions import OperationalError as BrokerError

CONNECT_SECONDS = 5
ANSWER_SECONDS = 8


def waiting(connection, queue: str) -> int:
    """How many messages no worker has taken; 0 where the queue has not been made yet."""
    with connection.channel() as channel:
        try:
            return int(channel.queue_declare(queue, passive=True).message_count)
        except connection.channel_errors:
            return 0


def look(app: Celery, queue: str) -> tuple[int, str]:
    me = f"celery@{socket.gethostname()}"
    with app.connection_for_write(connect_timeout=CONNECT_SECONDS) as connection:
        connection.ensure_connection(max_retries=1, interval_start=0, timeout=CONNECT_SECONDS)
        asked = app.control.inspect(destination=[me], timeout=ANSWER_SECONDS, connection=connection)
        queues = (asked.active_queues() or {}).get(me)
        if queues is None:
            return 1, f"{me} does not answer"
        if queue not in {one["name"] for one in queues}:
            return 1, f"{me} does not listen to the queue {queue}"
        count = waiting(connection, queue)
        taken = count and sum(len((said() or {}).get(me, ())) for said in (asked.active, asked.reserved))
    # A busy worker has tasks; one that has none, probe after probe, while tasks wait, takes none.
    if count and not taken:
        return 1, f"{me} runs nothing, and {count} tasks wait in the queue {queue}"
    return 0, f"{me} listens to the queue {queue}; {count} tasks wait"


def main(queue: str) -> int:
    app = Celery("liveness", broker=os.environ["AIRFLOW__CELERY__BROKER_URL"], set_as_current=False)
    app.conf.update(broker_connection_retry=False, accept_content=["json"])
    try:
        code, said = look(app, queue)
    except (OperationalError, BrokerError, OSError, *app.connection_for_write().connection_errors) as error:
        # A restart does not mend a broker that is away, and would kill the tasks that run meanwhile.
        code, said = 0, f"broker not reached, liveness unknown: {type(error).__name__}"
    print(said)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
