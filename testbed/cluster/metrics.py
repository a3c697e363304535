"""metrics-server: what pods use now, for autoscalers and `kubectl top`. Only where somebody asks for it."""

from typing import Any

NAME = "metrics-server"
PROGRAM = "metricsserver"
PORT = 10250
API = "/apis/metrics.k8s.io/v1beta1"
_CLUSTER_CA = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"
_META = {"name": NAME, "namespace": "kube-system"}
_LABELS = {"k8s-app": NAME}
_RBAC = "rbac.authorization.k8s.io"


def manifests(image: str) -> list[dict[str, Any]]:
    """What is applied to the API server, as metrics-server's own manifests/base has it.

    The one thing that differs: kubelets are asked with their certificate checked.
    """
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _META},
        {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "system:metrics-server"},
            "rules": [
                {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
                {"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]},
            ],
        },
        _binding("ClusterRoleBinding", {"name": "system:metrics-server"}, "ClusterRole", "system:metrics-server"),
        _binding(
            "ClusterRoleBinding",
            {"name": "metrics-server:system:auth-delegator"},
            "ClusterRole",
            "system:auth-delegator",
        ),
        _binding(
            "RoleBinding",
            {"name": "metrics-server-auth-reader", "namespace": "kube-system"},
            "Role",
            "extension-apiserver-authentication-reader",
        ),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": _META,
            "spec": {"selector": _LABELS, "ports": [{"name": "https", "port": 443, "targetPort": "https"}]},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {**_META, "labels": _LABELS},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": _LABELS},
                "template": {"metadata": {"labels": _LABELS}, "spec": _pod(image)},
            },
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": "v1beta1.metrics.k8s.io"},
            "spec": {
                "service": _META,
                "group": "metrics.k8s.io",
                "version": "v1beta1",
                "insecureSkipTLSVerify": True,  # its certificate is made when it starts
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
            },
        },
    ]


def _binding(kind: str, meta: dict[str, str], role_kind: str, role: str) -> dict[str, Any]:
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": kind,
        "metadata": meta,
        "roleRef": {"apiGroup": _RBAC, "kind": role_kind, "name": role},
        "subjects": [{"kind": "ServiceAccount", **_META}],
    }


def _pod(image: str) -> dict[str, Any]:
    return {
        "serviceAccountName": NAME,
        "priorityClassName": "system-cluster-critical",
        "containers": [
            {
                "name": NAME,
                "image": image,
                "args": [
                    "--cert-dir=/tmp",
                    f"--secure-port={PORT}",
                    "--kubelet-preferred-address-types=InternalIP",
                    f"--kubelet-certificate-authority={_CLUSTER_CA}",
                    "--metric-resolution=15s",
                ],
                "ports": [{"name": "https", "containerPort": PORT}],
                "resources": {"requests": {"cpu": "100m", "memory": "40Mi"}, "limits": {"memory": "200Mi"}},
                "readinessProbe": {
                    "httpGet": {"path": "/readyz", "port": "https", "scheme": "HTTPS"},
                    "periodSeconds": 2,
                    "timeoutSeconds": 10,
                },
                "livenessProbe": {
                    "httpGet": {"path": "/livez", "port": "https", "scheme": "HTTPS"},
                    "periodSeconds": 10,
                    "timeoutSeconds": 10,
                    "failureThreshold": 12,
                },
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "runAsNonRoot": True,
                    "runAsUser": 1000,
                    "seccompProfile": {"type": "RuntimeDefault"},
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
            }
        ],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }
