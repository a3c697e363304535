"""Keys and certificates as the ``tls`` provider makes them, by the package ``cryptography``."""

import base64
import hashlib
import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import ssh as openssh
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from testbed.engine.values import Properties
from testbed.progress import Failure

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

_CURVES: Final[dict[str, ec.EllipticCurve]] = {
    "P224": ec.SECP224R1(),
    "P256": ec.SECP256R1(),
    "P384": ec.SECP384R1(),
    "P521": ec.SECP521R1(),
}
_NAMES: Final = {
    "country": NameOID.COUNTRY_NAME,
    "organization": NameOID.ORGANIZATION_NAME,
    "organizationalUnit": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "locality": NameOID.LOCALITY_NAME,
    "province": NameOID.STATE_OR_PROVINCE_NAME,
    "streetAddresses": NameOID.STREET_ADDRESS,
    "postalCode": NameOID.POSTAL_CODE,
    "commonName": NameOID.COMMON_NAME,
    "serialNumber": NameOID.SERIAL_NUMBER,
    "emailAddress": NameOID.EMAIL_ADDRESS,
}
_KEY_USES: Final = {
    "digital_signature": "digital_signature",
    "content_commitment": "content_commitment",
    "key_encipherment": "key_encipherment",
    "data_encipherment": "data_encipherment",
    "key_agreement": "key_agreement",
    "cert_signing": "key_cert_sign",
    "crl_signing": "crl_sign",
    "encipher_only": "encipher_only",
    "decipher_only": "decipher_only",
}
_EXTENDED_USES: Final = {
    "any_extended": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    "server_auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "client_auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "code_signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email_protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "ipsec_end_system": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.5"),
    "ipsec_tunnel": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.6"),
    "ipsec_user": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.7"),
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp_signing": ExtendedKeyUsageOID.OCSP_SIGNING,
}


def generate(algorithm: str, rsa_bits: int, curve: str) -> PrivateKey:
    """A new key: ``RSA`` with ``rsa_bits``, ``ECDSA`` on ``curve`` (P224 to P521) or ``ED25519``."""
    if algorithm == "RSA":
        return rsa.generate_private_key(public_exponent=65537, key_size=rsa_bits)
    if algorithm == "ECDSA":
        return ec.generate_private_key(_CURVES[curve])
    return ed25519.Ed25519PrivateKey.generate()


def algorithm_of(key: PrivateKey) -> str:
    """``RSA``, ``ECDSA`` or ``ED25519``."""
    if isinstance(key, rsa.RSAPrivateKey):
        return "RSA"
    return "ECDSA" if isinstance(key, ec.EllipticCurvePrivateKey) else "ED25519"


def private_key(pem: str, what: str) -> PrivateKey:
    """The key in ``pem``; ``what`` names the property in the error, which never shows the key."""
    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError) as error:
        raise Failure(f"{what} holds no private key without a passphrase. Mend: give it a key in PEM.") from error
    if not isinstance(key, PrivateKey):
        raise Failure(f"{what} holds a key that is neither RSA, ECDSA nor ED25519. Mend: use one of these.")
    return key


