"""The stand-in for ``tls``: real keys, requests and certificates, kept in the engine's state."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from importlib.metadata import version

from cryptography import x509 as pki
from cryptography.hazmat.primitives.serialization import Encoding

from testbed.engine import x509
from testbed.engine.described import DescribedStandIn
from testbed.engine.description import load
from testbed.engine.values import Properties, Value
from testbed.progress import Failure


class TlsStandIn(DescribedStandIn):
    """PrivateKey, CertRequest, SelfSignedCert and LocallySignedCert."""

    package = "tls"
    rules = load("tls")

    def __init__(self) -> None:
        super().__init__()
        self.version = version("pulumi-tls")

    def make(self, kind: str, inputs: Properties) -> tuple[str, Mapping[str, Value]]:
        match kind.rsplit(":", 1)[1]:
            case "PrivateKey":
                key = x509.generate(inputs["algorithm"], inputs["rsaBits"], inputs["ecdsaCurve"])
                properties = x509.key_properties(key)
                return x509.fingerprint(properties["publicKeyPem"]), properties
            case "CertRequest":
                key = x509.private_key(inputs["privateKeyPem"], "privateKeyPem")
                pem = x509.request_pem(inputs, key)
                return x509.fingerprint(pem), {"certRequestPem": pem, "keyAlgorithm": x509.algorithm_of(key)}
            case "SelfSignedCert":
                key = x509.private_key(inputs["privateKeyPem"], "privateKeyPem")
                made = x509.certificate(inputs, key)
                return str(made.serial_number), {**_shown(made), "keyAlgorithm": x509.algorithm_of(key)}
            case _:
                key = x509.private_key(inputs["caPrivateKeyPem"], "caPrivateKeyPem")
                made = x509.certificate(inputs, key, request=_request(inputs), issuer=_issuer(inputs))
                return str(made.serial_number), {**_shown(made), "caKeyAlgorithm": x509.algorithm_of(key)}

    def read(self, kind: str, state: Properties) -> Properties:
        return {**state, "readyForRenewal": _due(state)} if "validityEndTime" in state else state

    def must_replace(self, kind: str, state: Properties, inputs: Properties) -> list[str]:
        early = inputs.get("earlyRenewalHours", 0)
        return ["readyForRenewal"] if _due({**state, "earlyRenewalHours": early}) else []


def _due(state: Properties) -> bool:
    if not isinstance(end := state.get("validityEndTime"), str):
        return False
    early = timedelta(hours=state.get("earlyRenewalHours") or 0)
    return datetime.now(UTC) >= datetime.fromisoformat(end) - early


def _shown(certificate: pki.Certificate) -> Properties:
    return {
        "certPem": certificate.public_bytes(Encoding.PEM).decode(),
        "readyForRenewal": False,
        "validityStartTime": certificate.not_valid_before_utc.isoformat().replace("+00:00", "Z"),
        "validityEndTime": certificate.not_valid_after_utc.isoformat().replace("+00:00", "Z"),
    }


def _request(inputs: Properties) -> pki.CertificateSigningRequest:
    try:
        return pki.load_pem_x509_csr(inputs["certRequestPem"].encode())
    except ValueError as error:
        raise Failure("certRequestPem holds no certificate request. Mend: give it one in PEM.") from error


def _issuer(inputs: Properties) -> pki.Certificate:
    try:
        return pki.load_pem_x509_certificate(inputs["caCertPem"].encode())
    except ValueError as error:
        raise Failure("caCertPem holds no certificate. Mend: give it one in PEM.") from error
