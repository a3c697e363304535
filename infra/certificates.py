"""From settings to the certificate of the way in."""

from collections.abc import Sequence

import pulumi

from components.gcp.certificates import allow_challenges, allow_reading
from components.gcp.identities import kubernetes_member
from components.gcp.naming import workload_pool
from components.ingress import AcmeIssuer, ExistingSecret, Given, Issued, Issuer, SelfSigned, Synced, Tls
from components.ingress.certificates import SYNC_ACCOUNT
from components.ingress.configuration import NAMESPACE
from infra.google_cloud import GoogleCloud
from infra.settings import Ingress, Settings
from infra.settings.ingress import Acme, CertManagerTls, GivenTls, SecretManagerTls, SecretTls, SelfSignedTls
from infra.settings.ingress_addresses import addresses

CERT_MANAGER = "cert-manager"
"""The namespace, and the service account there, that cert-manager's own manifests and chart run it as."""


def certificate_of(
    settings: Settings, ingress: Ingress, google: GoogleCloud | None, ready: Sequence[pulumi.Resource]
) -> Tls:
    """What the controller serves every host with; and on Google Cloud the rights that whoever gets it must have.

    ``ready``: the cluster, with which Google knows its service accounts.
    """
    match ingress.tls:
        case SelfSignedTls(days=days):
            return SelfSigned(_hosts(settings, ingress), days)
        case CertManagerTls(issuer=issuer, issuer_kind=kind, acme=acme):
            if acme is None:
                assert issuer is not None  # the settings see to it
                return Issued(_hosts(settings, ingress), Issuer(issuer, kind))
            assert google is not None  # the settings see to it
            return Issued(_hosts(settings, ingress), _acme(acme, ingress, google, ready))
        case SecretManagerTls() as asked:
            assert google is not None  # the settings see to it
            return _synced(asked, google, ready)
        case SecretTls(name=name):
            return ExistingSecret(name)
        case GivenTls(certificate=certificate):
            assert settings.ingress_key is not None  # the settings see to it
            return Given(certificate, pulumi.Output.secret(settings.ingress_key.get_secret_value()))
        case None:
            raise AssertionError("a way in has a certificate")


def _acme(asked: Acme, ingress: Ingress, google: GoogleCloud, ready: Sequence[pulumi.Resource]) -> AcmeIssuer:
    assert ingress.dns is not None  # the settings see to it
    zone, project = ingress.dns.zone, ingress.dns.project or google.google.project
    member = kubernetes_member(workload_pool(google.google.project), CERT_MANAGER, CERT_MANAGER)
    opts = pulumi.ResourceOptions(provider=google.provider, depends_on=list(ready))
    right = allow_challenges("ingress-certificate-challenges", zone, project, member, opts)
    return AcmeIssuer(asked.email, asked.server, zone, project, [right])


def _synced(asked: SecretManagerTls, google: GoogleCloud, ready: Sequence[pulumi.Resource]) -> Synced:
    project = asked.project or google.google.project
    member = kubernetes_member(workload_pool(google.google.project), NAMESPACE, SYNC_ACCOUNT)
    opts = pulumi.ResourceOptions(provider=google.provider, depends_on=list(ready))
    rights = [
        allow_reading(f"ingress-{part}", secret, project, member, opts)
        for part, secret in (("certificate-read", asked.certificate), ("certificate-key-read", asked.key))
    ]
    secrets = f"projects/{project}/secrets"
    return Synced(f"{secrets}/{asked.certificate}", f"{secrets}/{asked.key}", rights)


def _hosts(settings: Settings, ingress: Ingress) -> list[str]:
    """What a certificate is for. What the star covers is not named: one more Airflow needs no other certificate."""
    others = {one.host for one in addresses(settings).values() if one.host.partition(".")[2] != ingress.domain}
    return [ingress.domain, f"*.{ingress.domain}", *sorted(others - {ingress.domain})]
