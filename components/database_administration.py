"""Where an environment administers a database server that is not in its cluster: beside no Airflow."""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from components.auth_proxy import HTTP_PORT
from components.ingress.labels import METRICS_READERS
from components.network import DNS, GOOGLES_COLLECTORS, ClusterNetwork, deny_by_default, policy, ports
from components.workload import RESTRICTED, checksum, metadata

NAMESPACE = "database"
SECRET = "administrator"  # noqa: S105 (a name)


@dataclass(frozen=True)
class DatabaseAdministrationArgs:
    """``password`` is the server's administrator's. ``network``: what its pods may connect to; None: everything."""

    password: pulumi.Output[str]
    checksum_key: pulumi.Output[str]
    network: ClusterNetwork | None = None
    protect: bool = True


class DatabaseAdministration(pulumi.ComponentResource):
    """A namespace with the administrator's password in it, for the bootstrap Jobs, which run there."""

    namespace: pulumi.Output[str]
    administrator_secret: str = SECRET
    """Holds the password under ``password``. No Airflow sees it."""
    administrator_checksum: pulumi.Output[str]

    def __init__(self, name: str, args: DatabaseAdministrationArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-platform:database:DatabaseAdministration", name, None, opts)
        namespace = kubernetes.core.v1.Namespace(
            f"{name}-namespace",
            metadata=metadata(NAMESPACE, own_labels=RESTRICTED),
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        self.namespace = namespace.metadata.name
        secret = kubernetes.core.v1.Secret(
            f"{name}-administrator",
            metadata=metadata(self.administrator_secret, self.namespace),
            string_data={"password": args.password},
            opts=pulumi.ResourceOptions(parent=self),
        )
        if args.network:
            self._restrict_network(name, args.network)
        # Known when the Secret is there.
        self.administrator_checksum = pulumi.Output.unsecret(
            pulumi.Output.all(checksum(args.checksum_key, args.password), secret.id).apply(lambda known: str(known[0]))
        )
        self.register_outputs({"namespace": self.namespace})

    def _restrict_network(self, name: str, network: ClusterNetwork) -> None:
        allowed = policy(
            f"{name}-network-every-pod",
            "every-pod",
            self.namespace,
            {},
            pulumi.ResourceOptions(parent=self),
            # Of a proxy that goes on running.
            ingress=[
                {
                    "from_": [{"namespace_selector": {"match_labels": METRICS_READERS}}, GOOGLES_COLLECTORS],
                    "ports": ports(HTTP_PORT),
                }
            ],
            egress=[DNS, *network.google(), *network.database],
        )
        deny_by_default(f"{name}-network-default-deny", self.namespace, self, [allowed])
