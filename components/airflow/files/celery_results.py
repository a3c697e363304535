"""Where what became of Celery's tasks is kept: a Redis that may be away for a while, and is asked, not listened to.

Celery's own class ends the scheduler when Redis restarts while tasks run, and with it the tasks of its other executors;
and it subscribes to each task's channel, which Airflow never waits on.
"""

import logging

from celery.backends.redis import RedisBackend

log = logging.getLogger(__name__)


class PolledRedis(RedisBackend):
    """``[celery] result_backend = celery_results:PolledRedis+redis://…``"""

    def on_task_call(self, producer, task_id):
        """Subscribes to nothing."""

    def mget(self, keys):
        try:
            return super().mget(keys)
        except self.connection_errors as error:
            # Airflow takes no answer as "not ended yet", and asks again some seconds later.
            log.warning("Redis not reached, results of %d tasks unknown: %s", len(keys), type(error).__name__)
            return [None for _ in keys]
