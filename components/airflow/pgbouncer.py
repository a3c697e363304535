"""PgBouncer between one Airflow's components and its database: few connections to the server, many from components.

It is of the Airflow's own namespace. Components log in to it with a password of its own, so a new database password
restarts PgBouncer and cuts nobody off. Deliberately not here: who goes past it (``Blueprint.component_pod``).
"""

from collections.abc import Sequence

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes.core.v1 import ProbeArgsDict

from components.airflow.args import AirflowArgs
from components.airflow.pods import Blueprint
from components.airflow.pooled import (
    AUTH_FILE,
    AUTH_KEY,
    AUTH_SECRET,
    EXPORTER_KEY,
    POOLER_CLIENT_LABEL,
    PORT,
    RECYCLE_SECONDS,
    STATS_USER,
    follows_prepared_statements,
)
from components.airflow.secrets import database_of, role_of
from components.airflow.sizing import Pooler
from components.availability import disruption_budget
from components.network import GOOGLES_COLLECTORS
from components.postgresql import CLIENT_LABEL
from components.versions import version_label
from components.workload import (
    OWNER,
    Container,
    Mount,
    Pod,
    Resources,
    checksum,
    config_volume,
    labels,
    metadata,
    pod_template,
    secret_env,
    secret_volume,
    selector,
)

PART = "pgbouncer"
METRICS_PORT = 9127
EXPORTER = Resources(cpu="10m", memory="32Mi", cpu_limit="500m", memory_limit="128Mi")
CONFIG_FOLDER = "/run/pgbouncer"
MAX_PREPARED_STATEMENTS = 200
FORGET_SECONDS = 30
"""Until nobody is told a replica's address any more: the longest that the cluster's DNS is remembered on a node."""
DRAIN_SECONDS = FORGET_SECONDS + RECYCLE_SECONDS
"""Until every component has gone over to other replicas."""
FINISH_SECONDS = 20
"""How long transactions that are still under way have to end."""

_UID = 70  # of the image; any other would do
# SIGINT lets transactions end and exits, in every version. SIGTERM, which comes when that takes too long, cuts them
# off, before 1.23 and while a shutdown is under way (https://www.pgbouncer.org/usage.html#signals).
_DRAIN = f"sleep {DRAIN_SECONDS}; kill -INT 1; sleep {FINISH_SECONDS}"


def pgbouncer_ini(args: AirflowArgs, name: str, pooler: Pooler, host: str) -> str:
    """The configuration of the Airflow ``name``'s PgBouncer, without a secret in it
    (https://www.pgbouncer.org/config.html)."""
    reset = {"max_prepared_statements": str(MAX_PREPARED_STATEMENTS)}
    if not follows_prepared_statements(pooler.image):
        # Statements that were prepared stay with a connection: each transaction leaves it as it found it.
        reset = {"server_reset_query": "DISCARD ALL", "server_reset_query_always": "1"}
    options = {
        "listen_addr": "*",
        "listen_port": str(PORT),
        "unix_socket_dir": "",
        "auth_type": "scram-sha-256",
        "auth_file": AUTH_FILE,
        "stats_users": STATS_USER,
        "pool_mode": "transaction",
        "max_client_conn": str(pooler.clients),
        "default_pool_size": str(pooler.connections),
        "max_db_connections": str(pooler.connections),
        "ignore_startup_parameters": "extra_float_digits",
        # The Auth Proxy is in the same pod and encrypts; PostgreSQL in the cluster has no certificate to offer.
        "server_tls_sslmode": "disable" if args.database.proxy else "prefer",
        # What is idle goes back to the server, so the replicas don't hold one another's share for long.
        "server_idle_timeout": "300",
        # A server that restarts is back in seconds; meanwhile queries wait rather than fail.
        "server_login_retry": "1",
        "query_wait_timeout": "120",
        "tcp_keepidle": "30",
        "tcp_keepintvl": "10",
        "tcp_keepcnt": "3",
        "log_connections": "0",
        "log_disconnections": "0",
        **reset,
    }
    database, role = database_of(name), role_of(name)
    lines = [
        "[databases]",
        f"{database} = host={host} port={args.database.port} dbname={database} user={role}",
        "",
        "[pgbouncer]",
        *(f"{key} = {value}".rstrip() for key, value in options.items()),
    ]
    return "\n".join(lines) + "\n"


