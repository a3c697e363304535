"""The node pools of a cluster: what may run where, and how long a task may last when nodes are upgraded."""

from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_gcp as gcp

POOL_LABEL: Final = "airflow-platform/pool"
"""On every node: ``system``, ``airflow``, ``logs`` or ``tasks``."""
TASK_POOL_LABEL: Final = "airflow-platform/task-pool"
"""On task nodes, as label and taint: the pool's name."""
MAX_MAP_COUNT: Final = "1048576"
"""What Elasticsearch 8.16 and later asks for
(https://www.elastic.co/guide/en/elasticsearch/reference/current/vm-max-map-count.html)."""
_CLOUD_PLATFORM: Final = "https://www.googleapis.com/auth/cloud-platform"


@dataclass(frozen=True)
class PoolArgs:
    """One pool. Counts are totals over the cluster's zones, ``disk_gib`` is a node's."""

    machine_type: str
    min_nodes: int
    max_nodes: int
    disk_gib: int = 50
    spot: bool = False
    sysctls: dict[str, str] | None = None


@dataclass(frozen=True)
class TaskPoolArgs(PoolArgs):
    """A pool that only tasks run on. ``upgrade_wait_hours``: how long an upgrade lets running tasks go on, 7 days at
    most."""

    upgrade_wait_hours: int = 24


@dataclass(frozen=True)
class NodePools:
    """Makes pools in ``cluster`` as ``service_account``, children of ``parent``."""

    name: str
    cluster: gcp.container.Cluster
    location: str
    service_account: pulumi.Input[str]
    labels: dict[str, str]
    max_pods_per_node: int
    parent: pulumi.Resource
    depends_on: tuple[pulumi.Resource, ...]

    def fixed(self, pool: str, args: PoolArgs, dedicated: bool = False) -> gcp.container.NodePool:
        """A pool for what always runs. ``dedicated``: nothing else may run there.

        Upgraded node by node, one more at a time, waiting up to an hour for disruption budgets.
        """
        taints = [_taint(POOL_LABEL, pool)] if dedicated else []
        return self._pool(pool, args, {POOL_LABEL: pool}, taints, _one_by_one())

    def tasks(self, pool: str, args: TaskPoolArgs) -> gcp.container.NodePool:
        """A pool for tasks, from zero nodes.

        Upgraded by a second set of nodes: the old ones take no more tasks and wait for those that they have. A spot
        node waits for nothing, so the simple way is good enough there.
        """
        upgrade = _one_by_one() if args.spot else _wait_for_tasks(args.upgrade_wait_hours)
        node_labels = {POOL_LABEL: "tasks", TASK_POOL_LABEL: pool}
        # A changed machine type is an upgrade, too: the update lasts as long as its wait, and some hours of work.
        hours = args.upgrade_wait_hours + 3
        return self._pool(f"tasks-{pool}", args, node_labels, [_taint(TASK_POOL_LABEL, pool)], upgrade, hours)

    def _pool(
        self,
        pool: str,
        args: PoolArgs,
        node_labels: dict[str, str],
        taints: list[gcp.container.NodePoolNodeConfigTaintArgsDict],
        upgrade: gcp.container.NodePoolUpgradeSettingsArgsDict,
        update_hours: int = 3,
    ) -> gcp.container.NodePool:
        node: gcp.container.NodePoolNodeConfigArgsDict = {
            "machine_type": args.machine_type,
            "disk_size_gb": args.disk_gib,
            "disk_type": "pd-balanced",
            "image_type": "COS_CONTAINERD",
            "spot": args.spot,
            "service_account": self.service_account,
            # Scopes only narrow what IAM allows, and it's IAM that says what this account may do.
            "oauth_scopes": [_CLOUD_PLATFORM],
            "labels": node_labels,
            "resource_labels": self.labels,
            "taints": taints,
            "metadata": {"disable-legacy-endpoints": "true"},
            "shielded_instance_config": {"enable_secure_boot": True, "enable_integrity_monitoring": True},
            # Pods get their own identity from it, and can't reach the node's.
            "workload_metadata_config": {"mode": "GKE_METADATA"},
            "kubelet_config": {"insecure_kubelet_readonly_port_enabled": "FALSE"},
            # Images are streamed: a task on a new node starts before all of a large image is there.
            "gcfs_config": {"enabled": True},
        }
        if args.sysctls:
            node["linux_node_config"] = {"sysctls": args.sysctls}
        return gcp.container.NodePool(
            f"{self.name}-{pool}",
            name=pool,
            cluster=self.cluster.id,
            location=self.location,
            autoscaling={
                "total_min_node_count": args.min_nodes,
                "total_max_node_count": args.max_nodes,
                # Spot capacity differs from zone to zone: take it where it is. What runs always is spread instead.
                "location_policy": "ANY" if args.spot else "BALANCED",
            },
            # The autoscaler's count is never ours to correct.
            ignore_node_count_changes=True,
            max_pods_per_node=self.max_pods_per_node,
            management={"auto_repair": True, "auto_upgrade": True},
            upgrade_settings=upgrade,
            network_config={"enable_private_nodes": True},
            node_config=node,
            opts=pulumi.ResourceOptions(
                parent=self.parent,
                depends_on=list(self.depends_on),
                # The API makes a pool with this count and later reports whatever the autoscaler has made of it; a
                # difference would replace the pool.
                ignore_changes=["initialNodeCount", "nodeCount"],
                custom_timeouts=pulumi.CustomTimeouts(create="45m", update=f"{update_hours}h", delete="45m"),
            ),
        )


def _taint(key: str, value: str) -> gcp.container.NodePoolNodeConfigTaintArgsDict:
    return {"key": key, "value": value, "effect": "NO_SCHEDULE"}


def _one_by_one() -> gcp.container.NodePoolUpgradeSettingsArgsDict:
    return {"strategy": "SURGE", "max_surge": 1, "max_unavailable": 0}


def _wait_for_tasks(hours: int) -> gcp.container.NodePoolUpgradeSettingsArgsDict:
    # https://cloud.google.com/kubernetes-engine/docs/concepts/node-pool-upgrade-strategies (autoscaled blue-green);
    # the wait is 0 to 7 days.
    return {
        "strategy": "BLUE_GREEN",
        "blue_green_settings": {
            "node_pool_soak_duration": "0s",
            "autoscaled_rollout_policy": {"wait_for_drain_duration": f"{hours * 3600}s"},
        },
    }
