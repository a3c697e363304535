"""What a retired Airflow leaves behind: a dump of its database in its own bucket, made once its parts have stopped."""

from collections.abc import Sequence
from typing import Final

import pulumi
import pulumi_kubernetes as kubernetes

from components.airflow.configuration import script
from components.airflow.pods import Blueprint
from components.airflow.secrets import database_of, role_of
from components.postgresql import PASSWORD, client_env
from components.workload import (
    RETRY_FAILED,
    Container,
    Mount,
    checksum,
    config_volume,
    metadata,
    pod_template,
    scratch,
    secret_env,
)

SECRET: Final = "export"  # noqa: S105 (a name)
SCRIPT: Final = "export_upload.py"
SCRIPT_FOLDER: Final = "/run/export"
PREFIX: Final = "exports"
FILE: Final = "/export/database.dump"
# No limit of its own: what an Airflow's database takes, compressed, is the node's to hold. A pod that does not fit is
# evicted and the Job says so; then `make dump` is the way.
_SPACE: Final = scratch("export", "/export")


def export_database(
    blueprint: Blueprint,
    bucket: str,
    namespace: pulumi.Output[str],
    service_account: pulumi.Input[str],
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource],
) -> None:
    """Makes the Job that dumps the database into ``bucket``, as `make dump` would.

    It runs as the Airflow's own role and identity, after ``depends_on`` are down.
    """
    name, args = blueprint.name, blueprint.args
    prefix = f"{PREFIX}/{database_of(name)}"
    secret = kubernetes.core.v1.Secret(
        f"{name}-export",
        metadata=metadata(SECRET, namespace),
        string_data={"password": blueprint.secrets.database_password},
        opts=pulumi.ResourceOptions(parent=parent),
    )
    files = kubernetes.core.v1.ConfigMap(
        f"{name}-export",
        metadata=metadata("airflow-export", namespace),
        data={SCRIPT: script(SCRIPT)},
        opts=pulumi.ResourceOptions(parent=parent),
    )
    dump = Container(
        name="dump",
        image=args.database.client_image,
        command=["pg_dump", "--format=custom", f"--file={FILE}"],
        resources=args.sizing.job,
        env=client_env(
            args.database.host,
            args.database.port,
            role_of(name),
            database_of(name),
            secret_env(PASSWORD, SECRET, "password"),
        ),
        mounts=[_SPACE, scratch("export-tmp", "/tmp")],
    )
    pod = blueprint.component_pod(
        "export",
        ["python", f"{SCRIPT_FOLDER}/{SCRIPT}", FILE, bucket, prefix],
        args.sizing.job,
        direct=True,
        service_account=service_account,
        restart_policy="Never",
        before=[dump],
        mounts=[
            Mount(_SPACE.volume, _SPACE.path),
            Mount(config_volume("export-script", files.metadata.name), SCRIPT_FOLDER),
        ],
    )
    digest = checksum(args.checksum_key, args.image.reference, args.database.client_image, bucket, script(SCRIPT))
    kubernetes.batch.v1.Job(
        f"{name}-export",
        metadata=metadata(digest.apply(lambda text: f"export-{text}"), namespace, annotations=RETRY_FAILED),
        spec={"backoff_limit": 2, "template": pod_template(pod)},
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[*depends_on, secret], delete_before_replace=True),
    )
