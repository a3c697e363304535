"""The desk that makes the databases of dev stacks: they ask, it makes; what nobody asks for any more, it drops.

So no dev stack, nor whoever deploys one, ever holds the administrator's password. docs/decisions/dev-stacks.md says why
it is made like this.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pulumi
import pulumi_kubernetes as kubernetes

from components.airflow.access import account_metadata
from components.airflow.args import DatabaseServer
from components.airflow.configuration import script
from components.airflow.database import REQUEST_LABEL
from components.network import ClusterNetwork, policy
from components.postgresql import CLIENT_LABEL, PASSWORD, client_env
from components.versions import AIRFLOW
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
    scratch,
    secret_env,
    selector,
)

REQUESTS_NAMESPACE: Final = "dev-databases"
"""Holds one Secret for each database that a dev stack asks for: ``password`` and ``connections``."""
DESK_ACCOUNT: Final = "database-desk"
"""Its service account, in the namespace that holds the administrator's password."""
STATUS: Final = "databases"
"""The ConfigMap in ``REQUESTS_NAMESPACE`` whose ``roles`` are those that exist."""

_FILES = Path(__file__).parent / "files"
_SHIPPED = ("hear.py", "desk.sh", "theirs.sql", "mark.sql", "ours.sql", "drop.sql")
_CLIENT_UID = 999  # of the official PostgreSQL image
_AIRFLOW_UID = 50000
_PYTHON = Resources(cpu="10m", memory="32Mi", cpu_limit="500m", memory_limit="128Mi")
_SHELL = Resources(cpu="10m", memory="16Mi", cpu_limit="500m", memory_limit="128Mi")


@dataclass(frozen=True)
class DatabaseDeskArgs:
    """``server`` with its administrator; ``image`` is any with Python; ``environment`` marks the roles it makes.

    ``network``: what its pod may connect to; None: everything. ``protect`` keeps the requests from deletion: without
    them the databases of all dev stacks are dropped.
    """

    server: DatabaseServer
    image: str
    environment: str
    checksum_key: pulumi.Output[str]
    network: ClusterNetwork | None = None
    priority: pulumi.Input[str] | None = None
    protect: bool = True


