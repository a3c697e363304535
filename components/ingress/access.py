"""What the controller may do in the cluster: look at what leads people somewhere, and say where it serves it.

The vendor's own rules (deployments/rbac/rbac.yaml) also let it read every Secret of the cluster and change Services,
for custom resources that are off here.
"""

from collections.abc import Sequence

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes.rbac.v1 import PolicyRuleArgsDict

from components.ingress.configuration import NAME
from components.workload import metadata

_LOOK = ["get", "list", "watch"]
CLUSTER_RULES: Sequence[PolicyRuleArgsDict] = (
    {"api_groups": [""], "resources": ["namespaces", "services", "pods"], "verbs": _LOOK},
    {"api_groups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": _LOOK},
    {"api_groups": ["networking.k8s.io"], "resources": ["ingresses"], "verbs": _LOOK},
    {"api_groups": ["networking.k8s.io"], "resources": ["ingresses/status"], "verbs": ["update"]},
    {"api_groups": ["networking.k8s.io"], "resources": ["ingressclasses"], "verbs": ["get", "list"]},
    # Why it refuses an Ingress is said beside that Ingress.
    {"api_groups": [""], "resources": ["events"], "verbs": ["create", "patch"]},
)
OWN_RULES: Sequence[PolicyRuleArgsDict] = (
    {"api_groups": [""], "resources": ["secrets", "configmaps"], "verbs": _LOOK},
    # It labels its own pod with its version, and finds out by its ReplicaSet what it belongs to.
    {"api_groups": [""], "resources": ["pods"], "verbs": ["update"]},
    {"api_groups": ["apps"], "resources": ["replicasets"], "verbs": ["get"]},
    # Which of several replicas writes the status of Ingress objects.
    {"api_groups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": [*_LOOK, "create", "update"]},
)


def grant(
    name: str, namespace: pulumi.Output[str], parent: pulumi.Resource
) -> tuple[pulumi.Output[str], list[pulumi.Resource]]:
    """Makes the service account with its rights; returns its name and what must be there before its pods."""
    opts = pulumi.ResourceOptions(parent=parent)
    account = kubernetes.core.v1.ServiceAccount(
        f"{name}-service-account",
        metadata=metadata(NAME, namespace),
        automount_service_account_token=False,
        opts=opts,
    )
    subjects: list[kubernetes.rbac.v1.SubjectArgsDict] = [
        {"kind": "ServiceAccount", "name": account.metadata.name, "namespace": namespace}
    ]
    cluster_role = kubernetes.rbac.v1.ClusterRole(
        f"{name}-cluster-role",
        metadata=metadata(f"airflow-platform-{NAME}"),
        rules=list(CLUSTER_RULES),
        opts=opts,
    )
    role = kubernetes.rbac.v1.Role(f"{name}-role", metadata=metadata(NAME, namespace), rules=list(OWN_RULES), opts=opts)
    bindings: list[pulumi.Resource] = [
        kubernetes.rbac.v1.ClusterRoleBinding(
            f"{name}-cluster-role-binding",
            metadata=metadata(f"airflow-platform-{NAME}"),
            role_ref={
                "api_group": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": cluster_role.metadata.name,
            },
            subjects=subjects,
            opts=opts,
        ),
        kubernetes.rbac.v1.RoleBinding(
            f"{name}-role-binding",
            metadata=metadata(NAME, namespace),
            role_ref={"api_group": "rbac.authorization.k8s.io", "kind": "Role", "name": role.metadata.name},
            subjects=subjects,
            opts=opts,
        ),
    ]
    return account.metadata.name, bindings
