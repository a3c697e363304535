"""Who may preview in the cluster: what the program registers for it."""

import pytest

from components.preview_access import READ, SENT
from tests.unit.recorder import Recording
from tests.unit.stack_files import Tree, deployed

PLURALS = {"IngressClass": "ingressclasses", "Ingress": "ingresses", "PriorityClass": "priorityclasses"}


@pytest.fixture(scope="module")
def prod() -> Recording:
    return deployed("prod")


def test_the_previewer_of_an_environment_is_the_one_that_the_bootstrap_made(prod: Recording) -> None:
    (subject,) = prod.one("ClusterRoleBinding", "previewer-role-binding").inputs["subjects"]
    assert subject["name"] == "previewer-prod@acme-platform.iam.gserviceaccount.com"
    (condition,) = prod.one("ValidatingAdmissionPolicy", "previewer-policy").inputs["spec"]["matchConditions"]
    assert condition["expression"] == f'request.userInfo.username == "{subject["name"]}"'


def test_the_rights_come_after_the_policy_that_holds_them_down(prod: Recording) -> None:
    binding = prod.one("ClusterRoleBinding", "previewer-role-binding")
    assert "previewer-policy-binding" in binding.dependencies


def test_it_may_do_nothing_that_is_no_preview(prod: Recording) -> None:
    rules = prod.one("ClusterRole", "previewer-role").inputs["rules"]
    assert {verb for rule in rules for verb in rule["verbs"]} == {"get", "list", "watch", "create", "patch"}
    sent = {kind for rule in rules if "patch" in rule["verbs"] for kind in rule["resources"]}
    assert not sent & {"roles", "clusterroles", "rolebindings", "clusterrolebindings", "pods"}
    assert not any("admission" in kind for kind in sent), "it could lift the policy's own words"


@pytest.mark.parametrize("stack", ["local", "dev", "staging", "prod"])
def test_everything_that_an_environment_is_made_of_can_be_previewed_or_read(stack: str) -> None:
    known = {(group, kind) for groups in (SENT, READ) for group, kinds in groups.items() for kind in kinds}
    for one in deployed(stack).resources:
        if not one.type.startswith("kubernetes:") or one.kind == "kubernetes":
            continue
        group, _, kind = one.type.removeprefix("kubernetes:").replace("core/", "").rpartition(":")
        group = group.partition("/")[0] if "/" in group else ""
        plural = PLURALS.get(kind, kind.lower().removesuffix("y") + ("ies" if kind.endswith("y") else "s"))
        assert (group, plural) in known, f"{one.type}: add it to components/preview_access.py"


def test_elsewhere_nobody_is_let_in_unless_named() -> None:
    assert not deployed("local").of("ValidatingAdmissionPolicy")
    named = deployed("local", lambda tree: tree.update(previews={"user": "ci"}))
    assert named.one("ClusterRoleBinding", "previewer-role-binding").inputs["subjects"][0]["name"] == "ci"

    def off(tree: Tree) -> None:
        tree["previews"] = {"enabled": False}

    assert not deployed("prod", off).of("ValidatingAdmissionPolicy")
