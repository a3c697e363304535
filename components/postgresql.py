"""PostgreSQL inside the cluster, for local and throwaway environments.

One replica on one volume, no backups and no failover: an environment that must not lose data uses a managed database.
Deliberately not here: the Airflows' roles and databases, which each Airflow's own bootstrap Job makes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes
import pulumi_random as random
from pulumi_kubernetes.core.v1 import EnvVarArgsDict, ProbeArgsDict

from components.network import DNS, Egress, deny_by_default, policy, to_pods
from components.versions import version_label
from components.workload import (
    OWNER,
    RESTRICTED,
    Container,
    Mount,
    Pod,
    Resources,
    checksum,
    claim_spec,
    labels,
    metadata,
    pod_template,
    scratch,
    secret_volume,
    selector,
)

NAMESPACE = "postgresql"
PORT = 5432
ADMINISTRATOR = "postgres"
CLIENT_LABEL: Mapping[str, str] = {"airflow-platform/database-client": "true"}
"""Pods that carry it may reach the server; all others are refused by a network policy."""

_POSTGRES_UID = 999  # of the official image
_PASSWORD_FILE = "/run/secrets/administrator/password"  # noqa: S105 (a path)
# The official image sets the password only when it makes a new data directory. So that a rotated one takes effect, it
# is set at each start, from inside the pod, which the image trusts. Over TCP, because the socket also answers for the
# short-lived server that the image uses while it makes the data directory. psql reads the file itself: nothing on argv.
_SET_PASSWORD = f"""
for _ in $(seq 60); do
  pg_isready --quiet --host=127.0.0.1 && break
  sleep 0.5
done
exec psql --quiet --no-psqlrc --host=127.0.0.1 --username={ADMINISTRATOR} --set=ON_ERROR_STOP=1 <<'SQL'
\\set password `cat {_PASSWORD_FILE}`
ALTER ROLE {ADMINISTRATOR} PASSWORD :'password';
SQL
"""


PASSWORD = "PGPASSWORD"  # noqa: S105 (a name)


def client_env(
    host: pulumi.Input[str], port: int, user: str, database: str, password: EnvVarArgsDict
) -> list[EnvVarArgsDict]:
    """What PostgreSQL's client programs read; ``password`` is the variable ``PASSWORD``, from a Secret."""
    return [
        {"name": "PGHOST", "value": host},
        {"name": "PGPORT", "value": str(port)},
        {"name": "PGUSER", "value": user},
        {"name": "PGDATABASE", "value": database},
        {"name": "PGCONNECT_TIMEOUT", "value": "10"},
        password,
    ]


@dataclass(frozen=True)
class PostgresqlArgs:
    """``size`` of the volume with a binary unit; ``storage_class`` None takes the cluster's default."""

    image: str
    checksum_key: pulumi.Output[str]
    size: str = "5Gi"
    storage_class: str | None = None
    max_connections: int = 100
    password_rotation: int = 0
    priority: pulumi.Input[str] | None = None
    network_policies: bool = False
    """Whether its namespace is shut but for what its own pods need. Who may reach the server is always limited."""
    protect: bool = True


def to_server(name: str) -> Egress:
    """The way to the server that the component ``name`` makes."""
    return to_pods(selector(name, "server", "postgresql"), PORT, namespace=NAMESPACE)


