"""The guardrails: every stack keeps them, and each of them is shown red."""

import copy
import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from policy.guardrails import GUARDRAILS, ExceptionsError, Exempt, Violation, check, exceptions
from policy.resource import Resource, pods
from tests.unit.recorder import Recording
from tests.unit.stack_files import deployed, stack_config

Tree = dict[str, Any]
STACKS = sorted(path.name.split(".")[1] for path in (Path(__file__).resolve().parents[2] / "stacks").glob("Pulumi.*"))
DIGEST = "@sha256:" + "0" * 64


def resources(recording: Recording) -> list[Resource]:
    return [Resource(one.type, one.name, one.inputs, one.protect) for one in recording.resources]


@pytest.mark.parametrize("stack", STACKS)
def test_every_stack_keeps_every_guardrail(stack: str) -> None:
    graph = resources(deployed(stack))
    assert len(graph) > 30
    assert list(map(str, check(graph, ephemeral=stack_config(stack).get("ephemeral", False)))) == []


def container(**changes: Any) -> Tree:
    return {
        "name": "one",
        "image": f"registry.example/one:1{DIGEST}",
        "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "runAsNonRoot": True},
        **changes,
    }


def deployment(change: Callable[[Tree], object] = lambda _: None) -> Resource:
    pod: Tree = {"containers": [container()], "initContainers": [container(name="first")]}
    change(pod)
    return Resource("kubernetes:apps/v1:Deployment", "web", {"spec": {"template": {"spec": pod}}})


def role(rule: Tree) -> Resource:
    return Resource("kubernetes:rbac.authorization.k8s.io/v1:Role", "reader", {"rules": [rule]})


def gcp(token: str, **inputs: Any) -> Resource:
    return Resource(f"gcp:{token}:{token.rpartition('/')[2][0].upper()}{token.rpartition('/')[2][1:]}", "one", inputs)


def database(**ip: Any) -> Resource:
    return gcp("sql/databaseInstance", settings={"ipConfiguration": {"sslMode": "ENCRYPTED_ONLY", **ip}})


def cluster(private: bool, state: str = "ENCRYPTED") -> Resource:
    return gcp(
        "container/cluster",
        privateClusterConfig={"enablePrivateNodes": private},
        databaseEncryption={"state": state},
    )


def bucket(**changes: Any) -> Resource:
    inputs = {"uniformBucketLevelAccess": True, "publicAccessPrevention": "enforced", **changes}
    return gcp("storage/bucket", **inputs)


def secured(**context: Any) -> Resource:
    return deployment(lambda pod: pod["containers"][0]["securityContext"].update(context))


RED: list[tuple[str, Resource, str]] = [
    ("database-private", database(ipv4Enabled=True), "public address"),
    ("database-private", database(), "public address"),  # Google's default
    ("database-private", database(ipv4Enabled=False, authorizedNetworks=[{"value": "0.0.0.0/0"}]), "by address"),
    ("nodes-private", cluster(private=False), "public addresses"),
    ("nodes-private", gcp("container/nodePool", networkConfig={"enablePrivateNodes": False}), "public addresses"),
    ("nodes-private", gcp("compute/instance", networkInterfaces=[{"accessConfigs": [{}]}]), "public address"),
    ("stateful-protected", bucket(), "is not protected"),
    ("images-pinned", deployment(lambda pod: pod["containers"][0].update(image="nginx:1.29")), "no digest"),
    ("images-pinned", deployment(lambda pod: pod["initContainers"][0].update(image="nginx")), "first: nginx"),
    ("requests-and-limits", deployment(lambda pod: pod["containers"][0].pop("resources")), "limits.memory"),
    (
        "requests-and-limits",
        deployment(lambda pod: pod["initContainers"][0]["resources"]["limits"].pop("memory")),
        "first: limits.memory missing",
    ),
    ("nothing-privileged", deployment(lambda pod: pod.update(hostNetwork=True)), "hostNetwork"),
    (
        "nothing-privileged",
        deployment(lambda pod: pod.update(volumes=[{"name": "logs", "hostPath": {"path": "/var/log"}}])),
        "mounts the node's /var/log",
    ),
    ("nothing-privileged", secured(privileged=True), "privileged"),
    ("nothing-privileged", secured(allowPrivilegeEscalation=True), "gain privileges"),
    ("nothing-privileged", secured(capabilities={"add": ["SYS_ADMIN"]}), "SYS_ADMIN"),
    ("nothing-privileged", secured(runAsUser=0), "as root"),
    ("nothing-privileged", secured(runAsNonRoot=None), "as root"),
    (
        "nothing-privileged",
        deployment(lambda pod: pod["containers"][0].update(ports=[{"hostPort": 80}])),
        "port of the node",
    ),
    ("no-wildcard-rbac", role({"apiGroups": [""], "resources": ["*"], "verbs": ["get"]}), "resources has a wildcard"),
    ("no-wildcard-rbac", role({"apiGroups": [""], "resources": ["pods/*"], "verbs": ["get"]}), "resources"),
    ("no-wildcard-rbac", role({"apiGroups": [""], "resources": ["pods"], "verbs": ["*"]}), "verbs has a wildcard"),
    ("no-wildcard-rbac", role({"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"]}), "somebody else"),
    (
        "no-wildcard-rbac",
        Resource(
            "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding", "all", {"roleRef": {"name": "cluster-admin"}}
        ),
        "cluster-admin",
    ),
    ("no-primitive-roles", gcp("projects/iAMMember", role="roles/editor", member="user:a@b.c"), "roles/editor"),
    ("no-primitive-roles", gcp("storage/bucketIAMMember", role="roles/x", member="allUsers"), "allUsers"),
    ("no-primitive-roles", gcp("projects/iAMBinding", role="roles/x", members=["allAuthenticatedUsers"]), "everybody"),
    ("encryption-on", cluster(private=True, state="DECRYPTED"), "key of ours"),
    ("encryption-on", database(ipv4Enabled=False, sslMode="ALLOW_UNENCRYPTED_AND_ENCRYPTED"), "TLS"),
    ("encryption-on", bucket(uniformBucketLevelAccess=False), "made public"),
    ("encryption-on", bucket(publicAccessPrevention="inherited"), "made public"),
]


