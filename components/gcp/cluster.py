"""A private GKE cluster: control plane, node pools, the nodes' identity, backups of what runs in it.

Its control plane has no address of its own on any network: it is reached by its DNS endpoint, where IAM decides.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import pulumi
import pulumi_gcp as gcp

from components.gcp.naming import account_id, workload_pool
from components.gcp.network import Placement
from components.gcp.node_pools import MAX_MAP_COUNT, NodePools, PoolArgs, TaskPoolArgs

AUTH_PLUGIN: Final = "gke-gcloud-auth-plugin"
_DAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_KUBELETS: Final = ("CADVISOR", "KUBELET")
_FIRST_WINDOW_FROM: Final = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Exclusion:
    """A time without upgrades. ``start`` and ``end`` in RFC 3339, UTC."""

    name: str
    start: str
    end: str
    scope: str = "NO_UPGRADES"


@dataclass(frozen=True)
class MaintenanceArgs:
    """When upgrades may happen: on ``days`` (``SA``), from ``start`` (``02:00``, UTC), for ``hours``."""

    days: tuple[str, ...] = ("SA", "SU")
    start: str = "02:00"
    hours: int = 8
    exclusions: tuple[Exclusion, ...] = ()


@dataclass(frozen=True)
class BackupArgs:
    """When the cluster's objects and volumes are backed up (cron, UTC), and for how many days they are kept."""

    schedule: str
    retain_days: int


@dataclass(frozen=True)
class ClusterArgs:
    """Arguments of ``Cluster``. ``location`` is a region, or a zone for a small cluster; ``key`` a KMS key's full name.

    ``administrators`` is the Google group ``gke-security-groups@…`` whose member groups RBAC may name.
    """

    # required
    environment: str
    project: str
    location: str
    placement: Placement
    key: str
    system_pool: PoolArgs
    airflow_pool: PoolArgs
    task_pools: Mapping[str, TaskPoolArgs]

    # choices
    logs_pool: PoolArgs | None = None
    release_channel: str = "REGULAR"
    maintenance: MaintenanceArgs = field(default_factory=MaintenanceArgs)
    max_pods_per_node: int = 64
    managed_prometheus: bool = False
    secret_sync: bool = False
    """Whether Google's controller keeps Kubernetes Secrets as Secret Manager has them (GKE 1.34 or later)."""
    backup: BackupArgs | None = None
    administrators: str | None = None
    labels: dict[str, str] = field(default_factory=dict)

    # safety
    protect: bool = True


