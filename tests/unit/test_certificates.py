"""Certificates that come from elsewhere: by ACME, with a right on the zone alone, and from Secret Manager."""

import json
from collections.abc import Callable

import pytest

from infra.settings import SettingsError
from tests.unit.recorder import Recording
from tests.unit.stack_files import Tree, changed, deployed, settings, stack_config

ACME = {"kind": "cert-manager", "acme": {"email": "platform@example.com"}}
KEPT = {"kind": "secret-manager", "certificate": "way-in", "key": "way-in-key"}


def served(tls: Tree, dns: Tree | None = None) -> Callable[[Tree], object]:
    return lambda tree: tree["ingress"].update(tls=tls, **({"dns": dns} if dns else {}))


def project_of(recording: Recording) -> str:
    return str(recording.one("gcp", "google").inputs["project"])


def test_cert_manager_may_write_into_the_zone_and_its_issuer_names_that_zone() -> None:
    recorded = deployed("prod", served(ACME, {"zone": "example-com", "project": "acme-dns"}))
    right = recorded.one("DnsManagedZoneIamMember", "ingress-certificate-challenges")
    assert right.inputs == {
        "managedZone": "example-com",
        "project": "acme-dns",
        "role": "roles/dns.admin",
        "member": f"serviceAccount:{project_of(recorded)}.svc.id.goog[cert-manager/cert-manager]",
    }
    # Before the first cluster of the project there is no such member.
    assert "gke-cluster" in right.dependencies
    issuer = recorded.one("ClusterIssuer", "ingress-issuer")
    acme = issuer.inputs["spec"]["acme"]
    assert (acme["server"], acme["email"]) == (
        "https://acme-v02.api.letsencrypt.org/directory",
        "platform@example.com",
    )
    challenge = {"cloudDNS": {"project": "acme-dns", "hostedZoneName": "example-com"}}
    assert acme["solvers"] == [{"dns01": challenge}]
    assert "ingress-certificate-challenges" in issuer.dependencies
    certificate = recorded.one("Certificate", "ingress-issued-certificate")
    assert certificate.inputs["spec"]["issuerRef"]["name"] == issuer.inputs["metadata"]["name"]
    assert "ingress-issuer" in certificate.dependencies


def test_gke_keeps_a_certificate_of_secret_manager_as_an_account_that_may_read_it_and_nothing_else() -> None:
    recorded = deployed("prod", served(KEPT))
    project = project_of(recorded)
    rights = recorded.of("SecretIamMember")
    member = f"serviceAccount:{project}.svc.id.goog[ingress/certificate]"
    mine = {
        right.inputs["secretId"]: right.inputs["role"] for right in rights.values() if right.inputs["member"] == member
    }
    assert mine == {"way-in": "roles/secretmanager.secretAccessor", "way-in-key": "roles/secretmanager.secretAccessor"}
    source = recorded.one("SecretProviderClass", "ingress-certificate-source").inputs["spec"]["parameters"]["secrets"]
    assert json.loads(source) == [
        {"resourceName": f"projects/{project}/secrets/way-in/versions/latest", "path": "tls.crt"},
        {"resourceName": f"projects/{project}/secrets/way-in-key/versions/latest", "path": "tls.key"},
    ]
    sync = recorded.one("SecretSync", "ingress-synced-certificate").inputs
    assert sync["spec"]["secretObject"]["type"] == "kubernetes.io/tls"
    assert sync["spec"]["serviceAccountName"] == "certificate"
    args = recorded.one("Deployment", "ingress-controller").inputs["spec"]["template"]["spec"]["containers"][0]["args"]
    assert f"-wildcard-tls-secret=ingress/{sync['metadata']['name']}" in args
    assert recorded.one("Cluster", "gke-cluster").inputs["secretSyncConfig"]["enabled"] is True
    assert "ingress-tls" not in recorded.of("Secret")


def test_a_cluster_keeps_no_secrets_in_step_unless_the_certificate_needs_it() -> None:
    recorded = deployed("prod")
    assert "secretSyncConfig" not in recorded.one("Cluster", "gke-cluster").inputs


MISTAKES: list[tuple[str, Callable[[Tree], object], str]] = [
    ("prod", served({"kind": "cert-manager"}, {"zone": "z"}), "ingress.tls: a certificate has one issuer"),
    ("prod", served({**ACME, "issuer": "own"}, {"zone": "z"}), "ingress.tls: a certificate has one issuer"),
    ("prod", served(ACME), "ingress.tls.acme: that the domain is yours is proven in a zone of Cloud DNS"),
    ("prod", served({**ACME, "issuerKind": "Issuer"}, {"zone": "z"}), "ingress.tls.issuerKind: the one that is made"),
    ("prod", served({**ACME, "acme": {"email": "nobody"}}, {"zone": "z"}), "ingress.tls.acme.email"),
    ("local", served(KEPT), "ingress.tls: kind 'secret-manager' is Google's"),
]


@pytest.mark.parametrize(("stack", "change", "expected"), MISTAKES)
def test_a_mistake_is_named_by_its_key_with_the_mend(
    stack: str, change: Callable[[Tree], object], expected: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        settings(changed(stack_config(stack), change))
    assert expected in str(refused.value)
