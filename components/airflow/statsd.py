"""The statsd exporter of one Airflow: takes what its parts and tasks send, and shows it to Prometheus.

The names and labels are those of the official chart (files/statsd-mappings.yml), so that public dashboards fit.
"""

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes.core.v1 import ProbeArgsDict

from components.airflow.configuration import STATSD, STATSD_PORT, script
from components.airflow.pods import Blueprint
from components.versions import version_label
from components.workload import (
    Container,
    Mount,
    Pod,
    Resources,
    checksum,
    config_volume,
    labels,
    metadata,
    pod_template,
    selector,
)

METRICS_PORT = 9102
MAPPINGS = "statsd-mappings.yml"
FOLDER = "/etc/statsd"
RESOURCES = Resources(cpu="10m", memory="24Mi", cpu_limit="500m", memory_limit="128Mi")
_UID = 65534  # of the image


def run_statsd(
    blueprint: Blueprint,
    namespace: pulumi.Output[str],
    service_account: pulumi.Output[str],
    parent: pulumi.Resource,
) -> list[pulumi.Resource]:
    """Makes the exporter where the Airflow is measured; what is returned is there when its name resolves.

    One pod: two would each have half of every counter. A restart sets counters to 0, which ``rate()`` knows.
    """
    name, args = blueprint.name, blueprint.args
    asked = args.metrics
    if asked is None or args.retired:
        return []
    opts = pulumi.ResourceOptions(parent=parent)
    mappings = script(MAPPINGS)
    config = kubernetes.core.v1.ConfigMap(
        f"{name}-{STATSD}-mappings", metadata=metadata(STATSD, namespace), data={MAPPINGS: mappings}, opts=opts
    )
    answers: ProbeArgsDict = {"http_get": {"path": "/", "port": METRICS_PORT}, "timeout_seconds": 5}
    chosen = selector(name, STATSD)
    pod = Pod(
        labels=labels(name, STATSD, version_label(asked.image)),
        service_account=service_account,
        user=_UID,
        group=_UID,
        nodes=args.nodes,
        priority=args.priority,
        checksums={"mappings": checksum(args.checksum_key, mappings)},
        containers=[
            Container(
                name=STATSD,
                image=asked.image,
                args=[
                    f"--statsd.mapping-config={FOLDER}/{MAPPINGS}",
                    f"--statsd.listen-udp=:{STATSD_PORT}",
                    "--statsd.listen-tcp=",
                    f"--web.listen-address=:{METRICS_PORT}",
                ],
                resources=RESOURCES,
                mounts=[Mount(config_volume("mappings", STATSD), FOLDER)],
                ports={"metrics": METRICS_PORT},
                startup_probe={**answers, "period_seconds": 1, "failure_threshold": 60},
                readiness_probe={**answers, "period_seconds": 10},
                liveness_probe={**answers, "period_seconds": 30, "failure_threshold": 3},
            )
        ],
    )
    deployment = kubernetes.apps.v1.Deployment(
        f"{name}-{STATSD}",
        metadata=metadata(STATSD, namespace, labels(name, STATSD, version_label(asked.image))),
        spec={
            "replicas": 1,
            "revision_history_limit": 3,
            "strategy": {"type": "Recreate"},
            "selector": {"match_labels": chosen},
            "template": pod_template(pod),
        },
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[config]),
    )
    service = kubernetes.core.v1.Service(
        f"{name}-{STATSD}-service",
        metadata=metadata(STATSD, namespace),
        spec={
            "selector": chosen,
            "ports": [{"name": STATSD, "port": STATSD_PORT, "target_port": STATSD_PORT, "protocol": "UDP"}],
        },
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[deployment]),
    )
    return [service]
