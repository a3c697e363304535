"""What a size in the settings means for the component: replicas, resources, PgBouncer."""

from dataclasses import asdict

from components.airflow.sizing import Pooler, Replicas, Sizing
from components.versions import ImageSource
from components.workload import Resources
from infra.settings import AirflowSettings, AirflowState
from infra.settings.sizes import Amount, capacity


def sizing_of(airflow: AirflowSettings, images: ImageSource) -> Sizing:
    """The component's sizing of ``airflow``, with the pooler's images from ``images``."""
    asked = capacity(airflow)
    amounts = asked.resources
    pooler = Pooler(
        image=images.reference("pgbouncer"),
        exporter_image=images.reference("pgbouncer-exporter"),
        replicas=asked.pooler.replicas,
        connections=asked.pooler.connections_each,
        clients=asked.pooler.clients,
        resources=resources_of(amounts.pooler),
    )
    return Sizing(
        api_server=resources_of(amounts.api_server),
        scheduler=resources_of(amounts.scheduler),
        dag_processor=resources_of(amounts.dag_processor),
        triggerer=resources_of(amounts.triggerer),
        job=resources_of(amounts.job),
        task=resources_of(amounts.task),
        replicas=Replicas(**asdict(asked.replicas)),
        parsing_processes=asked.parsing_processes,
        pooler=pooler if asked.pooler.enabled and airflow.state is AirflowState.ACTIVE else None,
    )


def resources_of(amount: Amount) -> Resources:
    """The component's form of ``amount``."""
    return Resources(amount.cpu, amount.memory, amount.cpu_limit, amount.memory_limit)
