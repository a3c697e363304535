"""Where tasks run in the scheduler's pod and it may make pods, it may make pods of tasks only."""

from typing import Any

import pytest

from tests.unit.recorder import Recording
from tests.unit.stack_files import Tree, deployed

POLICY, BINDING = "main-task-pods-policy", "main-task-pods-policy-binding"


def with_executors(*executors: str, **airflow: Any) -> Recording:
    def change(tree: Tree) -> None:
        dags = airflow.pop("dags", {})
        tree["airflows"][0].update(executor=list(executors), **airflow)
        tree["airflows"][0]["dags"].update(dags)
        if dags:
            tree["secrets"] = {"main": {"gitToken": "hunter2"}}

    return deployed(change=change)


def expressions(recording: Recording) -> list[str]:
    spec = recording.one("ValidatingAdmissionPolicy", POLICY).inputs["spec"]
    return [one["expression"] for one in spec["validations"]]


@pytest.mark.parametrize("pod_operator", [False, True])
def test_a_scheduler_that_runs_tasks_may_make_pods_of_tasks_only(pod_operator: bool) -> None:
    made = with_executors("KubernetesExecutor", "LocalExecutor", kubernetesPodOperator=pod_operator)
    policy = made.one("ValidatingAdmissionPolicy", POLICY).inputs
    assert policy["metadata"]["name"] == "airflow-main-task-pods"
    spec = policy["spec"]
    (condition,) = spec["matchConditions"]
    assert condition["expression"] == 'request.userInfo.username == "system:serviceaccount:airflow-main:scheduler"'
    where = spec["matchConstraints"]["namespaceSelector"]["matchLabels"]
    assert where == {"kubernetes.io/metadata.name": "airflow-main"}
    assert spec["failurePolicy"] == "Fail"
    account, environment, volumes = expressions(made)
    assert account == 'object.spec.serviceAccountName == "task"'
    assert "secretKeyRef.name in []" in environment
    assert 'claimName in ["logs"]' in volumes
    binding = made.one("ValidatingAdmissionPolicyBinding", BINDING).inputs["spec"]
    assert (binding["policyName"], binding["validationActions"]) == ("airflow-main-task-pods", ["Deny"])


def test_it_holds_before_the_scheduler_is_there() -> None:
    made = with_executors("LocalExecutor", "KubernetesExecutor")
    assert {POLICY, BINDING} <= made.one("Job", "main-migrate").dependencies
    assert "main-migrate" in made.one("Deployment", "main-scheduler").dependencies


def test_a_pod_may_have_what_the_pod_templates_have() -> None:
    git = {"kind": "git-sync", "git": {"repository": "https://git.example.com/team/dags"}}
    made = with_executors("KubernetesExecutor", "LocalExecutor", dags=git)
    _, environment, volumes = expressions(made)
    assert 'v.secret.secretName in ["git"]' in volumes
    assert 'c.envFrom.all(e, (!has(e.secretRef) || e.secretRef.name in ["git"]))' in environment


@pytest.mark.parametrize(
    "executors",
    [
        ["KubernetesExecutor"],
        ["LocalExecutor"],
        ["KubernetesExecutor", "CeleryExecutor"],
        ["CeleryExecutor", "LocalExecutor"],
    ],
)
def test_without_both_there_is_nothing_to_hold_down(executors: list[str]) -> None:
    assert not with_executors(*executors).of("ValidatingAdmissionPolicy")


def test_a_scheduler_that_runs_tasks_and_needs_no_pods_for_them_may_make_some_elsewhere_only() -> None:
    made = with_executors("LocalExecutor", kubernetesPodOperator=True)
    makers = [
        role.inputs["metadata"]["namespace"]
        for role in made.of("Role").values()
        if any("pods" in rule["resources"] and "create" in rule["verbs"] for rule in role.inputs["rules"])
    ]
    assert makers == ["launched-main"]
