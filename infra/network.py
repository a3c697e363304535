"""From settings to what network policies are made from."""

import pulumi

from components.network import CLOUD_SQL_PORT, AirflowNetwork, ClusterNetwork, Destination, api_servers, to_addresses
from components.postgresql import to_server
from infra.settings import AirflowSettings, InClusterDatabase, Settings, StackDatabase
from infra.settings.network_policy import DestinationSettings
from infra.settings.network_rules import cluster_ranges, database_ranges

IN_CLUSTER_DATABASE = "postgresql"
"""The name of the component that makes the database inside the cluster."""


def cluster_network(settings: Settings, opts: pulumi.ResourceOptions) -> ClusterNetwork | None:
    """What all policies of an environment are made from; None where it has none."""
    policies = settings.network_policies
    if not policies.enabled:
        return None
    in_cluster = isinstance(settings.database, InClusterDatabase) or (
        isinstance(settings.database, StackDatabase) and settings.database.connection_name is None
    )
    return ClusterNetwork(
        own_ranges=cluster_ranges(settings),
        api_servers=api_servers(_destinations(policies.api_servers), opts),
        database=[
            to_server(IN_CLUSTER_DATABASE) if in_cluster else to_addresses(database_ranges(settings), [CLOUD_SQL_PORT])
        ],
        google_apis=policies.google_apis if settings.google else None,
    )


def airflow_network(airflow: AirflowSettings, cluster: ClusterNetwork | None) -> AirflowNetwork | None:
    """What one Airflow's policies are made from."""
    if cluster is None:
        return None
    asked = airflow.network
    return AirflowNetwork(
        cluster,
        task_egress=asked.task_egress == "any-external",
        tasks=_destinations(asked.task_destinations),
        components=_destinations(asked.component_destinations),
        tasks_use_kubernetes=asked.tasks_use_kubernetes,
    )


def _destinations(asked: tuple[DestinationSettings, ...]) -> tuple[Destination, ...]:
    return tuple(Destination(one.cidr, one.ports) for one in asked)
