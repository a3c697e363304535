"""Settings of the way in: the domain, its certificate, who may come, and what the controller allows."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from infra.settings.base import MOUNTABLE_NAME, SettingsModel
from infra.settings.google import Cidr, Dns, Domain, ProjectId
from infra.settings.notifications import Address

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
SecretId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,255}$")]
"""The name of a secret in Secret Manager."""


class SelfSignedTls(SettingsModel):
    """A certificate authority of the environment's own, which no browser knows: for one machine and for trying out."""

    kind: Literal["self-signed"]
    days: Annotated[int, Field(ge=1, le=825)] = 365
    """How long the certificate holds. A month before its end, `up` makes another one."""


class GivenTls(SettingsModel):
    """A certificate of your own, its key in the stack file as ``ingressKey``, encrypted."""

    kind: Literal["given"]
    certificate: Annotated[str, StringConstraints(pattern=r"^-----BEGIN CERTIFICATE-----")]
    """PEM: the certificate itself, then those between it and its authority."""


class SecretTls(SettingsModel):
    """A certificate that something else keeps in a Secret of type kubernetes.io/tls."""

    kind: Literal["secret"]
    name: Annotated[str, StringConstraints(pattern=MOUNTABLE_NAME, max_length=253)]
    """In the namespace ``ingress``. The controller waits for it, and takes a new certificate when it changes."""


class Acme(SettingsModel):
    """An account of the environment's own at an authority that speaks ACME, such as Let's Encrypt. That the domain is
    ours is proven by records in the zone of ``ingress.dns``."""

    email: Address
    """Whom the authority writes to."""
    server: Annotated[str, StringConstraints(pattern=r"^https://[^\s/]+/\S*$")] = LETS_ENCRYPT


class CertManagerTls(SettingsModel):
    """A certificate that cert-manager, which is there already, gets from an issuer and renews."""

    kind: Literal["cert-manager"]
    issuer: Annotated[str, StringConstraints(pattern=MOUNTABLE_NAME, max_length=253)] | None = None
    """One of yours, which is there already. None: one is made for ``acme``."""
    issuer_kind: Literal["ClusterIssuer", "Issuer"] = "ClusterIssuer"
    """An ``Issuer`` is one of the namespace ``ingress``."""
    acme: Acme | None = None


class SecretManagerTls(SettingsModel):
    """A certificate in Google's Secret Manager, which GKE keeps in a Secret, always in its latest version."""

    kind: Literal["secret-manager"]
    certificate: SecretId
    """PEM: the certificate itself, then those between it and its authority."""
    key: SecretId
    project: ProjectId | None = None
    """Whose Secret Manager it is. None: the environment's own."""


Tls = Annotated[SelfSignedTls | GivenTls | SecretTls | CertManagerTls | SecretManagerTls, Field(discriminator="kind")]


class Ingress(SettingsModel):
    """The address that people use, and what listens there: a controller in the namespace ``ingress``."""

    domain: Domain
    """Airflows are found below it: ``<name>.<domain>``; or on it, see ``routing``."""
    dns: Dns | None = None
    """None: the records are somebody else's; the address is among the stack's outputs."""
    tls: Tls | None = None
    """None: nothing listens, the address alone is kept."""
    routing: Literal["hosts", "paths"] = "hosts"
    """``hosts``: each Airflow at ``<name>.<domain>``; ``paths``: all at ``<domain>/<name>``."""
    exposure: Literal["public", "internal", "node-port"] = "public"
    """A load balancer of Google's with a public address, one with an address of the VPC, or a port of every node."""
    source_ranges: tuple[Cidr, ...] = ()
    """Who may come to the load balancer. None named: everybody who can reach it."""
    port: Annotated[int, Field(ge=1, le=65535)] = 443
    """What people's addresses have in them, and where the controller listens."""
    http_port: Annotated[int, Field(ge=1, le=65535)] = 80
    """Redirects to https."""
    replicas: Annotated[int, Field(ge=1, le=20)] = 2
    most_replicas: Annotated[int, Field(ge=1, le=20)] | None = None
    """More of them where their CPUs are busy, up to this many. None: no more."""
    hsts_days: Annotated[int, Field(ge=0, le=730)] = 365
    """How long browsers that have been here once insist on https. 0: they don't."""
    request_mib: Annotated[int, Field(ge=1, le=1024)] = 16
    """The largest request, in MiB."""
    idle_seconds: Annotated[int, Field(ge=10, le=3600)] = 300
    """How long an answer may say nothing before the connection is given up."""
    logins_per_minute: Annotated[int, Field(ge=1, le=6000)] = 60
    """From one address, besides a burst of 20: pages and API calls that take a password. More are refused with 429."""
