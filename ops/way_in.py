"""What is wrong with the way in, for `make status`: its certificate, and who is asked who somebody is."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from cryptography import x509

from components.ingress.certificates import ISSUED_SECRET, SECRET, SYNCED_SECRET
from components.ingress.configuration import NAMESPACE
from infra.settings import Settings
from infra.settings.certificates import hosts_not_in, is_key_of
from infra.settings.ingress import CertManagerTls, GivenTls, SecretManagerTls, SecretTls, Tls
from infra.settings.ingress_addresses import addresses, way_in
from infra.settings.sign_in import GOOGLE_ISSUER, GoogleSignIn, OidcSignIn
from ops.cluster_view import ClusterView
from ops.target import Target
from testbed.progress import Failure

SOON = timedelta(days=14)
"""Or a quarter of its time, for one that is short-lived."""
_ASK = """
import sys, urllib.request
try:
    with urllib.request.urlopen(sys.argv[1], timeout=5) as answer:
        print("" if answer.status == 200 else answer.status)
except OSError as error:
    print(getattr(error, "reason", error))
"""
"""Asked from where Airflow asks: another place may have another way."""


def way_in_problems(chosen: Target, view: ClusterView) -> list[str]:
    """A line for each thing that keeps people out, or will soon."""
    return [*_certificate_problems(chosen.settings, view), *_provider_problems(chosen, view)]


def _certificate_problems(settings: Settings, view: ClusterView) -> Iterator[str]:
    ingress = way_in(settings)
    if ingress is None or settings.dev_stack is not None:  # a dev stack's certificate is its base's to look after
        return
    name, mend = _kept(ingress.tls)
    where = f"Secret {NAMESPACE}/{name}"
    try:
        kept = view.secret(NAMESPACE, name)
        leaf = x509.load_pem_x509_certificates(kept["tls.crt"].encode())[0]
    except Failure as failure:
        yield f"{where}: {failure}. It holds the certificate. Mend: {mend}"
        return
    except (KeyError, ValueError):
        yield f"{where}: holds no certificate, and the way in does not start without one. Mend: {mend}"
        return
    yield from (f"{where}: {problem}. Mend: {mend}" for problem in _key_problems(leaf, kept.get("tls.key", "")))
    begins, ends, now = leaf.not_valid_before_utc, leaf.not_valid_after_utc, datetime.now(UTC)
    if begins > now:
        yield f"{where}: is not valid before {begins:%Y-%m-%d}. Mend: {mend} (docs/ingress.md, Certificates)"
    if ends <= now + min(SOON, (ends - begins) / 4):
        said = "has expired" if ends <= now else "expires"
        yield f"{where}: {said} on {ends:%Y-%m-%d}. Mend: {mend} (docs/ingress.md, Certificates)"
    for host, what in hosts_not_in(leaf, {one.host: what for what, one in addresses(settings).items()}).items():
        yield f"{where}: is not for {host} ({what}). Mend: get one that is, or change the host"


def _key_problems(leaf: x509.Certificate, key: str) -> Iterator[str]:
    try:
        if is_key_of(leaf, key):
            return
        said = "is not the key of its tls.crt"
    except ValueError as error:
        said = str(error)
    yield f"its tls.key {said}: a controller that runs goes on with what it had, and none starts"


def _kept(tls: Tls | None) -> tuple[str, str]:
    """The Secret with the certificate, and what to do about it."""
    match tls:
        case SecretTls(name=name):
            return name, "look at what keeps it"
        case CertManagerTls():
            return ISSUED_SECRET, f"kubectl -n {NAMESPACE} describe certificate {ISSUED_SECRET}"
        case SecretManagerTls():
            return SYNCED_SECRET, f"kubectl -n {NAMESPACE} describe secretsync {SYNCED_SECRET}"
        case GivenTls():
            return SECRET, "give a new one"
        case _:
            return SECRET, "bring the stack up"


def _provider_problems(chosen: Target, view: ClusterView) -> Iterator[str]:
    for airflow in chosen.settings.airflows:
        asked = airflow.sign_in
        if not isinstance(asked, OidcSignIn | GoogleSignIn):
            continue
        issuer = GOOGLE_ISSUER if isinstance(asked, GoogleSignIn) else asked.issuer
        url = f"{issuer}/.well-known/openid-configuration"
        try:
            said = view.said_in(f"airflow-{airflow.name}", "api-server", ["python", "-c", _ASK, url]).strip()
        except Failure as error:
            said = f"not asked: {error}"
        if said:
            yield (
                f"airflows.{airflow.name}.signIn: {issuer} does not answer ({said}): nobody can sign in by it. Mend: "
                "see to the provider, and to the way there; the administrator's password still gets a token at "
                "/auth/token"
            )
