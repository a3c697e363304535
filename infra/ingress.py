"""The way in of an environment: the controller where the settings have one, and which host leads where."""

from collections.abc import Mapping

import pulumi

from components.airflow import Airflow
from components.airflow.celery.configuration import FLOWER_PORT
from components.airflow.configuration import API_PORT
from components.ingress import (
    Backend,
    Exposure,
    IngressArgs,
    IngressController,
    Limit,
    Routes,
    SharedController,
)
from components.network import ClusterNetwork
from components.versions import ImageSource
from components.workload import Nodes
from infra.certificates import certificate_of
from infra.foundations import Kubernetes
from infra.google_cloud import GoogleCloud
from infra.settings import AirflowState, Settings
from infra.settings.ingress_addresses import address_of, beside, flower_of, way_in

IMAGE = "nginx-ingress"
LOGIN_PATHS = ("/auth/login", "/auth/token", "/auth/api/v1/security/login")
"""Where Airflow takes passwords: of people, of API clients, and Flask-AppBuilder's own API (all under ``/auth``)."""
_DAY = 24 * 3600


def way_in_of(
    settings: Settings,
    google: GoogleCloud | None,
    cluster: Kubernetes,
    images: ImageSource,
    checksum_key: pulumi.Output[str],
    network: ClusterNetwork | None,
    nodes: Nodes | None,
    priority: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
) -> Routes | None:
    """The address, and the controller behind it; None where nothing listens, or a dev stack's base has it."""
    if cluster.base:
        return None
    address = google.address() if google else None
    ingress = way_in(settings)
    if ingress is None or ingress.tls is None:
        return None
    controller = IngressController(
        "ingress",
        IngressArgs(
            image=images.reference(IMAGE),
            tls=certificate_of(settings, ingress, google, cluster.ready),
            checksum_key=checksum_key,
            exposure=Exposure(ingress.exposure),
            address=address,
            source_ranges=ingress.source_ranges,
            port=ingress.port,
            http_port=ingress.http_port,
            replicas=ingress.replicas,
            most_replicas=ingress.most_replicas,
            hsts_seconds=ingress.hsts_days * _DAY,
            request_mib=ingress.request_mib,
            read_seconds=ingress.idle_seconds,
            nodes=nodes,
            priority=priority,
            network=network,
            protect=not settings.ephemeral,
        ),
        opts,
    )
    pulumi.export(
        "ingress",
        {
            "namespace": controller.namespace,
            "service": controller.service,
            "port": ingress.port,
            "authority": controller.authority,
        },
    )
    return Routes(controller)


def lead_to_airflows(routes: Routes | None, settings: Settings, airflows: Mapping[str, Airflow]) -> None:
    """Leads people to every Airflow that runs, and to its Flower where it has one, which asks for its own password."""
    ingress = way_in(settings)
    if routes is None or ingress is None:
        return
    limit = Limit(LOGIN_PATHS, ingress.logins_per_minute)
    for asked in settings.airflows:
        address, airflow = address_of(asked, settings), airflows[asked.name]
        if asked.state is AirflowState.RETIRED or address is None:
            continue
        backend = Backend(airflow.namespace, "api-server", API_PORT, [airflow])
        routes.add(asked.name, address.host, backend, address.path, limit)
        if flower := flower_of(asked, settings):
            routes.add(
                f"{asked.name}-flower", flower.host, Backend(airflow.namespace, "flower", FLOWER_PORT, [airflow])
            )


def lead_by_base(settings: Settings, airflows: Mapping[str, Airflow], opts: pulumi.ResourceOptions) -> None:
    """Leads people to a dev stack's Airflow by its base's controller, if that has one. All of it is in the dev stack's
    own namespace."""
    if way_in(settings) is not None:
        (airflow,) = airflows.values()
        lead_to_airflows(Routes(SharedController("way-in", airflow.namespace, opts)), settings, airflows)


def lead_beside(
    routes: Routes | None, settings: Settings, name: str, backend: Backend, *, websockets: bool = False
) -> None:
    """Leads people to something that is no Airflow, at ``https://<name>.<domain>``; nothing to do without a way in.

    Its namespace needs the label ``components.ingress.labels.REACHED``, and its pods a network policy that lets in
    ``INGRESS_NAMESPACE``. It has a login of its own: the way in asks nobody who they are.
    """
    address = beside(name, settings)
    if routes is not None and address is not None:
        routes.add(name, address.host, backend, websockets=websockets)
