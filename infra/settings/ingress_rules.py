"""Rules between the way in and the rest: whose address is whose, and which certificate goes with them."""

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

from infra.settings.base import ENCRYPTED
from infra.settings.certificates import certificate_problems
from infra.settings.ingress import CertManagerTls, GivenTls, Ingress, SecretManagerTls
from infra.settings.ingress_addresses import RESERVED, Address, addresses

if TYPE_CHECKING:
    from infra.settings.environment import Settings

UNPRIVILEGED = 1024
"""The controller refuses lower ports, but for its defaults (-default-https-listener-port)."""


def ingress_problems(settings: "Settings") -> list[str]:
    """Everything about the way in that can't work."""
    ingress = settings.ingress
    if ingress is None:
        return ["ingressKey: is for a certificate of ingress.tls. Leave it out"] if settings.ingress_key else []
    return [
        *_place_problems(settings, ingress),
        *_address_problems(settings, ingress),
        *_certificate_problems(settings, ingress),
        *_issuer_problems(settings, ingress),
    ]


def _place_problems(settings: "Settings", ingress: Ingress) -> Iterator[str]:
    if settings.google is None:
        if ingress.exposure != "node-port":
            yield (
                f"ingress.exposure: '{ingress.exposure}' is a load balancer of Google's. Add 'google', or choose "
                "'node-port', or leave 'ingress' out"
            )
        if ingress.dns is not None:
            yield "ingress.dns: is a zone of Cloud DNS. Add 'google', or leave it out"
    if ingress.source_ranges and ingress.exposure == "node-port":
        yield "ingress.sourceRanges: a load balancer keeps them, and there is none. Leave them out"
    if ingress.port == ingress.http_port:
        yield f"ingress.httpPort: {ingress.port} is the port for https already. Choose another one"
    for key, port, usual in (("port", ingress.port, 443), ("httpPort", ingress.http_port, 80)):
        if port < UNPRIVILEGED and port != usual:
            yield (
                f"ingress.{key}: the controller takes {usual}, or {UNPRIVILEGED} and above, not {port}. Choose another "
                "one"
            )
    if ingress.most_replicas is not None and ingress.most_replicas < ingress.replicas:
        yield f"ingress.mostReplicas: {ingress.most_replicas} is less than replicas, {ingress.replicas}. Raise it"


def _address_problems(settings: "Settings", ingress: Ingress) -> Iterator[str]:
    if ingress.tls is None:
        return
    for airflow in settings.airflows:
        where = f"airflows.{airflow.name}"
        if airflow.base_url is not None and not airflow.base_url.startswith("https://"):
            yield f"{where}.baseUrl: people come by https only. Begin it with https://, or leave it out"
        if airflow.base_url is None and ingress.routing == "hosts" and airflow.name in RESERVED:
            yield (
                f"{where}: its host {airflow.name}.{ingress.domain} is kept for the {airflow.name} of the platform. "
                "Give it a baseUrl"
            )
    found = addresses(settings)
    for what, address in found.items():
        if address.port != ingress.port:
            yield f"{what}.baseUrl: people come to port {ingress.port} (ingress.port). Name that one"
    for (one, first), (other, second) in itertools.combinations(found.items(), 2):
        if first.host == second.host and _overlap(first, second):
            yield (
                f"{other}: its address {second.url} is within that of {one}, {first.url}: one of them would never be "
                "reached. Give each a host or a path of its own"
            )


def _overlap(first: Address, second: Address) -> bool:
    one, other = f"{first.path}/", f"{second.path}/"
    return one.startswith(other) or other.startswith(one)


def _certificate_problems(settings: "Settings", ingress: Ingress) -> Iterator[str]:
    key = settings.ingress_key
    if not isinstance(ingress.tls, GivenTls):
        if key is not None:
            yield "ingressKey: is for a certificate of kind 'given'. Leave it out, or give ingress.tls that kind"
        return
    if key is None:
        yield (
            "ingressKey: the certificate of ingress.tls has no key. Set it with: pulumi config set --secret "
            "airflow-platform:ingressKey"
        )
        return
    text = key.get_secret_value()
    hosts = {address.host: what for what, address in addresses(settings).items()}
    yield from certificate_problems(ingress.tls.certificate, None if text == ENCRYPTED else text, hosts)


def _issuer_problems(settings: "Settings", ingress: Ingress) -> Iterator[str]:
    match ingress.tls:
        case CertManagerTls(issuer=issuer, issuer_kind=kind, acme=acme):
            if (issuer is None) == (acme is None):
                yield "ingress.tls: a certificate has one issuer. Name yours as issuer, or have one made for acme"
            if acme and kind != "ClusterIssuer":
                yield "ingress.tls.issuerKind: the one that is made for acme is a ClusterIssuer. Leave it out"
            if acme and ingress.dns is None:
                yield (
                    "ingress.tls.acme: that the domain is yours is proven in a zone of Cloud DNS. Add ingress.dns, or "
                    "name an issuer of yours"
                )
        case SecretManagerTls() if settings.google is None:
            yield "ingress.tls: kind 'secret-manager' is Google's. Add 'google', or choose another kind"
        case _:
            return