def key_properties(key: PrivateKey) -> Properties:
    """All the forms of ``key`` that the resource PrivateKey shows."""
    encoding, plain = serialization.Encoding, serialization.NoEncryption()
    # PKCS#1 and SEC 1 where they exist (``TraditionalOpenSSL``), PKCS#8 for ED25519: as the Go library writes them.
    ed = isinstance(key, ed25519.Ed25519PrivateKey)
    form = serialization.PrivateFormat.PKCS8 if ed else serialization.PrivateFormat.TraditionalOpenSSL
    pkcs8 = key.private_bytes(encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()
    public = key.public_key()
    properties = {
        "privateKeyPem": key.private_bytes(encoding.PEM, form, plain).decode(),
        "privateKeyPemPkcs8": pkcs8,
        "publicKeyPem": public.public_bytes(encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode(),
        "privateKeyOpenssh": "",
        "publicKeyOpenssh": "",
        "publicKeyFingerprintMd5": "",
        "publicKeyFingerprintSha256": "",
    }
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == "secp224r1":
        return properties  # OpenSSH does not know this curve
    ssh = public.public_bytes(encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
    blob = openssh.load_ssh_public_key(ssh.encode())
    md5 = serialization.ssh_key_fingerprint(blob, hashes.MD5()).hex(":")
    sha = serialization.ssh_key_fingerprint(blob, hashes.SHA256())
    properties["privateKeyOpenssh"] = key.private_bytes(
        encoding.PEM, serialization.PrivateFormat.OpenSSH, plain
    ).decode()
    properties["publicKeyOpenssh"] = ssh + "\n"
    properties["publicKeyFingerprintMd5"] = md5
    properties["publicKeyFingerprintSha256"] = "SHA256:" + _base64(sha)
    return properties


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode().rstrip("=")


def request_pem(inputs: Properties, key: PrivateKey) -> str:
    """A certificate request for the subject and the names in ``inputs``."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(_subject(inputs))
    if names := _alternative_names(inputs):
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, _hash(key)).public_bytes(serialization.Encoding.PEM).decode()


def certificate(
    inputs: Properties,
    signer: PrivateKey,
    *,
    request: x509.CertificateSigningRequest | None = None,
    issuer: x509.Certificate | None = None,
) -> x509.Certificate:
    """A certificate, self-signed by ``signer``, or for ``request`` signed by the ``issuer`` whose key ``signer`` is."""
    subject = request.subject if request else _subject(inputs)
    public = request.public_key() if request else signer.public_key()
    assert isinstance(public, PublicKey)
    now = datetime.now(UTC).replace(microsecond=0)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(hours=inputs["validityPeriodHours"]))
    )
    authority = bool(inputs.get("isCaCertificate"))
    if authority and not list(subject):
        raise Failure("a certificate authority needs a subject. Mend: set subject, at least its commonName.")
    depth = inputs.get("maxPathLength", -1)
    limit = depth if authority and depth >= 0 else None
    builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=limit), critical=True)
    builder = _add_uses(builder, inputs["allowedUses"])
    names = _requested_names(request) if request else _alternative_names(inputs)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    own = x509.SubjectKeyIdentifier.from_public_key(public)
    if authority or inputs.get("setSubjectKeyId"):
        builder = builder.add_extension(own, critical=False)
    if issuer:
        builder = builder.add_extension(_issuer_key(issuer), critical=False)
    elif inputs.get("setAuthorityKeyId"):
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own), critical=False
        )
    return builder.sign(signer, _hash(signer))


def _issuer_key(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    try:
        known = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(known)
    except x509.ExtensionNotFound:
        public = issuer.public_key()
        assert isinstance(public, PublicKey)
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(public)


def _add_uses(builder: x509.CertificateBuilder, uses: Sequence[str]) -> x509.CertificateBuilder:
    plain = {name: use in uses for use, name in _KEY_USES.items()}
    if any(plain.values()):
        builder = builder.add_extension(x509.KeyUsage(**plain), critical=True)
    extended = [_EXTENDED_USES[use] for use in uses if use in _EXTENDED_USES]
    if extended:
        builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
    return builder


def _subject(inputs: Properties) -> x509.Name:
    subject = inputs.get("subject") or {}
    attributes: list[x509.NameAttribute[str]] = []
    for key, oid in _NAMES.items():
        values = subject.get(key) or []
        attributes += [x509.NameAttribute(oid, value) for value in (values if isinstance(values, list) else [values])]
    return x509.Name(attributes)


def _alternative_names(inputs: Properties) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in inputs.get("dnsNames") or []]
    for address in inputs.get("ipAddresses") or []:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(address)))
        except ValueError as error:
            raise Failure(f"ipAddresses: {address!r} is no IP address. Mend: correct it.") from error
    return [*names, *(x509.UniformResourceIdentifier(uri) for uri in inputs.get("uris") or [])]


def _requested_names(request: x509.CertificateSigningRequest) -> list[x509.GeneralName]:
    try:
        return list(request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return []


def _hash(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return None
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.key_size >= 384:
        return hashes.SHA512() if key.curve.key_size > 384 else hashes.SHA384()
    return hashes.SHA256()


def fingerprint(text: str) -> str:
    """A short, stable id of ``text``: what the provider uses as a resource's id."""
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
