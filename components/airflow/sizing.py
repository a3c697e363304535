"""How much of a node each part of an Airflow asks for and may use."""

from dataclasses import dataclass

from components.workload import Resources


@dataclass(frozen=True)
class Sizing:
    """Resources by part; ``task`` is the default of a task's pod."""

    api_server: Resources
    scheduler: Resources
    dag_processor: Resources
    triggerer: Resources
    job: Resources
    task: Resources


SMALL = Sizing(
    api_server=Resources(cpu="150m", memory="448Mi", cpu_limit="2", memory_limit="1536Mi"),
    scheduler=Resources(cpu="150m", memory="320Mi", cpu_limit="2", memory_limit="2Gi"),
    dag_processor=Resources(cpu="100m", memory="320Mi", cpu_limit="2", memory_limit="1Gi"),
    triggerer=Resources(cpu="100m", memory="320Mi", cpu_limit="2", memory_limit="1Gi"),
    job=Resources(cpu="100m", memory="256Mi", cpu_limit="2", memory_limit="1Gi"),
    task=Resources(cpu="100m", memory="256Mi", cpu_limit="2", memory_limit="1Gi"),
)
"""A few dozen DAGs, 32 tasks at once; fits a machine of two cores."""
