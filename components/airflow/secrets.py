"""Every secret of one Airflow: generated unless given, kept in Kubernetes Secrets, never shown.

Task pods get none of them: they talk to the api-server with a token of their own.
"""

from dataclasses import dataclass
from urllib.parse import quote, urlsplit, urlunsplit

import pulumi
import pulumi_kubernetes as kubernetes
import pulumi_random as random
from pulumi_kubernetes.core.v1 import EnvVarArgsDict

from components.airflow.args import AirflowArgs
from components.airflow.fernet import fernet_keys
from components.airflow.pooled import (
    AUTH_SECRET,
    CLIENT_USER,
    POOLED_KEY,
    PORT,
    PooledSecrets,
    pooled_env,
    pooled_secrets,
    pooler_host,
)
from components.airflow.task_logs import ELASTICSEARCH_SECRET, ElasticsearchLogs
from components.workload import Mount, checksum, metadata, secret_env, secret_volume

KEYS_SECRET = "airflow-keys"  # noqa: S105 (a name)
DATABASE_SECRET = "database"  # noqa: S105 (a name)
ADMIN_SECRET = "admin"  # noqa: S105 (a name)
PASSWORD_KEY = "password"  # noqa: S105 (a name)
KEYS_FOLDER = "/run/secrets/airflow"
KEY_VARIABLES = {
    "AIRFLOW__CORE__FERNET_KEY": "fernet-key",
    "AIRFLOW__API__SECRET_KEY": "api-secret-key",
    "AIRFLOW__API_AUTH__JWT_SECRET": "jwt-secret",
}


@dataclass(frozen=True)
class Secrets:
    """What pods get of the secrets, references and checksums; and the one value that the bootstrap Job needs."""

    database_password: pulumi.Output[str]
    fernet_key: pulumi.Output[str]
    env: tuple[EnvVarArgsDict, ...]
    mounts: tuple[Mount, ...]
    """Environment and mounts of Airflow's components; task pods get neither."""
    pooled: PooledSecrets | None
    pooled_env: tuple[EnvVarArgsDict, ...]
    """The environment of those that connect through PgBouncer, where there is one."""
    components_checksum: pulumi.Output[str]
    database_checksum: pulumi.Output[str]
    admin_checksum: pulumi.Output[str]
    resources: tuple[pulumi.Resource, ...]


def make_secrets(name: str, args: AirflowArgs, namespace: pulumi.Output[str], parent: pulumi.Resource) -> Secrets:
    """Generates what is not given and puts it into ``namespace``."""
    opts = pulumi.ResourceOptions(parent=parent)

    def password(part: str, given: pulumi.Output[str] | None, rotation: int, length: int) -> pulumi.Output[str]:
        if given is not None:
            return given
        keepers = {"rotation": str(rotation)}
        return random.RandomPassword(f"{name}-{part}", length=length, keepers=keepers, opts=opts).result

    database_password = password(
        "database-password", args.given.database_password, args.rotations.database_password, 32
    )
    admin_password = password("admin-password", args.given.admin_password, args.rotations.admin_password, 24)
    api_secret_key = password("api-secret-key", args.given.api_secret_key, args.rotations.api_secret_key, 48)
    jwt_secret = password("jwt-secret", args.given.jwt_secret, args.rotations.jwt_secret, 64)
    fernet_key = args.given.fernet_key or fernet_keys(name, args.rotations, args.protected, parent)
    connection = pulumi.Output.all(database_password, args.database.host).apply(
        lambda known: connection_url(role_of(name), known[0], known[1], args.database.port, database_of(name))
    )

    def secret(part: str, object_name: str, data: dict[str, pulumi.Input[str]]) -> kubernetes.core.v1.Secret:
        return kubernetes.core.v1.Secret(
            f"{name}-{part}",
            metadata=metadata(object_name, namespace),
            string_data=data,
            opts=opts,
        )

    database = {"connection": connection, PASSWORD_KEY: database_password}
    pooled = None
    made: list[pulumi.Resource] = []
    if args.sizing.pooler:
        pooled = pooled_secrets(name, role_of(name), database_password, args.checksum_key, parent)
        database[POOLED_KEY] = pulumi.Output.all(pooled.client_password, namespace).apply(
            lambda known: connection_url(CLIENT_USER, known[0], pooler_host(known[1]), PORT, database_of(name))
        )
        made.append(secret("pgbouncer-auth", AUTH_SECRET, {**pooled.auth}))
    made += [
        secret(
            "keys",
            KEYS_SECRET,
            {"fernet-key": fernet_key, "api-secret-key": api_secret_key, "jwt-secret": jwt_secret},
        ),
        secret("database", DATABASE_SECRET, {**database}),
        secret("admin", ADMIN_SECRET, {"username": args.admin_user, "password": admin_password}),
    ]
    parts: list[pulumi.Output[str]] = [fernet_key, api_secret_key, jwt_secret, connection]
    if isinstance(args.task_logs, ElasticsearchLogs):
        url = _elasticsearch_url(args.task_logs, args)
        made.append(secret("elasticsearch", ELASTICSEARCH_SECRET, {"url": url}))
        parts += [url, *([args.task_logs.authority] if args.task_logs.authority is not None else [])]
    keys = [_from_file(variable, key) for variable, key in KEY_VARIABLES.items()]
    return Secrets(
        database_password=database_password,
        fernet_key=fernet_key,
        env=(secret_env("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", DATABASE_SECRET, "connection"), *keys),
        pooled=pooled,
        pooled_env=(*pooled_env(DATABASE_SECRET, args.sizing.pooler.image), *keys) if args.sizing.pooler else (),
        mounts=(Mount(secret_volume("keys", KEYS_SECRET), KEYS_FOLDER),),
        components_checksum=checksum(args.checksum_key, *parts),
        database_checksum=checksum(args.checksum_key, database_password),
        admin_checksum=checksum(args.checksum_key, admin_password),
        resources=tuple(made),
    )


def role_of(name: str) -> str:
    """The database role of the Airflow ``name``: no dashes, so that nobody has to quote it."""
    return f"airflow_{name.replace('-', '_')}"


def database_of(name: str) -> str:
    """The database of the Airflow ``name``; named like its role."""
    return role_of(name)


def connection_url(user: str, password: str, host: str, port: int, database: str) -> str:
    """SQLAlchemy's URL. Every character outside a URL's unreserved ones is escaped, so any password is allowed."""
    return f"postgresql+psycopg2://{quote(user, safe='')}:{quote(password, safe='')}@{host}:{port}/{database}"


def _from_file(variable: str, key: str) -> EnvVarArgsDict:
    # Airflow expands `$NAME` and a leading `~` in a plain variable's value; what a command prints stays as it is, so a
    # key may hold any character.
    return {"name": f"{variable}_CMD", "value": f"cat {KEYS_FOLDER}/{key}"}


def _elasticsearch_url(logs: ElasticsearchLogs, args: AirflowArgs) -> pulumi.Output[str]:
    def with_login(known: list[str]) -> str:
        user, password = (quote(part, safe="") for part in known)
        parts = urlsplit(logs.url)
        return urlunsplit(parts._replace(netloc=f"{user}:{password}@{parts.netloc}"))

    return pulumi.Output.all(args.given.elasticsearch_user, args.given.elasticsearch_password).apply(with_login)
