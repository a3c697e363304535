"""Rules between an Airflow's executors, its queues, the cluster and the secrets that are given for it."""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from infra.settings.airflow import AirflowSettings, ProvidedSecrets
from infra.settings.base import ENCRYPTED
from infra.settings.celery import DEFAULT_QUEUE, CelerySettings, ExternalBroker, KedaAutoscale, Queue
from infra.settings.cluster import GkeCluster
from infra.settings.executors import Executor

if TYPE_CHECKING:
    from infra.settings.environment import Settings

SCHEMES = {"redis": ("redis", "rediss"), "amqp": ("amqp", "amqps")}


def celery_problems(settings: "Settings") -> list[str]:
    """Everything about executors and queues that does not fit together."""
    problems: list[str] = []
    for airflow in settings.airflows:
        secrets = settings.secrets.get(airflow.name, ProvidedSecrets())
        where = f"airflows.{airflow.name}"
        if Executor.CELERY not in airflow.executor:
            problems += _left_over(where, airflow, secrets)
            continue
        celery = airflow.celery or CelerySettings()
        problems += _broker_problems(where, airflow.name, celery, secrets)
        external = isinstance(celery.broker, ExternalBroker)
        if external and settings.network_policies.enabled and not airflow.network.component_destinations:
            problems.append(
                f"{where}.network.componentDestinations: must name the broker's address, or the network policies keep "
                "the scheduler from it. Add its cidr and port"
            )
        problems += _queue_problems(where, celery)
        for queue in celery.served:
            problems += _worker_problems(f"{where}.celery.queues.{queue.name}", queue, celery, settings)
    return problems


def _left_over(where: str, airflow: AirflowSettings, secrets: ProvidedSecrets) -> Iterator[str]:
    if airflow.celery is not None:
        yield f"{where}.celery: nothing reads it without the CeleryExecutor. Remove it, or add that to {where}.executor"
    if secrets.celery_broker_url is not None:
        yield (
            f"secrets.{airflow.name}.celeryBrokerUrl: nothing reads it without the CeleryExecutor. Remove it, or add "
            f"that to {where}.executor"
        )
    for key, rotation in (
        ("brokerPassword", airflow.rotations.broker_password),
        ("flowerPassword", airflow.rotations.flower_password),
    ):
        if rotation:
            yield f"{where}.rotations.{key}: there is no such password without the CeleryExecutor. Remove it"


def _broker_problems(where: str, name: str, celery: CelerySettings, secrets: ProvidedSecrets) -> Iterator[str]:
    url = secrets.celery_broker_url
    if not isinstance(celery.broker, ExternalBroker):
        if url is not None:
            yield (
                f"secrets.{name}.celeryBrokerUrl: nothing reads it, the broker is made here. Remove it, or choose kind "
                f"'external' in {where}.celery.broker"
            )
        return
    if url is None:
        yield (
            f"secrets.{name}.celeryBrokerUrl: is missing, and {where}.celery.broker is of kind 'external'. Set it "
            f"with: pulumi config set --secret --path 'airflow-platform:secrets.{name}.celeryBrokerUrl'"
        )
        return
    text = url.get_secret_value()
    allowed = SCHEMES[celery.broker.transport]
    # The address itself is never shown: there is a password in it.
    if text != ENCRYPTED and not _leads_somewhere(text, allowed):
        forms = " or ".join(f"{scheme}://user:password@host:port/…" for scheme in allowed)
        yield (
            f"secrets.{name}.celeryBrokerUrl: does not have the form of the transport "
            f"'{celery.broker.transport}'. Write {forms}, or change {where}.celery.broker.transport"
        )


def _leads_somewhere(url: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in schemes and bool(parts.hostname)


def _queue_problems(where: str, celery: CelerySettings) -> Iterator[str]:
    counts = Counter(queue.name for queue in celery.served)
    for name, count in counts.items():
        if count > 1:
            yield (
                f"{where}.celery.queues: the name '{name}' is used {count} times. Workers belong to one queue: rename "
                "all but one, or make them one"
            )
    if DEFAULT_QUEUE not in counts:
        yield (
            f"{where}.celery.queues: none is called '{DEFAULT_QUEUE}', and tasks that name no queue go there: no "
            "worker would take them. Call one so"
        )


def _worker_problems(where: str, queue: Queue, celery: CelerySettings, settings: "Settings") -> Iterator[str]:
    scale = queue.autoscale
    if scale is not None and queue.replicas is not None:
        yield f"{where}.replicas: autoscale decides on that. Leave one of the two out"
    if scale is not None and scale.min > scale.max:
        yield f"{where}.autoscale.min: {scale.min} is more than max, {scale.max}. Lower it, or raise max"
    if isinstance(scale, KedaAutoscale):
        if settings.cluster.keda_namespace is None:
            yield (
                f"{where}.autoscale: needs KEDA in the cluster. Install it (https://keda.sh/docs/latest/deploy/) and "
                "say so with cluster.kedaNamespace: keda, or choose kind 'hpa'"
            )
        if isinstance(celery.broker, ExternalBroker) and celery.broker.transport == "redis":
            yield (
                f"{where}.autoscale: KEDA takes no URL of a Redis, which is all that is known of yours. Choose kind "
                "'hpa', or a broker of kind 'redis'"
            )
    pools = settings.cluster.task_pools if isinstance(settings.cluster, GkeCluster) else {}
    if queue.task_pool is not None and queue.task_pool not in pools:
        known = f"Known are: {', '.join(sorted(pools))}" if pools else "This cluster has none: leave it out"
        yield f"{where}.taskPool: there is no pool '{queue.task_pool}'. {known}"
