"""Settings of how much of the cluster one Airflow may take."""

from typing import Annotated

from pydantic import Field

from infra.settings.base import Cpu, Quantity, SettingsModel


class Quota(SettingsModel):
    """The most that all pods of one Airflow together request. What is left out is not limited."""

    cpu: Cpu | None = None
    memory: Quantity | None = None
    pods: Annotated[int, Field(ge=1, le=100_000)] | None = None


class ContainerLimits(SettingsModel):
    """For containers that say nothing of their own, such as those that a KubernetesPodOperator starts; and for all."""

    cpu: Cpu = "100m"
    memory: Quantity = "256Mi"
    """What such a container requests; ``cpu_limit`` and ``memory_limit``: the most that it may use."""
    cpu_limit: Cpu = "2"
    memory_limit: Quantity = "1Gi"
    max_cpu: Cpu | None = None
    """The highest limit that any container may have; Airflow's own parts are held against it, too."""
    max_memory: Quantity | None = None
