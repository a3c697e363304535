"""Rules between the gate and the rest of the settings."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from infra.settings.ingress_addresses import way_in
from infra.settings.metrics import PrometheusMetrics

if TYPE_CHECKING:
    from infra.settings.environment import Settings


def gate_problems(settings: "Settings") -> list[str]:
    """Everything about the gate that can't work."""
    return list(_problems(settings))


def _problems(settings: "Settings") -> Iterator[str]:
    asked = settings.gate
    if asked is None:
        if settings.gate_secret is not None:
            yield "gateSecret: is for 'gate'. Leave it out, or add gate"
        return
    if not isinstance(settings.metrics, PrometheusMetrics):
        yield (
            "gate: stands before Prometheus and Alertmanager, and there are none. Add metrics of kind 'prometheus', or "
            "leave it out"
        )
    if way_in(settings) is None:
        yield "gate: people come to it by the way in, and there is none. Add ingress.tls, or leave it out"
    if settings.gate_secret is None:
        yield (
            "gateSecret: is missing; the provider shows it beside the client's id. Set it with: pulumi config set "
            "--secret airflow-platform:gateSecret"
        )
    if asked.issuer.startswith("http://") and not settings.ephemeral:
        yield "gate.issuer: without TLS everybody on the way can sign in as anybody. Begin it with https://"
    if "openid" not in asked.scopes:
        yield "gate.scopes: without 'openid' the provider says nothing of who somebody is. Add it"
