"""A certificate signed by an authority of its own, which nobody knows who has not been given it."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_tls as tls
from pulumi_tls import CertRequestSubjectArgsDict


@dataclass(frozen=True)
class SigningArgs:
    """``authority``: its common name. ``subject`` and ``hosts``: whose the certificate is, and for which names.

    ``renewed_hours``: how long before its end the next update makes it anew. ``uses``: as RFC 5280 has them, in
    Terraform's spelling.
    """

    authority: str
    authority_hours: int
    subject: CertRequestSubjectArgsDict
    hosts: Sequence[str]
    hours: int
    renewed_hours: int
    uses: Sequence[str]
    addresses: Sequence[str] | None = None


@dataclass(frozen=True)
class Signed:
    """The certificate, its key, and the authority that signed it."""

    certificate: tls.LocallySignedCert
    key: tls.PrivateKey
    authority: tls.SelfSignedCert


def signed(name: str, args: SigningArgs, parent: pulumi.Resource) -> Signed:
    """Makes all three, on the curve P-256. The authority's key is in the state alone."""
    opts = pulumi.ResourceOptions(parent=parent)
    authority_key = tls.PrivateKey(f"{name}-authority-key", algorithm="ECDSA", ecdsa_curve="P256", opts=opts)
    authority = tls.SelfSignedCert(
        f"{name}-authority",
        private_key_pem=authority_key.private_key_pem,
        subject={"common_name": args.authority, "organization": "airflow-platform"},
        is_ca_certificate=True,
        validity_period_hours=args.authority_hours,
        allowed_uses=["cert_signing", "crl_signing"],
        opts=opts,
    )
    key = tls.PrivateKey(f"{name}-certificate-key", algorithm="ECDSA", ecdsa_curve="P256", opts=opts)
    request = tls.CertRequest(
        f"{name}-certificate-request",
        private_key_pem=key.private_key_pem,
        subject=args.subject,
        dns_names=list(args.hosts),
        ip_addresses=None if args.addresses is None else list(args.addresses),
        opts=opts,
    )
    certificate = tls.LocallySignedCert(
        f"{name}-certificate",
        cert_request_pem=request.cert_request_pem,
        ca_private_key_pem=authority_key.private_key_pem,
        ca_cert_pem=authority.cert_pem,
        validity_period_hours=args.hours,
        early_renewal_hours=args.renewed_hours,
        allowed_uses=list(args.uses),
        opts=opts,
    )
    return Signed(certificate, key, authority)
