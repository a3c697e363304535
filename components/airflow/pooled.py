"""How an Airflow's components reach its PgBouncer: address, login, and what their driver must not do there."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

import pulumi
import pulumi_random as random
from pulumi_kubernetes.core.v1 import EnvVarArgsDict

from components.versions import version_label
from components.workload import Mount, checksum, config_volume, secret_env

PORT = 6432
CLIENT_USER = "airflow"
"""Who components log in to PgBouncer as; PgBouncer logs in to the server as the Airflow's role."""
STATS_USER = "stats"
"""May only look at PgBouncer's statistics."""
POOLED_KEY = "connection-pooled"
AUTH_SECRET = "pgbouncer"  # noqa: S105 (a name)
AUTH_KEY = "userlist.txt"
EXPORTER_KEY = "exporter-connection"
AUTH_FILE = f"/run/secrets/pgbouncer/{AUTH_KEY}"
POOLER_CLIENT_LABEL: Mapping[str, str] = {"airflow-platform/pooler-client": "true"}
"""Pods that carry it may reach the PgBouncer of their namespace; all others are refused by a network policy."""
RECYCLE_SECONDS = 30
"""How long a component uses a connection to PgBouncer before it makes a new one. So all have moved on by themselves
when a replica goes, and none is cut off between Airflow's look whether it is alive and its first statement."""
MODULE = "pooled_connections.py"
MODULE_FOLDER = "/opt/airflow/pooled"


@dataclass(frozen=True)
class PooledSecrets:
    """What PgBouncer and its clients need to know."""

    client_password: pulumi.Output[str]
    auth: Mapping[str, pulumi.Output[str]]
    """The contents of PgBouncer's own Secret."""
    auth_checksum: pulumi.Output[str]
    client_checksum: pulumi.Output[str]


def pooled_secrets(
    name: str,
    role: str,
    database_password: pulumi.Output[str],
    checksum_key: pulumi.Output[str],
    parent: pulumi.Resource,
) -> PooledSecrets:
    """Generates the passwords of PgBouncer's own users. They never leave the Airflow's namespace."""
    opts = pulumi.ResourceOptions(parent=parent)
    client, stats = (
        random.RandomPassword(f"{name}-{user}-password", length=32, opts=opts).result
        for user in ("pooler", "pooler-stats")
    )
    users: pulumi.Output[str] = pulumi.Output.all(client, database_password, stats).apply(
        lambda known: user_list(dict(zip((CLIENT_USER, role, STATS_USER), known, strict=True)))
    )
    exporter = stats.apply(
        lambda password: (
            f"postgres://{STATS_USER}:{quote(password, safe='')}@127.0.0.1:{PORT}/pgbouncer?sslmode=disable"
        )
    )
    return PooledSecrets(
        client_password=client,
        auth={AUTH_KEY: users, EXPORTER_KEY: exporter},
        auth_checksum=checksum(checksum_key, users, exporter),
        client_checksum=checksum(checksum_key, client),
    )


def user_list(passwords: Mapping[str, str]) -> str:
    """PgBouncer's ``auth_file`` (https://www.pgbouncer.org/config.html#authentication-file-format)."""

    def quoted(text: str) -> str:
        return '"' + text.replace('"', '""') + '"'

    return "".join(f"{quoted(user)} {quoted(password)}\n" for user, password in passwords.items())


def pooler_host(namespace: str) -> str:
    """Where the components of an Airflow find its PgBouncer."""
    return f"pgbouncer.{namespace}.svc.cluster.local"


def follows_prepared_statements(image: str) -> bool:
    """Whether the PgBouncer in ``image`` is 1.21 or later, as its tag says; a tag without a version says no."""
    found = re.match(r"v?(\d+)\.(\d+)", version_label(image))
    return bool(found) and (int(found[1]), int(found[2])) >= (1, 21)


def pooled_env(database_secret: str, image: str) -> list[EnvVarArgsDict]:
    """What makes a component connect through the PgBouncer in ``image``."""
    module = MODULE.removesuffix(".py")
    made: list[EnvVarArgsDict] = [
        secret_env("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", database_secret, POOLED_KEY),
        {"name": "AIRFLOW__DATABASE__SQL_ALCHEMY_CONNECT_ARGS", "value": f"{module}.CONNECT_ARGS"},
        {"name": "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_RECYCLE", "value": str(RECYCLE_SECONDS)},
        {"name": "PYTHONPATH", "value": MODULE_FOLDER},
    ]
    if not follows_prepared_statements(image):
        unprepared = f"{module}.UNPREPARED"
        made.append({"name": "AIRFLOW__DATABASE__SQL_ALCHEMY_CONNECT_ARGS_ASYNC", "value": unprepared})
    return made


def pooled_mount(config_map: str) -> Mount:
    """The module with the driver's arguments, alone in a folder: what is on Python's path hides DAGs' modules."""
    volume = config_volume("pooled", config_map)
    volume["config_map"] = {"name": config_map, "items": [{"key": MODULE, "path": MODULE}]}
    return Mount(volume, MODULE_FOLDER)
