"""Service accounts of one Airflow and what they may do in its own namespace; nothing outside it."""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes.meta.v1 import ObjectMetaArgsDict
from pulumi_kubernetes.rbac.v1 import PolicyRuleArgsDict

from components.airflow.args import Identity
from components.airflow.task_pod import SERVICE_ACCOUNT as TASK_ACCOUNT
from components.workload import metadata

# What Airflow's KubernetesExecutor calls: it creates, adopts (patches), watches and deletes task pods.
LAUNCH_PODS: list[PolicyRuleArgsDict] = [
    {"api_groups": [""], "resources": ["pods"], "verbs": ["create", "get", "list", "watch", "patch", "delete"]},
    {"api_groups": [""], "resources": ["pods/log"], "verbs": ["get"]},
]
# The api-server shows the log of a task that is still running by reading its pod.
READ_LOGS: list[PolicyRuleArgsDict] = [
    {"api_groups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
    {"api_groups": [""], "resources": ["pods/log"], "verbs": ["get"]},
]


@dataclass(frozen=True)
class ServiceAccounts:
    """Names of the accounts, each an Output that is known when the account exists."""

    api_server: pulumi.Output[str]
    scheduler: pulumi.Output[str]
    components: pulumi.Output[str]
    """For what needs nothing of the Kubernetes API: dag-processor, Jobs, and the triggerer unless tasks launch pods."""
    migration: pulumi.Output[str]
    """Of the Job that migrates the schema."""
    tasks: pulumi.Output[str] | None
    """Of the pods that tasks run in, workers included; None where they run in the scheduler's only."""


COMPONENT_ACCOUNTS = ("api-server", "scheduler", "airflow", "migrate")


def account_metadata(name: str, namespace: pulumi.Input[str], acts_as: pulumi.Input[str] | None) -> ObjectMetaArgsDict:
    """The metadata of a Kubernetes service account that ``acts_as`` one of Google's, by e-mail."""
    made = metadata(name, namespace)
    if acts_as is not None:
        made["annotations"] = {"iam.gke.io/gcp-service-account": acts_as}
    return made


def grant_access(
    name: str,
    namespace: pulumi.Output[str],
    parent: pulumi.Resource,
    launches_pods: bool,
    has_workers: bool = False,
    identity: Identity | None = None,
) -> ServiceAccounts:
    """Makes the accounts, and for an executor that ``launches_pods`` the rights to do so.

    Task pods have an account of their own, and so have workers: the same one, because they run the same code.
    """
    opts = pulumi.ResourceOptions(parent=parent)

    def account(account_name: str) -> pulumi.Output[str]:
        acts_as = None
        if identity:
            acts_as = identity.components if account_name in COMPONENT_ACCOUNTS else identity.tasks
        made = kubernetes.core.v1.ServiceAccount(
            f"{name}-{account_name}-service-account",
            metadata=account_metadata(account_name, namespace, acts_as),
            automount_service_account_token=False,
            opts=opts,
        )
        return made.metadata.name

    def allow(account_name: pulumi.Output[str], role_name: str, rules: list[PolicyRuleArgsDict]) -> None:
        role = kubernetes.rbac.v1.Role(
            f"{name}-{role_name}",
            metadata=metadata(role_name, namespace),
            rules=rules,
            opts=opts,
        )
        kubernetes.rbac.v1.RoleBinding(
            f"{name}-{role_name}-binding",
            metadata=metadata(role_name, namespace),
            role_ref={"api_group": "rbac.authorization.k8s.io", "kind": "Role", "name": role.metadata.name},
            subjects=[{"kind": "ServiceAccount", "name": account_name, "namespace": namespace}],
            opts=opts,
        )

    api_server, scheduler, components, migration = (account(account_name) for account_name in COMPONENT_ACCOUNTS)
    tasks = account(TASK_ACCOUNT) if launches_pods or has_workers else None
    accounts = ServiceAccounts(api_server, scheduler, components, migration, tasks)
    if launches_pods:
        allow(accounts.scheduler, "launch-task-pods", LAUNCH_PODS)
        allow(accounts.api_server, "read-task-logs", READ_LOGS)
    return accounts
