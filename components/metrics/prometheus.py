"""Prometheus: asks everything that is measured, keeps the answers for a while, and finds what is wrong by them."""

from collections.abc import Sequence

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes.core.v1 import ProbeArgsDict

from components.metrics.access import FIND_PODS, account, allow_in, allow_nodes
from components.metrics.alerts import rules_yml
from components.metrics.args import NAMESPACE, PROMETHEUS_PORT, MetricsArgs
from components.metrics.discovery import RULES, prometheus_yml
from components.versions import version_label
from components.workload import (
    OWNER,
    Container,
    Mount,
    Pod,
    Resources,
    checksum,
    claim_spec,
    config_volume,
    labels,
    metadata,
    pod_template,
    selector,
)

PART = "prometheus"
FOLDER = "/etc/prometheus"
DATA = "/var/lib/prometheus"
RESOURCES = Resources(cpu="50m", memory="192Mi", cpu_limit="1", memory_limit="2Gi")
_UID = 65534  # of the image


def run_prometheus(
    name: str,
    args: MetricsArgs,
    namespace: pulumi.Output[str],
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource],
) -> kubernetes.core.v1.Service:
    """Makes it; the Service that is returned is there when it answers.

    One pod: what it has not asked while it was away is a gap of seconds in pictures, and alerts are late by as much.
    """
    opts = pulumi.ResourceOptions(parent=parent)
    files = {"prometheus.yml": prometheus_yml(args), RULES: rules_yml(args.series_limit)}
    config = kubernetes.core.v1.ConfigMap(
        f"{name}-{PART}-config", metadata=metadata(PART, namespace), data=files, opts=opts
    )
    who = account(name, PART, namespace, parent)
    allowed = allow_in(PART, FIND_PODS, args, who.metadata.name, namespace, parent)
    allowed += allow_nodes(who.metadata.name, namespace, parent)
    chosen = selector(NAMESPACE, PART, NAMESPACE)
    version = version_label(args.prometheus_image)
    ready: ProbeArgsDict = {"http_get": {"path": "/-/ready", "port": PROMETHEUS_PORT}, "timeout_seconds": 5}
    healthy: ProbeArgsDict = {"http_get": {"path": "/-/healthy", "port": PROMETHEUS_PORT}, "timeout_seconds": 10}
    pod = Pod(
        labels=labels(NAMESPACE, PART, version, NAMESPACE),
        service_account=who.metadata.name,
        user=_UID,
        group=_UID,
        api_access=True,
        grace_period_seconds=120,
        nodes=args.nodes,
        priority=args.priority,
        checksums={"config": checksum(args.checksum_key, *files.values())},
        containers=[
            Container(
                name=PART,
                image=args.prometheus_image,
                args=[
                    f"--config.file={FOLDER}/prometheus.yml",
                    f"--storage.tsdb.path={DATA}",
                    f"--storage.tsdb.retention.time={args.retention.days}d",
                    f"--storage.tsdb.retention.size={args.retention.size_gib}GB",
                    f"--web.listen-address=:{PROMETHEUS_PORT}",
                ],
                resources=RESOURCES,
                mounts=[
                    Mount(config_volume("config", PART), FOLDER),
                    Mount({"name": "data"}, DATA, read_only=False, claimed=True),
                ],
                ports={"metrics": PROMETHEUS_PORT},
                # It reads what it had not yet written whole when it ended: minutes, with much of it.
                startup_probe={**ready, "period_seconds": 2, "failure_threshold": 300},
                readiness_probe={**ready, "period_seconds": 10},
                liveness_probe={**healthy, "period_seconds": 30, "failure_threshold": 5},
            )
        ],
    )
    server = kubernetes.apps.v1.StatefulSet(
        f"{name}-{PART}",
        metadata=metadata(PART, namespace),
        spec={
            "service_name": PART,
            "replicas": 1,
            "selector": {"match_labels": chosen},
            "template": pod_template(pod),
            "volume_claim_templates": [
                {
                    "metadata": {"name": "data", "labels": dict(OWNER)},
                    "spec": claim_spec(args.retention.volume, "ReadWriteOnce", args.retention.storage_class),
                }
            ],
        },
        opts=pulumi.ResourceOptions(parent=parent, protect=args.protect, depends_on=[config, *allowed, *depends_on]),
    )
    return kubernetes.core.v1.Service(
        f"{name}-{PART}-service",
        metadata=metadata(PART, namespace),
        spec={
            "selector": chosen,
            "ports": [{"name": "http", "port": PROMETHEUS_PORT, "target_port": "metrics"}],
        },
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[server]),
    )
