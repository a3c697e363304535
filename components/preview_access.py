"""Lets one identity preview changes in the cluster, and change nothing there.

A server-side preview is a request to create or patch that is marked as a dry run, so the previewer needs those rights;
without them pulumi-kubernetes falls back, without a word, to a guess of its own. That its requests are dry runs is seen
to by an admission policy, which no role can lift. Roles and bindings are not among what it may send: to preview those
it would have to hold every right in them.
"""

from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_kubernetes as kubernetes

from components.workload import metadata

NAME: Final = "airflow-platform-previewer"
SENT: Final = {
    "": (
        "configmaps",
        "limitranges",
        "namespaces",
        "persistentvolumeclaims",
        "resourcequotas",
        "secrets",
        "serviceaccounts",
        "services",
    ),
    "apps": ("daemonsets", "deployments", "statefulsets"),
    "autoscaling": ("horizontalpodautoscalers",),
    "batch": ("cronjobs", "jobs"),
    "cert-manager.io": ("certificates", "clusterissuers"),
    "networking.k8s.io": ("ingressclasses", "ingresses", "networkpolicies"),
    "policy": ("poddisruptionbudgets",),
    "scheduling.k8s.io": ("priorityclasses",),
    "secret-sync.gke.io": ("secretsyncs",),
    "secrets-store.csi.x-k8s.io": ("secretproviderclasses",),
}
"""What an environment is made of, by API group. Secrets too: who previews decrypts the state, where they all are."""
READ: Final = {
    "admissionregistration.k8s.io": ("validatingadmissionpolicies", "validatingadmissionpolicybindings"),
    "discovery.k8s.io": ("endpointslices",),
    "rbac.authorization.k8s.io": ("clusterrolebindings", "clusterroles", "rolebindings", "roles"),
}
_LOOK: Final = ("get", "list", "watch")


@dataclass(frozen=True)
class PreviewAccessArgs:
    """Arguments of ``PreviewAccess``. ``user`` is the previewer as the cluster knows it: on GKE its e-mail address."""

    user: str


class PreviewAccess(pulumi.ComponentResource):
    """The role and binding of the previewer, and the policy that refuses whatever of its requests is no dry run.

    Source of the policy's terms: https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
    """

    def __init__(self, name: str, args: PreviewAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-platform:kubernetes:PreviewAccess", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        admission = kubernetes.admissionregistration.v1
        policy = admission.ValidatingAdmissionPolicy(
            f"{name}-policy",
            metadata=metadata(NAME),
            spec={
                # Where the policy can't be evaluated, the previewer's request is refused: nobody else's meets it.
                "failure_policy": "Fail",
                "match_constraints": {
                    "resource_rules": [
                        {
                            "api_groups": ["*"],
                            "api_versions": ["*"],
                            "operations": ["CREATE", "UPDATE", "DELETE", "CONNECT"],
                            "resources": ["*/*"],
                        }
                    ]
                },
                "match_conditions": [
                    {"name": "previewer", "expression": f'request.userInfo.username == "{args.user}"'}
                ],
                "validations": [
                    {
                        "expression": "has(request.dryRun) && request.dryRun",
                        "message": "the previewer changes nothing: only dry runs are allowed",
                    }
                ],
            },
            opts=child,
        )
        enforced = admission.ValidatingAdmissionPolicyBinding(
            f"{name}-policy-binding",
            metadata=metadata(NAME),
            spec={"policy_name": policy.metadata.name, "validation_actions": ["Deny"]},
            opts=child,
        )
        role = kubernetes.rbac.v1.ClusterRole(
            f"{name}-role",
            metadata=metadata(NAME),
            rules=[
                *(
                    {"api_groups": [group], "resources": list(kinds), "verbs": [*_LOOK, "create", "patch"]}
                    for group, kinds in SENT.items()
                ),
                *(
                    {"api_groups": [group], "resources": list(kinds), "verbs": [*_LOOK]}
                    for group, kinds in READ.items()
                ),
            ],
            opts=child,
        )
        kubernetes.rbac.v1.ClusterRoleBinding(
            f"{name}-role-binding",
            metadata=metadata(NAME),
            role_ref={"api_group": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role.metadata.name},
            subjects=[{"api_group": "rbac.authorization.k8s.io", "kind": "User", "name": args.user}],
            # The rights come after what holds them down, and go before it.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[enforced]),
        )
        self.register_outputs({})
