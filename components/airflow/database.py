"""The bootstrap Job: one Airflow's role owns its own database and can reach no other.

It runs beside the database server's administrator password, in a namespace that no Airflow is in.
"""

import pulumi
import pulumi_kubernetes as kubernetes

from components.airflow.access import account_metadata
from components.airflow.args import AirflowArgs, DatabaseServer, SharedServer
from components.airflow.configuration import script
from components.airflow.secrets import Secrets, database_of, role_of
from components.postgresql import CLIENT_LABEL, PASSWORD, client_env
from components.versions import AIRFLOW
from components.workload import (
    RETRY_FAILED,
    Container,
    Mount,
    Pod,
    Resources,
    checksum,
    config_volume,
    labels,
    metadata,
    pod_template,
    scratch,
    secret_env,
    secret_volume,
)

REQUEST_LABEL = "airflow-platform/database-request"
"""On the Secrets that ask for a database."""
_CLIENT_UID = 999  # of the official PostgreSQL image


def bootstrap_account(name: str) -> str:
    """The service account that the bootstrap Job of the Airflow ``name`` runs as."""
    return f"bootstrap-{name}"


def database_for(name: str, args: AirflowArgs, secrets: Secrets, parent: pulumi.Resource) -> pulumi.Resource:
    """Sees to a role and a database for the Airflow ``name``: made by a Job, or asked for where another environment's
    desk makes them. What is asked for is there a few seconds later."""
    if isinstance(args.database, SharedServer):
        return _request(name, args.database, args, secrets, parent)
    return _bootstrap(name, args.database, args, secrets, parent)


def _request(
    name: str, server: SharedServer, args: AirflowArgs, secrets: Secrets, parent: pulumi.Resource
) -> kubernetes.core.v1.Secret:
    return kubernetes.core.v1.Secret(
        f"{name}-database-request",
        metadata=metadata(name, server.requests, own_labels={REQUEST_LABEL: "true"}),
        string_data={"password": secrets.database_password, "connections": str(args.connection_limit)},
        opts=pulumi.ResourceOptions(parent=parent),
    )


def _bootstrap(
    name: str, database: DatabaseServer, args: AirflowArgs, secrets: Secrets, parent: pulumi.Resource
) -> kubernetes.batch.v1.Job:
    """Makes role, database and rights for the Airflow ``name``; runs anew when the password or the SQL changes."""
    opts = pulumi.ResourceOptions(parent=parent)
    namespace = database.namespace
    sql = script("bootstrap.sql")
    object_name = bootstrap_account(name)
    role_secret = kubernetes.core.v1.Secret(
        f"{name}-database-role",
        metadata=metadata(object_name, namespace),
        string_data={"password": secrets.database_password},
        opts=opts,
    )
    files = kubernetes.core.v1.ConfigMap(
        f"{name}-database-bootstrap-sql",
        metadata=metadata(object_name, namespace),
        data={"bootstrap.sql": sql},
        opts=opts,
    )
    account = kubernetes.core.v1.ServiceAccount(
        f"{name}-database-bootstrap-service-account",
        metadata=account_metadata(object_name, namespace, database.bootstrap_identity),
        automount_service_account_token=False,
        opts=opts,
    )
    variables = {"role": role_of(name), "database": database_of(name), "connections": str(args.connection_limit)}
    variables["others"] = str(database.owns_access).lower()
    command = ["psql", "--no-psqlrc", "--file=/run/bootstrap/bootstrap.sql"]
    command += [f"--set={key}={value}" for key, value in variables.items()]
    pod = Pod(
        labels={**labels(name, "database-bootstrap", AIRFLOW), **CLIENT_LABEL},
        service_account=account.metadata.name,
        user=_CLIENT_UID,
        group=_CLIENT_UID,
        restart_policy="Never",
        init_containers=[database.proxy.sidecar()] if database.proxy else [],
        containers=[
            Container(
                name="bootstrap",
                image=database.client_image,
                command=command,
                resources=Resources(cpu="50m", memory="64Mi", cpu_limit="1", memory_limit="256Mi"),
                env=client_env(
                    database.host,
                    database.port,
                    database.administrator,
                    "postgres",
                    secret_env(PASSWORD, database.administrator_secret, "password"),
                ),
                mounts=[
                    Mount(config_volume("sql", files.metadata.name), "/run/bootstrap"),
                    Mount(secret_volume("role", role_secret.metadata.name), "/run/secrets/role"),
                    scratch("tmp", "/tmp"),
                ],
            )
        ],
    )
    # The Job's name says what it has run: changed contents are a new Job, the same ones are nothing to do.
    content = checksum(
        args.checksum_key,
        sql,
        *variables.values(),
        database.client_image,
        database.host,
        database.administrator_checksum,
        secrets.database_checksum,
    )
    return kubernetes.batch.v1.Job(
        f"{name}-database-bootstrap",
        metadata=metadata(content.apply(lambda digest: f"{object_name}-{digest}"), namespace, annotations=RETRY_FAILED),
        spec={"backoff_limit": 4, "template": pod_template(pod)},
        # Old first: after a failed change, going back to the Job of before would find it in the way.
        opts=pulumi.ResourceOptions(parent=parent, delete_before_replace=True),
    )