class Postgresql(pulumi.ComponentResource):
    """A namespace with a PostgreSQL server in it, reachable by labelled pods only."""

    host: pulumi.Output[str]
    """The server's address inside the cluster; known only when it accepts connections."""
    namespace: pulumi.Output[str]
    administrator_secret: str = "administrator"  # noqa: S105 (a name)
    """The Secret in ``namespace`` that holds the administrator's password under ``password``. No Airflow sees it."""
    administrator_checksum: pulumi.Output[str]
    port: int = PORT

    def __init__(self, name: str, args: PostgresqlArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-platform:database:Postgresql", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        namespace = kubernetes.core.v1.Namespace(
            f"{name}-namespace",
            metadata=metadata(NAMESPACE, own_labels=RESTRICTED),
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        self.namespace = namespace.metadata.name

        password = random.RandomPassword(
            f"{name}-administrator",
            length=32,
            keepers={"rotation": str(args.password_rotation)},
            opts=child,
        )
        secret = kubernetes.core.v1.Secret(
            f"{name}-administrator",
            metadata=metadata(self.administrator_secret, self.namespace),
            string_data={"password": password.result},
            opts=child,
        )
        account = kubernetes.core.v1.ServiceAccount(
            f"{name}-service-account",
            metadata=metadata("postgresql", self.namespace),
            automount_service_account_token=False,
            opts=child,
        )
        self.administrator_checksum = checksum(args.checksum_key, password.result)
        self._restrict_access(name, args, child)
        service = kubernetes.core.v1.Service(
            f"{name}-service",
            # Pulumi would wait for a ready pod before the StatefulSet, whose pods those are, is even made.
            metadata=metadata("postgresql", self.namespace, annotations={"pulumi.com/skipAwait": "true"}),
            spec={
                "selector": selector(name, "server", "postgresql"),
                "ports": [{"name": "postgresql", "port": PORT, "target_port": "postgresql"}],
            },
            opts=child,
        )
        server = self._server(name, args, account, [secret, service])
        self.host = pulumi.Output.all(service.metadata, self.namespace, server.id).apply(
            lambda known: f"{known[0]['name']}.{known[1]}.svc.cluster.local"
        )
        self.register_outputs({"host": self.host, "namespace": self.namespace})

    def _restrict_access(self, name: str, args: PostgresqlArgs, child: pulumi.ResourceOptions) -> None:
        access = kubernetes.networking.v1.NetworkPolicy(
            f"{name}-access",
            metadata=metadata("postgresql", self.namespace),
            spec={
                "pod_selector": {"match_labels": selector(name, "server", "postgresql")},
                "policy_types": ["Ingress"],
                "ingress": [
                    {
                        "from_": [
                            {
                                "namespace_selector": {"match_labels": dict(OWNER)},
                                "pod_selector": {"match_labels": dict(CLIENT_LABEL)},
                            }
                        ],
                        "ports": [{"protocol": "TCP", "port": PORT}],
                    }
                ],
            },
            opts=child,
        )
        if args.network_policies:
            clients = policy(
                f"{name}-network-clients",
                "database-clients",
                self.namespace,
                {"match_labels": dict(CLIENT_LABEL)},
                child,
                egress=[DNS, to_server(name)],
            )
            deny_by_default(f"{name}-network-default-deny", self.namespace, self, [access, clients])

    def _server(
        self,
        name: str,
        args: PostgresqlArgs,
        account: kubernetes.core.v1.ServiceAccount,
        depends_on: list[pulumi.Resource],
    ) -> kubernetes.apps.v1.StatefulSet:
        answers: ProbeArgsDict = {
            "exec_": {"command": ["pg_isready", "--quiet", f"--username={ADMINISTRATOR}", "--host=127.0.0.1"]},
            "period_seconds": 5,
            "timeout_seconds": 5,
        }
        pod = Pod(
            labels=labels(name, "server", version_label(args.image), "postgresql"),
            service_account=account.metadata.name,
            user=_POSTGRES_UID,
            group=_POSTGRES_UID,
            # PostgreSQL's smart shutdown would wait for every client; the image's stop signal asks for the fast one.
            grace_period_seconds=60,
            priority=args.priority,
            checksums={"administrator": self.administrator_checksum},
            containers=[
                Container(
                    name="postgresql",
                    image=args.image,
                    args=["postgres", "-c", f"max_connections={args.max_connections}"],
                    ports={"postgresql": PORT},
                    resources=Resources(cpu="100m", memory="192Mi", cpu_limit="2", memory_limit="1Gi"),
                    env=[
                        {"name": "POSTGRES_PASSWORD_FILE", "value": _PASSWORD_FILE},
                        # A folder below the mount: file systems put lost+found into their root, which initdb refuses.
                        {"name": "PGDATA", "value": "/var/lib/postgresql/data/pgdata"},
                    ],
                    mounts=[
                        Mount({"name": "data"}, "/var/lib/postgresql/data", read_only=False, claimed=True),
                        Mount(secret_volume("administrator", self.administrator_secret), "/run/secrets/administrator"),
                        scratch("run", "/var/run/postgresql"),
                        scratch("tmp", "/tmp"),
                        Mount(
                            {"name": "shm", "empty_dir": {"medium": "Memory", "size_limit": "128Mi"}},
                            "/dev/shm",
                            read_only=False,
                        ),
                    ],
                    startup_probe={**answers, "period_seconds": 1, "failure_threshold": 120},
                    readiness_probe=answers,
                    liveness_probe={**answers, "period_seconds": 20, "failure_threshold": 6},
                    lifecycle={"post_start": {"exec_": {"command": ["bash", "-c", _SET_PASSWORD]}}},
                )
            ],
        )
        return kubernetes.apps.v1.StatefulSet(
            f"{name}-server",
            metadata=metadata("postgresql", self.namespace),
            spec={
                "service_name": "postgresql",
                "replicas": 1,
                "selector": {"match_labels": selector(name, "server", "postgresql")},
                "template": pod_template(pod),
                "volume_claim_templates": [
                    {
                        "metadata": {"name": "data", "labels": dict(OWNER)},
                        "spec": claim_spec(args.size, "ReadWriteOnce", args.storage_class),
                    }
                ],
            },
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect, depends_on=depends_on),
        )
