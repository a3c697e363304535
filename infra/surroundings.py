"""What there is beside the Airflows of an environment."""

from dataclasses import dataclass

import pulumi

from components.airflow import DatabaseServer
from components.airflow.args import SharedServer
from components.ingress import Routes
from components.network import ClusterNetwork
from components.workload import Nodes
from infra.google_cloud import GoogleCloud
from infra.logs import LogParts


@dataclass(frozen=True)
class Surroundings:
    """What is measured beside the Airflows where it is there, and where what measures may run and connect to."""

    google: GoogleCloud | None
    database: DatabaseServer | SharedServer
    routes: Routes | None
    logs: LogParts
    network: ClusterNetwork | None
    nodes: Nodes | None
    priority: pulumi.Input[str]
