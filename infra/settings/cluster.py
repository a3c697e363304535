"""Settings of the Kubernetes cluster: one that you have, or a GKE cluster that is made here."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from infra.settings.base import DnsLabel, SettingsModel
from infra.settings.dev_stacks import StackCluster

MachineType = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*-[a-z0-9]+(-[a-z0-9]+)*$")]
Instant = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
Day = Literal["MO", "TU", "WE", "TH", "FR", "SA", "SU"]


class KubeconfigCluster(SettingsModel):
    """A Kubernetes cluster that exists already, found as kubectl finds it."""

    kind: Literal["kubeconfig"]
    context: Annotated[str, StringConstraints(min_length=1)]
    """The kubeconfig's context. Named always, so that nothing is ever applied to whichever happens to be current."""
    path: Annotated[str, StringConstraints(min_length=1)] | None = None
    """The kubeconfig file. None: ``$KUBECONFIG``, else ``~/.kube/config``."""
    keda_namespace: DnsLabel | None = None
    """Where KEDA is, if it is in the cluster."""


class NodePool(SettingsModel):
    """Nodes of one size. Counts are totals over all zones; between them the autoscaler decides."""

    machine_type: MachineType
    min_nodes: Annotated[int, Field(ge=0, le=1000)]
    max_nodes: Annotated[int, Field(ge=1, le=1000)]
    disk_gib: Annotated[int, Field(ge=30, le=2000)] = 50
    spot: bool = False
    """Much cheaper, and taken away at any time with seconds of notice: 15 s for its pods.
    https://cloud.google.com/kubernetes-engine/docs/concepts/spot-vms"""


class TaskPool(NodePool):
    """Nodes that only task pods run on. None of them is paid for while no task runs."""

    machine_type: MachineType = "n2-standard-4"
    min_nodes: Annotated[int, Field(ge=0, le=1000)] = 0
    max_nodes: Annotated[int, Field(ge=1, le=1000)] = 10
    upgrade_wait_hours: Annotated[int, Field(ge=1, le=168)] = 24
    """How long an upgrade of the nodes waits for running tasks before it ends them; Google allows at most 7 days."""


class SystemPool(NodePool):
    """Kubernetes' own add-ons and what serves the whole cluster."""

    machine_type: MachineType = "e2-standard-2"
    min_nodes: Annotated[int, Field(ge=0, le=1000)] = 2
    max_nodes: Annotated[int, Field(ge=1, le=1000)] = 4


class AirflowPool(NodePool):
    """Airflow's components."""

    machine_type: MachineType = "e2-standard-4"
    min_nodes: Annotated[int, Field(ge=0, le=1000)] = 2
    max_nodes: Annotated[int, Field(ge=1, le=1000)] = 6


class LogsPool(NodePool):
    """Elasticsearch, on nodes with ``vm.max_map_count`` raised."""

    machine_type: MachineType = "e2-standard-4"
    min_nodes: Annotated[int, Field(ge=0, le=1000)] = 3
    max_nodes: Annotated[int, Field(ge=1, le=1000)] = 3


class NodePools(SettingsModel):
    """The pools for what is not a task."""

    system: SystemPool = SystemPool()
    airflow: AirflowPool = AirflowPool()
    logs: LogsPool | None = None
    """None: no such nodes."""


class Exclusion(SettingsModel):
    """A time without upgrades: a closing of the books, a sale."""

    name: DnsLabel
    start: Instant
    end: Instant
    scope: Literal["NO_UPGRADES", "NO_MINOR_UPGRADES", "NO_MINOR_OR_NODE_UPGRADES"] = "NO_UPGRADES"
    """``NO_UPGRADES`` may last 30 days at most."""


class Maintenance(SettingsModel):
    """When Google may upgrade the control plane and the nodes."""

    days: Annotated[tuple[Day, ...], Field(min_length=1)] = ("SA", "SU")
    start: Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")] = "02:00"
    """In UTC."""
    hours: Annotated[int, Field(ge=4, le=24)] = 8
    """Google wants at least 48 hours in 32 days, in pieces of four or more."""
    exclusions: tuple[Exclusion, ...] = ()


class ClusterBackup(SettingsModel):
    """Backup for GKE: the objects and volumes of the cluster."""

    schedule: Annotated[str, StringConstraints(pattern=r"^\S+( \S+){4}$")] = "30 1 * * *"
    """As cron writes it, in UTC."""
    retain_days: Annotated[int, Field(ge=1, le=365)] = 30


class GkeCluster(SettingsModel):
    """A private GKE cluster, made here."""

    kind: Literal["gke"]
    zone: Annotated[str, StringConstraints(pattern=r"^[a-z]+-[a-z]+[0-9]+-[a-z]$")] | None = None
    """One zone: cheaper, and away when that zone is. None: control plane and nodes in every zone of the region."""
    release_channel: Literal["RAPID", "REGULAR", "STABLE"] = "REGULAR"
    maintenance: Maintenance = Maintenance()
    max_pods_per_node: Literal[16, 32, 64, 110] = 64
    """Can't be changed later; decides how many nodes the pod range holds."""
    node_pools: NodePools = NodePools()
    task_pools: Annotated[dict[DnsLabel, TaskPool], Field(min_length=1)] = Field(
        default_factory=lambda: {"default": TaskPool()}
    )
    administrators: Annotated[str, StringConstraints(pattern=r"^gke-security-groups@[^@\s]+$")] | None = None
    """A Google group that holds the groups which RBAC may name; Google fixes the part before the @."""
    managed_prometheus: bool = False
    """Google collects the metrics of the pods, for a price by sample."""
    backup: ClusterBackup | None = ClusterBackup()
    keda_namespace: DnsLabel | None = None
    """Where KEDA is, once it has been installed."""


ClusterSettings = Annotated[KubeconfigCluster | GkeCluster | StackCluster, Field(discriminator="kind")]
