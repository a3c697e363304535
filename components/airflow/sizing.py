"""How many of each part of an Airflow there are, and how much of a node each asks for and may use."""

from dataclasses import dataclass

from components.workload import Resources


@dataclass(frozen=True)
class Replicas:
    """How many of each part run at once."""

    api_server: int = 1
    scheduler: int = 1
    dag_processor: int = 1
    triggerer: int = 1

    def of(self, part: str) -> int:
        """Of the part with this name: ``api-server``."""
        count: int = getattr(self, part.replace("-", "_"))
        return count


@dataclass(frozen=True)
class Pooler:
    """PgBouncer between the components and the database.

    ``connections`` are those of each replica to the database, ``clients`` those that each takes. ``resources`` are
    PgBouncer's own.
    """

    image: str
    exporter_image: str
    replicas: int
    connections: int
    clients: int
    resources: Resources


@dataclass(frozen=True)
class Sizing:
    """Resources and replicas by part; ``task`` is the default of a task's pod.

    ``parsing_processes`` is how many files each dag-processor reads at once. ``pooler`` None: the components connect to
    the database themselves.
    """

    api_server: Resources
    scheduler: Resources
    dag_processor: Resources
    triggerer: Resources
    job: Resources
    task: Resources
    replicas: Replicas = Replicas()
    parsing_processes: int = 2
    pooler: Pooler | None = None


SMALL = Sizing(
    api_server=Resources(cpu="150m", memory="448Mi", cpu_limit="2", memory_limit="1536Mi"),
    scheduler=Resources(cpu="150m", memory="320Mi", cpu_limit="2", memory_limit="2Gi"),
    dag_processor=Resources(cpu="100m", memory="320Mi", cpu_limit="2", memory_limit="1Gi"),
    triggerer=Resources(cpu="100m", memory="320Mi", cpu_limit="2", memory_limit="1Gi"),
    job=Resources(cpu="100m", memory="256Mi", cpu_limit="2", memory_limit="1Gi"),
    task=Resources(cpu="100m", memory="256Mi", cpu_limit="2", memory_limit="1Gi"),
)
"""A few dozen DAGs, 32 tasks at once; fits a machine of two cores."""
