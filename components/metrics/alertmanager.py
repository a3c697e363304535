"""Alertmanager: groups alerts, and sends each to whoever it is for. One pod; what it has sent is on its volume.

https://prometheus.io/docs/alerting/latest/configuration/
"""

from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
import yaml
from pulumi_kubernetes.core.v1 import ProbeArgsDict

from components.metrics.access import account
from components.metrics.args import ALERTMANAGER_PORT, NAMESPACE, MetricsArgs, Receiver
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
    secret_volume,
    selector,
)

PART = "alertmanager"
CONFIG = "alertmanager.yml"
FOLDER = "/etc/alertmanager"
SECRETS = "/run/secrets/receivers"
SECRET = "receivers"  # noqa: S105 (a name)
NOBODY = "nobody"
REPEAT_HOURS = 4
_UID = 65534  # of the image


def alertmanager_yml(receivers: Sequence[Receiver]) -> str:
    """The configuration file: every receiver gets what its route matches, whatever the others get."""
    routes: list[dict[str, Any]] = []
    for one in receivers:
        matchers = [
            f'{label}=~"{"|".join(values)}"'
            for label, values in (("airflow", one.airflows), ("severity", one.severities))
            if values
        ]
        routes.append({"receiver": one.name, "continue": True, **({"matchers": matchers} if matchers else {})})
    configuration = {
        "route": {
            "receiver": NOBODY,
            # One message for one kind of trouble of one Airflow.
            "group_by": ["alertname", "airflow"],
            "group_wait": "10s",
            "group_interval": "1m",
            "repeat_interval": f"{REPEAT_HOURS}h",
            "routes": routes,
        },
        # Where a part is down, what follows from it is not told as well.
        "inhibit_rules": [
            {
                "source_matchers": ['alertname="AirflowSchedulerDown"'],
                "target_matchers": ['alertname=~"AirflowTasksNotStarting|AirflowScheduleDelayed"'],
                "equal": ["airflow"],
            }
        ],
        "receivers": [{"name": NOBODY}, *({"name": one.name, **one.settings} for one in receivers)],
    }
    return yaml.safe_dump(configuration, sort_keys=False)


def run_alertmanager(
    name: str,
    args: MetricsArgs,
    namespace: pulumi.Output[str],
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource],
) -> kubernetes.core.v1.Service:
    """Makes it; the Service that is returned is there when it takes alerts."""
    opts = pulumi.ResourceOptions(parent=parent)
    text = alertmanager_yml(args.receivers)
    config = kubernetes.core.v1.ConfigMap(
        f"{name}-{PART}-config", metadata=metadata(PART, namespace), data={CONFIG: text}, opts=opts
    )
    given = {one.name: one.secret for one in args.receivers if one.secret is not None}
    secret = kubernetes.core.v1.Secret(
        f"{name}-{PART}-receivers", metadata=metadata(SECRET, namespace), string_data=given, opts=opts
    )
    who = account(name, PART, namespace, parent)
    chosen = selector(NAMESPACE, PART, NAMESPACE)
    version = version_label(args.alertmanager_image)
    ready: ProbeArgsDict = {"http_get": {"path": "/-/ready", "port": ALERTMANAGER_PORT}, "timeout_seconds": 5}
    healthy: ProbeArgsDict = {"http_get": {"path": "/-/healthy", "port": ALERTMANAGER_PORT}, "timeout_seconds": 5}
    pod = Pod(
        labels=labels(NAMESPACE, PART, version, NAMESPACE),
        service_account=who.metadata.name,
        user=_UID,
        group=_UID,
        nodes=args.nodes,
        priority=args.priority,
        checksums={
            "config": checksum(args.checksum_key, text),
            "receivers": checksum(args.checksum_key, *given.values()),
        },
        containers=[
            Container(
                name=PART,
                image=args.alertmanager_image,
                args=[
                    f"--config.file={FOLDER}/{CONFIG}",
                    "--storage.path=/alertmanager",
                    f"--web.listen-address=:{ALERTMANAGER_PORT}",
                    # One alone: it would look for others otherwise.
                    "--cluster.listen-address=",
                ],
                resources=Resources(cpu="10m", memory="32Mi", cpu_limit="500m", memory_limit="128Mi"),
                mounts=[
                    Mount(config_volume("config", PART), FOLDER),
                    Mount(secret_volume("receivers", SECRET), SECRETS),
                    Mount({"name": "data"}, "/alertmanager", read_only=False, claimed=True),
                ],
                ports={"metrics": ALERTMANAGER_PORT},
                startup_probe={**ready, "period_seconds": 1, "failure_threshold": 60},
                readiness_probe={**ready, "period_seconds": 10},
                liveness_probe={**healthy, "period_seconds": 30, "failure_threshold": 3},
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
                    "spec": claim_spec("1Gi", "ReadWriteOnce", args.retention.storage_class),
                }
            ],
        },
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[config, secret, *depends_on]),
    )
    return kubernetes.core.v1.Service(
        f"{name}-{PART}-service",
        metadata=metadata(PART, namespace),
        spec={
            "selector": chosen,
            "ports": [{"name": "http", "port": ALERTMANAGER_PORT, "target_port": "metrics"}],
        },
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[server]),
    )
