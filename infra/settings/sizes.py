"""How large an Airflow is: replicas, resources, tasks at once and database connections, set together by its size.

Every number is arithmetic, docs/sizes.md says which; each can be set by itself.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import Field
from pydantic.alias_generators import to_camel

from components.quantities import mebibytes, millicpus
from infra.settings.base import Cpu, Quantity, SettingsModel

if TYPE_CHECKING:
    from infra.settings.airflow import AirflowSettings
    from infra.settings.environment import Settings

CONNECTIONS_PER_PROCESS: Final = 8
"""The most of one process, ``sql_alchemy_pool_size`` and ``sql_alchemy_max_overflow`` together."""

Copies = Annotated[int, Field(ge=1, le=10)]


class Size(StrEnum):
    """What replicas, resources, tasks at once and database connections start from."""

    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"
    XLARGE = "xlarge"


class Replicas(SettingsModel):
    """How many of each part run at once. What is left out is the size's."""

    api_server: Copies | None = None
    scheduler: Copies | None = None
    dag_processor: Copies | None = None
    triggerer: Copies | None = None


class PartResources(SettingsModel):
    """What one replica asks for and may use at most. What is left out is the size's."""

    cpu: Cpu | None = None
    memory: Quantity | None = None
    cpu_limit: Cpu | None = None
    memory_limit: Quantity | None = None


class Resources(SettingsModel):
    """Resources by part; ``job`` is of the Jobs that prepare an Airflow, ``task`` the default of a task's pod."""

    api_server: PartResources = PartResources()
    scheduler: PartResources = PartResources()
    dag_processor: PartResources = PartResources()
    triggerer: PartResources = PartResources()
    job: PartResources = PartResources()
    task: PartResources = PartResources()
    pooler: PartResources = PartResources()


class PoolerSettings(SettingsModel):
    """PgBouncer between an Airflow's components and its database. What is left out is the size's."""

    enabled: bool | None = None
    replicas: Copies | None = None
    connections: Annotated[int, Field(ge=1, le=1000)] | None = None
    """To the database, of all replicas together."""
    clients: Annotated[int, Field(ge=50, le=100_000)] | None = None
    """Connections that each replica takes from components."""


@dataclass(frozen=True)
class Counts:
    """Replicas by part."""

    api_server: int
    scheduler: int
    dag_processor: int
    triggerer: int

    @property
    def processes(self) -> int:
        """How many processes use the database at once, a Job among them."""
        return self.api_server + self.scheduler + self.dag_processor + self.triggerer + 1


@dataclass(frozen=True)
class Amount:
    """Requests and limits of one container."""

    cpu: str
    memory: str
    cpu_limit: str
    memory_limit: str


@dataclass(frozen=True)
class Amounts:
    """Requests and limits by part."""

    api_server: Amount
    scheduler: Amount
    dag_processor: Amount
    triggerer: Amount
    job: Amount
    task: Amount
    pooler: Amount


