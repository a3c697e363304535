"""What is left of the scheduler's right to make pods where tasks are processes of its own: pods of tasks, no others.

Beside the KubernetesExecutor, the scheduler may make pods in the Airflow's own namespace, and who may do that can have
a pod mount every Secret there and act as every account. A task of the LocalExecutor runs in the scheduler's pod and can
take that right. So an admission policy, which no role can lift, leaves of it what the KubernetesExecutor does: pods of
the tasks' account, with no Secret and no volume but those of the pod templates. It holds for all that the scheduler
asks for, what DAGs write in ``pod_override`` included.

Source of its terms: https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
"""

import json
from collections.abc import Collection, Mapping
from typing import Any, Final

import pulumi
import pulumi_kubernetes as kubernetes
import yaml

from components.airflow.args import AirflowArgs
from components.airflow.task_pod import SERVICE_ACCOUNT
from components.workload import metadata

_SECRETS: Final = (("secret", "secretName"), ("secret", "name"), ("secretKeyRef", "name"), ("secretRef", "name"))
_CLAIMS: Final = (("persistentVolumeClaim", "claimName"),)


def leave_task_pods(
    name: str,
    namespace: str,
    args: AirflowArgs,
    templates: Mapping[str, str],
    scheduler: pulumi.Output[str],
    parent: pulumi.Resource,
) -> tuple[pulumi.Resource, ...]:
    """Makes the policy for the account ``scheduler`` where it both makes pods and runs tasks; nothing elsewhere.

    Pods may be like ``templates``, the pod template files. What runs under that account comes after what is returned.
    """
    if not (args.launches_pods and args.runs_tasks_in_scheduler):
        return ()
    opts = pulumi.ResourceOptions(parent=parent)
    admission = kubernetes.admissionregistration.v1
    pods = [yaml.safe_load(template) for template in templates.values()]
    secrets, claims = _names(pods, _SECRETS), _names(pods, _CLAIMS)
    policy = admission.ValidatingAdmissionPolicy(
        f"{name}-task-pods-policy",
        metadata=metadata(f"{namespace}-task-pods"),
        spec={
            "failure_policy": "Fail",
            "match_constraints": {
                # What its tasks launch elsewhere has the account of that namespace.
                "namespace_selector": {"match_labels": {"kubernetes.io/metadata.name": namespace}},
                "resource_rules": [
                    {
                        "api_groups": [""],
                        "api_versions": ["v1"],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": ["pods"],
                    }
                ],
            },
            "match_conditions": [
                {
                    "name": "scheduler",
                    "expression": pulumi.Output.concat(
                        f'request.userInfo.username == "system:serviceaccount:{namespace}:', scheduler, '"'
                    ),
                }
            ],
            "validations": [
                {
                    "expression": expression,
                    "message": f"the scheduler makes and changes {message}",
                    "reason": "Forbidden",
                }
                for expression, message in (
                    (
                        f'object.spec.serviceAccountName == "{SERVICE_ACCOUNT}"',
                        f"pods of tasks only, whose account is '{SERVICE_ACCOUNT}'",
                    ),
                    (_environment_holds(secrets), "no pod with a Secret in its environment that tasks have not"),
                    (_volumes_hold(secrets, claims), "no pod with a Secret or a volume that tasks have not"),
                )
            ],
        },
        opts=opts,
    )
    enforced = admission.ValidatingAdmissionPolicyBinding(
        f"{name}-task-pods-policy-binding",
        metadata=metadata(f"{namespace}-task-pods"),
        spec={"policy_name": policy.metadata.name, "validation_actions": ["Deny"]},
        opts=opts,
    )
    return (policy, enforced)


def _names(value: Any, where: Collection[tuple[str, str]]) -> set[str]:
    """What stands at any depth of manifests in a mapping and under a key that ``where`` names."""
    found: set[str] = set()
    if isinstance(value, Mapping):
        for holder, inner in value.items():
            if isinstance(inner, Mapping):
                found |= {str(inner[key]) for known, key in where if known == holder and key in inner}
            found |= _names(inner, where)
    elif isinstance(value, list):
        for inner in value:
            found |= _names(inner, where)
    return found


def _environment_holds(secrets: Collection[str]) -> str:
    """No other Secrets are in the environment of any container."""
    held = (
        f"(!has(c.env) || c.env.all(e, {_optional('e', 'valueFrom.secretKeyRef', 'name', secrets)})) && "
        f"(!has(c.envFrom) || c.envFrom.all(e, {_optional('e', 'secretRef', 'name', secrets)}))"
    )
    return (
        f"object.spec.containers.all(c, {held}) && "
        f"(!has(object.spec.initContainers) || object.spec.initContainers.all(c, {held}))"
    )


def _volumes_hold(secrets: Collection[str], claims: Collection[str]) -> str:
    """No other Secrets and claims are in any volume, and none is made from a claim. Pod Security ``restricted``, which
    the namespace keeps to, knows no further kinds of volumes that name a Secret."""
    projected = f"v.projected.sources.all(s, {_optional('s', 'secret', 'name', secrets)})"
    made = "v.ephemeral.volumeClaimTemplate.spec"
    held = (
        _optional("v", "secret", "secretName", secrets),
        f"(!has(v.projected) || !has(v.projected.sources) || {projected})",
        _optional("v", "persistentVolumeClaim", "claimName", claims),
        f"(!has(v.ephemeral) || (!has({made}.dataSource) && !has({made}.dataSourceRef)))",
        "(!has(v.csi) || !has(v.csi.nodePublishSecretRef))",
    )
    return f"!has(object.spec.volumes) || object.spec.volumes.all(v, {' && '.join(held)})"


def _optional(variable: str, path: str, key: str, names: Collection[str]) -> str:
    """Where ``variable`` has ``path``, the ``key`` in it is one of ``names``."""
    steps = path.split(".")
    prefixes = [".".join([variable, *steps[: n + 1]]) for n in range(len(steps))]
    missing = " || ".join(f"!has({prefix})" for prefix in prefixes)
    return f"({missing} || {prefixes[-1]}.{key} in {json.dumps(sorted(names))})"
