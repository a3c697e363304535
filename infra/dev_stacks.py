"""Dev stacks: what a base lets stand on it and tells of itself, and what a dev stack takes from its base."""

from dataclasses import dataclass
from typing import Any

import pulumi

from components.airflow import DatabaseServer, SharedServer
from components.auth_proxy import HOST, PORT, AuthProxy
from components.desk import DatabaseDesk, DatabaseDeskArgs
from components.network import ClusterNetwork
from components.postgresql import PORT as POSTGRESQL_PORT
from components.quantities import millicpus
from components.versions import ImageSource
from infra.settings import (
    DevStack,
    DevStacks,
    GkeCluster,
    KubeconfigCluster,
    Settings,
    StackDatabase,
)
from infra.settings.ingress_addresses import way_in
from infra.settings.load import PROJECT
from infra.settings.network_rules import known_ranges
from infra.settings.sizes import capacity, connection_budgets

OUTPUT = "devStacks"
"""Of a base: what `make dev` and its dev stacks read."""
LEASE = "airflow-platform:dev:Lease"


class Lease(pulumi.ComponentResource):
    """Whose a dev stack is, and until when; in the state before anything else is, so that what was interrupted can be
    told from what is no dev stack. ``config`` is the stack's whole configuration: any machine can bring it up again.
    """

    def __init__(self, name: str, own: DevStack, settings: Settings) -> None:
        super().__init__(LEASE, name)
        told = own.model_dump(by_alias=True)
        config = settings.model_dump_json(by_alias=True, exclude_unset=True, warnings=False)
        self.register_outputs({**told, **needs(settings), "config": config})
        for key, value in told.items():
            pulumi.export(key, value)


@dataclass(frozen=True)
class Base:
    """What the base of a dev stack says of itself."""

    outputs: pulumi.Output[Any]

    def __getitem__(self, key: str) -> pulumi.Output[Any]:
        # None has no place in what a stack exports: it is left out.
        return self.outputs.apply(lambda found: found.get(key))


def base_of(stack: str) -> Base:
    """The base ``stack``. The deployment fails where it is no base, which `make dev` finds out before."""
    reference = pulumi.StackReference(f"{pulumi.get_organization()}/{PROJECT}/{stack}")
    return Base(reference.require_output(OUTPUT))


def lease(settings: Settings) -> None:
    """Registers whose the dev stack is that ``settings`` describe, if they do."""
    if settings.dev_stack:
        Lease("lease", settings.dev_stack, settings)


def shared_server(asked: StackDatabase, base: Base, images: ImageSource) -> SharedServer:
    """The server of the base's, without its administrator."""
    proxy = None
    if asked.connection_name:
        proxy = AuthProxy(images.reference("cloud-sql-proxy"), asked.connection_name)
    return SharedServer(
        host=HOST if proxy else base["databaseHost"],
        port=PORT if proxy else POSTGRESQL_PORT,
        client_image=images.reference("postgres"),
        requests=base["requests"],
        proxy=proxy,
    )


def offer(
    settings: Settings,
    environment: str,
    server: DatabaseServer,
    image: str,
    kubeconfig: pulumi.Output[str] | None,
    network: ClusterNetwork | None,
    priority: pulumi.Input[str],
    checksum_key: pulumi.Output[str],
    opts: pulumi.ResourceOptions,
) -> None:
    """Lets dev stacks stand on the ``environment``: makes the desk for their databases, and exports what they need.

    ``image`` is one with Python. Nothing is made where the settings let none.
    """
    asked = settings.dev_stacks
    if asked is None:
        return
    args = DatabaseDeskArgs(server, image, environment, checksum_key, network, priority, protect=not settings.ephemeral)
    desk = DatabaseDesk("database-desk", args, opts)
    given = settings.cluster if isinstance(settings.cluster, KubeconfigCluster) else None
    pulumi.export(
        OUTPUT,
        {
            "requests": desk.requests,
            "databaseHost": server.host,
            "kubeconfig": kubeconfig or (given.path if given else None),
            "context": given.context if given else None,
            "budget": budget(asked),
            "config": handed_down(settings, environment, server.proxy.connection_name if server.proxy else None),
        },
    )


def needs(settings: Settings) -> dict[str, int]:
    """What a dev stack takes of its base's budget: database connections, and thousandths of a CPU that its parts ask
    for."""
    (airflow,) = settings.airflows
    size = capacity(airflow)
    counts, parts = size.replicas, size.resources
    cpu = sum(
        count * millicpus(part.cpu)
        for count, part in (
            (counts.api_server, parts.api_server),
            (counts.scheduler, parts.scheduler),
            (counts.dag_processor, parts.dag_processor),
            (counts.triggerer, parts.triggerer),
        )
    )
    return {"connections": connection_budgets(settings)[airflow.name], "millicpus": round(cpu)}


def budget(asked: DevStacks) -> dict[str, int]:
    """What all dev stacks together may take, in the units of ``needs``."""
    return {"connections": asked.connections, "millicpus": round(millicpus(asked.cpu))}


def handed_down(settings: Settings, environment: str, connection_name: pulumi.Input[str] | None) -> dict[str, Any]:
    """What a dev stack's configuration takes over from its base's."""
    cluster = settings.cluster
    pools = list(cluster.task_pools) if isinstance(cluster, GkeCluster) else []
    policies = _dumped(settings.network_policies)
    if ranges := known_ranges(settings):
        policies["clusterRanges"] = list(ranges)
    config: dict[str, Any] = {
        "cluster": {"kind": "stack", "stack": environment, "taskPools": pools},
        "database": {
            "kind": "stack",
            "stack": environment,
            "connectionName": connection_name,
        },
        "networkPolicies": policies,
        "images": _dumped(settings.images),
        "dags": _dumped(settings.airflows[0].dags),
    }
    if ingress := way_in(settings):
        # A host each below the base's domain, behind the base's certificate, which is not the dev stack's to make.
        config["ingress"] = _dumped(ingress) | {"routing": "hosts", "tls": {"kind": "secret", "name": "of-the-base"}}
    if settings.google:
        config["google"] = _dumped(settings.google)
    return config


def _dumped(model: Any) -> dict[str, Any]:
    made: dict[str, Any] = model.model_dump(mode="json", by_alias=True, exclude_unset=True, warnings=False)
    return made
