"""Looks into a certificate before anything is deployed with it."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

WHERE = "ingress.tls.certificate"


def certificate_problems(certificate: str, key: str | None, hosts: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with a PEM ``certificate`` for ``hosts`` (each with what is found there) and its ``key``.

    A ``key`` of None is one that can't be read here. No text shows any of it.
    """
    try:
        leaf = x509.load_pem_x509_certificates(certificate.encode())[0]
    except ValueError:
        yield f"{WHERE}: is no certificate in PEM. Paste the whole file, chain included"
        return
    now = datetime.now(UTC)
    if leaf.not_valid_after_utc <= now:
        yield f"{WHERE}: has expired on {leaf.not_valid_after_utc:%Y-%m-%d}. Put a new one there, and its key"
    if leaf.not_valid_before_utc > now:
        yield f"{WHERE}: is not valid before {leaf.not_valid_before_utc:%Y-%m-%d}. Take one that is valid now"
    names = ", ".join(_names(leaf)) or "no host"
    for host, what in hosts_not_in(leaf, hosts).items():
        yield f"{WHERE}: is for {names}, not for {host} ({what}). Get one with this host in it, or change the host"
    if key is not None:
        yield from _key_problems(leaf, key)


def hosts_not_in(leaf: x509.Certificate, hosts: Mapping[str, str]) -> dict[str, str]:
    """Those of ``hosts`` that the certificate is not for."""
    names = _names(leaf)
    return {host: what for host, what in hosts.items() if not any(_covers(name, host) for name in names)}


def is_key_of(leaf: x509.Certificate, key: str) -> bool:
    """Whether ``key`` (PEM) is the one that the certificate was made for.

    Raises ValueError, whose text shows nothing of it, where it is no key or needs a passphrase.
    """
    try:
        private = serialization.load_pem_private_key(key.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("is no private key in PEM without a passphrase") from None
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.public_key().public_bytes(*form) == leaf.public_key().public_bytes(*form)


def _key_problems(leaf: x509.Certificate, key: str) -> Iterator[str]:
    try:
        fits = is_key_of(leaf, key)
    except ValueError as error:
        yield f"ingressKey: {error}. Set the whole key file"
        return
    if not fits:
        yield f"ingressKey: is not the key of {WHERE}. Set the key that the certificate was made for"


def _names(leaf: x509.Certificate) -> list[str]:
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return found.get_values_for_type(x509.DNSName)


def _covers(name: str, host: str) -> bool:
    """Whether browsers take a certificate for ``name`` at ``host``: a star stands for one label (RFC 6125, 6.4.3)."""
    name, host = name.lower(), host.lower()
    return name == host or (name.startswith("*.") and host.partition(".")[2] == name[2:])
