"""From settings to what a quota is made from."""

from components.airflow.quota import QuotaArgs
from components.workload import Resources
from infra.settings import AirflowSettings
from infra.settings.quota import ContainerLimits, Quota


def quota_args(airflow: AirflowSettings) -> QuotaArgs | None:
    """The limits of one Airflow; None where it has none."""
    if airflow.quota is None and airflow.containers is None:
        return None
    quota, limits = airflow.quota or Quota(), airflow.containers or ContainerLimits()
    most = {"requests.cpu": quota.cpu, "requests.memory": quota.memory, "pods": quota.pods}
    highest = {"cpu": limits.max_cpu, "memory": limits.max_memory}
    return QuotaArgs(
        most={key: str(value) for key, value in most.items() if value is not None},
        default=Resources(limits.cpu, limits.memory, limits.cpu_limit, limits.memory_limit),
        highest={key: value for key, value in highest.items() if value is not None},
    )
