"""Elasticsearch's health, disks and load as metrics: prometheus-community's exporter.

https://github.com/prometheus-community/elasticsearch_exporter
"""

from collections.abc import Sequence
from typing import Final

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes.core.v1 import ProbeArgsDict

from components.logs.elasticsearch import CLUSTER
from components.logs.store_args import URL, LogStoreArgs
from components.logs.store_certificates import AUTHORITY_FILE
from components.versions import version_label
from components.workload import (
    Container,
    Labels,
    Mount,
    Pod,
    Resources,
    checksum,
    config_volume,
    labels,
    metadata,
    pod_template,
    secret_env,
    selector,
)

COMPONENT: Final = "exporter"
NAME: Final = "elasticsearch-exporter"
PORT: Final = 9114
SECRET: Final = NAME
SELECTOR: Final[Labels] = selector(CLUSTER, COMPONENT, NAME)
_FOLDER: Final = "/run/authority"
_UID: Final = 65534  # of the image


def run_exporter(
    name: str,
    image: str,
    args: LogStoreArgs,
    user: str,
    password: pulumi.Output[str],
    authority: kubernetes.core.v1.ConfigMap,
    namespace: pulumi.Output[str],
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource],
) -> None:
    """Makes it; it asks as ``user``."""
    opts = pulumi.ResourceOptions(parent=parent)
    secret = kubernetes.core.v1.Secret(
        f"{name}-exporter", metadata=metadata(SECRET, namespace), string_data={"password": password}, opts=opts
    )
    account = kubernetes.core.v1.ServiceAccount(
        f"{name}-exporter-service-account",
        metadata=metadata(NAME, namespace),
        automount_service_account_token=False,
        opts=opts,
    )
    alive: ProbeArgsDict = {"http_get": {"path": "/healthz", "port": PORT}, "timeout_seconds": 5}
    pod = Pod(
        labels=labels(CLUSTER, COMPONENT, version_label(image), NAME),
        service_account=account.metadata.name,
        user=_UID,
        group=_UID,
        nodes=args.placed,
        priority=args.priority,
        checksums={"password": checksum(args.checksum_key, password)},
        containers=[
            Container(
                name=COMPONENT,
                image=image,
                args=[
                    f"--es.uri={URL}",
                    f"--es.ca={_FOLDER}/{AUTHORITY_FILE}",
                    # Of every node; without it, of the one that answers.
                    "--es.all",
                    "--es.timeout=8s",
                    f"--web.listen-address=:{PORT}",
                ],
                env=[{"name": "ES_USERNAME", "value": user}, secret_env("ES_PASSWORD", SECRET, "password")],
                resources=Resources(cpu="10m", memory="32Mi", cpu_limit="500m", memory_limit="128Mi"),
                mounts=[Mount(config_volume("authority", authority.metadata.name), _FOLDER)],
                ports={"metrics": PORT},
                startup_probe={**alive, "period_seconds": 1, "failure_threshold": 60},
                readiness_probe=alive,
                liveness_probe={**alive, "period_seconds": 30, "failure_threshold": 5},
            )
        ],
    )
    kubernetes.apps.v1.Deployment(
        f"{name}-exporter",
        metadata=metadata(NAME, namespace),
        spec={
            "replicas": 1,
            "revision_history_limit": 3,
            "selector": {"match_labels": SELECTOR},
            "template": pod_template(pod),
        },
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[secret, authority, *depends_on]),
    )