def run_pgbouncer(
    blueprint: Blueprint,
    namespace: pulumi.Output[str],
    service_account: pulumi.Output[str],
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource],
) -> list[pulumi.Resource]:
    """Makes PgBouncer where the Airflow's size has one; what is returned is there when it takes connections.

    ``service_account`` may log in to the database's instance, where there is an Auth Proxy.
    """
    name, args, pooler = blueprint.name, blueprint.args, blueprint.args.sizing.pooler
    if pooler is None:
        return []
    opts = pulumi.ResourceOptions(parent=parent)
    ini = pulumi.Output.from_input(args.database.host).apply(lambda host: pgbouncer_ini(args, name, pooler, host))
    config = kubernetes.core.v1.ConfigMap(
        f"{name}-{PART}-config",
        metadata=metadata(f"{PART}-config", namespace),
        data={"pgbouncer.ini": ini},
        opts=opts,
    )
    _restrict_access(name, namespace, opts)
    pod = _pod(blueprint, pooler, service_account, checksum(args.checksum_key, ini))
    selected = selector(name, PART)
    deployment = kubernetes.apps.v1.Deployment(
        f"{name}-{PART}",
        metadata=metadata(PART, namespace, labels(name, PART, version_label(pooler.image))),
        spec={
            "replicas": pooler.replicas,
            "revision_history_limit": 3,
            # The connections of one more while it is rolled are counted (infra/settings/sizes.py).
            "strategy": {"type": "RollingUpdate", "rolling_update": {"max_surge": 1, "max_unavailable": 0}},
            "selector": {"match_labels": selected},
            "template": pod_template(pod),
        },
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[config, *depends_on]),
    )
    service = kubernetes.core.v1.Service(
        f"{name}-{PART}-service",
        metadata=metadata(PART, namespace),
        spec={
            # Headless: the name stands for every replica's address, and PostgreSQL's clients try one after the other.
            # With one address for all, those who are sent to a replica that has just died are refused, and Airflow's
            # scheduler, dag-processor and triggerer end when the database refuses them.
            "cluster_ip": "None",
            "selector": selected,
            "ports": [{"name": "postgresql", "port": PORT, "target_port": "postgresql"}],
        },
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[deployment]),
    )
    disruption_budget(f"{name}-{PART}-budget", PART, namespace, selected, pooler.replicas, parent, [deployment])
    return [service]


def _pod(
    blueprint: Blueprint,
    pooler: Pooler,
    service_account: pulumi.Output[str],
    config_checksum: pulumi.Output[str],
) -> Pod:
    proxy = blueprint.args.database.proxy
    secrets = blueprint.secrets.pooled
    assert secrets is not None  # made where there is a pooler
    listens: ProbeArgsDict = {"tcp_socket": {"port": PORT}, "timeout_seconds": 5}
    serves: ProbeArgsDict = {"http_get": {"path": "/", "port": METRICS_PORT}, "timeout_seconds": 10}
    return Pod(
        labels={**labels(blueprint.name, PART, version_label(pooler.image)), **CLIENT_LABEL},
        service_account=service_account,
        user=_UID,
        group=_UID,
        grace_period_seconds=DRAIN_SECONDS + FINISH_SECONDS + 10,
        init_containers=[proxy.sidecar()] if proxy else [],
        nodes=blueprint.args.nodes,
        priority=blueprint.args.priority,
        spread=blueprint.spread(PART, pooler.replicas),
        checksums={"config": config_checksum, "auth": secrets.auth_checksum},
        containers=[
            Container(
                name=PART,
                image=pooler.image,
                # By name: where it is differs from image to image.
                command=["pgbouncer", f"{CONFIG_FOLDER}/pgbouncer.ini"],
                resources=pooler.resources,
                mounts=[
                    Mount(config_volume("config", f"{PART}-config"), CONFIG_FOLDER),
                    Mount(secret_volume("auth", AUTH_SECRET, [AUTH_KEY]), AUTH_FILE.rpartition("/")[0]),
                ],
                ports={"postgresql": PORT},
                startup_probe={**listens, "period_seconds": 1, "failure_threshold": 60},
                readiness_probe={**listens, "period_seconds": 5, "failure_threshold": 2},
                liveness_probe={**listens, "period_seconds": 20, "failure_threshold": 3},
                lifecycle={"pre_stop": {"exec_": {"command": ["sh", "-c", _DRAIN]}}},
            ),
            Container(
                name="exporter",
                image=pooler.exporter_image,
                resources=EXPORTER,
                env=[secret_env("PGBOUNCER_EXPORTER_CONNECTION_STRING", AUTH_SECRET, EXPORTER_KEY)],
                ports={"metrics": METRICS_PORT},
                startup_probe={**serves, "period_seconds": 2, "failure_threshold": 60},
                liveness_probe={**serves, "period_seconds": 60, "failure_threshold": 5},
            ),
        ],
    )


def _restrict_access(name: str, namespace: pulumi.Output[str], opts: pulumi.ResourceOptions) -> None:
    """Labelled pods of the same namespace get to PgBouncer, the platform's namespaces to its metrics; nobody else."""
    kubernetes.networking.v1.NetworkPolicy(
        f"{name}-{PART}-access",
        metadata=metadata(PART, namespace),
        spec={
            "pod_selector": {"match_labels": selector(name, PART)},
            "policy_types": ["Ingress"],
            "ingress": [
                {
                    "from_": [{"pod_selector": {"match_labels": dict(POOLER_CLIENT_LABEL)}}],
                    "ports": [{"protocol": "TCP", "port": PORT}],
                },
                {
                    "from_": [{"namespace_selector": {"match_labels": dict(OWNER)}}, GOOGLES_COLLECTORS],
                    "ports": [{"protocol": "TCP", "port": METRICS_PORT}],
                },
            ],
        },
        opts=opts,
    )
