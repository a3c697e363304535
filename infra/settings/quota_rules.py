"""Whether a quota leaves room for the Airflow itself and one task, and its limits for what each part may use."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from components.quantities import mebibytes, millicpus
from infra.settings.airflow import AirflowSettings
from infra.settings.celery import CelerySettings
from infra.settings.dags import GitSyncDags
from infra.settings.executors import Executor
from infra.settings.sizes import Amount, capacity

if TYPE_CHECKING:
    from components.airflow.quota import Part
    from components.workload import Resources
    from infra.settings.environment import Settings


def quota_problems(settings: "Settings") -> list[str]:
    """Every quota and every limit of ``settings`` that its Airflow can't run under, with the sum."""
    return [problem for airflow in settings.airflows for problem in _problems(settings, airflow)]


def _problems(settings: "Settings", airflow: AirflowSettings) -> Iterator[str]:
    if airflow.quota is None and airflow.containers is None:
        return
    where = f"airflows.{airflow.name}"
    parts = parts_of(settings, airflow)
    if (quota := airflow.quota) is not None:
        if quota.cpu is not None and millicpus(quota.cpu) < (least := sum(part.cpu * part.pods for part in parts)):
            listed = " + ".join(f"{part.name} {part.pods} x {part.cpu}m" for part in parts)
            yield _too_small(f"{where}.quota.cpu", quota.cpu, listed, f"{least}m")
        if quota.memory is not None and mebibytes(quota.memory) < (
            least := sum(part.memory * part.pods for part in parts)
        ):
            listed = " + ".join(f"{part.name} {part.pods} x {part.memory}Mi" for part in parts)
            yield _too_small(f"{where}.quota.memory", quota.memory, listed, f"{least}Mi")
        if quota.pods is not None and quota.pods < (least := sum(part.pods for part in parts)):
            listed = " + ".join(f"{part.name} {part.pods}" for part in parts)
            yield _too_small(f"{where}.quota.pods", str(quota.pods), listed, str(least))
    if (limits := airflow.containers) is not None:
        every = [container for part in parts for container in part.containers]
        highest_cpu = max((one.cpu_limit for one in every), key=millicpus)
        highest_memory = max((one.memory_limit for one in every), key=mebibytes)
        if limits.max_cpu is not None and millicpus(limits.max_cpu) < millicpus(highest_cpu):
            yield _too_low(f"{where}.containers.maxCpu", limits.max_cpu, highest_cpu)
        if limits.max_memory is not None and mebibytes(limits.max_memory) < mebibytes(highest_memory):
            yield _too_low(f"{where}.containers.maxMemory", limits.max_memory, highest_memory)
        for key, lower, upper in (
            ("cpuLimit", millicpus(limits.cpu), millicpus(limits.cpu_limit)),
            ("memoryLimit", mebibytes(limits.memory), mebibytes(limits.memory_limit)),
        ):
            if upper < lower:
                yield f"{where}.containers.{key}: is less than what such a container requests. Raise it"


def parts_of(settings: "Settings", airflow: AirflowSettings) -> Sequence["Part"]:
    """The pods of ``airflow`` when an update is busiest, with old and new ones side by side; and one task."""
    from components.airflow.git_sync import RESOURCES as GIT_SYNC  # noqa: PLC0415
    from components.airflow.pgbouncer import EXPORTER  # noqa: PLC0415
    from components.airflow.quota import Part  # noqa: PLC0415 (keeps settings free of the SDKs)
    from components.airflow.statsd import RESOURCES as STATSD  # noqa: PLC0415
    from components.auth_proxy import RESOURCES as PROXY  # noqa: PLC0415
    from infra.celery import REPLICAS, worker_resources  # noqa: PLC0415
    from infra.sizing import resources_of  # noqa: PLC0415

    local = Executor.LOCAL in airflow.executor
    size = capacity(airflow)
    amounts, replicas = size.resources, size.replicas
    # Behind a pooler, only that has a way to the database of its own.
    proxy = [] if settings.database.kind == "in-cluster" else [PROXY]
    own_proxy = [] if size.pooler.enabled else proxy
    git = [GIT_SYNC] if isinstance(airflow.dags, GitSyncDags) else []

    def part(name: str, amount: Amount, pods: int, *beside: "Resources") -> "Part":
        return Part(name, [resources_of(amount), *own_proxy, *beside], pods)

    parts = [
        part("api-server", amounts.api_server, replicas.api_server + 1),
        # One that runs tasks itself goes before its successor comes.
        part("scheduler", amounts.scheduler, replicas.scheduler + (not local), *(git if local else ())),
        part("dag-processor", amounts.dag_processor, replicas.dag_processor + 1, *git),
        part("triggerer", amounts.triggerer, replicas.triggerer + 1),
    ]
    if size.pooler.enabled:
        pooler = [resources_of(amounts.pooler), EXPORTER, *proxy]
        parts.append(Part("pgbouncer", pooler, size.pooler.replicas + 1))
    if settings.metrics:
        parts.append(Part("statsd", [STATSD], 1))  # it goes before its successor comes
    if Executor.CELERY in airflow.executor:
        celery = airflow.celery or CelerySettings()
        # A worker goes before its successor comes; where their number varies, the least of them count.
        parts += [
            Part(
                f"worker-{queue.name}",
                [worker_resources(queue, airflow)],
                queue.autoscale.min if queue.autoscale else queue.replicas or REPLICAS,
            )
            for queue in celery.served
        ]
    return [*parts, Part("task", [resources_of(amounts.task)], 1)] if Executor.KUBERNETES in airflow.executor else parts


def _too_small(where: str, given: str, listed: str, least: str) -> str:
    return (
        f"{where}: {given} is too small for the Airflow's own parts while they are replaced, and one task: {listed} = "
        f"{least}. Allow at least that, or leave it out"
    )


def _too_low(where: str, given: str, highest: str) -> str:
    return f"{where}: {given} is less than a part of Airflow's own may use, {highest}. Allow at least that"