class DatabaseDesk(pulumi.ComponentResource):
    """A pod of two containers. One hears requests from the Kubernetes API, on Airflow's image; the other one has the
    administrator's password, runs PostgreSQL's client, and checks what the first one says.

    ``requests``: the namespace for requests, known when they are heard.
    """

    requests: pulumi.Output[str]

    def __init__(self, name: str, args: DatabaseDeskArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-platform:database:DatabaseDesk", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        namespace = kubernetes.core.v1.Namespace(
            f"{name}-requests",
            metadata=metadata(REQUESTS_NAMESPACE),
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        ).metadata.name
        kubernetes.core.v1.ConfigMap(f"{name}-status", metadata=metadata(STATUS, namespace), opts=child)
        account = self._account(name, args.server, namespace)
        if args.network:
            policy(
                f"{name}-network",
                DESK_ACCOUNT,
                args.server.namespace,
                {"match_labels": selector(name, "desk", "postgresql")},
                child,
                egress=args.network.api_servers,
            )
        deployment = self._deployment(name, args, account)
        self.requests = pulumi.Output.all(namespace, deployment.id).apply(lambda known: str(known[0]))
        self.register_outputs({"requests": self.requests})

    def _account(self, name: str, server: DatabaseServer, requests: pulumi.Output[str]) -> pulumi.Output[str]:
        opts = pulumi.ResourceOptions(parent=self)
        account = kubernetes.core.v1.ServiceAccount(
            f"{name}-service-account",
            metadata=account_metadata(DESK_ACCOUNT, server.namespace, server.bootstrap_identity),
            automount_service_account_token=False,
            opts=opts,
        )
        role = kubernetes.rbac.v1.Role(
            f"{name}-hear",
            metadata=metadata(DESK_ACCOUNT, requests),
            rules=[
                {"api_groups": [""], "resources": ["secrets"], "verbs": ["list"]},
                {"api_groups": [""], "resources": ["configmaps"], "resource_names": [STATUS], "verbs": ["patch"]},
            ],
            opts=opts,
        )
        binding = kubernetes.rbac.v1.RoleBinding(
            f"{name}-hear-binding",
            metadata=metadata(DESK_ACCOUNT, requests),
            role_ref={"api_group": "rbac.authorization.k8s.io", "kind": "Role", "name": role.metadata.name},
            subjects=[{"kind": "ServiceAccount", "name": account.metadata.name, "namespace": server.namespace}],
            opts=opts,
        )
        return pulumi.Output.all(account.metadata.name, binding.id).apply(lambda known: str(known[0]))

    def _deployment(
        self, name: str, args: DatabaseDeskArgs, account: pulumi.Output[str]
    ) -> kubernetes.apps.v1.Deployment:
        server = args.server
        shipped = {file: (_FILES / file).read_text(encoding="utf-8") for file in _SHIPPED}
        # What makes an Airflow's role and database makes a dev stack's, too.
        shipped["bootstrap.sql"] = script("bootstrap.sql")
        files = kubernetes.core.v1.ConfigMap(
            f"{name}-files",
            metadata=metadata(DESK_ACCOUNT, server.namespace),
            data=shipped,
            opts=pulumi.ResourceOptions(parent=self),
        )
        mounted = Mount(config_volume("files", files.metadata.name), "/run/desk")
        # In memory: passwords of databases pass through it.
        shared = Mount(
            {"name": "requests", "empty_dir": {"medium": "Memory", "size_limit": "16Mi"}},
            "/run/requests",
            read_only=False,
        )
        role = Mount(
            {"name": "role", "empty_dir": {"medium": "Memory", "size_limit": "1Mi"}},
            "/run/secrets/role",
            read_only=False,
        )
        hear = Container(
            name="hear",
            image=args.image,
            command=["python", "-u", "/run/desk/hear.py"],
            resources=_PYTHON,
            env=[
                {"name": "REQUESTS_NAMESPACE", "value": REQUESTS_NAMESPACE},
                {"name": "REQUESTS_LABEL", "value": f"{REQUEST_LABEL}=true"},
            ],
            mounts=[mounted, shared],
            user=_AIRFLOW_UID,
            startup_probe=_recent("heard", 1),
            liveness_probe=_recent("heard", 30),
        )
        password = secret_env(PASSWORD, server.administrator_secret, "password")
        make = Container(
            name="make",
            image=server.client_image,
            command=["bash", "/run/desk/desk.sh"],
            resources=_SHELL,
            env=[
                *client_env(server.host, server.port, server.administrator, "postgres", password),
                {"name": "DESK_MARK", "value": f"airflow-platform: a dev stack of {args.environment}"},
            ],
            mounts=[mounted, shared, role, scratch("tmp", "/tmp")],
            startup_probe=_recent("worked", 1),
            liveness_probe=_recent("worked", 30),
        )
        pod = Pod(
            labels={**labels(name, "desk", AIRFLOW, "postgresql"), **CLIENT_LABEL},
            service_account=account,
            api_access=True,
            user=_CLIENT_UID,
            group=_CLIENT_UID,
            priority=args.priority,
            checksums={
                "administrator": server.administrator_checksum,
                "files": checksum(args.checksum_key, *shipped.values()),
            },
            init_containers=[server.proxy.sidecar()] if server.proxy else [],
            containers=[hear, make],
        )
        return kubernetes.apps.v1.Deployment(
            f"{name}-desk",
            metadata=metadata(DESK_ACCOUNT, server.namespace),
            spec={
                "replicas": 1,
                # Two at once would be in each other's way.
                "strategy": {"type": "Recreate"},
                "selector": {"match_labels": selector(name, "desk", "postgresql")},
                "template": pod_template(pod),
            },
            opts=pulumi.ResourceOptions(parent=self),
        )


def _recent(file: str, period: int) -> kubernetes.core.v1.ProbeArgsDict:
    """Whether a loop still turns: its file is younger than two minutes."""
    command = f'test -n "$(find /run/requests/{file} -mmin -2)"'
    return {
        "exec_": {"command": ["sh", "-c", command]},
        "period_seconds": period,
        "timeout_seconds": 10,
        "failure_threshold": 6 if period > 1 else 120,
    }