class Cluster(pulumi.ComponentResource):
    """A VPC-native cluster with private nodes and the pools ``system``, ``airflow``, ``logs`` and one for each kind of
    task.

    It refuses images that the project's Binary Authorization policy does not admit, which the bootstrap stack makes.
    """

    kubeconfig: pulumi.Output[str]
    """For kubectl and the Kubernetes provider. Holds no secret: who uses it signs in by gcloud."""
    identifier: str
    """Stays the same for the cluster's life, whatever becomes of its endpoint."""
    workload_pool: str
    """What Workload Identity calls the cluster's service accounts by."""
    ready: tuple[pulumi.Resource, ...]
    """What must be there before anything can run."""

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-platform:gcp:Cluster", name, None, opts)
        self.identifier = f"gke/{args.project}/{args.location}/{args.environment}"
        self.workload_pool = workload_pool(args.project)
        nodes = gcp.serviceaccount.Account(
            f"{name}-nodes",
            account_id=account_id(args.environment, "nodes"),
            display_name=f"Nodes of {args.environment}",
            opts=pulumi.ResourceOptions(parent=self),
        )
        # Logs and metrics of the nodes, and nothing else; images are the bootstrap stack's to allow.
        # https://cloud.google.com/kubernetes-engine/docs/how-to/hardening-your-cluster#use_least_privilege_sa
        may_report = gcp.projects.IAMMember(
            f"{name}-nodes",
            project=args.project,
            role="roles/container.defaultNodeServiceAccount",
            member=nodes.member,
            opts=pulumi.ResourceOptions(parent=self),
        )
        cluster = self._control_plane(name, args, nodes)
        pools = NodePools(
            name, cluster, args.location, nodes.email, args.labels, args.max_pods_per_node, self, (may_report,)
        )
        made = [pools.fixed("system", args.system_pool), pools.fixed("airflow", args.airflow_pool)]
        if args.logs_pool:
            made.append(pools.fixed("logs", args.logs_pool, dedicated=True))
        made += [pools.tasks(pool, pool_args) for pool, pool_args in args.task_pools.items()]
        if args.backup:
            self._backup(name, args, args.backup, cluster)
        self.ready = (cluster, *made)
        self.kubeconfig = cluster.control_plane_endpoints_config.apply(
            lambda known: kubeconfig(
                args.environment, str(known.dns_endpoint_config and known.dns_endpoint_config.endpoint)
            )
        )
        self.register_outputs({"kubeconfig": self.kubeconfig, "identifier": self.identifier})

    def _control_plane(self, name: str, args: ClusterArgs, nodes: gcp.serviceaccount.Account) -> gcp.container.Cluster:
        return gcp.container.Cluster(
            f"{name}-cluster",
            name=args.environment,
            location=args.location,
            description=f"Airflow environment {args.environment}",
            resource_labels=args.labels,
            # who reaches it
            control_plane_endpoints_config={
                "dns_endpoint_config": {
                    # From anywhere, and IAM decides: that is how CI and people get in without a bastion.
                    "allow_external_traffic": True,
                    # Tokens and certificates of the cluster's own would go past IAM.
                    "enable_k8s_tokens_via_dns": False,
                    "enable_k8s_certs_via_dns": False,
                },
                "ip_endpoints_config": {"enabled": False},
            },
            private_cluster_config={"enable_private_nodes": True},
            master_auth={"client_certificate_config": {"issue_client_certificate": False}},
            enable_legacy_abac=False,
            anonymous_authentication_config={"mode": "LIMITED"},
            rbac_binding_config={
                "enable_insecure_binding_system_authenticated": False,
                "enable_insecure_binding_system_unauthenticated": False,
            },
            authenticator_groups_config={"security_group": args.administrators} if args.administrators else None,
            # network
            network=args.placement.network,
            subnetwork=args.placement.subnetwork,
            networking_mode="VPC_NATIVE",
            ip_allocation_policy={
                "cluster_secondary_range_name": args.placement.pods_range,
                "services_secondary_range_name": args.placement.services_range,
            },
            default_max_pods_per_node=args.max_pods_per_node,
            datapath_provider="ADVANCED_DATAPATH",
            enable_l4_ilb_subsetting=True,
            service_external_ips_config={"enabled": False},
            # identity and integrity
            workload_identity_config={"workload_pool": self.workload_pool},
            enable_shielded_nodes=True,
            binary_authorization={"evaluation_mode": "PROJECT_SINGLETON_POLICY_ENFORCE"},
            database_encryption={"state": "ENCRYPTED", "key_name": args.key},
            security_posture_config={"mode": "BASIC", "vulnerability_mode": "VULNERABILITY_DISABLED"},
            node_pool_auto_config={"node_kubelet_config": {"insecure_kubelet_readonly_port_enabled": "FALSE"}},
            # upgrades
            release_channel={"channel": args.release_channel},
            maintenance_policy=_maintenance(args.maintenance),
            # what it tells
            cost_management_config={"enabled": True},
            logging_config={"enable_components": ["SYSTEM_COMPONENTS", "WORKLOADS"]},
            monitoring_config={
                # What containers use and how full volumes are: with it, Google collects the kubelets' figures.
                "enable_components": ["SYSTEM_COMPONENTS", *(_KUBELETS if args.managed_prometheus else ())],
                "managed_prometheus": {"enabled": args.managed_prometheus},
            },
            secret_sync_config={"enabled": True, "rotation_config": {"enabled": True}} if args.secret_sync else None,
            vertical_pod_autoscaling={"enabled": True},
            addons_config={
                "dns_cache_config": {"enabled": True},
                "gce_persistent_disk_csi_driver_config": {"enabled": True},
                "gke_backup_agent_config": {"enabled": args.backup is not None},
            },
            # Google makes a pool with every cluster. Ours are resources of their own: this one goes at once, and until
            # then runs as our account, because many organisations forbid the default one.
            remove_default_node_pool=True,
            initial_node_count=1,
            node_config={
                "service_account": nodes.email,
                "oauth_scopes": ["https://www.googleapis.com/auth/cloud-platform"],
                "shielded_instance_config": {"enable_secure_boot": True, "enable_integrity_monitoring": True},
                "workload_metadata_config": {"mode": "GKE_METADATA"},
            },
            deletion_protection=args.protect,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=args.protect,
                depends_on=list(args.placement.way_out),
                # What concerned the pool that is gone; a difference there would replace the cluster.
                ignore_changes=["initialNodeCount", "nodeConfig", "nodePools"],
                custom_timeouts=pulumi.CustomTimeouts(create="45m", update="90m", delete="45m"),
            ),
        )

    def _backup(
        self, name: str, args: ClusterArgs, backup: BackupArgs, cluster: gcp.container.Cluster
    ) -> gcp.gkebackup.BackupPlan:
        region = "-".join(args.location.split("-")[:2])
        return gcp.gkebackup.BackupPlan(
            f"{name}-backup",
            name=args.environment,
            cluster=cluster.id,
            location=region,
            labels=args.labels,
            backup_config={
                "all_namespaces": True,
                "include_volume_data": True,
                # Passwords and keys are kept in Secret Manager, for other eyes than those that restore a cluster.
                "include_secrets": False,
            },
            backup_schedule={"cron_schedule": backup.schedule},
            retention_policy={"backup_retain_days": backup.retain_days},
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )


