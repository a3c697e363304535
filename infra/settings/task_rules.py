"""Whether task shapes and the backfill lane can work: pools that exist, nodes that are large enough, executors."""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from components.quantities import mebibytes, millicpus
from infra.settings.airflow import AirflowSettings
from infra.settings.celery import CelerySettings
from infra.settings.cluster import GkeCluster, TaskPool
from infra.settings.customisation_rules import image_problems
from infra.settings.executors import Executor
from infra.settings.sizes import capacity
from infra.settings.tasks import BACKFILL_QUEUE, TaskShape

if TYPE_CHECKING:
    from infra.settings.environment import Settings

MACHINE = re.compile(r"(?P<family>[a-z][a-z0-9]*)-(?P<kind>standard|highmem|highcpu)-(?P<cpus>[0-9]+)")
MOST_GIB_PER_CPU = {"highcpu": 2, "standard": 4, "highmem": 8}
"""The most that a machine type of this kind has in any family that has it
(https://cloud.google.com/compute/docs/general-purpose-machines)."""


def task_problems(settings: "Settings") -> list[str]:
    """Everything that is wrong with the shapes and lanes of all Airflows."""
    pools = settings.cluster.task_pools if isinstance(settings.cluster, GkeCluster) else {}
    problems: list[str] = []
    for airflow in settings.airflows:
        where = f"airflows.{airflow.name}"
        for name, shape in airflow.task_shapes.items():
            problems += _shape_problems(f"{where}.taskShapes.{name}", airflow, shape, pools)
            if shape.image:
                problems += image_problems(f"{where}.taskShapes.{name}", shape.image, settings)
        problems += _backfill_problems(f"{where}.backfill", airflow, pools)
    return problems


def _shape_problems(
    where: str, airflow: AirflowSettings, shape: TaskShape, pools: Mapping[str, TaskPool]
) -> Iterator[str]:
    if Executor.KUBERNETES not in airflow.executor:
        yield f"{where}: tasks have pods of their own with the KubernetesExecutor only. Remove it, or add that executor"
        return
    if shape.cpu and shape.cpu_limit and millicpus(shape.cpu_limit) < millicpus(shape.cpu):
        yield f"{where}.cpuLimit: {shape.cpu_limit} is less than cpu, {shape.cpu}. Raise it, or leave it out"
    if shape.memory and shape.memory_limit and mebibytes(shape.memory_limit) < mebibytes(shape.memory):
        yield f"{where}.memoryLimit: {shape.memory_limit} is less than memory, {shape.memory}. Raise it, or drop it"
    yield from _pool_problems(where, shape.task_pool, pools)
    pool = pools.get(shape.task_pool or airflow.task_pool or next(iter(pools), ""))
    machine = MACHINE.fullmatch(pool.machine_type) if pool else None
    if pool and machine:
        cpus, memory = int(machine["cpus"]), int(machine["cpus"]) * MOST_GIB_PER_CPU[machine["kind"]]
        # What Kubernetes keeps for itself comes on top, so a request of the whole machine never fits.
        for key, asked, most, unit in (
            ("cpu", millicpus(shape.cpu or "0") / 1000, cpus, "CPUs"),
            ("memory", mebibytes(shape.memory or "0Mi") / 1024, memory, "GiB"),
        ):
            if asked >= most:
                yield (
                    f"{where}.{key}: {getattr(shape, key)} never fits on a {pool.machine_type} of its pool, which has "
                    f"{most} {unit}, some of them for Kubernetes itself. Ask for less, or name a pool of larger ones"
                )


def _backfill_problems(where: str, airflow: AirflowSettings, pools: Mapping[str, TaskPool]) -> Iterator[str]:
    lane = airflow.backfill
    if lane is None:
        return
    parallelism = capacity(airflow).parallelism
    if lane.slots >= parallelism:
        yield (
            f"{where}.slots: {lane.slots} leaves nothing of parallelism, {parallelism}, for today's runs. "
            "Lower it, or raise parallelism"
        )
    served = {queue.name for queue in (airflow.celery or CelerySettings()).served}
    if Executor.CELERY in airflow.executor and BACKFILL_QUEUE not in served:
        yield (
            f"{where}: no worker serves the queue '{BACKFILL_QUEUE}', where the tasks of backfills go. Add one to "
            f"airflows.{airflow.name}.celery.queues"
        )
    if lane.task_pool and Executor.KUBERNETES not in airflow.executor:
        yield f"{where}.taskPool: is for tasks with pods of their own, the KubernetesExecutor's. Leave it out"
    else:
        yield from _pool_problems(where, lane.task_pool, pools)


def _pool_problems(where: str, pool: str | None, pools: Mapping[str, TaskPool]) -> Iterator[str]:
    if pool is not None and pool not in pools:
        known = f"Known are: {', '.join(sorted(pools))}" if pools else "This cluster has none: leave it out"
        yield f"{where}.taskPool: there is no pool '{pool}'. {known}"
