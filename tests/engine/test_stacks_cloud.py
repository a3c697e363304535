"""The cloud stacks and the bootstrap on the real engine: preview, up, up again, destroy. Nothing reaches a cloud."""

from pathlib import Path
from typing import Any

import pytest

from testbed.progress import Failure
from tests.engine.stacks import OfflineStack, offline_stack

pytestmark = pytest.mark.engine
Tree = dict[str, Any]
PROTECTED = ["staging", "prod"]


def thrown_away(tree: Tree) -> None:
    tree["ephemeral"] = True


@pytest.mark.parametrize("name", ["dev", *PROTECTED])
def test_a_stack_comes_up_stays_as_it_is_and_goes_once_its_protection_is_lifted(name: str, tmp_path: Path) -> None:
    stack = offline_stack(name, tmp_path)
    planned = stack.preview()
    made = stack.up()
    assert made.by_resource == planned.by_resource, "the preview of a new stack showed something else"
    assert {tuple(ops) for ops in made.changed.values()} == {("create",)}
    if name in PROTECTED:
        with pytest.raises(Failure, match="protect") as refused:
            stack.destroy()
        assert "Mend: if it really is to go, set ephemeral: true in the stack file" in str(refused.value)
    assert stack.up().changed == {}, "not stable, or the refused destroy has deleted something"
    if name in PROTECTED:
        lifted = stack.up(thrown_away)
        assert lifted.replaced_or_deleted == {}
        assert {*map(tuple, lifted.of_kind("Cluster", "DatabaseInstance").values())} == {("update",)}
    gone = stack.destroy(thrown_away)
    assert {tuple(ops) for ops in gone.changed.values()} == {("delete",)}
    assert gone.changed.keys() == made.changed.keys()
    # A cluster's LoadBalancers and volumes are Google's: they go while there is a cluster whose controllers see to it.
    order = list(gone.changed)
    inside = max(order.index(name) for name in gone.of_kind("Namespace", "Service"))
    assert inside < min(order.index(name) for name in gone.of_kind("Cluster", "NodePool"))


def test_a_certificate_comes_by_acme_or_from_secret_manager_and_stays(tmp_path: Path) -> None:
    def by(**tls: Any) -> Any:
        way_in = {"domain": "airflow.example.com", "dns": {"zone": "example-com"}, "tls": tls}
        return lambda tree: tree.update(ingress=way_in)

    stack = offline_stack("dev", tmp_path)
    by_acme = by(kind="cert-manager", acme={"email": "platform@example.com"})
    kept = by(kind="secret-manager", certificate="way-in", key="way-in-key")
    made = stack.up(by_acme).by_resource
    assert made.keys() >= {"ClusterIssuer ingress-issuer", "DnsManagedZoneIamMember ingress-certificate-challenges"}
    moved = stack.up(kept)
    assert moved.of_kind("SecretSync", "SecretProviderClass", "Cluster") == {
        "SecretSync ingress-synced-certificate": ["create"],
        "SecretProviderClass ingress-certificate-source": ["create"],
        "Cluster gke-cluster": ["update"],
    }
    assert stack.up(kept).changed == {}


def test_the_bootstrap_comes_up_stays_as_it_is_and_cannot_be_destroyed(tmp_path: Path) -> None:
    stack = offline_stack("bootstrap", tmp_path)
    made = stack.up()
    assert {tuple(ops) for ops in made.changed.values()} == {("create",)}
    assert stack.up().changed == {}
    with pytest.raises(Failure, match="protect"):
        stack.destroy()


def test_a_digest_that_the_registry_does_not_have_stops_an_update_before_anything_is_made(tmp_path: Path) -> None:
    absent = "sha256:dead" + "0" * 60

    def typo(tree: Tree) -> None:
        tree["airflows"][0]["dags"]["digest"] = absent

    stack = offline_stack("prod", tmp_path)
    with pytest.raises(Failure) as refused:
        stack.up(typo)
    said = str(refused.value)
    assert f"europe-west1-docker.pkg.dev/acme-platform/images/dags@{absent}" in said
    assert "nothing was created" in said
    assert "Mend: push the image, or correct version and digest in the stack file" in said
    assert "Traceback" not in said
    with stack.engine() as engine:
        made = [kind for kind in kinds_in(engine.exported()) if not kind.startswith("pulumi:")]
    assert made == []


def kinds_in(exported: str) -> list[str]:
    import json

    return [resource["type"] for resource in json.loads(exported)["deployment"].get("resources", [])]


def test_what_the_vendor_would_refuse_is_refused_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Past our own settings, to see that the provider's rules hold for these stacks.
    from components.gcp import cluster

    monkeypatch.setattr(cluster, "_maintenance", lambda _: {"recurring_window": {"start_time": "today"}})
    stack: OfflineStack = offline_stack("dev", tmp_path)
    with pytest.raises(Failure, match=r"maintenancePolicy\.recurringWindow"):
        stack.preview()