def logs_pool(args: PoolArgs) -> PoolArgs:
    """``args`` for nodes that Elasticsearch runs on: raised by the node, so that no container is privileged."""
    return PoolArgs(
        args.machine_type,
        args.min_nodes,
        args.max_nodes,
        args.disk_gib,
        args.spot,
        {"vm.max_map_count": MAX_MAP_COUNT},
    )


def kubeconfig(name: str, endpoint: str) -> str:
    """A kubeconfig for a cluster's DNS ``endpoint``. That endpoint has a public certificate, so no authority is named.

    https://cloud.google.com/kubernetes-engine/docs/concepts/network-isolation#dns-based_endpoint
    """
    sign_in = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": AUTH_PLUGIN,
        "provideClusterInfo": True,
        "interactiveMode": "IfAvailable",
        "installHint": f"Install it with: gcloud components install {AUTH_PLUGIN}",
    }
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {"server": f"https://{endpoint}"}}],
            "users": [{"name": name, "user": {"exec": sign_in}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        }
    )


def _maintenance(args: MaintenanceArgs) -> gcp.container.ClusterMaintenancePolicyArgsDict:
    start = first_window(args.days, args.start)
    return {
        "recurring_window": {
            "start_time": _instant(start),
            "end_time": _instant(start + timedelta(hours=args.hours)),
            "recurrence": f"FREQ=WEEKLY;BYDAY={','.join(args.days)}",
        },
        "maintenance_exclusions": [
            {
                "exclusion_name": exclusion.name,
                "start_time": exclusion.start,
                "end_time": exclusion.end,
                "exclusion_options": {"scope": exclusion.scope},
            }
            for exclusion in args.exclusions
        ],
    }


def first_window(days: tuple[str, ...], start: str) -> datetime:
    """The first of the weekly windows: a fixed one in the past, so that it never changes by itself."""
    hour, minute = (int(part) for part in start.split(":"))
    first = _FIRST_WINDOW_FROM
    while _DAYS[first.weekday()] not in days:
        first += timedelta(days=1)
    return first.replace(hour=hour, minute=minute)


def _instant(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
