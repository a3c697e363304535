"""From settings to the gate before what has no sign-in of its own."""

import pulumi

from components.ingress import Backend
from components.ingress.gate import PORT, Gate, GateArgs, GateProvider
from components.metrics import NAMESPACE, Metrics
from components.metrics.args import ALERTMANAGER_PORT, PROMETHEUS_PORT
from components.versions import ImageSource
from components.workload import selector
from infra.ingress import lead_beside
from infra.settings import Settings
from infra.settings.gate import GATED
from infra.settings.ingress_addresses import beside
from infra.surroundings import Surroundings

IMAGE = "oauth2-proxy"
_PORTS = {"alertmanager": ALERTMANAGER_PORT, "prometheus": PROMETHEUS_PORT}


def gate_images(settings: Settings) -> frozenset[str]:
    """The names of the images that the gate takes."""
    return frozenset({IMAGE}) if settings.gate else frozenset()


def lead_by_gate(
    settings: Settings,
    metrics: Metrics,
    around: Surroundings,
    images: ImageSource,
    checksum_key: pulumi.Output[str],
    opts: pulumi.ResourceOptions,
) -> None:
    """Leads people to Prometheus and Alertmanager, each by a gate of its own; nothing to do where none is asked for."""
    asked = settings.gate
    if asked is None:
        return
    assert settings.gate_secret is not None  # the settings see to it
    provider = GateProvider(
        asked.issuer,
        asked.client_id,
        pulumi.Output.secret(settings.gate_secret.get_secret_value()),
        asked.domains,
        asked.groups,
        asked.groups_claim,
        asked.scopes,
    )
    for name in GATED:
        address = beside(name, settings)
        assert address is not None  # the settings see to it
        gate = Gate(
            f"{name}-gate",
            GateArgs(
                image=images.reference(IMAGE),
                provider=provider,
                url=address.url,
                namespace=metrics.namespace,
                service=name,
                port=_PORTS[name],
                behind=selector(NAMESPACE, name, NAMESPACE),
                checksum_key=checksum_key,
                hours=asked.hours,
                rotation=asked.rotation,
                network=around.network,
                nodes=around.nodes,
                priority=around.priority,
            ),
            pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[metrics])),
        )
        lead_beside(around.routes, settings, name, Backend(metrics.namespace, f"{name}-gate", PORT, [gate]))
