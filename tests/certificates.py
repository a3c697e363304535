"""Certificates and their keys, in PEM."""

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOW = datetime.datetime.now(datetime.UTC)


def certificate(
    *hosts: str, days: int = 30, since: int = 60, key: ec.EllipticCurvePrivateKey | None = None
) -> tuple[str, str]:
    """A certificate for ``hosts`` that began ``since`` days ago and ends in ``days``, and its key, both in PEM."""
    own = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(own.public_key())
        .serial_number(1)
        .not_valid_before(NOW - datetime.timedelta(days=since))
        .not_valid_after(NOW + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
        .sign(own, hashes.SHA256())
    )
    private = own.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM).decode(), private.decode()


GOOD = certificate("airflow.localhost", "*.airflow.localhost")
EXPIRED = certificate("*.airflow.localhost", days=-1)
ELSEWHERE = certificate("*.example.com")