@dataclass(frozen=True)
class Pooler:
    """PgBouncer's share of a size."""

    enabled: bool
    replicas: int
    connections: int
    clients: int

    @property
    def connections_each(self) -> int:
        """Of one replica to the database."""
        return -(-self.connections // self.replicas)


@dataclass(frozen=True)
class Capacity:
    """A size in numbers."""

    replicas: Counts
    parallelism: int
    parsing_processes: int
    pooler: Pooler
    resources: Amounts

    @property
    def connections(self) -> int:
        """The most database connections that the Airflow's role needs."""
        if not self.pooler.enabled:
            return self.replicas.processes * CONNECTIONS_PER_PROCESS
        # While PgBouncer is rolled there is one more of it; Jobs go past it.
        return self.pooler.connections_each * (self.pooler.replicas + 1) + CONNECTIONS_PER_PROCESS


_JOB: Final = Amount("100m", "256Mi", "2", "1Gi")
_TASK: Final = Amount("100m", "256Mi", "2", "1Gi")
_POOLER: Final = Amount("50m", "32Mi", "1", "128Mi")

SIZES: Final[Mapping[Size, Capacity]] = {
    Size.SMALL: Capacity(
        replicas=Counts(api_server=1, scheduler=1, dag_processor=1, triggerer=1),
        parallelism=32,
        parsing_processes=2,
        pooler=Pooler(enabled=False, replicas=1, connections=16, clients=200),
        resources=Amounts(
            api_server=Amount("150m", "448Mi", "2", "1536Mi"),
            scheduler=Amount("150m", "320Mi", "2", "2Gi"),
            dag_processor=Amount("100m", "320Mi", "2", "1Gi"),
            triggerer=Amount("100m", "320Mi", "2", "1Gi"),
            job=_JOB,
            task=_TASK,
            pooler=_POOLER,
        ),
    ),
    Size.MEDIUM: Capacity(
        replicas=Counts(api_server=2, scheduler=2, dag_processor=2, triggerer=2),
        parallelism=128,
        parsing_processes=2,
        pooler=Pooler(enabled=True, replicas=2, connections=24, clients=500),
        resources=Amounts(
            api_server=Amount("300m", "768Mi", "2", "2Gi"),
            scheduler=Amount("300m", "512Mi", "2", "2Gi"),
            dag_processor=Amount("300m", "512Mi", "2", "2Gi"),
            triggerer=Amount("150m", "384Mi", "2", "1Gi"),
            job=_JOB,
            task=_TASK,
            pooler=_POOLER,
        ),
    ),
    Size.LARGE: Capacity(
        replicas=Counts(api_server=3, scheduler=2, dag_processor=2, triggerer=2),
        parallelism=256,
        parsing_processes=4,
        pooler=Pooler(enabled=True, replicas=2, connections=40, clients=1000),
        resources=Amounts(
            api_server=Amount("750m", "1Gi", "3", "3Gi"),
            scheduler=Amount("1", "1Gi", "3", "4Gi"),
            dag_processor=Amount("1", "1Gi", "4", "4Gi"),
            triggerer=Amount("300m", "512Mi", "2", "2Gi"),
            job=_JOB,
            task=_TASK,
            pooler=Amount("100m", "64Mi", "1", "256Mi"),
        ),
    ),
    Size.XLARGE: Capacity(
        replicas=Counts(api_server=5, scheduler=3, dag_processor=3, triggerer=3),
        parallelism=512,
        parsing_processes=6,
        pooler=Pooler(enabled=True, replicas=3, connections=72, clients=2000),
        resources=Amounts(
            api_server=Amount("1", "1536Mi", "4", "4Gi"),
            scheduler=Amount("1500m", "2Gi", "4", "6Gi"),
            dag_processor=Amount("1500m", "2Gi", "6", "6Gi"),
            triggerer=Amount("500m", "1Gi", "2", "3Gi"),
            job=_JOB,
            task=_TASK,
            pooler=Amount("200m", "64Mi", "1", "256Mi"),
        ),
    ),
}
"""By size; docs/sizes.md explains the numbers."""


def capacity(airflow: "AirflowSettings") -> Capacity:
    """The size of ``airflow`` with what its settings say otherwise."""
    base = SIZES[airflow.size]
    parts = {
        part.name: _changed(getattr(base.resources, part.name), getattr(airflow.resources, part.name))
        for part in fields(Amounts)
    }
    return replace(
        base,
        replicas=_changed(base.replicas, airflow.replicas),
        parallelism=airflow.parallelism or base.parallelism,
        pooler=_changed(base.pooler, airflow.pooler),
        resources=Amounts(**parts),
    )


def connections_needed(settings: "Settings") -> dict[str, int]:
    """The most database connections that each Airflow needs, by name."""
    return {airflow.name: capacity(airflow).connections for airflow in settings.airflows}


def connection_budgets(settings: "Settings") -> dict[str, int]:
    """The most database connections that each Airflow may hold, by name: its own, whoever else is there."""
    needed = connections_needed(settings)
    return {airflow.name: airflow.database_connections or needed[airflow.name] for airflow in settings.airflows}


def size_problems(settings: "Settings") -> list[str]:
    """Everything about the sizes that does not fit together."""
    return [problem for airflow in settings.airflows for problem in _problems(airflow)]


def _problems(airflow: "AirflowSettings") -> Iterator[str]:
    where = f"airflows.{airflow.name}"
    asked = capacity(airflow)
    if asked.parallelism < asked.replicas.scheduler:
        yield (
            f"{where}.parallelism: {asked.parallelism} tasks can't be shared out among {asked.replicas.scheduler} "
            "schedulers. Raise it, or lower replicas.scheduler"
        )
    if asked.pooler.enabled and asked.pooler.connections < asked.pooler.replicas:
        yield (
            f"{where}.pooler.connections: {asked.pooler.connections} can't be shared out among "
            f"{asked.pooler.replicas} replicas. Raise it, or lower pooler.replicas"
        )
    for part in fields(Amounts):
        amount: Amount = getattr(asked.resources, part.name)
        key = f"{where}.resources.{to_camel(part.name)}"
        if millicpus(amount.cpu) > millicpus(amount.cpu_limit):
            yield f"{key}.cpu: {amount.cpu} is more than cpuLimit, {amount.cpu_limit}. Lower it, or raise cpuLimit"
        if mebibytes(amount.memory) > mebibytes(amount.memory_limit):
            yield (
                f"{key}.memory: {amount.memory} is more than memoryLimit, {amount.memory_limit}. Lower it, or raise "
                "memoryLimit"
            )


def _changed(base: Any, said: SettingsModel) -> Any:
    return replace(base, **{key: value for key, value in said.model_dump().items() if value is not None})
