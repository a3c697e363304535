"""Settings of the CeleryExecutor: where messages wait, which queues there are, and who serves them."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from infra.settings.base import MOUNTABLE_NAME, Cpu, DnsLabel, Quantity, SettingsModel

DEFAULT_QUEUE = "default"
"""Where tasks go that name no queue."""
StorageClass = Annotated[str, StringConstraints(pattern=MOUNTABLE_NAME)]
Seconds = Annotated[int, Field(ge=60, le=7 * 86400)]


class RedisBroker(SettingsModel):
    """A Redis of this Airflow's own, on a volume."""

    kind: Literal["redis"]
    size: Quantity = "1Gi"
    memory: Quantity = "256Mi"
    """The most that it may use; half of it for messages."""
    storage_class: StorageClass | None = None
    """None takes the cluster's default class."""


class RabbitmqBroker(SettingsModel):
    """A RabbitMQ of this Airflow's own, on a volume, and a small Redis for what became of tasks."""

    kind: Literal["rabbitmq"]
    size: Quantity = "2Gi"
    memory: Quantity = "512Mi"
    storage_class: StorageClass | None = None


class ExternalBroker(SettingsModel):
    """A broker that is there already. Its URL is a secret: ``secrets.<airflow>.celeryBrokerUrl``."""

    kind: Literal["external"]
    transport: Literal["redis", "amqp"]
    """``redis`` for redis:// and rediss://, ``amqp`` for amqp:// and amqps://."""


Broker = Annotated[RedisBroker | RabbitmqBroker | ExternalBroker, Field(discriminator="kind")]


class HpaAutoscale(SettingsModel):
    """As many workers as their CPU asks for. Never none: then there is no CPU to go by."""

    kind: Literal["hpa"]
    min: Annotated[int, Field(ge=1, le=500)] = 1
    max: Annotated[int, Field(ge=1, le=500)]
    cpu_percent: Annotated[int, Field(ge=10, le=200)] = 70
    """Of what the workers ask for."""
    scale_down_seconds: Annotated[int, Field(ge=0, le=3600)] = 300
    """How long fewer must have been enough."""


class KedaAutoscale(SettingsModel):
    """As many workers as a queue's tasks ask for, down to none. By KEDA, which must be in the cluster."""

    kind: Literal["keda"]
    min: Annotated[int, Field(ge=0, le=500)] = 0
    max: Annotated[int, Field(ge=1, le=500)]
    tasks_per_worker: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Tasks for each worker. None: as many as a worker runs at once."""
    scale_down_seconds: Annotated[int, Field(ge=0, le=3600)] = 300
    polling_seconds: Annotated[int, Field(ge=1, le=600)] = 10


Autoscale = Annotated[HpaAutoscale | KedaAutoscale, Field(discriminator="kind")]


class WorkerResources(SettingsModel):
    """What a worker asks for, and may use at most, for all the tasks that it runs at once."""

    cpu: Cpu
    memory: Quantity
    cpu_limit: Cpu
    memory_limit: Quantity


class WorkerImage(SettingsModel):
    """An image for one queue. It holds the same Airflow as the others, and the DAGs if they are baked."""

    repository: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._/:-]*[a-z0-9]$")]
    version: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$")]
    digest: Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")] | None = None


class Queue(SettingsModel):
    """A queue that a task names (``queue="heavy"``), and the workers that serve it and nothing else."""

    name: Annotated[DnsLabel, StringConstraints(max_length=30)]
    replicas: Annotated[int, Field(ge=1, le=500)] | None = None
    """A fixed number of workers. None: 2, or what ``autoscale`` says."""
    autoscale: Autoscale | None = None
    concurrency: Annotated[int, Field(ge=1, le=256)] = 4
    """Tasks that a worker runs at once."""
    resources: WorkerResources | None = None
    """None: by ``concurrency``."""
    task_pool: DnsLabel | None = None
    """Of ``cluster.taskPools``. None: the Airflow's."""
    image: WorkerImage | None = None
    """None: the Airflow's."""
    longest_task_seconds: Seconds | None = None
    """None: that of all queues."""


class CelerySettings(SettingsModel):
    """The broker, the queues, and how long a task may take."""

    broker: Broker = RedisBroker(kind="redis")
    queues: tuple[Queue, ...] = ()
    """Empty: one, ``default``."""
    longest_task_seconds: Seconds = 6 * 3600
    """A worker that goes (a new image, fewer workers, a node that is drained) gets that long to finish its tasks; one
    that takes longer is killed then."""
    flower: bool = False

    @property
    def served(self) -> tuple[Queue, ...]:
        """The queues that have workers."""
        return self.queues or (Queue(name=DEFAULT_QUEUE),)

    @property
    def longest_of_all(self) -> int:
        """Seconds that a task in any queue may take."""
        return max(self.longest(queue) for queue in self.served)

    def longest(self, queue: Queue) -> int:
        """Seconds that a task in ``queue`` may take."""
        return queue.longest_task_seconds or self.longest_task_seconds
