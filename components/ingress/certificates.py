"""The certificate that the controller serves every host with, as a Secret."""

import json
from dataclasses import dataclass
from datetime import datetime

import pulumi
import pulumi_kubernetes as kubernetes
from cryptography import x509
from pulumi_kubernetes.apiextensions import CustomResource

from components.authority import SigningArgs, signed
from components.ingress.args import AcmeIssuer, ExistingSecret, Given, IngressArgs, Issued, Issuer, SelfSigned, Synced
from components.workload import metadata

SECRET = "tls"  # noqa: S105 (a name)
ISSUED_SECRET = "issued-tls"  # noqa: S105 (a name)
"""Where cert-manager keeps a certificate: not the Secret that is ours, so that neither takes away the other's."""
SYNCED_SECRET = "synced-tls"  # noqa: S105 (a name)
"""Where GKE keeps one of Secret Manager's."""
SYNC_ACCOUNT = "certificate"
"""The service account, in the controller's namespace, that it is read as."""
ACME_ISSUER = "airflow-platform"
_DAY = 24
AUTHORITY_HOURS = 10 * 365 * _DAY
RENEWED_HOURS = 30 * _DAY
"""How long before its end a certificate is made anew by the next update."""


@dataclass(frozen=True)
class Certificate:
    """The Secret's name, and the authority's certificate in PEM where it is one that nobody knows yet.

    ``expires`` (Unix time): None where something else keeps it.
    """

    secret: str
    resources: tuple[pulumi.Resource, ...] = ()
    authority: pulumi.Output[str] | None = None
    expires: pulumi.Output[int] | None = None


def make_certificate(
    name: str, args: IngressArgs, namespace: pulumi.Output[str], parent: pulumi.Resource
) -> Certificate:
    """Makes the Secret, or names the one that something else keeps."""
    match args.tls:
        case ExistingSecret(secret):
            return Certificate(secret)
        case Given(certificate, key):
            leaf = x509.load_pem_x509_certificates(certificate.encode())[0]
            end = pulumi.Output.from_input(int(leaf.not_valid_after_utc.timestamp()))
            return Certificate(SECRET, (_secret(name, certificate, key, namespace, parent),), expires=end)
        case SelfSigned() as asked:
            return _self_signed(name, asked, namespace, parent)
        case Issued() as asked:
            return Certificate(ISSUED_SECRET, (_issued(name, asked, namespace, parent),))
        case Synced() as asked:
            return Certificate(SYNCED_SECRET, (_synced(name, asked, namespace, parent),))


def _self_signed(name: str, asked: SelfSigned, namespace: pulumi.Output[str], parent: pulumi.Resource) -> Certificate:
    made = signed(
        name,
        SigningArgs(
            authority="airflow-platform's own authority",
            authority_hours=AUTHORITY_HOURS,
            subject={"common_name": asked.hosts[0]},
            hosts=asked.hosts,
            hours=asked.days * _DAY,
            # Not more than half of it, or a short-lived one would be due from the beginning.
            renewed_hours=min(RENEWED_HOURS, asked.days * _DAY // 2),
            uses=("digital_signature", "key_encipherment", "server_auth"),
        ),
        parent,
    )
    secret = _secret(name, made.certificate.cert_pem, made.key.private_key_pem, namespace, parent)
    end = made.certificate.validity_end_time.apply(lambda text: int(datetime.fromisoformat(text).timestamp()))
    return Certificate(SECRET, (secret,), made.authority.cert_pem, end)


def _issued(name: str, asked: Issued, namespace: pulumi.Output[str], parent: pulumi.Resource) -> CustomResource:
    issuer = asked.issuer
    made: list[pulumi.Resource] = []
    if isinstance(issuer, AcmeIssuer):
        made.append(_acme(name, issuer, parent))
        issuer = Issuer(ACME_ISSUER)
    # https://cert-manager.io/docs/reference/api-docs/#cert-manager.io/v1.CertificateSpec
    return CustomResource(
        f"{name}-issued-certificate",
        api_version="cert-manager.io/v1",
        kind="Certificate",
        # The controller does not start without it.
        metadata=metadata(ISSUED_SECRET, namespace, annotations={"pulumi.com/waitFor": "condition=Ready"}),
        spec={
            "secretName": ISSUED_SECRET,
            "dnsNames": list(asked.hosts),
            "issuerRef": {"group": "cert-manager.io", "kind": issuer.kind, "name": issuer.name},
            "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
        },
        opts=pulumi.ResourceOptions(parent=parent, depends_on=made),
    )


def _acme(name: str, asked: AcmeIssuer, parent: pulumi.Resource) -> CustomResource:
    # https://cert-manager.io/docs/configuration/acme/dns01/google/
    challenge = {"cloudDNS": {"project": asked.project, "hostedZoneName": asked.zone}}
    return CustomResource(
        f"{name}-issuer",
        api_version="cert-manager.io/v1",
        kind="ClusterIssuer",
        # An Issuer of the namespace could not use cert-manager's own identity: by default it may not.
        metadata=metadata(ACME_ISSUER, annotations={"pulumi.com/waitFor": "condition=Ready"}),
        spec={
            "acme": {
                "email": asked.email,
                "server": asked.server,
                "privateKeySecretRef": {"name": f"{ACME_ISSUER}-acme-account"},
                "solvers": [{"dns01": challenge}],
            }
        },
        opts=pulumi.ResourceOptions(parent=parent, depends_on=list(asked.rights)),
    )


def _synced(name: str, asked: Synced, namespace: pulumi.Output[str], parent: pulumi.Resource) -> CustomResource:
    # https://cloud.google.com/secret-manager/docs/sync-k8-secrets
    opts = pulumi.ResourceOptions(parent=parent)
    files = {"tls.crt": asked.certificate, "tls.key": asked.key}
    account = kubernetes.core.v1.ServiceAccount(
        f"{name}-certificate-service-account",
        metadata=metadata(SYNC_ACCOUNT, namespace),
        automount_service_account_token=False,
        opts=opts,
    )
    source = CustomResource(
        f"{name}-certificate-source",
        api_version="secrets-store.csi.x-k8s.io/v1",
        kind="SecretProviderClass",
        metadata=metadata(SYNCED_SECRET, namespace),
        spec={
            "provider": "gke",
            # A YAML text, which JSON is.
            "parameters": {
                "secrets": json.dumps(
                    [{"resourceName": f"{secret}/versions/latest", "path": file} for file, secret in files.items()]
                )
            },
        },
        opts=opts,
    )
    return CustomResource(
        f"{name}-synced-certificate",
        api_version="secret-sync.gke.io/v1",
        kind="SecretSync",
        # The Secret gets the same name.
        metadata=metadata(SYNCED_SECRET, namespace),
        spec={
            "serviceAccountName": account.metadata.name,
            "secretProviderClassName": SYNCED_SECRET,
            "secretObject": {
                "type": "kubernetes.io/tls",
                "data": [{"sourcePath": file, "targetKey": file} for file in files],
            },
        },
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[source, *asked.rights]),
    )


def _secret(
    name: str,
    certificate: pulumi.Input[str],
    key: pulumi.Output[str],
    namespace: pulumi.Output[str],
    parent: pulumi.Resource,
) -> kubernetes.core.v1.Secret:
    return kubernetes.core.v1.Secret(
        f"{name}-tls",
        type="kubernetes.io/tls",
        metadata=metadata(SECRET, namespace),
        string_data={"tls.crt": certificate, "tls.key": key},
        opts=pulumi.ResourceOptions(parent=parent),
    )