@pytest.mark.parametrize(("policy", "resource", "said"), RED, ids=lambda part: part if isinstance(part, str) else "")
def test_a_guardrail_goes_red(policy: str, resource: Resource, said: str) -> None:
    found = [one for one in check([resource], ephemeral=False, exempt=()) if one.policy == policy]
    assert found, "nothing was found"
    assert any(said in str(one) for one in found), found
    assert all("Mend: " in one.message for one in found)


def test_every_guardrail_is_shown_red() -> None:
    assert {guardrail.name for guardrail in GUARDRAILS} == {policy for policy, _, _ in RED}


def test_what_keeps_to_the_rules_is_left_alone() -> None:
    fine = [deployment(), cluster(private=True), database(ipv4Enabled=False)]
    fine.append(role({"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}))
    assert check(fine, ephemeral=True, exempt=()) == []


def test_what_a_preview_does_not_know_yet_is_left_alone() -> None:
    unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
    pod = deployment(lambda pod: pod["containers"][0].update(image=unknown, resources=unknown))
    assert check([pod, database(ipv4Enabled=unknown)], ephemeral=True, exempt=()) == []


def test_an_environment_to_throw_away_needs_no_protection() -> None:
    assert check([bucket()], ephemeral=True, exempt=()) == []


def test_task_pods_are_looked_at_too() -> None:
    recorded = resources(deployed("prod"))
    (config,) = [one for one in recorded if one.name == "main-config"]
    (task,) = [pod for pod in pods(config) if pod.where == "pod-template.yaml: "]
    assert task.spec["containers"]
    changed = copy.deepcopy(config.inputs)
    changed["data"]["pod-template.yaml"] = changed["data"]["pod-template.yaml"].replace("@sha256:", ":")
    found = check([Resource(config.type, config.name, changed)], ephemeral=False, exempt=())
    assert {one.policy for one in found} == {"images-pinned"}


EXEMPT = {
    "policy": "nothing-privileged",
    "resource": "Deployment we*",
    "reason": "reads what is on the node",
    "until": "2027-01-31",
}


def checked_on(day: str, **changes: str) -> list[Violation]:
    exempt = [Exempt.model_validate({**EXEMPT, **changes})]
    return check([secured(privileged=True)], ephemeral=True, exempt=exempt, today=datetime.date.fromisoformat(day))


def test_an_exception_holds_until_its_day_and_no_longer() -> None:
    assert checked_on("2027-01-31") == []
    (found,) = checked_on("2027-02-01")
    assert found.message.endswith("Its exception ended on 2027-01-31.")


@pytest.mark.parametrize(
    "changes", [{"policy": "images-pinned"}, {"resource": "Job we*"}, {"resource": "Deployment x"}]
)
def test_an_exception_is_for_what_it_names(changes: dict[str, str]) -> None:
    assert len(checked_on("2027-01-01", **changes)) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"policy": "no-such"}, "no such policy: no-such. Known are: database-private"),
        ({"reason": "x"}, "reason"),
        ({"until": "soon"}, "until"),
        ({"untill": "2027-01-01"}, "untill"),
        ({"resource": "fluentd"}, "resource"),
    ],
)
def test_an_exception_that_is_wrong_is_said_so(changes: dict[str, str], said: str, tmp_path: Path) -> None:
    import yaml

    path = tmp_path / "exceptions.yaml"
    path.write_text(yaml.safe_dump({"exceptions": [{**EXEMPT, **changes}]}))
    with pytest.raises(ExceptionsError, match=said):
        exceptions(path)


def test_the_projects_own_exceptions_can_be_read() -> None:
    assert all(one.until for one in exceptions())
