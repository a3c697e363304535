"""Certificates, keys and kubeconfigs of a cluster: made once, kept in its state folder."""

import base64
import datetime
import ipaddress
from collections.abc import Sequence
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from testbed.cluster.layout import API_SERVICE_IP, DNS_DOMAIN, NODE_IP, NODE_NAME, Layout

FRONT_NAME = "front-proxy-client"
_LIFETIME = datetime.timedelta(days=3650)


def make(layout: Layout) -> None:
    """Make what is missing: ``ca``, ``apiserver``, ``admin`` and ``node`` (``.crt``, ``.key``), ``sa`` keys, and
    ``front-ca`` and ``front``, by which servers behind the API server know that it is the one who asks."""
    layout.pki.mkdir(parents=True, exist_ok=True, mode=0o700)
    _make_front(layout)
    if (layout.pki / "complete").exists():
        return
    ca_key = _key()
    ca = _certificate("testbed-ca", [], ca_key, [], ca_key=ca_key, ca=None)
    _write(layout.pki, "ca", ca_key, ca)
    service = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", f"kubernetes.default.svc.{DNS_DOMAIN}"]
    for file, name, groups, addresses in (
        ("apiserver", "kube-apiserver", [], [*service, "localhost", "127.0.0.1", NODE_IP, API_SERVICE_IP]),
        ("admin", "admin", ["system:masters"], []),
        ("node", f"system:node:{NODE_NAME}", ["system:nodes"], [NODE_NAME, NODE_IP]),
    ):
        key = _key()
        _write(layout.pki, file, key, _certificate(name, groups, key, addresses, ca_key=ca_key, ca=ca))
    signing_key = _key()  # signs the tokens of service accounts
    _write(layout.pki, "sa", signing_key, None)
    (layout.pki / "complete").touch()


def _make_front(layout: Layout) -> None:
    # An authority of its own: whoever has a certificate of it may speak for everybody.
    if (layout.pki / "front.crt").exists():
        return
    ca_key, key = _key(), _key()
    ca = _certificate("testbed-front-ca", [], ca_key, [], ca_key=ca_key, ca=None)
    _write(layout.pki, "front-ca", ca_key, ca)
    _write(layout.pki, "front", key, _certificate(FRONT_NAME, [], key, [], ca_key=ca_key, ca=ca))


def write_kubeconfig(path: Path, layout: Layout, user: str, server: str) -> None:
    """A self-contained file for the certificate ``user``, readable by its owner only."""

    def data(file: str) -> str:
        return base64.b64encode((layout.pki / file).read_bytes()).decode()

    name = f"airflow-platform-{layout.name}"  # what stack files call the cluster
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority-data": data("ca.crt")}}],
        "users": [
            {
                "name": name,
                "user": {
                    "client-certificate-data": data(f"{user}.crt"),
                    "client-key-data": data(f"{user}.key"),
                },
            }
        ],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    _write_private(path, yaml.safe_dump(content, sort_keys=False).encode())


def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _certificate(
    name: str,
    groups: Sequence[str],
    key: ec.EllipticCurvePrivateKey,
    addresses: Sequence[str],
    *,
    ca_key: ec.EllipticCurvePrivateKey,
    ca: x509.Certificate | None,
) -> x509.Certificate:
    """Signed by ``ca``, or by itself as an authority where ``ca`` is None."""
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        + [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    )
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(ca.subject if ca else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.BasicConstraints(ca=ca is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
    )
    if ca:
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    if addresses:
        names = x509.SubjectAlternativeName([_general_name(address) for address in addresses])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(ca_key, hashes.SHA256())


def _general_name(address: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        return x509.DNSName(address)


def _write(folder: Path, name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate | None) -> None:
    """``name``.key, and ``name``.crt or, without a certificate, the public key ``name``.pub."""
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    _write_private(folder / f"{name}.key", private)
    if certificate:
        (folder / f"{name}.crt").write_bytes(certificate.public_bytes(pem))
    else:
        public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
        (folder / f"{name}.pub").write_bytes(public)


def _write_private(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(content)
