"""What tasks need to launch pods of their own (KubernetesPodOperator), and where these pods run.

In a namespace of its own, ``launched-<name>``: who may create a pod in a namespace can have it mount every Secret there
and act as every service account. In the Airflow's own namespace that would hand its keys and its database to every DAG.
"""

import json
from collections.abc import Sequence

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes.core.v1 import EnvVarArgsDict
from pulumi_kubernetes.rbac.v1 import PolicyRuleArgsDict

from components.airflow.args import AirflowArgs
from components.availability import until_done
from components.workload import RESTRICTED, metadata

# What the operator calls: it makes its pod, follows it and its log, reads the result out of its sidecar, removes it.
LAUNCH_OWN_PODS: list[PolicyRuleArgsDict] = [
    {"api_groups": [""], "resources": ["pods"], "verbs": ["create", "get", "list", "watch", "patch", "delete"]},
    {"api_groups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    {"api_groups": [""], "resources": ["pods/exec"], "verbs": ["create", "get"]},
    {"api_groups": [""], "resources": ["events"], "verbs": ["get", "list", "watch"]},
]


def launch_namespace(name: str) -> str:
    """The namespace of the pods that tasks of the Airflow ``name`` launch."""
    return f"launched-{name}"


def launch_env(name: str, args: AirflowArgs) -> list[EnvVarArgsDict]:
    """For what runs tasks: the connection that the operator takes by default, which says where its pods go."""
    if not args.pod_operator:
        return []
    extra = {"in_cluster": True, "namespace": launch_namespace(name)}
    value = json.dumps({"conn_type": "kubernetes", "extra": extra})
    return [{"name": "AIRFLOW_CONN_KUBERNETES_DEFAULT", "value": value}]


def grant_launches(
    name: str,
    namespace: pulumi.Output[str],
    launchers: Sequence[pulumi.Output[str]],
    parent: pulumi.Resource,
) -> None:
    """Makes the namespace, and lets the service accounts ``launchers`` of ``namespace`` launch pods in it.

    Launched pods have the namespace's own service account, which has no rights.
    """
    opts = pulumi.ResourceOptions(parent=parent)
    made = kubernetes.core.v1.Namespace(
        f"{name}-launched-namespace", metadata=metadata(launch_namespace(name), own_labels=RESTRICTED), opts=opts
    )
    place = made.metadata.name
    role = kubernetes.rbac.v1.Role(
        f"{name}-launch-pods", metadata=metadata("launch-pods", place), rules=LAUNCH_OWN_PODS, opts=opts
    )
    kubernetes.rbac.v1.RoleBinding(
        f"{name}-launch-pods-binding",
        metadata=metadata("launch-pods", place),
        role_ref={"api_group": "rbac.authorization.k8s.io", "kind": "Role", "name": role.metadata.name},
        subjects=[{"kind": "ServiceAccount", "name": one, "namespace": namespace} for one in launchers],
        opts=opts,
    )
    # Every pod there is a task's work.
    until_done(f"{name}-launched-budget", "launched", place, {}, parent)
    kubernetes.networking.v1.NetworkPolicy(
        f"{name}-launched-access",
        metadata=metadata("nobody-reaches-launched-pods", place),
        spec={"pod_selector": {}, "policy_types": ["Ingress"]},
        opts=opts,
    )
