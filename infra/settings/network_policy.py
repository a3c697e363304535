"""Settings of who may connect to what inside the cluster and out of it."""

from typing import Annotated, Literal

from pydantic import Field

from infra.settings.base import SettingsModel
from infra.settings.google import Cidr


class DestinationSettings(SettingsModel):
    """Addresses outside of the cluster that pods may connect to."""

    cidr: Cidr
    ports: tuple[Annotated[int, Field(ge=1, le=65535)], ...] = ()
    """TCP ports; none named: all, of every protocol."""


class AirflowNetworkSettings(SettingsModel):
    """What the pods of one Airflow may connect to, beyond what they can't do without."""

    task_egress: Literal["any-external", "none"] = "any-external"
    """Where tasks, triggers, DAG files and callbacks may connect: to everything outside the cluster, or nowhere."""
    task_destinations: tuple[DestinationSettings, ...] = ()
    """Besides: what is not outside, such as a company's private addresses, or all there is where ``none`` is else."""
    component_destinations: tuple[DestinationSettings, ...] = ()
    """For Airflow's own parts: a mail server, a sign-in service, a message broker."""
    tasks_use_kubernetes: bool = False
    """Whether tasks may talk to the Kubernetes API: for the KubernetesPodOperator."""


class NetworkPolicies(SettingsModel):
    """Network policies of the whole environment."""

    enabled: bool = True
    cluster_ranges: tuple[Cidr, ...] = ()
    """Addresses that are never outside: those of nodes, pods, Services and databases. None named: those of the network
    that is made here; for another cluster, all private addresses."""
    api_servers: tuple[DestinationSettings, ...] = ()
    """Where the Kubernetes API is. None named: as the cluster itself says at each ``up``. No ports: 443."""
    google_apis: tuple[Cidr, ...] = ()
    """Where Google's APIs are: 199.36.153.8/30 where DNS leads to private.googleapis.com
    (https://cloud.google.com/vpc/docs/configure-private-google-access). None named: everything outside the cluster, on
    port 443, because Google's default domains may be anywhere."""
