"""A client of an Elasticsearch's REST API for tests, and certificates for its nodes."""

import base64
import datetime
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NAME = "elasticsearch"
PASSWORD = "elastic's own: p@ss/word"


@dataclass(frozen=True)
class Reply:
    """An answer; ``body`` is JSON, or the text where it is none."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def error(self) -> str:
        """The type of the error, as Elasticsearch names it."""
        return str(self.body["error"]["type"])


class StoreClient:
    """Asks the Elasticsearch behind ``port`` of this machine."""

    scheme = "https"
    authority = ""
    password = PASSWORD
    """Of the superuser."""

    @property
    def port(self) -> int:
        """Of 127.0.0.1."""
        raise NotImplementedError

    def health(self) -> str:
        """green, yellow, red, or what else it answers."""
        reply = self.ask("GET", "/_cluster/health")
        return str(reply.body["status"]) if reply.status == 200 else str(reply.status)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        user: str | None = "elastic",
        password: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """What it answers; ``body`` is text as it is, or anything else as JSON. Status 0: nobody answers."""
        data = body.encode() if isinstance(body, str) else None if body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json"} if data is not None else {}
        if user:
            login = f"{user}:{password or self.password}"
            sent["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
        request = urllib.request.Request(
            f"{self.scheme}://localhost:{self.port}{path}", data, {**sent, **(headers or {})}, method=method
        )
        trusted = ssl.create_default_context(cadata=self.authority) if self.scheme == "https" else None
        try:
            with urllib.request.urlopen(request, timeout=60, context=trusted) as answer:
                return _reply(answer.status, answer.read(), answer.headers)
        except urllib.error.HTTPError as error:
            return _reply(error.code, error.read(), error.headers)
        except OSError as error:
            return Reply(0, repr(error), {})

    def do(self, method: str, path: str, body: Any = None) -> Any:
        """What it answers to a request that must succeed."""
        reply = self.ask(method, path, body)
        assert reply.status in (200, 201), f"{method} {path}: {reply}"
        return reply.body


def certificates(names: Sequence[str]) -> tuple[str, dict[str, str]]:
    """An authority, and the files of a server that it has signed for ``names``."""
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    authority = (
        _builder(issuer, issuer, authority_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    server = (
        _builder(issuer, subject, key)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = authority.public_bytes(Encoding.PEM).decode()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return pem, {"ca.crt": pem, "tls.crt": server.public_bytes(Encoding.PEM).decode(), "tls.key": private}


def _builder(issuer: x509.Name, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=30))
    )


def _reply(status: int, body: bytes, headers: Any) -> Reply:
    text = body.decode(errors="replace")
    try:
        found = json.loads(text)
    except ValueError:
        found = text
    return Reply(status, found, dict(headers.items()))
