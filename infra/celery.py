"""The CeleryExecutor's part of an Airflow, as its settings describe it."""

from collections.abc import Callable

from components.airflow import DagImage
from components.airflow.celery.args import Celery, External, HpaScale, KedaScale, Queue, Rabbitmq, Redis
from components.versions import ImageSource
from components.workload import Nodes, Resources
from infra.settings import AirflowSettings, Settings
from infra.settings.celery import (
    CelerySettings,
    ExternalBroker,
    HpaAutoscale,
    KedaAutoscale,
    RabbitmqBroker,
    RedisBroker,
)
from infra.settings.celery import Queue as QueueSettings
from infra.settings.executors import Executor
from infra.settings.tasks import BACKFILL_QUEUE

EXPORTER = "redis-exporter"
REPLICAS = 2
"""One goes on taking tasks while the other one drains."""


def celery_of(
    airflow: AirflowSettings,
    settings: Settings,
    images: ImageSource,
    image: DagImage,
    nodes: Callable[[str | None], Nodes | None],
) -> Celery | None:
    """The arguments, or None without the CeleryExecutor. ``nodes`` are those of a task pool by its name."""
    if Executor.CELERY not in airflow.executor:
        return None
    asked = airflow.celery or CelerySettings()
    exporter = images.reference(EXPORTER) if settings.metrics and settings.metrics.redis else None
    results: Redis | None = Redis(images.reference("redis"), exporter=exporter)
    match asked.broker:
        case RedisBroker() as broker:
            server = results = Redis(
                images.reference("redis"), broker.size, broker.memory, broker.storage_class, exporter
            )
        case RabbitmqBroker() as broker:
            measured = settings.metrics is not None
            server = Rabbitmq(images.reference("rabbitmq"), broker.size, broker.memory, broker.storage_class, measured)
            results = Redis(images.reference("redis"), storage_class=broker.storage_class, exporter=exporter)
        case ExternalBroker() as broker:
            server = External(broker.transport)
            results = None if broker.transport == "redis" else results
    return Celery(
        broker=server,
        results=results,
        queues=tuple(_queue(queue, airflow, asked, settings, image, nodes) for queue in asked.served),
        flower=asked.flower,
    )


def broker_images(settings: Settings) -> tuple[str, ...]:
    """The names of the images that brokers of these ``settings`` run, and nothing else does."""
    kinds = {
        airflow.celery.broker.kind if airflow.celery else "redis"
        for airflow in settings.airflows
        if Executor.CELERY in airflow.executor
    }
    # Every broker but a Redis has one beside it, for results.
    made = ["redis"] * bool(kinds) + ["rabbitmq"] * ("rabbitmq" in kinds)
    measured = settings.metrics is not None and settings.metrics.redis
    return (*made, *([EXPORTER] if kinds and measured else []))


def scales_by_cpu(settings: Settings) -> bool:
    """Whether the number of some queue's workers follows the CPU that they use: the cluster has to measure it."""
    return any(
        isinstance(queue.autoscale, HpaAutoscale)
        for airflow in settings.airflows
        if Executor.CELERY in airflow.executor
        for queue in (airflow.celery or CelerySettings()).served
    )


def _queue(
    queue: QueueSettings,
    airflow: AirflowSettings,
    celery: CelerySettings,
    settings: Settings,
    image: DagImage,
    nodes: Callable[[str | None], Nodes | None],
) -> Queue:
    own = DagImage(**queue.image.model_dump()) if queue.image else image
    return Queue(
        name=queue.name,
        concurrency=queue.concurrency,
        longest_task_seconds=celery.longest(queue),
        resources=worker_resources(queue, airflow),
        scale=_scale(queue, settings),
        image=own.reference,
        version=own.version,
        nodes=nodes(queue.task_pool),
        lane=_is_lane(queue, airflow),
    )


def _is_lane(queue: QueueSettings, airflow: AirflowSettings) -> bool:
    return airflow.backfill is not None and queue.name == BACKFILL_QUEUE


def _scale(queue: QueueSettings, settings: Settings) -> int | HpaScale | KedaScale:
    match queue.autoscale:
        case None:
            return queue.replicas or REPLICAS
        case HpaAutoscale() as scale:
            return HpaScale(scale.min, scale.max, scale.cpu_percent, scale.scale_down_seconds)
        case KedaAutoscale() as scale:
            assert settings.cluster.keda_namespace is not None  # the settings see to it
            return KedaScale(
                scale.min,
                scale.max,
                scale.tasks_per_worker or queue.concurrency,
                scale.scale_down_seconds,
                scale.polling_seconds,
                settings.cluster.keda_namespace,
            )


def worker_resources(queue: QueueSettings, airflow: AirflowSettings) -> Resources:
    """What a worker of ``queue`` gets. By default for tasks that do little themselves: what a worker takes idle, and a
    share for each task that it runs.

    Workers for backfills ask for no such share on nodes that others use, too: where cores are short, they are divided
    by what pods ask for, and today's tasks and what starts them go first (docs/load.md). Where their number follows
    what they use of it, they need one.
    """
    if queue.resources:
        return Resources(**queue.resources.model_dump())
    concurrency = queue.concurrency
    yields = _is_lane(queue, airflow) and queue.task_pool is None and not isinstance(queue.autoscale, HpaAutoscale)
    return Resources(
        cpu=f"{100 + (0 if yields else 100 * concurrency)}m",
        memory=f"{320 + 96 * concurrency}Mi",
        cpu_limit=str(max(2, concurrency)),
        memory_limit=f"{640 + 384 * concurrency}Mi",
    )
