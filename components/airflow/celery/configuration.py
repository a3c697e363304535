"""What airflow.cfg says about Celery. Addresses and passwords are not in it: they come from a Secret."""

import json

from components.airflow.celery.args import DEFAULT_QUEUE, Celery, External, Redis
from components.airflow.task_logs import Sections

LOG_SERVER_PORT = 8793
VISIBILITY_MARGIN_SECONDS = 3600
"""Between the longest task and the moment when its message is given to another worker: waiting in a worker counts."""
FLOWER_PORT = 5555


def visibility_seconds(celery: Celery) -> int:
    """When a broker gives a message to another worker because the first one has not said that it is done."""
    return celery.longest_task_seconds + VISIBILITY_MARGIN_SECONDS


def on_redis(celery: Celery) -> bool:
    """Whether the broker is a Redis."""
    match celery.broker:
        case External(transport=transport):
            return transport == "redis"
        case broker:
            return isinstance(broker, Redis)


def celery_sections(celery: Celery) -> Sections:
    """Sections for airflow.cfg (airflow/providers/celery/executors/default_celery.py of 3.26.0 reads them)."""
    sections: Sections = {
        "celery": {
            # A worker takes no message that it can't start, and gives one back only when its task is done: what a
            # worker that died had, another one gets.
            "worker_prefetch_multiplier": "1",
            "task_acks_late": "True",
            "task_track_started": "True",
            "broker_connection_retry_on_startup": "True",
            # The workers' liveness asks by it, and Flower.
            "worker_enable_remote_control": "True",
            # One process to publish from: by default it is one for each CPU of the node, whatever the pod may use.
            "sync_parallelism": "1",
            # While the broker is away, a task waits to be queued, for ten minutes at least: a publication fails by
            # timing out, after seconds, and is tried again in the scheduler's next round. With Celery's own policy it
            # fails after one second for good, and the task with it.
            "operation_timeout": "3",
            "task_publish_max_retries": "200",
            "extra_celery_config": json.dumps(
                {
                    # What every task would import anew after its fork, 120 modules and as many ms of CPU: once, before.
                    # The provider's own list (on_celery_import_modules) lacks them.
                    "imports": ["airflow.dag_processing.dagbag", "airflow.providers.standard.decorators.python"],
                    # For ever: after the default of 100 tries a worker ends, and kills the tasks that it runs.
                    "broker_connection_max_retries": None,
                    # The start of a task is a result, too: it must be there for as long as the task runs.
                    "result_expires": 86400 + visibility_seconds(celery),
                    "task_publish_retry_policy": {"max_retries": None, "interval_step": 0.5, "interval_max": 1},
                    # A worker keeps a result until Redis takes it. Without this it is lost, and the task counts as one
                    # that never ended.
                    "result_backend_always_retry": True,
                    "result_backend_base_sleep_between_retries_ms": 500,
                    "redis_socket_keepalive": True,
                    "redis_backend_health_check_interval": 25,
                }
            ),
        },
        "operators": {"default_queue": DEFAULT_QUEUE},
    }
    options = {"confirm_publish": "True"}
    if on_redis(celery):
        options = {"visibility_timeout": str(visibility_seconds(celery)), "socket_keepalive": "True"}
    sections["celery_broker_transport_options"] = options
    return sections
