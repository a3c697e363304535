"""Flower, which shows Celery's workers and queues. It also shows the messages, which hold a token for each task."""

from collections.abc import Sequence

import pulumi
import pulumi_kubernetes as kubernetes
import pulumi_random as random
from pulumi_kubernetes.core.v1 import ProbeArgsDict

from components.airflow.celery.broker import Broker
from components.airflow.celery.configuration import FLOWER_PORT
from components.airflow.pods import AIRFLOW_GID, AIRFLOW_UID, CONFIG_ENV, FILES_MOUNT, INIT, TMP, Blueprint
from components.workload import (
    Container,
    Mount,
    Pod,
    Resources,
    checksum,
    metadata,
    pod_template,
    scratch,
    secret_volume,
    selector,
)

SECRET = "flower"  # noqa: S105 (a name)
USER = "flower"
_FOLDER = "/run/secrets/flower"


def make_flower(
    blueprint: Blueprint,
    namespace: pulumi.Output[str],
    broker: Broker,
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource],
) -> None:
    """Makes Flower in ``namespace``, reached inside the cluster only, with the password that its Secret holds."""
    name, args = blueprint.name, blueprint.args
    child = pulumi.ResourceOptions(parent=parent)
    password = random.RandomPassword(
        f"{name}-flower-password",
        length=32,
        special=False,
        keepers={"rotation": str(args.rotations.flower_password)},
        opts=child,
    ).result
    login = password.apply(lambda known: f"{USER}:{known}")
    secret = kubernetes.core.v1.Secret(
        f"{name}-flower",
        metadata=metadata(SECRET, namespace),
        string_data={"username": USER, "password": password, "login": login},
        opts=child,
    )
    account = kubernetes.core.v1.ServiceAccount(
        f"{name}-flower-service-account",
        metadata=metadata("flower", namespace),
        automount_service_account_token=False,
        opts=child,
    )
    # The one page that it shows to everybody.
    alive: ProbeArgsDict = {"http_get": {"path": "/healthcheck", "port": FLOWER_PORT}, "timeout_seconds": 10}
    pod = Pod(
        labels=blueprint.labels("flower"),
        service_account=account.metadata.name,
        user=AIRFLOW_UID,
        group=AIRFLOW_GID,
        nodes=args.nodes,
        checksums={"config": blueprint.config_checksum, "login": checksum(args.checksum_key, login)},
        containers=[
            Container(
                name="flower",
                image=args.image.reference,
                command=[*INIT, "airflow", "celery", "flower"],
                resources=Resources(cpu="50m", memory="192Mi", cpu_limit="1", memory_limit="768Mi"),
                env=[CONFIG_ENV, {"name": "AIRFLOW__CELERY__FLOWER_BASIC_AUTH_CMD", "value": f"cat {_FOLDER}/login"}],
                mounts=[
                    FILES_MOUNT,
                    TMP,
                    scratch("logs", "/opt/airflow/logs"),
                    Mount(secret_volume("login", SECRET), _FOLDER),
                ],
                ports={"http": FLOWER_PORT},
                startup_probe={**alive, "period_seconds": 3, "failure_threshold": 100},
                liveness_probe={**alive, "period_seconds": 20, "failure_threshold": 6},
                readiness_probe={**alive, "period_seconds": 5, "failure_threshold": 3},
            )
        ],
    )
    deployment = kubernetes.apps.v1.Deployment(
        f"{name}-flower",
        metadata=metadata("flower", namespace, blueprint.labels("flower")),
        spec={
            "replicas": 1,
            "revision_history_limit": 3,
            "selector": {"match_labels": selector(name, "flower")},
            "template": pod_template(broker.client(pod)),
        },
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[*depends_on, *broker.resources, secret]),
    )
    kubernetes.core.v1.Service(
        f"{name}-flower-service",
        metadata=metadata("flower", namespace),
        spec={
            "selector": selector(name, "flower"),
            "ports": [{"name": "http", "port": FLOWER_PORT, "target_port": "http"}],
        },
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[deployment]),
    )
