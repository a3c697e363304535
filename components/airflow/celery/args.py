"""What the Celery part of an Airflow is made from."""

from dataclasses import dataclass

from components.workload import Nodes, Resources

DEFAULT_QUEUE = "default"
"""Where tasks go that name no queue (``[operators] default_queue``)."""


@dataclass(frozen=True)
class Redis:
    """A Redis of the Airflow's own; it also keeps what became of each task where the broker is another one.

    ``size`` of the volume and most ``memory`` with a binary unit; ``storage_class`` None takes the cluster's default.
    ``exporter``: the image that shows its metrics; None: nothing does.
    """

    image: str
    size: str = "1Gi"
    memory: str = "256Mi"
    storage_class: str | None = None
    exporter: str | None = None


@dataclass(frozen=True)
class Rabbitmq:
    """A RabbitMQ of the Airflow's own. The same units as ``Redis``. ``measured``: whether it shows its metrics."""

    image: str
    size: str = "2Gi"
    memory: str = "512Mi"
    storage_class: str | None = None
    measured: bool = False


@dataclass(frozen=True)
class External:
    """A broker that is there already; its URL is the secret ``celery_broker_url``."""

    transport: str
    """``redis`` or ``amqp``."""


@dataclass(frozen=True)
class HpaScale:
    """Workers by the CPU that they use, in percent of what they ask for."""

    least: int
    most: int
    cpu_percent: int
    scale_down_seconds: int


@dataclass(frozen=True)
class KedaScale:
    """Workers by the number of messages, by KEDA, which runs in the namespace ``operator``."""

    least: int
    most: int
    tasks_per_worker: int
    scale_down_seconds: int
    polling_seconds: int
    operator: str


@dataclass(frozen=True)
class Queue:
    """One queue and the workers that serve it. ``longest_task_seconds`` is how long a drain may take."""

    name: str
    concurrency: int
    longest_task_seconds: int
    resources: Resources
    scale: int | HpaScale | KedaScale
    """A fixed number of workers, or who decides on it."""
    image: str
    version: str
    """Labels the pods."""
    nodes: Nodes | None = None
    lane: bool = False
    """For backfills: its workers go last where there is no room for all pods."""


@dataclass(frozen=True)
class Celery:
    """``results`` keeps what became of each task; None: the external broker, a Redis, does."""

    broker: Redis | Rabbitmq | External
    results: Redis | None
    queues: tuple[Queue, ...]
    flower: bool = False

    @property
    def longest_task_seconds(self) -> int:
        """Over all queues."""
        return max(queue.longest_task_seconds for queue in self.queues)
